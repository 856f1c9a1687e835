"""What is constant in an ONNX graph: initializers, Constant nodes, and what follows from them."""

from __future__ import annotations

import numpy as np

from rnnscope.checkpoints.onnx.folding import FOLDED
from rnnscope.checkpoints.onnx.graph import OnnxGraph, OnnxNode
from rnnscope.checkpoints.onnx.tensors import INTEGERS, TensorStore
from rnnscope.model.cell import Array

MAX_CHAIN = 100
"""How many nodes may stand between a stored tensor and what is made of it."""


class OnnxConstants:
    """The constant values of a graph, by key; read when asked for."""

    def __init__(self, graph: OnnxGraph, store: TensorStore) -> None:
        self._graph = graph
        self._store = store
        self._known: dict[str, Array | None] = {}

    def is_stored(self, key: str) -> bool:
        """Whether a value is an initializer or a Constant, whose shape costs nothing to know."""
        producer = self._graph.producers.get(key)
        return key in self._graph.initializers or (
            producer is not None and producer.op == "Constant"
        )

    def array(self, key: str, depth: int = 0) -> Array | None:
        """The value of a key, or None if it depends on the model's input."""
        if key not in self._known:
            self._known[key] = self._array(key, depth) if depth < MAX_CHAIN else None
        return self._known[key]

    def _array(self, key: str, depth: int) -> Array | None:
        if key in self._graph.initializers:
            return self._store.array(self._graph.initializers[key])
        node = self._graph.producers.get(key)
        if node is None:
            return None
        if node.op == "Constant":
            return self._constant(node)
        if node.op not in FOLDED:
            return None
        # Once the first input is not constant, the others need not be read.
        values: list[Array] = []
        for name in node.inputs:
            value = self.array(name, depth + 1) if name else _ABSENT
            if value is None:
                return None
            values.append(value)
        try:
            made = FOLDED[node.op](node, values)
            number = node.outputs.index(key)
            return made[number] if isinstance(made, list) else made
        except (ValueError, IndexError, TypeError, KeyError, OverflowError):
            return None  # it does not fit: whoever needs the value says so

    def _constant(self, node: OnnxNode) -> Array | None:
        attributes = node.attributes
        if "value" in attributes:
            return self._store.array(attributes["value"].t, node.name)
        if "value_float" in attributes or "value_floats" in attributes:
            value = node.number("value_float")
            return np.asarray(node.floats("value_floats") if value is None else value, np.float32)
        if "value_int" in attributes:
            return np.asarray(node.integer("value_int"), np.int64)
        if "value_ints" in attributes:
            return np.asarray(node.ints("value_ints"), np.int64)
        return None

    def names(self, key: str) -> tuple[str, ...]:
        """The stored floats that a constant is made of, by name; itself where none has one."""
        found: dict[str, None] = {}
        pending = [key]
        seen: set[str] = set()
        while pending and len(seen) < MAX_CHAIN:
            name = pending.pop()
            seen.add(name)
            if name in self._graph.initializers:
                if self._graph.initializers[name].data_type not in INTEGERS:
                    found[name] = None
                continue
            producer = self._graph.producers.get(name)
            reads = producer.inputs if producer is not None else ()
            pending += [read for read in reversed(reads) if read and read not in seen]
        return tuple(found) or (key,)

    def ints(self, node: OnnxNode, attribute: str, number: int) -> tuple[int, ...] | None:
        """Integers that are an attribute in old operator sets and an input in new ones."""
        stated = node.ints(attribute)
        if stated is not None:
            return stated
        array = self.array(node.input(number)) if node.input(number) else None
        return None if array is None else tuple(int(value) for value in array.ravel())

    def fill(self, key: str, depth: int = 0) -> float | None:
        """The one number that a value is made of, however large it is at run time."""
        array = self.array(key)
        if array is not None:
            alike = (
                array.size > 0
                and array.dtype.kind in "fiu"
                and bool((array == array.flat[0]).all())
            )
            return float(array.flat[0]) if alike else None
        node = self._graph.producers.get(key)
        if node is None or depth > MAX_CHAIN:
            return None
        if node.op == "ConstantOfShape":
            return 0.0 if "value" not in node.attributes else self._fill_value(node)
        if node.op in _KEEPS_VALUES:
            return self.fill(node.input(0), depth + 1)
        if node.op == "Concat":
            found = {self.fill(name, depth + 1) for name in node.inputs}
            return found.pop() if len(found) == 1 else None
        return None

    def _fill_value(self, node: OnnxNode) -> float | None:
        array = self._store.array(node.attributes["value"].t, node.name)
        return float(array.flat[0]) if array.size == 1 else None

    def before_expansion(self, key: str) -> Array | None:
        """A constant that the graph only repeats along axes of size 1 (a learned initial state)."""
        return self.array(self._graph.behind(key, ("Expand", "Tile", "Identity")))


_ABSENT = np.zeros(0)
_KEEPS_VALUES = (
    "Cast", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze",
    "Tile", "Transpose", "Unsqueeze",
)  # fmt: skip
