"""``rnnscope run``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnscope.cli.options import format_option, layout_option, print_report

if TYPE_CHECKING:
    from rnnscope.checkpoints.interface import Checkpoint
    from rnnscope.inputs import InputSource
    from rnnscope.model.cell import Array
    from rnnscope.run import LayerOptions, Plan, RunResult
    from rnnscope.run.decoding import Decoding
    from rnnscope.trace import TraceHeader

PADDING_RULES = ("zeros", "hold", "none")
COMPRESSIONS = ("gzip", "lzf", "zstd")
ENGINES = ("auto", "numpy", "compiled", "reference")
"""The keys of `rnnscope.engines.choose.ENGINES`, which a test compares; see FORMATS."""

PROGRESS_AFTER = 2_000_000
"""Cell-steps (sequence x timestep x unit) from which a terminal is shown a progress bar."""


def _layer_option(flag: str, help_text: str) -> Callable[[Any], Any]:
    return click.option(
        flag, multiple=True, metavar="[LAYER=]VALUE", help=help_text + " LAYER may be a pattern."
    )


@click.command("run")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("input_", metavar="INPUT")
@click.option(
    "-o",
    "--output",
    "trace",
    required=True,
    type=click.Path(path_type=Path),
    metavar="TRACE",
    help="The HDF5 trace to write.",
)
@click.option("--inputs", "inputs_key", metavar="KEY", help="Name of the input array in INPUT.")
@click.option(
    "--lengths",
    metavar="N,N,…|KEY|FILE|auto|none",
    help="Valid steps of each sequence; auto: all-zero steps at the end are padding.",
)
@click.option(
    "--mask", metavar="KEY|FILE|none", help="1 where a step counts: (sequence, timestep)."
)
@click.option(
    "--offsets",
    metavar="KEY|FILE|none",
    help="Where each sequence of a ragged INPUT begins: n + 1 integers from 0.",
)
@click.option("--initial-c", metavar="KEY|FILE", help="State c before the first step.")
@click.option("--initial-m", metavar="KEY|FILE", help="State m before the first step.")
@click.option(
    "--ids/--no-ids",
    default=None,
    help="INPUT holds ids for the file's embedding (default: if it is called 'ids').",
)
@click.option("--time-major", is_flag=True, help="INPUT is (timestep, sequence, feature).")
@click.option(
    "--model-input",
    is_flag=True,
    help="INPUT is the model's own input: run the layers in front of the first LSTM.",
)
@click.option(
    "--trust-model",
    is_flag=True,
    help="With --model-input: Keras runs the layers in front that rnnscope does not compute. "
    "This executes the model.",
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="GLOB",
    help="Run only layers whose name fits, and what they read.",
)
@click.option(
    "--feed", multiple=True, metavar="LAYER", help="The input goes to this layer, and to no other."
)
@click.option(
    "--after",
    multiple=True,
    metavar="LAYER=OTHER",
    help="LAYER reads the outputs of OTHER, whatever the file says.",
)
@click.option(
    "--embedding",
    metavar="NAME",
    help="The embedding that takes the ids, where the file has several.",
)
@click.option(
    "--decoder-inputs",
    metavar="FILE[::KEY]",
    help="What the decoder reads, as INPUT; its first state is the encoder's final one.",
)
@click.option(
    "--encoder", metavar="SCOPE", help="The encoder's layers, where the file does not tell."
)
@click.option(
    "--decoder", metavar="SCOPE", help="The decoder's layers, where the file does not tell."
)
@click.option(
    "--loop-function",
    metavar="none|identity|linear:W,B|argmax:W,B,EMBEDDING",
    help="Makes the decoder's next input of its last output, with variables of these names.",
)
@click.option(
    "--decoder-steps",
    type=click.IntRange(min=1),
    metavar="N",
    help="Steps of a decoder with a loop function [default: those of its inputs].",
)
@_layer_option("--forget-bias", "Added to the forget gate at run time.")
@_layer_option("--activation", "Activation of the candidate and of c.")
@_layer_option("--recurrent-activation", "Activation of the gates i, f, o.")
@_layer_option("--cell-clip", "Bound of |c|, or none.")
@_layer_option("--proj-clip", "Bound of the projected |m|, or none.")
@_layer_option("--cell", "Class of the cell, where the file does not tell.")
@_layer_option("--padding", "What happens past the length: zeros, hold or none.")
@layout_option
@click.option(
    "--go-backwards",
    is_flag=True,
    help="The layer reads from the end, where the file does not tell.",
)
@click.option("--override", is_flag=True, help="Let a flag replace what the file states.")
@click.option("--gates", is_flag=True, help="Write the gates i, f, g, o, too.")
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default=ENGINES[0],
    show_default=True,
    help="What computes the steps; auto compiles where it pays.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Threads over the batch [default: all that the process may use].",
)
@click.option(
    "--memory",
    default="256MB",
    metavar="SIZE",
    show_default=True,
    help="Memory for the arrays of the run; longer runs go slice by slice.",
)
@click.option(
    "--select",
    "selection",
    multiple=True,
    metavar="KEY=VALUE",
    help="Keep only layers=GLOB,… states=c,m,… units=0:16,… steps=::10|last:3 of the run.",
)
@click.option(
    "--ragged",
    is_flag=True,
    help="Store the valid steps only, one sequence after another, with their offsets.",
)
@click.option(
    "--compress",
    type=click.Choice(COMPRESSIONS),
    help="Compress the trace; zstd needs the package hdf5plugin.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Continue a run of the same TRACE that was interrupted, if there is one.",
)
@click.option(
    "--verify",
    type=click.Choice(["tensorflow"]),
    help="Recompute with TensorFlow's own kernels and compare.",
)
@click.option("--force", is_flag=True, help="Replace an existing TRACE.")
@click.option("--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@format_option
def command(**given: Any) -> int:
    """Run CHECKPOINT over INPUT step by step; write c and m of every timestep to an HDF5 trace.

    CHECKPOINT is what 'rnnscope inspect' reads. INPUT is an .npy, .npz or .csv file or
    file.h5::/dataset, with axes (sequence, timestep, feature): what the first recurrent layer
    receives. In an .npz the arrays inputs (or x, or ids), lengths, mask, initial_c and initial_m
    are taken by name.

    \b
    rnnscope run model.ckpt inputs.npz -o trace.h5
    rnnscope run model.ckpt x.npy --lengths 10,6 -o trace.h5 --gates
    rnnscope run model.keras data.h5::/x --mask data.h5::/mask -o trace.h5
    rnnscope run model.ckpt x.npy --forget-bias 0.5 --override -o trace.h5
    rnnscope run model.ckpt in.npz --inputs enc --decoder-inputs in.npz::dec -o trace.h5

    Exits with 1 if a check fails, with 2 if the run could not be done; then TRACE is left as it
    was.
    """
    from rnnscope.checkpoints import read_checkpoint
    from rnnscope.files.hashing import files_sha256
    from rnnscope.inputs import open_input
    from rnnscope.inputs.lengths_masks_states import split_reference
    from rnnscope.oracles.through_keras import through_keras
    from rnnscope.run import override_options, plan_run
    from rnnscope.run.background import beside
    from rnnscope.run.entrances import begins_with_ids
    from rnnscope.trace import check_target

    file, _ = split_reference(given["input_"])
    hashed = beside(lambda: files_sha256([file]))  # while the checkpoint is read
    checkpoint = read_checkpoint(given["checkpoint"], layout=given["layout"])
    initial = {f"initial_{state}": given[f"initial_{state}"] for state in ("c", "m")}
    with (
        open_input(
            given["input_"],
            inputs_key=given["inputs_key"],
            lengths=given["lengths"],
            mask=given["mask"],
            initial={name: value for name, value in initial.items() if value},
            ids=given["ids"],
            integers_are_ids=given["model_input"] and begins_with_ids(checkpoint.network),
            time_major=given["time_major"],
            offsets=given["offsets"],
        ) as source,
        _decoding(source, given) as decoding,
    ):
        check_target(given["trace"], given["force"], _files(checkpoint, source, decoding.source))
        network = override_options(
            checkpoint.network,
            _layer_options(given),
            insist=given["override"],
            dialect_names={"hard_sigmoid": checkpoint.hard_sigmoid},
        )
        with through_keras(
            checkpoint,
            network,
            source,
            given["layers"],
            model_input=given["model_input"],
            trusted=given["trust_model"],
        ) as front:
            plan = plan_run(
                checkpoint,
                front.source,
                network=network,
                layers=given["layers"],
                model_input=front.model_input,
                feed=(*given["feed"], *front.feed),
                after=given["after"],
                embedding=given["embedding"],
                decoding=decoding,
            )
            own = front.source is source
            return _run(checkpoint, front.source, plan, given, hashed.result if own else None)


@contextmanager
def _decoding(source: InputSource, given: dict[str, Any]) -> Iterator[Decoding]:
    """What the flags say of a decoder, with its inputs opened."""
    from rnnscope.inputs import open_input
    from rnnscope.run.decoding import Decoding

    said = Decoding(
        encoder=given["encoder"],
        decoder=given["decoder"],
        loop_function=given["loop_function"],
        steps=given["decoder_steps"],
        insist=given["override"],
    )
    if given["decoder_inputs"] is None:
        yield said
        return
    # Lengths, masks and states that lie beside them are those of the encoder's input.
    with open_input(
        given["decoder_inputs"],
        lengths="none",
        mask="none",
        ids=True if source.is_ids else given["ids"],
        time_major=given["time_major"],
        offsets="none",
    ) as decoder:
        yield replace(said, source=decoder)


def _files(
    checkpoint: Checkpoint, source: InputSource, decoder: InputSource | None
) -> tuple[Path, ...]:
    """Every file that the run reads."""
    return (*checkpoint.files, source.path, *([] if decoder is None else [decoder.path]))


def _run(
    checkpoint: Checkpoint,
    source: InputSource,
    plan: Plan,
    given: dict[str, Any],
    hashed: Callable[[], str] | None,
) -> int:
    from rnnscope.run import run_plan
    from rnnscope.run.background import beside
    from rnnscope.run.memory import parse_memory
    from rnnscope.run.runner import RunSettings
    from rnnscope.trace import LayerHeader, TraceWriter, parse_selection

    command_line = " ".join(["rnnscope", *sys.argv[1:]])

    def make_header() -> TraceHeader:
        from rnnscope.record.run_report import trace_header

        return trace_header(
            checkpoint, source, command_line, plan.decoder_source, input_sha256=hashed
        )

    header = beside(make_header)  # files are hashed while the run is prepared

    selection = parse_selection(given["selection"])

    def open_writer(
        layers: list[LayerHeader], lengths: Array | None, has_mask: bool, engine: str
    ) -> TraceWriter:
        return TraceWriter(
            given["trace"],
            replace(header.result(), engine=engine),
            layers,
            source.sequences,
            source.timesteps,
            has_lengths=lengths is not None,
            has_mask=has_mask,
            force=given["force"],
            inputs=_files(checkpoint, source, plan.decoder_source),
            resume=given["resume"],
            fingerprint=_fingerprint(header.result(), given),
            selection=selection,
            compress=given["compress"],
            ragged=_ragged_lengths(lengths, source) if given["ragged"] else None,
        )

    settings = RunSettings(
        gates=given["gates"],
        engine=given["engine"],
        threads=given["threads"],
        memory=parse_memory(given["memory"]),
    )
    verifier = None
    if given["verify"]:
        from rnnscope.oracles.tensorflow_verifier import TensorFlowVerifier

        with _stderr_to_nowhere():
            verifier = TensorFlowVerifier()
    writers: list[TraceWriter] = []

    def remember(*arguments: Any) -> TraceWriter:
        writers.append(open_writer(*arguments))
        return writers[-1]

    try:
        with _progress(source, plan, given["quiet"]) as advance:
            result: RunResult = run_plan(
                plan, source, remember, settings, verifier=verifier, progress=advance
            )
    except KeyboardInterrupt:
        if writers and writers[-1].kept_partial:
            click.echo("interrupted: the same command with --resume goes on from here", err=True)
            return 2
        raise
    from rnnscope.record.run_report import run_report

    report = run_report(checkpoint, source, plan, result, given["trace"], command_line, verifier)
    failed = report.status == "fail"
    if failed or not given["quiet"]:
        print_report(report, given["report_format"])
    return 1 if failed else 0


WHERE_AND_HOW_SHOWN = ("trace", "force", "quiet", "report_format", "resume", "verify")
"""Options that do not change what is in a trace: a run can be continued with others."""


def _fingerprint(header: TraceHeader, given: dict[str, Any]) -> str:
    """A run by what decides its results: checkpoint, input and options."""
    options = {key: str(value) for key, value in given.items() if key not in WHERE_AND_HOW_SHOWN}
    inputs = (header.input_sha256, header.decoder_input_sha256)
    return repr((header.checkpoint_sha256, inputs, sorted(options.items())))


def _ragged_lengths(lengths: Array | None, source: InputSource) -> Array:
    from rnnscope.errors import OptionError

    if lengths is None:
        raise OptionError(
            "--ragged leaves out what is past each length, and there are no lengths.",
            where=source.name,
            hint="give them with --lengths, or leave --ragged out",
        )
    return lengths


@contextmanager
def _stderr_to_nowhere() -> Iterator[None]:
    """Drop what TensorFlow's C++ parts write while it is imported, whatever its log level.

    They write to the file descriptor; what Python has to say goes there too, but errors are
    raised, not written.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123  # devnull is no path of ours
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _progress(source: InputSource, plan: Plan, quiet: bool) -> Any:
    """A bar on stderr for long runs on a terminal; else nothing."""
    units = sum(node.recurrent.cell.num_units for node in plan.layers if node.recurrent)
    long = source.sequences * source.timesteps * units >= PROGRESS_AFTER

    @contextmanager
    def bar() -> Any:
        if quiet or not long or not sys.stderr.isatty():
            yield None
            return
        with click.progressbar(
            length=source.sequences, label="sequences", file=sys.stderr
        ) as shown:
            yield shown.update

    return bar()


def _layer_options(given: dict[str, Any]) -> LayerOptions:
    from rnnscope.run.overrides import Given, LayerOptions, parse_given

    def bound(text: str) -> float | None:
        if text.lower() == "none":
            return None
        value = real(text)
        if value <= 0:
            raise ValueError("a number above 0, or none")
        return value

    def real(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError("a number") from None
        if not isfinite(value):
            raise ValueError("a finite number")
        return value

    def choice(*names: str) -> Callable[[str], str]:
        def convert(text: str) -> str:
            if text not in names:
                raise ValueError(f"one of {', '.join(names)}")
            return text

        return convert

    from rnnscope.model.activations import ACTIVATIONS
    from rnnscope.model.cells.classes import CELL_CLASSES

    return LayerOptions(
        forget_bias=parse_given(given["forget_bias"], real, "--forget-bias"),
        activation=parse_given(given["activation"], choice(*ACTIVATIONS), "--activation"),
        recurrent_activation=parse_given(
            given["recurrent_activation"], choice(*ACTIVATIONS), "--recurrent-activation"
        ),
        cell_clip=parse_given(given["cell_clip"], bound, "--cell-clip"),
        proj_clip=parse_given(given["proj_clip"], bound, "--proj-clip"),
        cell=parse_given(given["cell"], choice(*CELL_CLASSES), "--cell"),
        padding=parse_given(given["padding"], choice(*PADDING_RULES), "--padding"),
        backward=Given((("*", True),)) if given["go_backwards"] else Given(),
    )
