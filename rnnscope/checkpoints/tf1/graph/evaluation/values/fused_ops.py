"""TensorFlow's fused cells, written out once more, apart from CELLS: they judge it.

References
----------
tensorflow/core/ops/rnn_ops.cc and kernels/rnn/{lstm,gru}_ops.cc: LSTMBlockCell, BlockLSTM,
BlockLSTMV2, GRUBlockCell.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode
from rnnscope.model.cell import Array
from rnnscope.model.ops import OPS

sigmoid = OPS["sigmoid"]


def _lstm_step(
    x: Array, c_prev: Array, m_prev: Array, w: Array, peepholes: tuple[Array, ...], b: Array,
    *, forget_bias: float, clip: float, use_peephole: bool, order: str,
) -> tuple[Array, ...]:  # fmt: skip
    """One step: i, cs, f, o, ci, co, h, as the kernels return them."""
    z = np.concatenate([x, m_prev], axis=1) @ w + b
    parts = dict(zip(order, np.split(z, 4, axis=1), strict=True))
    wci, wcf, wco = peepholes
    seen_i, seen_f = (c_prev * wci, c_prev * wcf) if use_peephole else (0, 0)
    i = sigmoid(parts["i"] + seen_i)
    f = sigmoid(parts["f"] + x.dtype.type(forget_bias) + seen_f)
    ci = np.tanh(parts["c"])
    cs = ci * i + c_prev * f
    if clip > 0:
        cs = np.clip(cs, -x.dtype.type(clip), x.dtype.type(clip))
    o = sigmoid(parts["o"] + (cs * wco if use_peephole else 0))
    co = np.tanh(cs)
    return i, cs, f, o, ci, co, co * o


def _lstm_cell(node: GraphNode, inputs: list[Any]) -> Any:
    x, c_prev, m_prev, w, wci, wcf, wco, b = inputs
    return _lstm_step(
        x, c_prev, m_prev, w, (wci, wcf, wco), b,
        forget_bias=node.number("forget_bias", 1.0), clip=node.number("cell_clip", 3.0),
        use_peephole=node.flag("use_peephole"), order="icfo",
    )  # fmt: skip


def _block_lstm(node: GraphNode, inputs: list[Any]) -> Any:
    longest, x, c, m, w, wci, wcf, wco, b = inputs
    second = node.op == "BlockLSTMV2"
    steps = []
    for t in range(min(int(longest), x.shape[0])):
        made = _lstm_step(
            x[t], c, m, w, (wci, wcf, wco), b,
            forget_bias=0.0 if second else node.number("forget_bias", 1.0),
            clip=node.number("cell_clip", 0.0 if second else 3.0),
            use_peephole=node.flag("use_peephole"), order="ifco" if second else "icfo",
        )  # fmt: skip
        c, m = made[1], made[6]
        steps.append(made)
    shape = (x.shape[0], *c.shape)
    whole = tuple(np.zeros(shape, x.dtype) for _ in range(7))
    for t, made in enumerate(steps):
        for array, value in zip(whole, made, strict=True):
            array[t] = value
    return whole


def _gru_cell(_: GraphNode, inputs: list[Any]) -> Any:
    x, m_prev, w_ru, w_c, b_ru, b_c = inputs
    r, u = np.split(sigmoid(np.concatenate([x, m_prev], axis=1) @ w_ru + b_ru), 2, axis=1)
    c = np.tanh(np.concatenate([x, m_prev * r], axis=1) @ w_c + b_c)
    return r, u, c, u * m_prev + (1 - u) * c


FUSED_OPERATIONS = {
    "LSTMBlockCell": _lstm_cell,
    "BlockLSTM": _block_lstm,
    "BlockLSTMV2": _block_lstm,
    "GRUBlockCell": _gru_cell,
}
"""Fused ops, by name."""
