"""Cells as the variables of TensorFlow 1's cells, and the lines that build these.

References
----------
tensorflow/python/ops/rnn_cell_impl.py: LSTMCell keeps ``kernel`` (input + output, 4·units) with
gates i, j, f, o (j is the candidate), ``bias``, ``w_i_diag``, ``w_f_diag``, ``w_o_diag`` and
``projection/kernel``; the forget bias is added at run time. GRUCell keeps ``gates/kernel`` (r, u)
and ``candidate/kernel``; BasicRNNCell ``kernel`` and ``bias``. CudnnCompatibleGRUCell
(contrib/cudnn_rnn/python/ops/cudnn_rnn_ops.py) splits the candidate into ``input_projection`` and
``hidden_projection``, since its reset gate comes after the product.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.converting.interface import Abilities
from rnnscope.model.activations import ACTIVATIONS
from rnnscope.model.cell import GATE_ORDER, Array, CellSpec, reorder_gates

TF1_GATES = ("i", "g", "f", "o")
FUNCTIONS: dict[str, str] = {
    name: f"tf.nn.{name}"
    for name in ("tanh", "sigmoid", "relu", "relu6", "elu", "selu", "softplus", "softsign")
    if name in ACTIVATIONS
}
"""Activations that ``tf.nn`` has and that a cell takes as ``activation``."""

TF1 = Abilities(
    title="TensorFlow 1's cells",
    activation=dict.fromkeys(("lstm", "gru", "simple_rnn"), FUNCTIONS),
    recurrent_activation={"lstm": {"sigmoid": ""}, "gru": {"sigmoid": ""}},
    peepholes=True,
    projection=True,
    cell_clip=True,
    proj_clip=True,
    reset_after=(True, False),
)


def class_scope(cell: CellSpec) -> str:
    """The scope that a cell's class opens for its variables."""
    if cell.kind == "gru":
        return "cudnn_compatible_gru_cell" if cell.options.reset_after.value else "gru_cell"
    return {"lstm": "lstm_cell", "simple_rnn": "basic_rnn_cell"}[cell.kind]


def variables(cell: CellSpec) -> dict[str, Array]:
    """The variables of a cell by their names below its scope."""
    return {"lstm": _lstm, "gru": _gru, "simple_rnn": _rnn}[cell.kind](cell.weights, cell)


def _lstm(weights: Any, cell: CellSpec) -> dict[str, Array]:
    kernel = np.concatenate([weights.kernel, weights.recurrent_kernel])
    found = {
        "kernel": reorder_gates(kernel, GATE_ORDER, order=TF1_GATES),
        "bias": reorder_gates(weights.bias, GATE_ORDER, order=TF1_GATES),
    }
    if cell.peepholes:  # the class has all three or none
        for gate in "ifo":
            own = getattr(weights, f"peephole_{gate}")
            zeros = np.zeros(cell.num_units, cell.dtype)
            found[f"w_{gate}_diag"] = zeros if own is None else own
    if weights.projection is not None:
        found["projection/kernel"] = weights.projection
    return found


def _gru(weights: Any, cell: CellSpec) -> dict[str, Array]:
    units = cell.num_units
    kernel, recurrent = weights.kernel, weights.recurrent_kernel
    second = weights.recurrent_bias
    if second is None:
        second = np.zeros_like(weights.bias)
    gates = np.concatenate([kernel[:, : 2 * units], recurrent[:, : 2 * units]])
    found = {
        "gates/kernel": gates,
        "gates/bias": weights.bias[: 2 * units] + second[: 2 * units],
    }
    x_part, m_part = kernel[:, 2 * units :], recurrent[:, 2 * units :]
    if cell.options.reset_after.value:
        return found | {
            "candidate/input_projection/kernel": np.ascontiguousarray(x_part),
            "candidate/input_projection/bias": weights.bias[2 * units :],
            "candidate/hidden_projection/kernel": np.ascontiguousarray(m_part),
            "candidate/hidden_projection/bias": second[2 * units :],
        }
    return found | {
        "candidate/kernel": np.concatenate([x_part, m_part]),
        "candidate/bias": weights.bias[2 * units :] + second[2 * units :],
    }


def _rnn(weights: Any, cell: CellSpec) -> dict[str, Array]:  # noqa: ARG001 - as the others
    kernel = np.concatenate([weights.kernel, weights.recurrent_kernel])
    return {"kernel": kernel, "bias": weights.bias}


def constructor(cell: CellSpec) -> str:
    """The expression that makes the cell in TensorFlow 1."""
    act = cell.options.activation.value
    function = [] if act == "tanh" else [f"activation={FUNCTIONS[act]}"]
    if cell.kind == "simple_rnn":
        return f"tf.nn.rnn_cell.BasicRNNCell({', '.join([str(cell.num_units), *function])})"
    if cell.kind == "gru":
        name = (
            "tf.contrib.cudnn_rnn.CudnnCompatibleGRUCell"
            if cell.options.reset_after.value
            else "tf.nn.rnn_cell.GRUCell"
        )
        return f"{name}({', '.join([str(cell.num_units), *function])})"
    parts = [str(cell.num_units), f"forget_bias={cell.options.forget_bias.value!r}"]
    if cell.peepholes:
        parts.append("use_peepholes=True")
    if cell.num_proj is not None:
        parts.append(f"num_proj={cell.num_proj}")
    for name in ("cell_clip", "proj_clip"):
        bound = getattr(cell.options, name).value
        if bound is not None:
            parts.append(f"{name}={bound!r}")
    return f"tf.nn.rnn_cell.LSTMCell({', '.join([*parts, *function])})"
