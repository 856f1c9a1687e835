"""The values that an ONNX file holds: initializers, and what Constant nodes state."""

from __future__ import annotations

import numpy as np

from rnnscope.checkpoints.onnx.graph.nodes import OnnxGraph, OnnxNode
from rnnscope.checkpoints.onnx.graph.tensors import TensorStore
from rnnscope.model.cell import Array


class StoredValues:
    """Stored tensors by key, read when asked for and kept."""

    def __init__(self, graph: OnnxGraph, store: TensorStore) -> None:
        self._graph = graph
        self._store = store
        self._known: dict[str, Array | None] = {}

    def __contains__(self, key: str) -> bool:
        producer = self._graph.producers.get(key)
        return key in self._graph.initializers or (
            producer is not None and producer.op == "Constant"
        )

    def array(self, key: str) -> Array | None:
        """The value of a key; None if the file does not hold it, or in a way that is not read."""
        if key not in self._known:
            self._known[key] = self._array(key)
        return self._known[key]

    def fill_value(self, node: OnnxNode) -> Array:
        """The value of a ConstantOfShape."""
        if "value" not in node.attributes:
            return np.zeros((), np.float32)
        return self._store.array(node.attributes["value"].t, node.name).reshape(-1)[:1].reshape(())

    def _array(self, key: str) -> Array | None:
        if key in self._graph.initializers:
            return self._store.array(self._graph.initializers[key])
        node = self._graph.producers.get(key)
        return self._constant(node) if node is not None and node.op == "Constant" else None

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
