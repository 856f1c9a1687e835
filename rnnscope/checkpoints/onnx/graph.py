"""The nodes of an ONNX graph in order, those of subgraphs among them, each value by one key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from rnnscope.errors import CheckpointError

STANDARD_DOMAINS = ("", "ai.onnx")

MAX_NODES = 200_000
MAX_DEPTH = 16
"""Limits of a walk over subgraphs."""


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
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

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


@dataclass(eq=False)
class OnnxGraph:
    """A model's graph, subgraphs laid out in front of the nodes that hold them.

    Attributes
    ----------
    nodes : list of OnnxNode
        In an order in which every node follows what it reads.
    inputs : dict of str to ValueInfoProto
        The model's own inputs: those that no initializer gives a value.
    inner_inputs : dict of str to str
        Inputs of a Loop's or Scan's body, and the name of the node that holds it.
    initializers : dict of str to TensorProto
    producers : dict of str to OnnxNode
        Who makes each value.
    """

    nodes: list[OnnxNode] = field(default_factory=list)
    inputs: dict[str, Any] = field(default_factory=dict)
    inner_inputs: dict[str, str] = field(default_factory=dict)
    initializers: dict[str, Any] = field(default_factory=dict)
    producers: dict[str, OnnxNode] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Any, where: object) -> OnnxGraph:
        """The nodes of a GraphProto.

        Raises
        ------
        CheckpointError
            Subgraphs are nested too deep.
        """
        found = cls()
        _Flattening(found, where, _count_names(graph)).add(graph, "", {})
        return found

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


class _Flattening:
    def __init__(self, found: OnnxGraph, where: object, names: Counter[str]) -> None:
        self._found = found
        self._where = where
        self._names = names

    def add(self, graph: Any, path: str, outer: dict[str, str], depth: int = 0) -> dict[str, str]:
        """Add a graph; the keys of all values that it can see, by name."""
        if depth > MAX_DEPTH or len(self._found.nodes) > MAX_NODES:
            raise CheckpointError(
                "The graph is too large, or its subgraphs are nested too deep.",
                where=self._where,
                expected=f"at most {MAX_DEPTH} levels and {MAX_NODES} nodes",
                found=f"{depth} levels, {len(self._found.nodes)} nodes",
                hint="was it made to exhaust memory?",
            )
        known = dict(outer)
        for tensor in graph.initializer:
            known[tensor.name] = path + tensor.name
            self._found.initializers[path + tensor.name] = tensor
        for value in graph.input:
            key = known.get(value.name) if not path else None
            if key is None:
                known[value.name] = path + value.name
                if path:
                    self._found.inner_inputs[path + value.name] = path.rstrip("/")
                else:
                    self._found.inputs[value.name] = value
        for proto in graph.node:
            self._add_node(proto, path, known, depth)
        return known

    def _add_node(self, proto: Any, path: str, known: dict[str, str], depth: int) -> None:
        own = _own_name(proto)
        name = own if self._names[own] == 1 else path + own
        inputs = [known.get(value, path + value) if value else "" for value in proto.input]
        for branch, body in _subgraphs(proto):
            inside = f"{path}{own}/{branch}/"
            seen = self.add(body, inside, known, depth + 1)
            inputs += [seen.get(value.name, inside + value.name) for value in body.output]
        for value in filter(None, proto.output):
            known[value] = path + value
        standard = proto.domain in STANDARD_DOMAINS
        node = OnnxNode(
            op=proto.op_type if standard else f"{proto.domain}.{proto.op_type}",
            name=name,
            inputs=tuple(inputs),
            outputs=tuple(path + value if value else "" for value in proto.output),
            attributes={attribute.name: attribute for attribute in proto.attribute},
        )
        self._found.nodes.append(node)
        for key in filter(None, node.outputs):
            self._found.producers.setdefault(key, node)


def _own_name(proto: Any) -> str:
    name: str = proto.name or next(filter(None, proto.output), proto.op_type)
    return name.strip("/")


def _count_names(graph: Any) -> Counter[str]:
    """How often each name of a node occurs, in subgraphs too."""
    names: Counter[str] = Counter()
    pending = [graph]
    while pending:
        for proto in pending.pop().node:
            names[_own_name(proto)] += 1
            pending.extend(body for _, body in _subgraphs(proto))
    return names


def _subgraphs(proto: Any) -> Iterator[tuple[str, Any]]:
    for attribute in proto.attribute:
        if attribute.HasField("g"):
            yield attribute.name.removesuffix("_branch"), attribute.g
