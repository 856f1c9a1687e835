"""From c to m, which LSTMs of all kinds share: output gate, activation of c, projection."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.checkpoints.tf1.graph.cells.appearance import Setting
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import origins, peel
from rnnscope.checkpoints.tf1.graph.nodes.expressions import clip_of, forward, read_activation
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.linear import Reading
from rnnscope.deferred_dataclass import dataclass

COMPUTES_M = {"MatMul", "Mul", "Maximum", "Minimum", "ClipByValue"}
CLIP_OPS = 4
"""From a clipped product back to the product: two ops in any TensorFlow."""


@dataclass(frozen=True)
class CellOutput:
    """``m = gate * act(c)``.

    Attributes
    ----------
    gate : GraphTensor
        The factor that is not ``act(c)``; whether it is a gate is for the finder to say.
    activation : str
        Of c.
    m : GraphTensor
    """

    gate: GraphTensor
    activation: str
    m: GraphTensor


@dataclass(frozen=True)
class Projection:
    """``m @ kernel``, clipped or not."""

    kernel: GraphTensor
    m: GraphTensor
    clip: Setting


def outputs_of(view: GraphView, c: GraphTensor) -> Iterator[CellOutput]:
    """Every product that a new c, or its activation, is a factor of."""
    for candidate in _with_activation(view, c):
        name = "linear" if candidate == c else read_activation(view, candidate)[0]
        for consumer in forward(view, candidate):
            if consumer.op != "Mul":
                continue
            for factor in consumer.inputs:
                if peel(view, factor) != peel(view, candidate):
                    yield CellOutput(factor, name, GraphTensor(consumer.name))


def _with_activation(view: GraphView, c: GraphTensor) -> Iterator[GraphTensor]:
    for consumer in forward(view, c):
        name, source = read_activation(view, GraphTensor(consumer.name))
        if name != "linear" and source == peel(view, c):
            yield GraphTensor(consumer.name)
    yield c


def clipped(view: GraphView, tensor: GraphTensor) -> tuple[GraphTensor, Setting]:
    """A tensor after the symmetric clip that consumes it, if there is one, and its bound."""
    found = clip_of(view, tensor)
    if found is not None and found[1].low == -found[1].high:
        return found[0], Setting(found[1].high, found[1].name)
    return tensor, Setting(None)


def projection_of(
    reading: Reading, m: GraphTensor, m_prev: GraphTensor, kernel: GraphTensor
) -> Projection | None:
    """``m @ projection``, if that is what the next step reads as m.

    A dense layer inside the loop (OutputProjectionWrapper) looks the same but is not fed back.

    Parameters
    ----------
    reading : Reading
    m, m_prev : GraphTensor
        Before the projection, and as the step reads it.
    kernel : GraphTensor
        Of the cell's gates.
    """
    view, weights = reading.view, reading.weights
    fed_back, _ = origins(view, m_prev)
    for consumer in forward(view, m):
        if consumer.op != "MatMul" or not weights.variables(consumer.inputs[1]):
            continue
        projected, clip = clipped(view, GraphTensor(consumer.name))
        names = weights.variables(consumer.inputs[1])
        # In an unrolled graph the step before has nodes of its own, with the same weights.
        before = any(_is_projected(reading, tensor, names) for tensor in fed_back)
        own = _in_scope_of(names, weights.variables(kernel))
        if projected in fed_back or before or own or _feeds(reading, projected, kernel):
            return Projection(consumer.inputs[1], projected, clip)
    return None


def _in_scope_of(names: tuple[str, ...], kernel: tuple[str, ...]) -> bool:
    """Whether a product's weights lie in the cell's own scope, where no wrapper puts its own."""
    if not names or not kernel:
        return False
    scope = kernel[0].rpartition("/")[0]
    named = any("W_P" in name or "proj" in name.lower() for name in names)
    return bool(scope) and named and all(name.startswith(f"{scope}/") for name in names)


def _is_projected(reading: Reading, tensor: GraphTensor, names: tuple[str, ...]) -> bool:
    """Whether a tensor is a product with these weights, clipped or not."""
    for _ in range(CLIP_OPS):
        node = reading.node(tensor)
        if node is None or not node.inputs:
            return False
        if node.op == "MatMul":
            return reading.weights.variables(node.inputs[1]) == names
        if node.op not in COMPUTES_M:
            return False
        tensor = node.inputs[0]
    return False


def _feeds(reading: Reading, tensor: GraphTensor, kernel: GraphTensor) -> bool:
    """Whether a tensor is what another step with this kernel reads, by itself or beside its x."""
    names = reading.weights.variables(kernel)
    for consumer in forward(reading.view, tensor):
        products = [consumer]
        if consumer.op in ("Concat", "ConcatV2"):
            # Beside x, m stands last; where it is first, it is the x of a layer above.
            last = consumer.inputs[-2 if consumer.op == "ConcatV2" else -1]
            if not reading.same(last, tensor):
                continue
            products = list(forward(reading.view, GraphTensor(consumer.name)))
        if any(
            product.op == "MatMul" and reading.weights.variables(product.inputs[1]) == names
            for product in products
        ):
            return True
    return False
