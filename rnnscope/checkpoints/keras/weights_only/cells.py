"""Keras' recurrent cells from their weights alone, as files without a configuration hold them.

Kernel, recurrent kernel and bias tell LSTM, GRU and SimpleRNN apart by their shapes, and a bias
of twice the width tells cuDNN's layout. Gates are stored i, f, g, o and z, r, n; the forget bias
is inside the bias.
"""

from __future__ import annotations

import numpy as np

from rnnscope.checkpoints.keras.cells.cudnn import from_cudnn
from rnnscope.checkpoints.keras.cells.gru import STORED_GATES, gru_weights
from rnnscope.checkpoints.weights_only.cells import RecognisedCell
from rnnscope.model.cell import (
    GATE_ORDER,
    IN_BIAS,
    NO_CLIP,
    Array,
    CellSpec,
    LSTMOptions,
    LSTMWeights,
    Option,
    only_choice,
)
from rnnscope.model.cells.gru import GRUOptions
from rnnscope.model.cells.simple_rnn import SimpleRNNOptions, SimpleRNNWeights

KERAS_SIGMOID: Option[str] = Option("sigmoid", "class default", "default of keras")
NO_BIAS_RESETS_BEFORE: Option[bool] = Option(False, "guess", "without a bias nothing tells")


def keras_cell(
    kernel: Array,
    recurrent: Array,
    bias: Array | None,
    variables: tuple[str, ...],
    *,
    recurrent_activation: Option[str] = KERAS_SIGMOID,
    reset_after: Option[bool] = NO_BIAS_RESETS_BEFORE,
) -> RecognisedCell:
    """The Keras cell that three weights make.

    Parameters
    ----------
    kernel : ndarray (input, gates·units)
    recurrent : ndarray (units, gates·units)
    bias : ndarray or None
        None where the layer has ``use_bias=False``. Two rows in a GRU with ``reset_after``.
    variables : tuple of str
        Their names in the file.
    recurrent_activation : Option[str]
        What the Keras that wrote the file takes by default.
    reset_after : Option[bool]
        The same for a GRU without a bias; with one, its shape tells.
    """
    if recurrent.ndim != 2 or kernel.ndim != 2 or kernel.shape[1] != recurrent.shape[1]:
        return RecognisedCell(
            None, f"its kernels {kernel.shape} and {recurrent.shape} fit no Keras cell"
        )
    if any(array is not None and array.dtype.kind != "f" for array in (kernel, recurrent, bias)):
        return RecognisedCell(None, "its weights are no floats")
    units, columns = recurrent.shape
    gates = columns // units if units and columns % units == 0 else 0
    wide = kernel.dtype if kernel.dtype in (np.float32, np.float64) else np.dtype(np.float32)
    kernel, recurrent = kernel.astype(wide, copy=False), recurrent.astype(wide, copy=False)
    given = np.zeros(columns, wide) if bias is None else bias.astype(wide, copy=False)
    cudnn = gates in (3, 4) and given.shape == (2 * columns,)
    if cudnn:
        kernel, recurrent, given = from_cudnn(kernel, recurrent, given, gates)
        given = given.sum(axis=0) if gates == 4 else given
        recurrent_activation = only_choice("sigmoid", "cuDNN has no other")
    name = {4: "LSTM", 3: "GRU", 1: "SimpleRNN"}.get(gates, "")
    source = f"keras {'CuDNN' if cudnn else ''}{name}"
    if gates == 4 and given.shape == (columns,):
        options = _lstm_options(source, recurrent_activation)
        weights = LSTMWeights(kernel, recurrent, given)
        order = " ".join(GATE_ORDER)
        return RecognisedCell(
            CellSpec("lstm", source, weights, options, variables, order, from_keras=True)
        )
    if gates == 3 and given.shape in ((columns,), (2, columns)):
        if bias is not None:
            after = given.ndim == 2
            detail = f"the bias has {'two rows' if after else 'one row'}"
            reset_after = Option(after, "class default", detail)
        return RecognisedCell(
            CellSpec(
                kind="gru",
                source_class=source,
                weights=gru_weights(kernel, recurrent, given),
                options=GRUOptions(
                    activation=Option("tanh", "class default", f"default of {source}"),
                    recurrent_activation=recurrent_activation,
                    reset_after=reset_after,
                ),
                variables=variables,
                stored_gate_order=" ".join(STORED_GATES),
                from_keras=True,
            )
        )
    if gates == 1 and given.shape == (columns,):
        simple = SimpleRNNOptions(Option("tanh", "class default", f"default of {source}"))
        rnn = SimpleRNNWeights(kernel, recurrent, given)
        return RecognisedCell(
            CellSpec("simple_rnn", source, rnn, simple, variables, "none", from_keras=True)
        )
    return RecognisedCell(None, f"its kernels {kernel.shape}, {recurrent.shape} fit no Keras cell")


def _lstm_options(source: str, recurrent_activation: Option[str]) -> LSTMOptions:
    tanh: Option[str] = Option("tanh", "class default", f"default of {source}")
    return LSTMOptions(
        forget_bias=IN_BIAS,
        activation=tanh,
        recurrent_activation=recurrent_activation,
        output_activation=tanh,
        cell_clip=NO_CLIP,
        proj_clip=NO_CLIP,
    )
