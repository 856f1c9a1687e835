"""The values that an ONNX file holds: initializers, and what Constant nodes state."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.nodes import OnnxGraph, OnnxNode
from rnnscope.checkpoints.onnx.graph.tensors import FLOATS, TensorStore, is_read, stays_in_file
from rnnscope.model.cell import Array
from rnnscope.model.layers.deferred_table import DeferredTable


def _matrix(store: TensorStore, tensor: Any, turned: bool) -> Array:
    array = store.array(tensor)
    return np.ascontiguousarray(array.T) if turned else array


def _copy(tensor: Any) -> Any:
    """A tensor of its own, so that who keeps it does not keep the whole message."""
    return type(tensor).FromString(tensor.SerializeToString())


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

    def table(self, key: str) -> DeferredTable | None:
        """A matrix of floats that stays in its file until a row is asked for; None of others.

        It may be stored the other way round, as Core ML has embeddings.
        """
        key = self._graph.behind(key, ("Identity",))
        producer = self._graph.producers.get(key)
        turned = (
            producer is not None and producer.op == "Transpose" and producer.ints("perm") == (1, 0)
        )
        tensor = self._graph.initializers.get(producer.input(0) if producer and turned else key)
        if tensor is None or len(tensor.dims) != 2 or tensor.data_type not in FLOATS:
            return None
        if min(tensor.dims) < 0 or not stays_in_file(tensor):
            return None
        load = partial(_matrix, self._store, _copy(tensor), turned)
        rows, columns = tensor.dims[::-1] if turned else tensor.dims
        return DeferredTable((rows, columns), load)

    def matrix_in_file(self, key: str) -> tuple[tuple[int, int], Callable[[], Array]] | None:
        """The shape of a stored matrix of any numbers, and what reads it; None of one in memory."""
        tensor = self._graph.initializers.get(self._graph.behind(key, ("Identity",)))
        if tensor is None or len(tensor.dims) != 2 or not is_read(tensor.data_type):
            return None
        if min(tensor.dims) < 0 or not stays_in_file(tensor):
            return None
        rows, columns = tensor.dims
        return (rows, columns), partial(_matrix, self._store, _copy(tensor), turned=False)

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
