"""RUN_OPTIONS: every option of a run. Adding one is one entry here, and its use in the run."""

from __future__ import annotations

from collections.abc import Iterable

from rnnscope.options.interface import RunOption
from rnnscope.options.kinds import (
    ArrayReference,
    Bound,
    ByLayer,
    Choice,
    Integer,
    Integers,
    Lengths,
    Many,
    Real,
    Size,
    Switch,
    Text,
    ValueKind,
)

GROUPS = {
    "input": "The input, and what goes with it",
    "network": "Where in the model the input goes in",
    "decoder": "Decoders",
    "layer": "What a file may not hold of a layer",
    "engine": "How the steps are computed",
    "trace": "What is kept, and how",
    "check": "What is compared",
}
"""Groups of options, in the order in which help and pages list them."""

OF_THE_MODEL = ("input", "network", "decoder", "layer")
"""Groups that say what is computed. The others say how, and what is kept of it: they mean nothing
to what computes in a way of its own and writes no trace."""

ENGINES = ("auto", "numpy", "compiled", "reference")
LAYOUTS = ("tf1", "keras", "torch", "onnx", "equinox", "mlx", "flax", "haiku", "custom")
PADDING_RULES = ("zeros", "hold", "none")
RESET_AT = ("before", "after")
RESET_STATES = ("initial", "zeros")
COMPRESSIONS = ("gzip", "lzf", "zstd")
VERIFIERS = ("tensorflow", "onnxruntime", "torch", "torch:cuda", "torch:mps")
"""What engines, readers, layers, the trace and oracles offer, which tests compare: the rooms that
know these names take too long to import for ``--help``."""


def _activations() -> Iterable[str]:
    from rnnscope.model.activations import ACTIVATIONS

    return ACTIVATIONS


def _cell_classes() -> Iterable[str]:
    from rnnscope.model.cells.classes import CELL_CLASSES

    return CELL_CLASSES


def _of_layer(name: str, kind: ValueKind, help_text: str) -> RunOption:
    return RunOption(name, ByLayer(of=kind), "layer", f"{help_text} LAYER may be a pattern.")


RUN_OPTIONS = (
    RunOption("inputs", Text("KEY"), "input", "Name of the input array in INPUT."),
    RunOption(
        "lengths",
        Lengths(),
        "input",
        "Valid steps of each sequence; auto: all-zero steps at the end are padding.",
    ),
    RunOption(
        "mask",
        ArrayReference("KEY|FILE|none"),
        "input",
        "1 where a step counts: (sequence, timestep).",
    ),
    RunOption(
        "offsets",
        ArrayReference("KEY|FILE|none"),
        "input",
        "Where each sequence of a ragged INPUT begins: n + 1 integers from 0.",
    ),
    RunOption(
        "resets",
        ArrayReference("KEY|FILE|none"),
        "input",
        "1 at a step where the state is reset: (sequence, timestep).",
    ),
    RunOption(
        "reset_at",
        Choice(names=RESET_AT),
        "input",
        "Whether the state returns before the step that is marked or after it",
        default_words="after for an array called dones, else before",
    ),
    RunOption(
        "reset_to",
        Choice(names=RESET_STATES),
        "input",
        "What a reset returns to: what the run starts from, or zeros.",
        default=RESET_STATES[0],
    ),
    RunOption("initial_c", ArrayReference(), "input", "State c before the first step."),
    RunOption("initial_m", ArrayReference(), "input", "State m before the first step."),
    RunOption(
        "ids",
        Switch(),
        "input",
        "INPUT holds ids for the file's embedding (default: if it is called 'ids').",
        flag="--ids/--no-ids",
    ),
    RunOption(
        "time_major", Switch(), "input", "INPUT is (timestep, sequence, feature).", default=False
    ),
    RunOption(
        "allow_nan",
        Switch(),
        "input",
        "NaN and infinity in INPUT are computed on; the report says where they spread first.",
        default=False,
    ),
    RunOption(
        "random",
        Integers(metavar="N,T[,F]", least=1),
        "input",
        "In place of INPUT: numbers between -1 and 1, for a first look; F is the model's own.",
    ),
    RunOption("seed", Integer(), "input", "Of the numbers of a random INPUT.", default=0),
    RunOption(
        "model_input",
        Switch(),
        "network",
        "INPUT is the model's own input: run the layers in front of the first LSTM.",
        default=False,
    ),
    RunOption(
        "trust_model",
        Switch(),
        "network",
        "With --model-input: Keras runs the layers in front that rnnscope does not compute. "
        "This executes the model.",
        default=False,
        executes_model=True,
    ),
    RunOption(
        "layers",
        Many("GLOB"),
        "network",
        "Run only layers whose name fits, and what they read.",
        default=(),
        flag="--layer",
    ),
    RunOption(
        "feed",
        Many("LAYER"),
        "network",
        "The input goes to this layer, and to no other.",
        default=(),
    ),
    RunOption(
        "after",
        Many("LAYER=OTHER"),
        "network",
        "LAYER reads the outputs of OTHER, whatever the file says.",
        default=(),
    ),
    RunOption(
        "embedding",
        Text("NAME"),
        "network",
        "The embedding that takes the ids, where the file has several.",
    ),
    RunOption(
        "decoder_inputs",
        ArrayReference("FILE[::KEY]"),
        "decoder",
        "What the decoder reads, as INPUT; its first state is the encoder's final one.",
    ),
    RunOption(
        "encoder",
        Text("SCOPE"),
        "decoder",
        "The encoder's layers, where the file does not tell.",
    ),
    RunOption(
        "decoder",
        Text("SCOPE"),
        "decoder",
        "The decoder's layers, where the file does not tell.",
    ),
    RunOption(
        "loop_function",
        Text("none|identity|linear:W,B|argmax:W,B,EMBEDDING"),
        "decoder",
        "Makes the decoder's next input of its last output, with variables of these names.",
    ),
    RunOption(
        "decoder_steps",
        Integer(least=1),
        "decoder",
        "Steps of a decoder with a loop function",
        default_words="those of its inputs",
    ),
    _of_layer("forget_bias", Real(), "Added to the forget gate at run time."),
    _of_layer("activation", Choice(more=_activations), "Activation of the candidate and of c."),
    _of_layer(
        "recurrent_activation", Choice(more=_activations), "Activation of the gates i, f, o."
    ),
    _of_layer("cell_clip", Bound(), "Bound of |c|, or none."),
    _of_layer("proj_clip", Bound(), "Bound of the projected |m|, or none."),
    _of_layer(
        "cell", Choice(more=_cell_classes), "Class of the cell, where the file does not tell."
    ),
    _of_layer(
        "padding",
        Choice(names=PADDING_RULES),
        "What happens past the length: zeros, hold or none.",
    ),
    RunOption(
        "layout",
        Choice(names=LAYOUTS),
        "layer",
        "Whose names and gate order named arrays have, such as those of an .npz.",
    ),
    RunOption(
        "go_backwards",
        Switch(),
        "layer",
        "The layer reads from the end, where the file does not tell.",
        default=False,
    ),
    RunOption(
        "backward",
        Many("GLOB"),
        "layer",
        "These layers read from the end, where the file does not tell.",
        default=(),
    ),
    RunOption(
        "override",
        Switch(),
        "layer",
        "Let a flag replace what the file states.",
        default=False,
    ),
    RunOption("gates", Switch(), "trace", "Write the gates i, f, g, o, too.", default=False),
    RunOption(
        "engine",
        Choice(names=ENGINES),
        "engine",
        "What computes the steps; auto compiles where it pays.",
        default=ENGINES[0],
    ),
    RunOption(
        "threads",
        Integer(),
        "engine",
        "Threads over the batch",
        default=0,
        default_words="all that the process may use",
    ),
    RunOption(
        "memory",
        Size(),
        "engine",
        "Memory for the arrays of the run; longer runs go slice by slice.",
        default="256MB",
    ),
    RunOption(
        "select",
        Many("KEY=VALUE"),
        "trace",
        "Keep only layers=GLOB,… states=c,m,… units=0:16,… steps=::10|last:3 of the run.",
        default=(),
    ),
    RunOption(
        "ragged",
        Switch(),
        "trace",
        "Store the valid steps only, one sequence after another, with their offsets.",
        default=False,
    ),
    RunOption(
        "compress",
        Choice(names=COMPRESSIONS),
        "trace",
        "Compress the trace; zstd needs the package hdf5plugin.",
    ),
    RunOption(
        "verify",
        Choice(names=VERIFIERS),
        "check",
        "Recompute with another engine's own kernels and compare.",
        changes_numbers=False,
    ),
)
"""In the order of ``--help``."""
