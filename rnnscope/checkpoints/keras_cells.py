"""Keras' recurrent cells from their weights alone, as TensorFlow's own checkpoints hold them.

Kernel, recurrent kernel and bias tell LSTM, GRU and SimpleRNN apart by their shapes. Gates are
stored i, f, g, o and z, r, n; the forget bias is inside the bias.
"""

from __future__ import annotations

import numpy as np

from rnnscope.cell import GATE_ORDER, Array, CellSpec, LSTMOptions, LSTMWeights, Option
from rnnscope.cells.gru import GRU_GATE_ORDER, GRUOptions, GRUWeights
from rnnscope.cells.simple_rnn import SimpleRNNOptions, SimpleRNNWeights
from rnnscope.checkpoints.named_cells import Made

KERAS_GRU_GATES = ("z", "r", "n")


def keras_cell(
    kernel: Array, recurrent: Array, bias: Array | None, variables: tuple[str, ...]
) -> Made:
    """The Keras cell that three weights make.

    Parameters
    ----------
    kernel : ndarray (input, gates·units)
    recurrent : ndarray (units, gates·units)
    bias : ndarray or None
        None where the layer has ``use_bias=False``. Two rows in a GRU with ``reset_after``.
    variables : tuple of str
        Their names in the file.
    """
    if recurrent.ndim != 2 or kernel.ndim != 2 or kernel.shape[1] != recurrent.shape[1]:
        return Made(None, f"its kernels {kernel.shape} and {recurrent.shape} fit no Keras cell")
    if any(array.dtype.kind != "f" for array in (kernel, recurrent)):
        return Made(None, "its weights are no floats")
    units, columns = recurrent.shape
    gates = columns // units if units and columns % units == 0 else 0
    wide = kernel.dtype if kernel.dtype in (np.float32, np.float64) else np.dtype(np.float32)
    kernel, recurrent = kernel.astype(wide, copy=False), recurrent.astype(wide, copy=False)
    given = np.zeros(columns, wide) if bias is None else bias.astype(wide, copy=False)
    if gates == 4 and given.shape == (columns,):
        return Made(_lstm(kernel, recurrent, given, variables))
    if gates == 3 and given.shape in ((columns,), (2, columns)):
        return Made(_gru(kernel, recurrent, given, variables))
    if gates == 1 and given.shape == (columns,):
        return Made(_simple(kernel, recurrent, given, variables))
    if given.shape == (2 * columns,):
        return Made(
            None,
            "its bias is that of cuDNN's layout (CuDNNLSTM, CuDNNGRU), not read from this file",
        )
    return Made(None, f"its kernels {kernel.shape}, {recurrent.shape} fit no Keras cell")


def _lstm(kernel: Array, recurrent: Array, bias: Array, variables: tuple[str, ...]) -> CellSpec:
    detail = "default of keras LSTM"
    options = LSTMOptions(
        forget_bias=Option(0.0, "class default", "inside the bias"),
        activation=Option("tanh", "class default", detail),
        recurrent_activation=Option("sigmoid", "class default", detail),
        output_activation=Option("tanh", "class default", detail),
        cell_clip=Option(None, "class default"),
        proj_clip=Option(None, "class default"),
    )
    weights = LSTMWeights(kernel, recurrent, bias)
    return CellSpec("lstm", "keras LSTM", weights, options, variables, " ".join(GATE_ORDER))


def _gru(kernel: Array, recurrent: Array, bias: Array, variables: tuple[str, ...]) -> CellSpec:
    after = bias.ndim == 2

    def ordered(array: Array) -> Array:
        blocks = dict(zip(KERAS_GRU_GATES, np.split(array, 3, axis=-1), strict=True))
        return np.concatenate([blocks[gate] for gate in GRU_GATE_ORDER], axis=-1)

    weights = GRUWeights(
        kernel=ordered(kernel),
        recurrent_kernel=ordered(recurrent),
        bias=ordered(bias[0] if after else bias),
        recurrent_bias=ordered(bias[1]) if after else None,
    )
    # Without a bias the shapes do not tell reset_after apart.
    detail = "the bias has two rows" if after else "the bias has one row"
    options = GRUOptions(
        activation=Option("tanh", "class default", "default of keras GRU"),
        recurrent_activation=Option("sigmoid", "class default", "default of keras GRU"),
        reset_after=Option(after, "class default", detail),
    )
    order = " ".join(KERAS_GRU_GATES)
    return CellSpec("gru", "keras GRU", weights, options, variables, order)


def _simple(kernel: Array, recurrent: Array, bias: Array, variables: tuple[str, ...]) -> CellSpec:
    options = SimpleRNNOptions(Option("tanh", "class default", "default of keras SimpleRNN"))
    weights = SimpleRNNWeights(kernel, recurrent, bias)
    return CellSpec("simple_rnn", "keras SimpleRNN", weights, options, variables, "none")
