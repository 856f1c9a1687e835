"""Reading small expressions of a graph: activations, clips, gates.

A gate of an LSTM is ``act(block + constant + diagonal * c)``, where the block is one of the equal
parts into which ``[x, m] @ kernel + bias`` is split. `read_gate` takes such an expression apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rnnscope.checkpoints.tf1_graph.flow import ADDS, peel
from rnnscope.checkpoints.tf1_graph.view import GraphNode, GraphView, Tensor
from rnnscope.checkpoints.tf1_graph.weights import GraphWeights

ACTIVATION_OPS = {
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Relu": "relu",
    "Relu6": "relu6",
    "Elu": "elu",
    "Selu": "selu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Exp": "exponential",
}
"""TensorFlow's element-wise ops that are activations, and our names for them."""

PASSES = {"Identity", "StopGradient", "CheckNumerics", "Switch"}


@dataclass(frozen=True)
class Clip:
    """``min(max(x, low), high)`` in any spelling: what is clipped, and the bounds."""

    source: Tensor
    low: float
    high: float
    name: str


@dataclass(frozen=True)
class Gate:
    """``act(z[index] + constant + peephole * on)``.

    Attributes
    ----------
    whole : Tensor
        What is split into blocks.
    index, count : int
        Which block of how many.
    activation : str
    constant : float
        What is added at run time, 0 if nothing; `constant_name` is the node that holds it.
    peephole, on : Tensor or None
        A diagonal weight and the c it is multiplied with.
    """

    whole: Tensor
    index: int
    count: int
    activation: str = "linear"
    constant: float = 0.0
    constant_name: str = ""
    peephole: Tensor | None = None
    on: Tensor | None = None


def read_clip(view: GraphView, node: GraphNode) -> Clip | None:
    """The clip that ends in `node`: ClipByValue, Maximum(Minimum(…)) or Minimum(Maximum(…))."""
    if node.op == "ClipByValue":
        low, high = view.scalar(node.inputs[1]), view.scalar(node.inputs[2])
        if low is None or high is None:
            return None
        return Clip(node.inputs[0], low, high, node.name)
    other = {"Maximum": "Minimum", "Minimum": "Maximum"}.get(node.op)
    if other is None:
        return None
    for inner_tensor, outer_bound in _both_ways(node):
        outer = view.scalar(outer_bound)
        inner = view.node(peel(view, inner_tensor))
        if outer is None or inner is None or inner.op != other:
            continue
        for source, inner_bound in _both_ways(inner):
            bound = view.scalar(inner_bound)
            if bound is not None:
                low, high = (outer, bound) if node.op == "Maximum" else (bound, outer)
                return Clip(source, low, high, node.name)
    return None


def clip_of(view: GraphView, tensor: Tensor) -> tuple[Tensor, Clip] | None:
    """The clip that consumes a tensor, and the tensor it makes."""
    for consumer in forward(view, tensor):
        if consumer.op == "ClipByValue":
            clip = read_clip(view, consumer)
            if clip and peel(view, clip.source) == peel(view, tensor):
                return Tensor(consumer.name), clip
        if consumer.op in ("Minimum", "Maximum"):
            for outer in forward(view, Tensor(consumer.name)):
                clip = read_clip(view, outer)
                if clip and peel(view, clip.source) == peel(view, tensor):
                    return Tensor(outer.name), clip
    return None


def forward(view: GraphView, tensor: Tensor) -> Iterator[GraphNode]:
    """The consumers of a tensor, through identities."""
    pending, seen = [tensor], set()
    while pending:
        current = pending.pop()
        for node in view.consumers(current):
            if node.name in seen:
                continue
            seen.add(node.name)
            if node.op in PASSES:
                pending.extend(Tensor(node.name, index) for index in (0, 1))
            else:
                yield node


def read_activation(view: GraphView, tensor: Tensor) -> tuple[str, Tensor]:
    """The activation that makes a tensor and what it is applied to; ``linear`` if there is none.

    Keras writes its hard sigmoid as ``clip(0.2 * z + 0.5, 0, 1)``.
    """
    tensor = peel(view, tensor)
    node = view.node(tensor)
    if node is None:
        return "linear", tensor
    if node.op in ACTIVATION_OPS:
        return ACTIVATION_OPS[node.op], peel(view, node.inputs[0])
    clip = read_clip(view, node)
    if clip is not None and (clip.low, clip.high) == (0.0, 1.0):
        line = _line(view, peel(view, clip.source))
        if line is not None and abs(line[1] - 0.2) < 1e-6 and line[2] == 0.5:
            return "hard_sigmoid", peel(view, line[0])
    return "linear", tensor


def _line(view: GraphView, tensor: Tensor) -> tuple[Tensor, float, float] | None:
    """``slope * x + offset`` as (x, slope, offset)."""
    node = view.node(tensor)
    if node is None or node.op not in ADDS:
        return None
    for product, added in _both_ways(node):
        offset = view.scalar(added)
        inner = view.node(peel(view, product))
        if offset is None or inner is None or inner.op != "Mul":
            continue
        for x, factor in _both_ways(inner):
            slope = view.scalar(factor)
            if slope is not None:
                return x, slope, offset
    return None


def read_gate(view: GraphView, weights: GraphWeights, tensor: Tensor) -> Gate | None:
    """Take a gate's expression apart; None if the tensor is no gate."""
    activation, z = read_activation(view, tensor)
    gate = _read_sum(view, weights, z)
    return None if gate is None else replace(gate, activation=activation)


def _read_sum(view: GraphView, weights: GraphWeights, tensor: Tensor, depth: int = 0) -> Gate | None:
    tensor = peel(view, tensor)
    node = view.node(tensor)
    if node is None or depth > 4:
        return None
    if node.op == "Split" and node.integer("num_split") > 1:
        return Gate(peel(view, node.inputs[1]), tensor.index, node.integer("num_split"))
    if node.op == "SplitV":
        sizes = view.constant(node.inputs[1])
        if sizes is None or len(set(sizes.tolist())) != 1:
            return None
        return Gate(peel(view, node.inputs[0]), tensor.index, len(sizes))
    if node.op not in ADDS:
        return None
    for rest, added in _both_ways(node):
        constant = view.scalar(added)
        if constant is not None:
            gate = _read_sum(view, weights, rest, depth + 1)
            if gate is not None:
                named = peel(view, added).node
                return replace(gate, constant=gate.constant + constant, constant_name=named)
        peephole = _read_peephole(view, weights, added)
        if peephole is not None:
            gate = _read_sum(view, weights, rest, depth + 1)
            if gate is not None and gate.peephole is None:
                return replace(gate, peephole=peephole[0], on=peephole[1])
    return None


def _read_peephole(
    view: GraphView, weights: GraphWeights, tensor: Tensor
) -> tuple[Tensor, Tensor] | None:
    node = view.node(peel(view, tensor))
    if node is None or node.op != "Mul":
        return None
    for diagonal, c in _both_ways(node):
        if weights.is_weight(diagonal) and not weights.is_weight(c):
            return diagonal, peel(view, c)
    return None


def _both_ways(node: GraphNode) -> tuple[tuple[Tensor, Tensor], ...]:
    if len(node.inputs) < 2:
        return ()
    left, right = node.inputs[:2]
    return (left, right), (right, left)
