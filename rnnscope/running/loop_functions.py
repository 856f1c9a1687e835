"""Loop functions by name: ``identity``, ``linear:W,B``, ``argmax:W,B,EMBEDDING``.

References
----------
`rnn_decoder` and `_extract_argmax_and_embed` of tensorflow/contrib/legacy_seq2seq/python/ops/
seq2seq.py (TensorFlow 1.15).
"""

from __future__ import annotations

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.errors import OptionError, spell
from rnnscope.model.cell import Array, Option
from rnnscope.model.layers import ArgMax, Dense, Embedding
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import Feedback
from rnnscope.model.signal import Layer

FORMS = "none, identity, linear:W,B, or argmax:W,B,EMBEDDING (W and B may be left out)"


def parse_loop_function(text: str, top: Node, input_size: int, checkpoint: Checkpoint) -> Feedback:
    """A loop function from its words.

    Parameters
    ----------
    text : str
        Not ``"none"``.
    top : Node
        The layer whose outputs are fed back.
    input_size : int
        Width of the x that they become.
    checkpoint : Checkpoint
        Holds the variables.

    Raises
    ------
    OptionError
        The words are not understood, or a variable is not there or does not fit.
    """
    kind, _, variables = text.partition(":")
    names = [name.strip() for name in variables.split(",") if name.strip()]
    counts = {"identity": (0,), "linear": (1, 2), "argmax": (1, 3)}
    if kind not in counts or len(names) not in counts[kind]:
        raise OptionError(
            f"{spell('loop_function')} does not understand its value.", expected=FORMS, found=text
        )
    assert top.recurrent is not None
    width = top.recurrent.output_size
    layers: list[Layer] = []
    if kind == "linear" or len(names) == 3:
        dense = _dense(names[:2], checkpoint, width)
        layers.append(dense)
        width = dense.kernel.shape[1]
    if kind == "argmax":
        table = _read(names[-1], checkpoint)
        if table.ndim != 2 or len(table) < width:
            raise _misfit(names[-1], f"({width}, {input_size}), a row for each output", table)
        layers += [ArgMax(), Embedding(table, name=names[-1])]
        width = table.shape[1]
    if width != input_size:
        raise OptionError(
            "What the loop function makes does not fit what the decoder reads.",
            where=spell("loop_function", text),
            expected=f"{input_size} features",
            found=f"{width} features",
        )
    return Feedback(top.name, tuple(layers), Option(text, "flag", spell("loop_function")))


def _dense(names: list[str], checkpoint: Checkpoint, width: int) -> Dense:
    kernel = _read(names[0], checkpoint)
    if kernel.ndim != 2 or kernel.shape[0] != width:
        raise _misfit(names[0], f"({width}, features)", kernel)
    bias = _read(names[1], checkpoint) if len(names) > 1 else None
    if bias is not None and bias.shape != kernel.shape[1:]:
        raise _misfit(names[1], f"({kernel.shape[1]},)", bias)
    return Dense(kernel, bias)


def _read(name: str, checkpoint: Checkpoint) -> Array:
    if checkpoint.read_variable is None:
        raise OptionError(
            f"{spell('loop_function')} needs variables by name, which this format does not give.",
            where=checkpoint.path,
            found=f"a file of the format {checkpoint.format}",
        )
    try:
        return checkpoint.read_variable(name)
    except KeyError:
        raise OptionError(
            f"{spell('loop_function')} names a variable that is not there.",
            where=checkpoint.path,
            expected="a variable of the checkpoint",
            found=name,
        ) from None


def _misfit(name: str, expected: str, array: Array) -> OptionError:
    return OptionError(
        "A variable of the loop function does not fit.",
        where=f"{spell('loop_function')}, variable {name}",
        expected=f"shape {expected}",
        found=f"shape {array.shape}",
    )
