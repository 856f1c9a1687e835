"""cuDNN's op in a graph: one node that stands for a stack of layers, in one direction or two.

Its parameters are one opaque buffer, whose layout only cuDNN knows. The Saver of CudnnLSTM and
its kin stores them in canonical form instead, under the names of the cells that compute the same
(CudnnCompatibleLSTMCell …; contrib/cudnn_rnn/python/ops/cudnn_rnn_ops.py, ``_tf_canonical_names``).
`lay_open` puts a node for each layer and direction in the op's place.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import peel
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.linear import Reading, floats
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights
from rnnscope.model.cell import GATE_ORDER, LSTMOptions, LSTMWeights, Option, reorder_gates
from rnnscope.model.cells.gru import GRU_GATE_ORDER, GRUOptions, GRUWeights
from rnnscope.model.cells.simple_rnn import SimpleRNNOptions, SimpleRNNWeights

OPS = {"CudnnRNN", "CudnnRNNV2", "CudnnRNNV3"}
CELL = "_CudnnCell"
"""The op of the nodes that `lay_open` puts in."""

WEIGHTS = {
    "lstm": ("cudnn_compatible_lstm_cell", ("kernel", "bias")),
    "gru": (
        "cudnn_compatible_gru_cell",
        (
            "gates/kernel",
            "candidate/input_projection/kernel",
            "candidate/hidden_projection/kernel",
            "gates/bias",
            "candidate/input_projection/bias",
            "candidate/hidden_projection/bias",
        ),
    ),
    "rnn_tanh": ("basic_rnn_cell", ("kernel", "bias")),
    "rnn_relu": ("basic_rnn_cell", ("kernel", "bias")),
}
"""By the op's attribute ``rnn_mode``: the scope of a layer, and its variables there."""


def lay_open(view: GraphView, weights: GraphWeights) -> None:
    """Replace every cuDNN op whose parameters are stored in canonical form by its layers."""
    for node in list(view):
        if node.op in OPS and _text(node, "input_mode", "linear_input") != "skip_input":
            _replace(view, weights, node)


def _replace(view: GraphView, weights: GraphWeights, node: GraphNode) -> None:
    mode = _text(node, "rnn_mode", "lstm")
    both = _text(node, "direction", "unidirectional") == "bidirectional"
    scope = peel(view, node.inputs[3]).node.rpartition("/")[0]
    lengths = node.inputs[4:5] if node.op == "CudnnRNNV3" else ()
    sequence = node.inputs[0]
    layer = 0
    while _stored(weights, scope, mode, layer, "fw", both=both):
        forward = _add_cell(view, node, sequence, (scope, mode, layer, "fw"), lengths, both=both)
        if both:
            turned = _turn(view, f"{node.name}/turned_{layer}", sequence, lengths)
            other = _add_cell(view, node, turned, (scope, mode, layer, "bw"), lengths, both=both)
            back = _turn(view, f"{node.name}/turned_back_{layer}", other, lengths)
            # An axis that is no constant: features are joined, not steps.
            joined = GraphNode(
                f"{node.name}/joined_{layer}", "ConcatV2", (forward, back, GraphTensor(""))
            )
            view.add(joined)
            forward = GraphTensor(joined.name)
        sequence, layer = forward, layer + 1
    if layer:
        view.add(GraphNode(node.name, "Identity", (sequence,)))


def _stored(
    weights: GraphWeights, scope: str, mode: str, layer: int, way: str, *, both: bool
) -> bool:
    names = _names(scope, mode, layer, way, both=both)
    return bool(names) and all(name in weights.names for name in names)


def _names(scope: str, mode: str, layer: int, way: str, *, both: bool) -> tuple[str, ...]:
    if mode not in WEIGHTS:
        return ()
    cell, variables = WEIGHTS[mode]
    stack = (
        f"stack_bidirectional_rnn/cell_{layer}/bidirectional_rnn/{way}/{cell}"
        if both
        else f"rnn/multi_rnn_cell/cell_{layer}/{cell}"
    )
    prefix = f"{scope}/{stack}" if scope else stack
    return tuple(f"{prefix}/{variable}" for variable in variables)


def _add_cell(
    view: GraphView,
    node: GraphNode,
    x: GraphTensor,
    place: tuple[str, str, int, str],
    lengths: tuple[GraphTensor, ...],
    *,
    both: bool,
) -> GraphTensor:
    """One layer in one direction: x, the initial m and c, its variables, and lengths."""
    names = _names(*place, both=both)
    for name in names:
        if name not in view.nodes:
            view.add(GraphNode(name, "VarHandleOp", ()))
    variables = tuple(GraphTensor(name) for name in names)
    name = f"{node.name}/{place[3]}_{place[2]}"
    view.add(GraphNode(name, CELL, (x, *node.inputs[1:3], *variables, *lengths), node.attr))
    return GraphTensor(name)


def _turn(
    view: GraphView, name: str, sequence: GraphTensor, lengths: tuple[GraphTensor, ...]
) -> GraphTensor:
    view.add(GraphNode(name, "ReverseSequence" if lengths else "ReverseV2", (sequence, *lengths)))
    return GraphTensor(name)


def find(reading: Reading) -> Iterator[FoundCell]:
    """Every layer of a cuDNN op that was laid open."""
    for node in reading.view:
        if node.op == CELL:
            yield _read(reading, node)


def _read(reading: Reading, node: GraphNode) -> FoundCell:
    mode = _text(node, "rnn_mode", "lstm")
    x, m_prev, c_prev, *rest = node.inputs
    count = len(WEIGHTS[mode][1])
    variables, lengths = tuple(rest[:count]), rest[count:]
    make = {"lstm": _lstm, "gru": _gru}.get(mode, partial(_simple, mode))
    m = GraphTensor(node.name)
    lstm = mode == "lstm"
    return FoundCell(
        name=node.name,
        kind={"lstm": "lstm", "gru": "gru"}.get(mode, "simple_rnn"),
        weights=variables,
        gate_order={"lstm": ("i", "g", "f", "o"), "gru": GRU_GATE_ORDER}.get(mode, ()),
        x=x,
        before={"c": c_prev, "m": m_prev} if lstm else {"m": m_prev},
        after={"c": GraphTensor(node.name, 1), "m": m} if lstm else {"m": m},
        make=partial(make, reading, variables),
        op="CudnnRNN",
        mask=lengths[0] if lengths else None,
    )


def _option(value: Any) -> Option[Any]:
    return Option(value, "graph", "what cuDNN computes")


def _lstm(reading: Reading, variables: tuple[GraphTensor, ...]) -> tuple[LSTMWeights, LSTMOptions]:
    kernel, bias = (floats(reading.weights.read(tensor)) for tensor in variables)
    kernel = reorder_gates(kernel, ("i", "g", "f", "o"))
    rows = kernel.shape[0] - kernel.shape[1] // len(GATE_ORDER)
    weights = LSTMWeights(
        np.ascontiguousarray(kernel[:rows]),
        np.ascontiguousarray(kernel[rows:]),
        reorder_gates(bias.reshape(-1), ("i", "g", "f", "o")),
    )
    return weights, LSTMOptions(
        forget_bias=_option(0.0),
        activation=_option("tanh"),
        recurrent_activation=_option("sigmoid"),
        output_activation=_option("tanh"),
        cell_clip=_option(None),
        proj_clip=_option(None),
    )


def _gru(reading: Reading, variables: tuple[GraphTensor, ...]) -> tuple[GRUWeights, GRUOptions]:
    gates, of_x, of_m, bias, bias_x, bias_m = (
        floats(reading.weights.read(tensor)) for tensor in variables
    )
    rows = of_x.shape[0]
    weights = GRUWeights(
        np.concatenate([gates[:rows], of_x], axis=1),
        np.concatenate([gates[rows:], of_m], axis=1),
        np.concatenate([bias, bias_x]),
        np.concatenate([np.zeros_like(bias), bias_m]),
    )
    return weights, GRUOptions(_option("tanh"), _option("sigmoid"), _option(value=True))


def _simple(
    mode: str, reading: Reading, variables: tuple[GraphTensor, ...]
) -> tuple[SimpleRNNWeights, SimpleRNNOptions]:
    kernel, bias = (floats(reading.weights.read(tensor)) for tensor in variables)
    rows = kernel.shape[0] - kernel.shape[1]
    weights = SimpleRNNWeights(
        np.ascontiguousarray(kernel[:rows]), np.ascontiguousarray(kernel[rows:]), bias
    )
    return weights, SimpleRNNOptions(_option(mode.removeprefix("rnn_")))


def _text(node: GraphNode, key: str, default: str) -> str:
    value = node.attr[key].s if key in node.attr else b""
    return value.decode() if value else default
