"""Reading small expressions of a graph: activations and clips, in any spelling."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.checkpoints.tf1.graph.nodes.dataflow import ADDS, peel
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphTensor, GraphView
from rnnscope.deferred_dataclass import dataclass

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

    source: GraphTensor
    low: float
    high: float
    name: str


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
    for inner_tensor, outer_bound in both_ways(node):
        outer = view.scalar(outer_bound)
        inner = view.node(peel(view, inner_tensor))
        if outer is None or inner is None or inner.op != other:
            continue
        for source, inner_bound in both_ways(inner):
            bound = view.scalar(inner_bound)
            if bound is not None:
                low, high = (outer, bound) if node.op == "Maximum" else (bound, outer)
                return Clip(source, low, high, node.name)
    return None


def clip_of(view: GraphView, tensor: GraphTensor) -> tuple[GraphTensor, Clip] | None:
    """The clip that consumes a tensor, and the tensor it makes."""
    for consumer in forward(view, tensor):
        if consumer.op == "ClipByValue":
            clip = read_clip(view, consumer)
            if clip and peel(view, clip.source) == peel(view, tensor):
                return GraphTensor(consumer.name), clip
        if consumer.op in ("Minimum", "Maximum"):
            for outer in forward(view, GraphTensor(consumer.name)):
                clip = read_clip(view, outer)
                if clip and peel(view, clip.source) == peel(view, tensor):
                    return GraphTensor(outer.name), clip
    return None


def forward(view: GraphView, tensor: GraphTensor) -> Iterator[GraphNode]:
    """The consumers of a tensor, through identities."""
    pending, seen = [tensor], set()
    while pending:
        current = pending.pop()
        for node in view.consumers(current):
            if node.name in seen:
                continue
            seen.add(node.name)
            if node.op in PASSES:
                pending.extend(GraphTensor(node.name, index) for index in (0, 1))
            else:
                yield node


def read_activation(view: GraphView, tensor: GraphTensor) -> tuple[str, GraphTensor]:
    """The activation that makes a tensor and what it is applied to; ``linear`` if there is none.

    Keras 2 writes its hard sigmoid as ``clip(0.2 * z + 0.5, 0, 1)``, Keras 3 another one as
    ``relu6(z + 3) / 6``.
    """
    tensor = peel(view, tensor)
    node = view.node(tensor)
    if node is None:
        return "linear", tensor
    shifted = _hard_sigmoid_keras3(view, node)
    if shifted is not None:
        return "hard_sigmoid_keras3", peel(view, shifted)
    if node.op in ACTIVATION_OPS and node.inputs:
        return ACTIVATION_OPS[node.op], peel(view, node.inputs[0])
    clip = read_clip(view, node)
    if clip is not None and (clip.low, clip.high) == (0.0, 1.0):
        line = _line(view, peel(view, clip.source))
        if line is not None and abs(line[1] - 0.2) < 1e-6 and line[2] == 0.5:
            return "hard_sigmoid", peel(view, line[0])
    return "linear", tensor


def _hard_sigmoid_keras3(view: GraphView, node: GraphNode) -> GraphTensor | None:
    """The z of ``relu6(z + 3) / 6``."""
    if node.op not in ("RealDiv", "Div") or view.scalar(node.inputs[1]) != 6:
        return None
    clipped = view.node(peel(view, node.inputs[0]))
    added = None if clipped is None else view.node(peel(view, clipped.inputs[0]))
    if clipped is None or clipped.op != "Relu6" or added is None or added.op not in ADDS:
        return None
    return next((z for z, three in both_ways(added) if view.scalar(three) == 3), None)


def _line(view: GraphView, tensor: GraphTensor) -> tuple[GraphTensor, float, float] | None:
    """``slope * x + offset`` as (x, slope, offset)."""
    node = view.node(tensor)
    if node is None or node.op not in ADDS:
        return None
    for product, added in both_ways(node):
        offset = view.scalar(added)
        inner = view.node(peel(view, product))
        if offset is None or inner is None or inner.op != "Mul":
            continue
        for x, factor in both_ways(inner):
            slope = view.scalar(factor)
            if slope is not None:
                return x, slope, offset
    return None


def both_ways(node: GraphNode) -> tuple[tuple[GraphTensor, GraphTensor], ...]:
    """The two inputs of a node, in either order."""
    if len(node.inputs) < 2:
        return ()
    left, right = node.inputs[:2]
    return (left, right), (right, left)
