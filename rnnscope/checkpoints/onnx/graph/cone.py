"""All that a value of an ONNX graph is made of, down to inputs and recurrent nodes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rnnscope.checkpoints.onnx.graph.nodes import OnnxGraph, OnnxNode
from rnnscope.checkpoints.onnx.graph.stored_values import StoredValues
from rnnscope.deferred_dataclass import dataclass

_SIZES = ("Shape", "Size")

_SHAPED_BY_ALL = frozenset(
    {"Add", "Sub", "Mul", "Div", "Concat", "Conv", "Gather", "Gemm", "MatMul", "LSTM", "GRU", "RNN",
     "Where"}
)  # fmt: skip
"""Operators whose result has a shape that depends on the shapes of all inputs, on no value."""

_SHAPED_BY_VALUES = frozenset(
    {"NonZero", "Unique", "Compress", "Loop", "Scan", "If", "Range", "ConstantOfShape"}
)

_SAY_NOTHING = ("Constant", "ConstantOfShape", "Identity", "Shape", "Size")
MAX_NAMED = 8


@dataclass(frozen=True, eq=False)
class Cone:
    """What a value is made of.

    Attributes
    ----------
    inputs : tuple of str
        The model's inputs among it.
    sized : tuple of str
        Inputs of the model of which no more than the shape is asked, where these are kept apart.
    made : tuple of str
        The values among it at which the walk was told to stop.
    nodes : tuple of OnnxNode
        All nodes in between, in the order of the graph.
    """

    inputs: tuple[str, ...]
    made: tuple[str, ...]
    nodes: tuple[OnnxNode, ...]
    sized: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        key: str,
        graph: OnnxGraph,
        stored: StoredValues,
        stops: Collection[str],
        *,
        sizes_apart: bool = False,
    ) -> Cone:
        """Walk back from a value to the model's inputs, stored tensors, and `stops`.

        With `sizes_apart`, inputs of which no more than the shape is asked are in `sized` alone.
        """
        inputs: dict[str, None] = {}
        sized: dict[str, None] = {}
        made: dict[str, None] = {}
        nodes: dict[OnnxNode, None] = {}
        # A value, and whether it is asked for itself, or no more than its shape.
        pending, seen = [(key, True)], set[tuple[str, bool]]()
        while pending:
            name, itself = pending.pop()
            if not name or (name, itself) in seen or (name, True) in seen:
                continue
            seen.add((name, itself))
            if name in stops:
                made[name] = None
            elif name in graph.inputs:
                (inputs if itself else sized)[name] = None
            elif name not in stored and name in graph.producers:
                node = graph.producers[name]
                nodes[node] = None
                shape = sizes_apart and (not itself or node.op in _SIZES)
                pending.extend(_asked(node, itself=not shape))
        order = [node for node in graph.nodes if node in nodes]
        shapes = tuple(name for name in sized if name not in inputs)
        return cls(tuple(inputs), tuple(made), tuple(order), shapes)

    @property
    def passed(self) -> tuple[str, ...]:
        """The operators that values pass through."""
        carried = {*self.inputs, *self.made}
        named: dict[str, None] = {}
        for node in self.nodes:
            if node.op in _SAY_NOTHING:
                if node.op == "Identity" and not carried.isdisjoint(node.inputs):
                    carried.update(node.outputs)
                continue
            if not carried.isdisjoint(node.inputs):
                carried.update(filter(None, node.outputs))
                named[node.op] = None
        return tuple(named)

    @property
    def ops(self) -> str:
        """The operators that values pass through, for people."""
        named = self.passed
        first = named[:MAX_NAMED]
        return ", ".join(first) + (", …" if len(named) > len(first) else "") or "graph ops"


def _asked(node: OnnxNode, *, itself: bool) -> list[tuple[str, bool]]:
    """What a node is made of: of each input, whether its value is asked for."""
    if itself or node.op in _SHAPED_BY_VALUES:
        return [(name, True) for name in node.inputs]
    rest = node.op not in _SHAPED_BY_ALL
    return [(name, rest and number > 0) for number, name in enumerate(node.inputs)]


def first_not_computed(cone: Cone, computed: Mapping[str, object] | Collection[str]) -> str:
    """The first operator of a cone that is none of some, with its node; empty if all are."""
    for node in cone.nodes:
        if node.op not in computed:
            return f"op {node.op} (node '{node.name}') is not computed"
    return ""
