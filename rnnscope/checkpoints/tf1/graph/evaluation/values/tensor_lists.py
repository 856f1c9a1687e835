"""Lists of tensors in a graph: TensorArrays (control flow v1) and TensorLists (v2).

A TensorArray is one list that ops write into, in the order in which its *flow* is handed on; its
handle and its flow are both the list here. A TensorList is a value: an op that sets an item makes
another list.

References
----------
tensorflow/core/ops/{data_flow,list}_ops.cc.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.evaluation.values.attributes import dtype_of
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode
from rnnscope.model.cell import Array
from rnnscope.model.ops import EvaluationError, check_size

MAX_ITEMS = 1_000_000


class TensorList:
    """Tensors by number; those that were never set are None."""

    def __init__(self, items: list[Array | None]) -> None:
        self.items = items

    @classmethod
    def of_size(cls, size: Any) -> TensorList:
        count = int(np.ravel(size)[0])
        if not 0 <= count <= MAX_ITEMS:
            raise EvaluationError(f"a list of {count} tensors is too long")
        return cls([None] * count)

    def put(self, index: Any, value: Array) -> None:
        """Set one item; a list that may grow does."""
        place = int(np.ravel(index)[0])
        if not 0 <= place <= MAX_ITEMS:
            raise EvaluationError(f"a list of tensors has no place {place}")
        if place >= len(self.items):
            self.items.extend([None] * (place + 1 - len(self.items)))
        self.items[place] = value

    def get(self, index: Any) -> Array:
        """One item; one that was never set is zeros like the others."""
        place = int(np.ravel(index)[0])
        if not 0 <= place < len(self.items):
            raise EvaluationError(f"a list of {len(self.items)} tensors has no place {place}")
        value = self.items[place]
        if value is not None:
            return value
        like = next((item for item in self.items if item is not None), None)
        if like is None:
            raise EvaluationError("a list of tensors is read before anything is written into it")
        return np.zeros_like(like)

    def stacked(self, indices: Any = None) -> Array:
        """Items one above the other."""
        places = range(len(self.items)) if indices is None else np.ravel(indices)
        values = [self.get(place) for place in places]
        if not values:
            raise EvaluationError("an empty list of tensors is stacked")
        check_size((sum(value.size for value in values),), values[0].dtype)
        return np.stack(values)

    def joined(self) -> Array:
        """Items one after another along their first axis."""
        return np.concatenate([self.get(place) for place in range(len(self.items))])

    def copied(self) -> TensorList:
        return TensorList(list(self.items))


def _new_array(_: GraphNode, inputs: list[Any]) -> Any:
    made = TensorList.of_size(inputs[0])
    return (made, made)


def _write(_: GraphNode, inputs: list[Any]) -> Any:
    handle, index, value = inputs[:3]
    handle.put(index, value)
    return handle


def _scatter(_: GraphNode, inputs: list[Any]) -> Any:
    handle, indices, values = inputs[:3]
    for place, value in zip(np.ravel(indices), values, strict=True):
        handle.put(place, value)
    return handle


def _unpack(_: GraphNode, inputs: list[Any]) -> Any:
    handle, values = inputs[:2]
    for place, value in enumerate(values):
        handle.put(place, value)
    return handle


def _array_split(_: GraphNode, inputs: list[Any]) -> Any:
    handle, values, lengths = inputs[:3]
    for place, value in enumerate(np.split(values, np.cumsum(np.ravel(lengths))[:-1])):
        handle.put(place, value)
    return handle


def _set_item(_: GraphNode, inputs: list[Any]) -> Any:
    made = inputs[0].copied()
    made.put(inputs[1], inputs[2])
    return made


def _push_back(_: GraphNode, inputs: list[Any]) -> Any:
    return TensorList([*inputs[0].items, inputs[1]])


def _pop_back(_: GraphNode, inputs: list[Any]) -> Any:
    if not inputs[0].items:
        raise EvaluationError("the last item of an empty list is taken")
    return (TensorList(inputs[0].items[:-1]), inputs[0].get(len(inputs[0].items) - 1))


def _resize(_: GraphNode, inputs: list[Any]) -> Any:
    wanted = TensorList.of_size(inputs[1])
    kept = inputs[0].items[: len(wanted.items)]
    return TensorList([*kept, *wanted.items[len(kept) :]])


def _size(_: GraphNode, inputs: list[Any]) -> Any:
    return np.int32(len(inputs[0].items))


def _element_shape(node: GraphNode, inputs: list[Any]) -> Any:
    """The shape of what is in a list, which TensorFlow may know in part alone.

    The graph of a training asks for it, to make lists of gradients.
    """
    return np.array(inputs[0].get(0).shape, dtype_of(node, "shape_type", 3))


LIST_OPERATIONS: dict[str, Callable[[GraphNode, list[Any]], Any]] = {
    **dict.fromkeys(("TensorArrayV3", "TensorArrayV2", "TensorArray"), _new_array),
    **dict.fromkeys(("TensorArrayWriteV3", "TensorArrayWriteV2", "TensorArrayWrite"), _write),
    **dict.fromkeys(("TensorArrayScatterV3", "TensorArrayScatterV2"), _scatter),
    "TensorArrayUnpack": _unpack,
    **dict.fromkeys(("TensorArraySplitV3", "TensorArraySplitV2"), _array_split),
    **dict.fromkeys(("TensorArrayReadV3", "TensorArrayReadV2", "TensorArrayRead"),
                    lambda _, inputs: inputs[0].get(inputs[1])),
    **dict.fromkeys(("TensorArrayGatherV3", "TensorArrayGatherV2"),
                    lambda _, inputs: inputs[0].stacked(inputs[1])),
    "TensorArrayPack": lambda _, inputs: inputs[0].stacked(),
    **dict.fromkeys(("TensorArrayConcatV3", "TensorArrayConcatV2"),
                    lambda _, inputs: (inputs[0].joined(),)),
    **dict.fromkeys(("TensorArraySizeV3", "TensorArraySizeV2", "TensorArraySize"), _size),
    "TensorListReserve": lambda _, inputs: TensorList.of_size(inputs[1]),
    "EmptyTensorList": lambda _, __: TensorList([]),
    "TensorListFromTensor": lambda _, inputs: TensorList(list(inputs[0])),
    "TensorListGetItem": lambda _, inputs: inputs[0].get(inputs[1]),
    "TensorListSetItem": _set_item,
    "TensorListStack": lambda _, inputs: inputs[0].stacked(),
    "TensorListGather": lambda _, inputs: inputs[0].stacked(inputs[1]),
    "TensorListLength": _size,
    "TensorListElementShape": _element_shape,
    "TensorListPushBack": _push_back,
    "TensorListPopBack": _pop_back,
    "TensorListResize": _resize,
    "TensorListConcatV2": lambda _, inputs: (inputs[0].joined(),),
}  # fmt: skip
"""Ops on lists of tensors."""
