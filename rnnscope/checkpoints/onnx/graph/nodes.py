"""The nodes of an ONNX graph in order, those of subgraphs among them, each value by one key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field
from typing import Any

from rnnscope.deferred_dataclass import dataclass

STANDARD_DOMAINS = ("", "ai.onnx")

CELL_CLIP = "rnnscope.cell_clip"
"""An attribute that ONNX has not: a bound of c, of an LSTM that was translated from a format which
has one."""


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """A node of a graph; its values go by keys that are unique in the model.

    Attributes
    ----------
    op : str
        ``"LSTM"``; with its domain in front where that is not ONNX's own: ``"com.microsoft.LSTM"``.
    name : str
        As stored, or that of its first output; with the path of its subgraph in front where
        another node has the same name.
    inputs, outputs : tuple of str
        Keys; empty where an optional one is left out. The outputs of a subgraph's branches
        follow the inputs of the node that holds it.
    attributes : mapping of str to AttributeProto
    opset : int
        The version of ONNX's operators that the node is of.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    opset: int = 17

    def input(self, number: int) -> str:
        """The key of an input, empty if left out."""
        return self.inputs[number] if number < len(self.inputs) else ""

    def output(self, number: int) -> str:
        """The key of an output, empty if left out."""
        return self.outputs[number] if number < len(self.outputs) else ""

    def integer(self, name: str, default: int = 0) -> int:
        return int(self.attributes[name].i) if name in self.attributes else default

    def number(self, name: str, default: float | None = None) -> float | None:
        return float(self.attributes[name].f) if name in self.attributes else default

    def ints(self, name: str) -> tuple[int, ...] | None:
        return tuple(self.attributes[name].ints) if name in self.attributes else None

    def text(self, name: str, default: str = "") -> str:
        if name not in self.attributes:
            return default
        return bytes(self.attributes[name].s).decode("utf-8", "replace")

    def texts(self, name: str) -> tuple[str, ...]:
        if name not in self.attributes:
            return ()
        return tuple(
            bytes(text).decode("utf-8", "replace") for text in self.attributes[name].strings
        )

    def floats(self, name: str) -> tuple[float, ...]:
        return tuple(self.attributes[name].floats) if name in self.attributes else ()


@dataclass(frozen=True, eq=False)
class Body:
    """A subgraph of a node: a branch of an If, or what a Loop or Scan repeats.

    Attributes
    ----------
    inputs, outputs : tuple of str
        Keys of what the node hands to it and takes from it.
    own : frozenset of str
        The keys of all values that are made within it, its inputs among them.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    own: frozenset[str]


@dataclass(eq=False)
class OnnxGraph:
    """A model's graph, subgraphs laid out in front of the nodes that hold them.

    `rnnscope.checkpoints.onnx.graph.flattening` makes one.

    Attributes
    ----------
    nodes : list of OnnxNode
        In an order in which every node follows what it reads.
    inputs : dict of str to ValueInfoProto
        The model's own inputs: those that no initializer gives a value.
    outputs : tuple of str
        The keys of what the model returns.
    inner_inputs : dict of str to str
        Inputs of a Loop's or Scan's body, and the name of the node that holds it.
    initializers : dict of str to TensorProto
    producers : dict of str to OnnxNode
        Who makes each value.
    narrow : dict of str to int
        The TensorProto.DataType of values whose arrays are of a wider one: 16-bit floats, whole
        numbers of less than a byte. Whole numbers and truth that are made of 16-bit floats (Shape,
        Less) are among them: their arrays say what they are.
    bodies : dict of OnnxNode to dict of str to Body
        The subgraphs of nodes that have some: ``"then"``, ``"else"``, ``"body"``.
    titles : mapping of str to str
        Operators that people know by another name, where another format was told in these.
    """

    nodes: list[OnnxNode] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    inner_inputs: dict[str, str] = field(default_factory=dict)
    initializers: dict[str, Any] = field(default_factory=dict)
    producers: dict[str, OnnxNode] = field(default_factory=dict)
    narrow: dict[str, int] = field(default_factory=dict)
    bodies: dict[OnnxNode, dict[str, Body]] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)

    def title(self, op: str) -> str:
        """What an operator is called for people."""
        return self.titles.get(op, f"ONNX {op}")

    def own_inputs(self, node: OnnxNode) -> tuple[str, ...]:
        """The inputs of a node itself, without what its subgraphs return."""
        returned = sum(len(body.outputs) for body in self.bodies.get(node, {}).values())
        return node.inputs[: len(node.inputs) - returned]

    def behind(self, key: str, ops: Collection[str]) -> str:
        """The value that a chain of such nodes begins with, each reading the next one first."""
        seen: set[str] = set()
        while key not in seen:  # a damaged graph may run in a circle
            seen.add(key)
            producer = self.producers.get(key)
            if producer is None or producer.op not in ops or not producer.input(0):
                return key
            key = producer.input(0)
        return key
