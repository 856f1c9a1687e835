"""Making the messages of a graph in ONNX's operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.proto import TABLE
from rnnscope.checkpoints.onnx.graph.tensors import STORED
from rnnscope.model.cell import Array

NUMBERS = {np.dtype(dtype): number for number, (dtype, _) in STORED.items() if number < 14}
"""TensorProto.DataType by dtype."""


class GraphBuilder:
    """One graph: the model's own, or the body of a loop.

    Attributes
    ----------
    proto : GraphProto
    reversed : dict of str to (str, int)
        Values that are another one turned round, and along which axis.
    """

    def __init__(self) -> None:
        self.proto = TABLE.message_class("GraphProto")()
        self.reversed: dict[str, tuple[str, int]] = {}
        self._taken: set[str] = set()

    def name(self, wanted: str) -> str:
        """A name that no value of the graph has."""
        found, number = wanted or "value", 2
        while found in self._taken:
            found, number = f"{wanted}_{number}", number + 1
        self._taken.add(found)
        return found

    def add_input(self, name: str, dtype: np.dtype[Any], sizes: Sequence[int | None]) -> None:
        """An input; None is a size that is open."""
        value = self.proto.input.add(name=name)
        value.type.tensor_type.elem_type = NUMBERS[np.dtype(dtype)]
        value.type.tensor_type.shape.SetInParent()
        for size in sizes:
            dim = value.type.tensor_type.shape.dim.add()
            if size is not None:
                dim.dim_value = size

    def add_plain_input(self, name: str) -> None:
        """An input of a body."""
        self.proto.input.add(name=name)

    def add_output(self, name: str) -> None:
        """An output."""
        self.proto.output.add(name=name)

    def constant(self, array: Array, name: str) -> str:
        """A stored tensor; its name."""
        own = self.name(name)
        dtype = np.dtype(array.dtype).newbyteorder("=")
        self.proto.initializer.add(
            name=own, dims=array.shape, data_type=NUMBERS[dtype],
            raw_data=np.ascontiguousarray(array, dtype.newbyteorder("<")).tobytes(),
        )  # fmt: skip
        return own

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        domain: str = "",
        name: str = "",
        **attributes: Any,
    ) -> None:
        """A node; attributes are whole numbers, floats, text, lists of them, or graphs."""
        made = self.proto.node.add(
            op_type=op, input=inputs, output=outputs, domain=domain, name=name
        )
        for key, value in attributes.items():
            if value is not None:
                _set(made.attribute.add(name=key), value)


def _set(attribute: Any, value: Any) -> None:
    if isinstance(value, str):
        attribute.s = value.encode()
    elif isinstance(value, float):
        attribute.f = value
    elif isinstance(value, (bool, int, np.integer)):
        attribute.i = int(value)
    elif isinstance(value, GraphBuilder):
        attribute.g.CopyFrom(value.proto)
    elif len(value) and all(isinstance(one, float) for one in value):
        attribute.floats.extend(value)
    elif len(value) and all(isinstance(one, str) for one in value):
        attribute.strings.extend(one.encode() for one in value)
    else:
        attribute.ints.extend(int(one) for one in value)
