"""Weights of a graph: from a tensor to the stored variables it reads, and to their values.

A kernel may be one variable, unit shards or partitions joined by a Concat, or a constant of a
frozen graph. The SaveV2 op of the graph says under which name, and which slice, each variable is
stored, so a Saver with a dictionary of other names is read like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from rnnscope.checkpoints.tf1.graph.nodes.dataflow import HANDS_ON_FIRST
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphTensor, GraphView
from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.protos import HALF_FLOATS
from rnnscope.model.cell import Array
from rnnscope.model.half_floats import rounded

VARIABLES = {"Variable", "VariableV2", "VarHandleOp", "AutoReloadVariable", "TemporaryVariable"}
SAVES = {"SaveV2": 1, "SaveSlices": 1, "Save": 1}
"""Ops that save, and the position of their input ``tensor_names``."""


class GraphVariable(NamedTuple):
    """A variable's name in the checkpoint and the part of it that the graph's variable is."""

    name: str
    part: tuple[slice, ...] | None = None


class GraphWeights:
    """Reads the weights that a graph's tensors stand for.

    Parameters
    ----------
    view : GraphView
    shapes : mapping of str to tuple of int
        Of the variables in the checkpoint, by name.
    read : callable
        ``read(name) -> ndarray``, from the checkpoint.
    """

    def __init__(
        self,
        view: GraphView,
        shapes: Mapping[str, tuple[int, ...]],
        read: Callable[[str], Array],
    ) -> None:
        self._view = view
        self._shapes = shapes
        self._names = set(shapes)
        self._read = read
        self._cache: dict[str, Array] = {}
        self._saved = dict(_saved_variables(view))

    def variables(self, tensor: GraphTensor) -> tuple[str, ...]:
        """The checkpoint's names of all variables behind a tensor; empty if it is no weight."""
        found = self._sources(tensor, depth=0)
        return () if found is None else tuple(dict.fromkeys(self._stored(n).name for n in found))

    def is_weight(self, tensor: GraphTensor) -> bool:
        """Whether a tensor is made of variables and constants alone (scalars do not count)."""
        found = self._sources(tensor, depth=0)
        if found is None:
            return False
        if found:
            return True
        value = self._view.constant(tensor)
        return value is not None and value.ndim > 0

    @property
    def names(self) -> set[str]:
        """The names in the checkpoint."""
        return self._names

    def stored(self, tensor: GraphTensor) -> bool:
        """Whether the checkpoint holds every variable behind a weight."""
        return all(name in self._names for name in self.variables(tensor))

    def shape(self, tensor: GraphTensor) -> tuple[int, ...]:
        """The shape of a weight; a whole variable, which may be a large table, is not read."""
        node = self._behind(tensor)
        if node is not None and node.op in VARIABLES:
            stored = self._stored(node.name)
            if stored.part is None and stored.name in self._shapes:
                return self._shapes[stored.name]
        return tuple(self.read(tensor).shape)

    def read(self, tensor: GraphTensor) -> Array:
        """The value of a weight, with everything that the graph does to join its parts."""
        value = self._read_behind(tensor)
        for number in self._casts(tensor):
            value = rounded(value, HALF_FLOATS[number])
        return value

    def _casts(self, tensor: GraphTensor) -> list[int]:
        """The types of 16 bits that a weight is cast to, the first one first."""
        casts = [
            int(node.attr["DstT"].type) for node in self._handing_on(tensor)
            if node.op == "Cast" and "DstT" in node.attr
        ]  # fmt: skip
        return [number for number in reversed(casts) if number in HALF_FLOATS]

    def _read_behind(self, tensor: GraphTensor) -> Array:
        """What is behind the ops that hand a weight on."""
        node = self._behind(tensor)
        if node is None:
            raise CheckpointError("A weight's node is not in the graph.", where=tensor)
        if node.op in VARIABLES:
            stored = self._stored(node.name)
            if stored.name not in self._cache:
                self._cache[stored.name] = self._read(stored.name)
            whole = self._cache[stored.name]
            return whole if stored.part is None else whole[stored.part]
        value = self._view.constant(GraphTensor(node.name))
        if value is not None:
            return value
        joined = _concat(self._view, node)
        if joined is not None:
            parts, axis = joined
            return np.concatenate([self.read(part) for part in parts], axis=axis)
        shaped = _shaped(self._view, node)
        if shaped is not None:
            inner = self.read(node.inputs[0])
            return inner.transpose(shaped) if node.op == "Transpose" else inner.reshape(shaped)
        raise CheckpointError(
            "A weight is computed by an op that rnnscope does not evaluate.",
            where=node.name,
            expected="a variable, a constant or a Concat of those",
            found=node.op,
        )

    def _behind(self, tensor: GraphTensor) -> GraphNode | None:
        passed = self._handing_on(tensor)
        return self._view.node(passed[-1].inputs[0] if passed else tensor)

    def _handing_on(self, tensor: GraphTensor) -> list[GraphNode]:
        """The nodes that hand a weight on, the last one first."""
        passed: list[GraphNode] = []
        node = self._view.node(tensor)
        while node is not None and node.inputs and len(passed) < 64:
            if node.op not in HANDS_ON_FIRST and node.op not in ("_Arg", "_LoopVariable"):
                break
            passed.append(node)
            node = self._view.node(node.inputs[0])
        return passed

    def _sources(self, tensor: GraphTensor, depth: int) -> list[str] | None:
        """The variable nodes behind a tensor; [] for constants; None if it is computed."""
        node = self._behind(tensor)
        if node is None or depth > 8:
            return None
        if node.op in VARIABLES:
            return [node.name]
        if node.op == "Const":
            return []
        if _shaped(self._view, node) is not None:
            return self._sources(node.inputs[0], depth + 1)
        joined = _concat(self._view, node)
        if joined is None:
            return None
        found: list[str] = []
        for part in joined[0]:
            inner = self._sources(part, depth + 1)
            if inner is None:
                return None
            found.extend(inner)
        return found

    def _stored(self, variable: str) -> GraphVariable:
        saved = self._saved.get(variable)
        if saved is not None and saved.name in self._names:
            return saved
        return GraphVariable(variable)


def _concat(view: GraphView, node: GraphNode) -> tuple[tuple[GraphTensor, ...], int] | None:
    if node.op == "ConcatV2":
        parts, axis = node.inputs[:-1], view.scalar(node.inputs[-1])
    elif node.op == "Concat":
        parts, axis = node.inputs[1:], view.scalar(node.inputs[0])
    else:
        return None
    return None if axis is None else (parts, int(axis))


def _shaped(view: GraphView, node: GraphNode) -> tuple[int, ...] | None:
    """The constant permutation or shape of a Transpose or Reshape, as Tensordot puts on weights."""
    if node.op not in ("Transpose", "Reshape") or len(node.inputs) < 2:
        return None
    value = view.constant(node.inputs[1])
    return None if value is None else tuple(int(number) for number in value.reshape(-1))


def _saved_variables(view: GraphView) -> list[tuple[str, GraphVariable]]:
    """(variable node, how it is stored), from every op of the graph that saves."""
    found: list[tuple[str, GraphVariable]] = []
    for node in view:
        if node.op not in SAVES or len(node.inputs) < 2:
            continue
        names = view.constant(node.inputs[1])
        if names is None:
            continue
        sliced = node.op != "Save" and len(node.inputs) > 2
        parts = view.constant(node.inputs[2]) if sliced else None
        tensors = node.inputs[3 if sliced else 2 :]
        for position, (name, tensor) in enumerate(zip(names.reshape(-1), tensors, strict=False)):
            variable = _variable(view, tensor)
            if variable is not None:
                text = b"" if parts is None else parts.reshape(-1)[position]
                found.append((variable, GraphVariable(_text(name), _slice(_text(text)))))
    return found


def _variable(view: GraphView, tensor: GraphTensor) -> str | None:
    node = view.node(tensor)
    for _ in range(16):
        if node is None or node.op in VARIABLES:
            break
        node = view.node(node.inputs[0]) if node.inputs else None
    return None if node is None else node.name


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _slice(spec: str) -> tuple[slice, ...] | None:
    """``"17 48 0,6:0,48"``: the full shape, then ``start,length`` or ``-`` for each axis."""
    parts = spec.rsplit(" ", maxsplit=1)[-1] if spec else ""
    if not parts:
        return None
    axes: list[slice] = []
    for axis in parts.split(":"):
        start, comma, length = axis.partition(",")
        if not comma:
            axes.append(slice(None))
        else:
            axes.append(slice(int(start), int(start) + int(length)))
    return tuple(axes)
