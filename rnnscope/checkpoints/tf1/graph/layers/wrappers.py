"""What stands between a cell's m and what the layer returns: projection and residual wrappers.

In a loop, what is written to the list of outputs is what the layer returns. Where that is not m,
the way from m to it is followed: a dense layer (OutputProjectionWrapper), a sum with the cell's
own x (ResidualWrapper), an activation; dropout is off. Between two cells of one stack these are
layers of their own (`rnnscope.checkpoints.tf1.graph.feeds.wiring`).
"""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import (
    ADDS,
    SELECTS,
    WRITES,
    dropout_source,
    peel,
)
from rnnscope.checkpoints.tf1.graph.nodes.expressions import ACTIVATION_OPS, forward
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphTensor
from rnnscope.checkpoints.tf1.graph.nodes.linear import Reading, floats
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.layers import Activation, Dense, Merge
from rnnscope.model.signal import Layer

MAX_STEPS = 4
"""Wrappers around wrappers: more than two are rare, and dropout takes none."""


@dataclass(frozen=True)
class Wrapper:
    """A chain of layers from m to the outputs.

    Attributes
    ----------
    outputs : GraphTensor
    layers : tuple of Layer
    names : tuple of str
        The stored variables they use.
    """

    outputs: GraphTensor
    layers: tuple[Layer, ...] = ()
    names: tuple[str, ...] = ()

    def then(
        self, layer: Layer | None, outputs: GraphTensor, names: tuple[str, ...] = ()
    ) -> Wrapper:
        layers = self.layers if layer is None else (*self.layers, layer)
        return Wrapper(outputs, layers, (*self.names, *names))

    @property
    def words(self) -> str:
        """The outputs as a formula, for people."""
        text = "m"
        for layer in self.layers:
            if isinstance(layer, Dense):
                text = f"{text} @ ({layer.kernel.shape[0]}, {layer.kernel.shape[1]}) kernel"
                text += "" if layer.bias is None else " + bias"
            else:
                text = f"{text} + x" if layer.kind == "Add" else f"{layer.kind} of {text}"
        return text


def find_wrapper(reading: Reading, cell: FoundCell) -> Wrapper | None:
    """The wrapper around a cell in a loop; None where m itself is written, or nothing is."""
    pending = [Wrapper(outputs=cell.m)]
    while pending:
        current = pending.pop(0)
        if current.outputs == cell.outputs or _is_written(reading, current.outputs):
            return current if current.layers else None
        if len(current.layers) < MAX_STEPS:
            pending.extend(_longer(reading, cell, current))
    return None


def _is_written(reading: Reading, tensor: GraphTensor) -> bool:
    """Whether a tensor, or a Select of it past the length, is written to a list of outputs."""
    for consumer in forward(reading.view, tensor):
        if consumer.op in WRITES and reading.same(consumer.inputs[WRITES[consumer.op]], tensor):
            return True
        chosen = consumer.op in SELECTS and any(
            reading.same(part, tensor) for part in consumer.inputs[1:3]
        )
        if chosen and dropout_source(reading.view, consumer) is None:
            result = GraphTensor(consumer.name)
            if any(node.op in WRITES and reading.same(node.inputs[WRITES[node.op]], result)
                   for node in forward(reading.view, result)):  # fmt: skip
                return True
    return False


def _longer(reading: Reading, cell: FoundCell, so_far: Wrapper) -> Iterator[Wrapper]:
    """The wrapper with one more layer, in every way that the graph offers."""
    tensor = so_far.outputs
    for node in forward(reading.view, tensor):
        result = GraphTensor(node.name)
        if node.op in ADDS and _adds_x(reading, cell, node, tensor):
            yield so_far.then(Merge("Add"), result)
        elif node.op == "MatMul":
            dense = _dense(reading, node)
            if dense is not None:
                yield so_far.then(*dense)
        elif node.op in ACTIVATION_OPS:
            yield so_far.then(Activation(ACTIVATION_OPS[node.op]), result)
        else:
            dropped = _after_dropout(reading, node, tensor)
            if dropped is not None:
                yield so_far.then(None, dropped)


def _adds_x(reading: Reading, cell: FoundCell, node: GraphNode, tensor: GraphTensor) -> bool:
    x = peel(reading.view, reading.undropped(cell.x))
    others = [part for part in node.inputs[:2] if not reading.same(part, tensor)]
    return any(peel(reading.view, reading.undropped(part)) == x for part in others)


def _dense(reading: Reading, node: GraphNode) -> tuple[Dense, GraphTensor, tuple[str, ...]] | None:
    """``m @ kernel``, with its bias where one is added."""
    weights, kernel = reading.weights, node.inputs[1]
    if not weights.variables(kernel) or not weights.stored(kernel):
        return None
    matrix = floats(weights.read(kernel))
    if node.flag("transpose_b"):
        matrix = matrix.T
    product = GraphTensor(node.name)
    for consumer in forward(reading.view, product):
        if consumer.op != "BiasAdd" and consumer.op not in ADDS:
            continue
        bias = next((part for part in consumer.inputs if weights.is_weight(part)), None)
        if bias is not None:
            values = floats(weights.read(bias)).reshape(-1)
            return Dense(matrix, values), GraphTensor(consumer.name), reading.names(kernel, bias)
    return Dense(matrix), product, reading.names(kernel)


def _after_dropout(reading: Reading, node: GraphNode, tensor: GraphTensor) -> GraphTensor | None:
    """The end of a dropout that begins by scaling a tensor."""
    if node.op not in ("Mul", "RealDiv", "Div"):
        return None
    for last in [node, *forward(reading.view, GraphTensor(node.name))]:
        source = dropout_source(reading.view, last)
        if source is not None and reading.same(source, tensor):
            return GraphTensor(last.name)
    return None
