"""All that a value of an ONNX graph is made of, down to inputs and recurrent nodes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rnnscope.checkpoints.onnx.graph import OnnxGraph, OnnxNode
from rnnscope.checkpoints.onnx.stored_values import StoredValues

_SAY_NOTHING = ("Constant", "ConstantOfShape", "Identity", "Shape", "Size")
MAX_NAMED = 8


@dataclass(frozen=True, eq=False)
class Cone:
    """What a value is made of.

    Attributes
    ----------
    inputs : tuple of str
        The model's inputs among it.
    made : tuple of str
        The values among it at which the walk was told to stop.
    nodes : tuple of OnnxNode
        All nodes in between, in the order of the graph.
    """

    inputs: tuple[str, ...]
    made: tuple[str, ...]
    nodes: tuple[OnnxNode, ...]

    @classmethod
    def of(cls, key: str, graph: OnnxGraph, stored: StoredValues, stops: Collection[str]) -> Cone:
        """Walk back from a value to the model's inputs, stored tensors, and `stops`."""
        inputs: dict[str, None] = {}
        made: dict[str, None] = {}
        nodes: dict[OnnxNode, None] = {}
        pending, seen = [key], set[str]()
        while pending:
            name = pending.pop()
            if not name or name in seen:
                continue
            seen.add(name)
            if name in stops:
                made[name] = None
            elif name in graph.inputs:
                inputs[name] = None
            elif name not in stored and name in graph.producers:
                node = graph.producers[name]
                nodes[node] = None
                pending.extend(node.inputs)
        order = [node for node in graph.nodes if node in nodes]
        return cls(tuple(inputs), tuple(made), tuple(order))

    @property
    def ops(self) -> str:
        """The operators that values pass through, for people."""
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
        first = [*named][:MAX_NAMED]
        return ", ".join(first) + (", …" if len(named) > len(first) else "") or "graph ops"


def first_not_computed(cone: Cone, computed: Mapping[str, object] | Collection[str]) -> str:
    """The first operator of a cone that is none of some, with its node; empty if all are."""
    for node in cone.nodes:
        if node.op not in computed:
            return f"op {node.op} (node '{node.name}') is not computed"
    return ""
