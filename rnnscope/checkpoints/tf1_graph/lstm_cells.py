"""Finding LSTM cells in a graph by what they compute, not by what their nodes are called.

A decomposed cell (BasicLSTMCell, LSTMCell) is found at the sum that makes c,
``f * c_prev + i * g``, three of whose factors are gates of one split product. A fused step
(LSTMBlockCell) is one op whose attributes say the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rnnscope.checkpoints.tf1_graph.expressions import (
    Gate,
    clip_of,
    forward,
    read_activation,
    read_gate,
)
from rnnscope.checkpoints.tf1_graph.flow import ADDS, origins, peel
from rnnscope.checkpoints.tf1_graph.view import GraphNode, GraphView, Tensor
from rnnscope.checkpoints.tf1_graph.weights import GraphWeights

BLOCK_CELL_CLIP = 3.0
"""Default of the op LSTMBlockCell's attribute ``cell_clip`` (tensorflow/core/ops/rnn_ops.cc);
zero or less means no clip. Graphs may be saved without attributes that hold their default."""

BLOCK_FORGET_BIAS = 1.0


@dataclass(frozen=True)
class Setting:
    """A value read from the graph, and the node it was read from."""

    value: float | None
    name: str = ""


@dataclass(frozen=True)
class FoundCell:
    """One appearance of an LSTM cell in a graph: one step of it.

    Attributes
    ----------
    name : str
        The node where it was found.
    kernel : Tensor
        Rows [x; m], column blocks in `gate_order`.
    bias : Tensor or None
    gate_order : tuple of str
    x, c_prev, m_prev, c, m : Tensor
        c is clipped, m projected and clipped.
    activation, output_activation, recurrent_activation : str
    forget_bias, cell_clip, proj_clip : Setting
    peepholes : dict of str to Tensor
        By gate: ``i``, ``f``, ``o``.
    projection : Tensor or None
    op : str
        ``"LSTMBlockCell"`` for the fused op, else ``""``.
    """

    name: str
    kernel: Tensor
    bias: Tensor | None
    gate_order: tuple[str, ...]
    x: Tensor
    c_prev: Tensor
    m_prev: Tensor
    c: Tensor
    m: Tensor
    activation: str
    output_activation: str
    recurrent_activation: str
    forget_bias: Setting
    cell_clip: Setting
    proj_clip: Setting
    peepholes: dict[str, Tensor]
    projection: Tensor | None = None
    op: str = ""


def find_cells(view: GraphView, weights: GraphWeights) -> Iterator[FoundCell]:
    """Every appearance of an LSTM cell, in the order of the graph's nodes."""
    for node in view:
        if node.op in ADDS:
            cell = _read_sum_of_c(view, weights, node)
        elif node.op == "LSTMBlockCell":
            cell = _read_block_cell(view, weights, node)
        else:
            continue
        if cell is not None:
            yield cell


def find_suspects(view: GraphView, weights: GraphWeights, known: set[str]) -> dict[str, str]:
    """Kernels that look like an LSTM's but were not understood: variable name to why."""
    suspects: dict[str, str] = {}
    for node in view:
        if node.op != "Split" or node.integer("num_split") not in (3, 4):
            continue
        product = _read_product(view, weights, peel(view, node.inputs[1]))
        if product is None:
            continue
        for name in weights.variables(product.kernel):
            if name not in known:
                suspects[name] = (
                    f"[x, m] @ {name} is split into {node.integer('num_split')} gates at node "
                    f"'{node.name}', but what follows is no LSTM that rnnscope knows"
                )
    return suspects


@dataclass(frozen=True)
class _Product:
    kernel: Tensor
    bias: Tensor | None
    x: Tensor
    m_prev: Tensor


def _read_product(view: GraphView, weights: GraphWeights, tensor: Tensor) -> _Product | None:
    """``[x, m_prev] @ kernel + bias``."""
    node = view.node(peel(view, tensor))
    bias = None
    if node is not None and (node.op == "BiasAdd" or node.op in ADDS):
        left, right = node.inputs
        if weights.is_weight(right):
            node, bias = view.node(peel(view, left)), right
        elif weights.is_weight(left):
            node, bias = view.node(peel(view, right)), left
    if node is None or node.op != "MatMul" or not weights.variables(node.inputs[1]):
        return None
    if node.flag("transpose_a") or node.flag("transpose_b"):
        return None
    joined = view.node(peel(view, node.inputs[0]))
    if joined is None or joined.op not in ("Concat", "ConcatV2") or len(joined.inputs) != 3:
        return None
    x, m_prev = joined.inputs[:2] if joined.op == "ConcatV2" else joined.inputs[1:]
    return _Product(node.inputs[1], bias, x, m_prev)


def _gate(view: GraphView, weights: GraphWeights, tensor: Tensor) -> Gate | None:
    """A gate whose blocks are those of a product: a split state looks like one, but is none."""
    gate = read_gate(view, weights, tensor)
    if gate is None or _read_product(view, weights, gate.whole) is None:
        return None
    return gate


def _read_sum_of_c(view: GraphView, weights: GraphWeights, node: GraphNode) -> FoundCell | None:
    products = [view.node(peel(view, tensor)) for tensor in node.inputs[:2]]
    if any(product is None or product.op != "Mul" for product in products):
        return None
    pairs = [
        [(factor, _gate(view, weights, factor)) for factor in product.inputs]
        for product in products
        if product is not None
    ]
    pairs.sort(key=lambda pair: sum(gate is not None for _, gate in pair))
    carried, written = pairs
    forget = next((gate for _, gate in carried if gate is not None), None)
    c_prev = next((factor for factor, gate in carried if gate is None), None)
    if forget is None or c_prev is None or any(gate is None for _, gate in written):
        return None
    first, second = sorted((gate for _, gate in written if gate), key=lambda gate: gate.index)
    # Every framework stores i before g; only a differing activation could say otherwise.
    i, g = first, second
    if i.activation != forget.activation and g.activation == forget.activation:
        i, g = g, i
    if len({gate.whole for gate in (i, forget, g)}) != 1 or forget.count != 4:
        return None
    product = _read_product(view, weights, forget.whole)
    if product is None:
        return None

    c, cell_clip = Tensor(node.name), Setting(None)
    clipped = clip_of(view, c)
    if clipped is not None and clipped[1].low == -clipped[1].high:
        c, cell_clip = clipped[0], Setting(clipped[1].high, clipped[1].name)
    output = _read_output(view, weights, c, forget.whole)
    if output is None:
        return None
    o, output_activation, m = output
    gates = {"i": i, "f": forget, "g": g, "o": o}
    order = tuple(sorted(gates, key=lambda gate: gates[gate].index))
    if sorted(gate.index for gate in gates.values()) != [0, 1, 2, 3]:
        return None
    projected = _read_projection(view, weights, m, product.m_prev)
    return FoundCell(
        name=node.name,
        kernel=product.kernel,
        bias=product.bias,
        gate_order=order,
        x=product.x,
        c_prev=c_prev,
        m_prev=product.m_prev,
        c=c,
        m=m if projected is None else projected.m,
        activation=g.activation,
        output_activation=output_activation,
        recurrent_activation=forget.activation,
        forget_bias=Setting(forget.constant, forget.constant_name),
        cell_clip=cell_clip,
        proj_clip=Setting(None) if projected is None else projected.clip,
        peepholes={key: gate.peephole for key, gate in gates.items() if gate.peephole is not None},
        projection=None if projected is None else projected.kernel,
    )


def _read_output(
    view: GraphView, weights: GraphWeights, c: Tensor, whole: Tensor
) -> tuple[Gate, str, Tensor] | None:
    """The gate o, the activation of c and m, from ``m = o * act(c)``."""
    for candidate in _with_activation(view, c):
        for consumer in forward(view, candidate):
            if consumer.op != "Mul":
                continue
            for factor in consumer.inputs:
                gate = _gate(view, weights, factor)
                if gate is not None and gate.whole == whole:
                    name, _ = read_activation(view, candidate) if candidate != c else ("linear", c)
                    return gate, name, Tensor(consumer.name)
    return None


def _with_activation(view: GraphView, c: Tensor) -> Iterator[Tensor]:
    for consumer in forward(view, c):
        name, source = read_activation(view, Tensor(consumer.name))
        if name != "linear" and source == peel(view, c):
            yield Tensor(consumer.name)
    yield c


@dataclass(frozen=True)
class _Projection:
    kernel: Tensor
    m: Tensor
    clip: Setting


def _read_projection(
    view: GraphView, weights: GraphWeights, m: Tensor, m_prev: Tensor
) -> _Projection | None:
    """``m @ projection``, if that is what the next step reads as m.

    A dense layer inside the loop (OutputProjectionWrapper) looks the same but is not fed back.
    """
    fed_back, _ = origins(view, m_prev)
    for consumer in forward(view, m):
        if consumer.op != "MatMul" or not weights.variables(consumer.inputs[1]):
            continue
        projected, clip = Tensor(consumer.name), Setting(None)
        clipped = clip_of(view, projected)
        if clipped is not None and clipped[1].low == -clipped[1].high:
            projected, clip = clipped[0], Setting(clipped[1].high, clipped[1].name)
        # A static graph's first step reads zeros; its names have to do there.
        unrolled_first = not any(
            node is not None and node.op in ("MatMul", "Mul", "Maximum", "Minimum", "ClipByValue")
            for node in map(view.node, fed_back)
        )
        named = any("proj" in name.lower() or "W_P" in name for name in
                    weights.variables(consumer.inputs[1]))
        if projected in fed_back or (unrolled_first and named):
            return _Projection(consumer.inputs[1], projected, clip)
    return None


def _read_block_cell(view: GraphView, weights: GraphWeights, node: GraphNode) -> FoundCell | None:
    x, c_prev, m_prev, kernel, w_i, w_f, w_o, bias = node.inputs
    if not weights.variables(kernel):
        return None
    clip = node.number("cell_clip", BLOCK_CELL_CLIP)
    peepholes = {"i": w_i, "f": w_f, "o": w_o} if node.flag("use_peephole") else {}
    return FoundCell(
        name=node.name,
        kernel=kernel,
        bias=bias,
        gate_order=("i", "g", "f", "o"),
        x=x,
        c_prev=c_prev,
        m_prev=m_prev,
        c=Tensor(node.name, 1),
        m=Tensor(node.name, 6),
        activation="tanh",
        output_activation="tanh",
        recurrent_activation="sigmoid",
        forget_bias=Setting(
            node.number("forget_bias", BLOCK_FORGET_BIAS), f"{node.name} (attribute forget_bias)"
        ),
        cell_clip=Setting(clip if clip > 0 else None, f"{node.name} (attribute cell_clip)"),
        proj_clip=Setting(None),
        peepholes=peepholes,
        op=node.op,
    )
