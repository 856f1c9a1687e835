"""From a model's GraphProto to an `OnnxGraph`: subgraphs laid out, functions put in their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from rnnscope.checkpoints.onnx.graph.element_types import state_narrow_types
from rnnscope.checkpoints.onnx.graph.nodes import STANDARD_DOMAINS, Body, OnnxGraph, OnnxNode
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import check_time

MAX_NODES = 200_000
MAX_DEPTH = 16
"""Limits of a walk over subgraphs and functions."""

DEFAULT_OPSET = 17
"""What is taken for granted of a model that does not say."""


def flatten(model: Any, where: object) -> OnnxGraph:
    """The nodes of a ModelProto.

    Raises
    ------
    CheckpointError
        Subgraphs or functions are nested too deep.
    """
    found = OnnxGraph()
    functions = {(one.domain, one.name, one.overload): one for one in model.functions}
    walk = _Flattening(found, where, _count_names(model.graph), functions)
    known = walk.add(model.graph, _Scope("", {}, _opset(model.opset_import)))
    state_narrow_types(found)
    found.outputs = tuple(known.get(value.name, value.name) for value in model.graph.output)
    return found


@dataclass(frozen=True)
class _Scope:
    """Where a node stands: the path of its subgraph, the keys it can see, by name."""

    path: str
    known: dict[str, str]
    opset: int
    depth: int = 0
    arguments: Mapping[str, Any] | None = field(default=None)
    """Within a function: the attributes that it was called with."""

    def inside(self, path: str) -> _Scope:
        """The scope of a subgraph, which sees all that its node sees."""
        return _Scope(path, dict(self.known), self.opset, self.depth + 1, self.arguments)


class _Flattening:
    def __init__(
        self,
        found: OnnxGraph,
        where: object,
        names: Counter[str],
        functions: Mapping[tuple[str, str, str], Any],
    ) -> None:
        self._found = found
        self._where = where
        self._names = names
        self._functions = functions
        self._paths: set[str] = set()

    def add(self, graph: Any, scope: _Scope) -> dict[str, str]:
        """Add a graph; the keys of all values that it can see, by name."""
        self._check_depth(scope)
        check_time(self._where, CheckpointError)
        known, path = scope.known, scope.path
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
            self._add_node(proto, scope)
        return known

    def _path(self, wanted: str) -> str:
        """A path that no other subgraph has: names of nodes need not be unique."""
        path, number = f"{wanted}/", 2
        while path in self._paths:
            path, number = f"{wanted}_{number}/", number + 1
        self._paths.add(path)
        return path

    def _check_depth(self, scope: _Scope) -> None:
        if scope.depth > MAX_DEPTH or len(self._found.nodes) > MAX_NODES:
            raise CheckpointError(
                "The graph is too large, or its subgraphs are nested too deep.",
                where=self._where,
                expected=f"at most {MAX_DEPTH} levels and {MAX_NODES} nodes",
                found=f"{scope.depth} levels, {len(self._found.nodes)} nodes",
                hint="was it made to exhaust memory?",
            )

    def _add_node(self, proto: Any, scope: _Scope) -> None:
        function = self._functions.get((proto.domain, proto.op_type, proto.overload))
        if function is not None:
            self._add_function(proto, function, scope)
            return
        path, known = scope.path, scope.known
        own = _own_name(proto)
        inputs = [known.get(value, path + value) if value else "" for value in proto.input]
        bodies = {}
        for branch, graph in _subgraphs(proto):
            body = self._add_body(graph, scope.inside(self._path(f"{path}{own}/{branch}")))
            bodies[branch] = body
            inputs += body.outputs
        for value in filter(None, proto.output):
            known[value] = path + value
        standard = proto.domain in STANDARD_DOMAINS
        alone = self._names[own] == 1 and scope.arguments is None
        node = OnnxNode(
            op=proto.op_type if standard else f"{proto.domain}.{proto.op_type}",
            name=own if alone else path + own,
            inputs=tuple(inputs),
            outputs=tuple(path + value if value else "" for value in proto.output),
            attributes=_attributes(proto, scope.arguments),
            opset=scope.opset,
        )
        self._found.nodes.append(node)
        if bodies:
            self._found.bodies[node] = bodies
        for key in filter(None, node.outputs):
            self._found.producers.setdefault(key, node)

    def _add_body(self, graph: Any, inside: _Scope) -> Body:
        first, stored = len(self._found.nodes), len(self._found.inner_inputs)
        seen = self.add(graph, inside)
        made = [key for node in self._found.nodes[first:] for key in node.outputs if key]
        held = list(self._found.inner_inputs)[stored:]
        return Body(
            inputs=tuple(seen[value.name] for value in graph.input),
            outputs=tuple(seen.get(value.name, inside.path + value.name) for value in graph.output),
            own=frozenset((*made, *held)),
        )

    def _add_function(self, proto: Any, function: Any, scope: _Scope) -> None:
        """The nodes of a function of the model in the place of the node that calls it."""
        called = _attributes(proto, scope.arguments)
        defaults = {attribute.name: attribute for attribute in function.attribute_proto}
        handed = zip(function.input, proto.input, strict=False)
        names = {own: scope.known.get(value, scope.path + value) for own, value in handed if value}
        opset = _opset(function.opset_import, scope.opset)
        inside = _Scope(
            self._path(f"{scope.path}{_own_name(proto)}"), names, opset, scope.depth + 1,
            {**defaults, **called},
        )  # fmt: skip
        self._check_depth(inside)
        for inner in function.node:
            self._add_node(inner, inside)
        for own, value in zip(function.output, proto.output, strict=False):
            if value:
                scope.known[value] = names.get(own, inside.path + own)


def _attributes(proto: Any, arguments: Mapping[str, Any] | None) -> dict[str, Any]:
    """A node's attributes by name, those that a function hands on taken from its call."""
    found = {}
    for attribute in proto.attribute:
        if not attribute.ref_attr_name:
            found[attribute.name] = attribute
        elif arguments and attribute.ref_attr_name in arguments:
            found[attribute.name] = arguments[attribute.ref_attr_name]
    return found


def _opset(imports: Any, default: int = DEFAULT_OPSET) -> int:
    versions = [entry.version for entry in imports if entry.domain in STANDARD_DOMAINS]
    return int(versions[0]) if versions else default


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
