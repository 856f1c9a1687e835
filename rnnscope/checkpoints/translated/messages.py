"""ONNX graphs built in memory: what a translation writes and `StoredModel` reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.proto import TABLE
from rnnscope.checkpoints.onnx.graph.tensors import EXTERNAL, STORED
from rnnscope.files.messages.values_in_file import HeldValue
from rnnscope.model.cell import Array

OPSET = 21
"""The version of ONNX's operators that translations are written in."""

NUMBERS = {np.dtype(dtype): number for number, (dtype, field) in STORED.items() if number != 16}
"""The TensorProto.DataType of a dtype of numpy."""

Value = Any
"""What an attribute holds: a number, a text, several of one kind, or a graph."""


class NotTranslated(Exception):  # noqa: N818 - it ends no program: the operator stays a named one
    """Why an operator has no meaning in ONNX's: the end of "Layer 'x' of type Loop …"."""


class OnnxModel:
    """A model under construction.

    Attributes
    ----------
    proto : ModelProto
    graph : GraphUnderConstruction
    """

    def __init__(self) -> None:
        self.proto = TABLE.message_class("ModelProto")(ir_version=10)
        self.proto.opset_import.add(version=OPSET)
        self.graph = GraphUnderConstruction(self.proto.graph, {})


class GraphUnderConstruction:
    """One graph: that of the model, or of a loop's body, which sees the values around it.

    Parameters
    ----------
    proto : GraphProto
        It is filled.
    taken : dict of str to int
        Names that are taken, of nodes and of values alike, and the number that is tried first
        where one is wanted again; shared with bodies.
    """

    def __init__(self, proto: Any, taken: dict[str, int]) -> None:
        self.proto = proto
        self._taken = taken

    def body(self) -> GraphUnderConstruction:
        """A graph of its own whose names differ from all names here."""
        return GraphUnderConstruction(TABLE.message_class("GraphProto")(), self._taken)

    def unique(self, wanted: str) -> str:
        """A name that nothing has yet."""
        name, number = wanted, self._taken.get(wanted, 2)
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken[wanted] = number
        self._taken.setdefault(name, 2)
        return name

    def input(self, name: str, data_type: int, dims: Sequence[int | str] | None) -> str:
        """An input of the graph; a size that is open is a name, or an empty one."""
        value = self.proto.input.add(name=self.unique(name))
        value.type.tensor_type.elem_type = data_type
        if dims is not None:
            value.type.tensor_type.shape.SetInParent()
        for size in dims or ():
            dim = value.type.tensor_type.shape.dim.add()
            if isinstance(size, int):
                dim.dim_value = size
            elif size:
                dim.dim_param = size
        made: str = value.name
        return made

    def untyped_input(self, name: str) -> str:
        """An input of the graph of which nothing is known but its name."""
        made: str = self.proto.input.add(name=self.unique(name)).name
        return made

    def output(self, key: str) -> None:
        """Return a value."""
        self.proto.output.add(name=key)

    def stored(self, name: str, array: Array) -> str:
        """A constant whose values are at hand."""
        key = self.unique(name)
        array = np.asarray(array, order="C")
        self.proto.initializer.add(
            name=key, dims=array.shape, data_type=NUMBERS[array.dtype], raw_data=array.tobytes()
        )
        return key

    def in_file(self, name: str, shape: Sequence[int], value: HeldValue) -> str:
        """A constant that lies in the model's own file, read when it is needed."""
        key = self.unique(name)
        self.proto.initializer.add(
            name=key, dims=shape, data_type=NUMBERS[np.dtype(value.dtype)],
            raw_data=value.stand_in(),
        )  # fmt: skip
        return key

    def beside(
        self, name: str, data_type: int, shape: Sequence[int], location: str, offset: int, size: int
    ) -> str:
        """A constant that lies in a file beside the model, read when it is needed."""
        key = self.unique(name)
        tensor = self.proto.initializer.add(
            name=key, dims=shape, data_type=data_type, data_location=EXTERNAL
        )
        for word, value in (("location", location), ("offset", offset), ("length", size)):
            tensor.external_data.add(key=word, value=str(value))
        return key

    def ints(self, values: Sequence[int] | int) -> str:
        """A constant of 64-bit integers that the translation itself adds."""
        return self.stored("int", np.asarray(values, np.int64))

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        name: str,
        outputs: int = 1,
        *,
        domain: str = "",
        **attributes: Value,
    ) -> tuple[str, ...]:
        """Add a node; the keys of its outputs. An attribute of None is left out."""
        own = self.unique(name)
        keys = [own] + [self.unique(f"{own}:{number}") for number in range(1, outputs)]
        self.add_node(op, inputs, keys, name=own, domain=domain, **attributes)
        return tuple(keys)

    def add_node(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        name: str = "",
        domain: str = "",
        **attributes: Value,
    ) -> None:
        """Add a node whose outputs have names already, each from `unique`."""
        added = self.proto.node.add(
            op_type=op, name=name, input=inputs, output=outputs, domain=domain
        )
        for key, value in attributes.items():
            if value is not None:
                _set(added.attribute.add(name=key), value)

    def one(self, op: str, inputs: Sequence[str], name: str, **attributes: Value) -> str:
        """Add a node with one output; its key."""
        (key,) = self.node(op, inputs, name, **attributes)
        return key


def _set(attribute: Any, value: Value) -> None:
    """Put a value where an attribute keeps values of its type."""
    if isinstance(value, bool | int | np.integer):
        attribute.i = int(value)
    elif isinstance(value, float):
        attribute.f = value
    elif isinstance(value, str):
        attribute.s = value.encode()
    elif isinstance(value, GraphUnderConstruction):
        attribute.g.CopyFrom(value.proto)
    elif len(value) and all(isinstance(one, str) for one in value):
        attribute.strings.extend(one.encode() for one in value)
    elif len(value) and all(isinstance(one, float) for one in value):
        attribute.floats.extend(value)
    else:
        attribute.ints.extend(int(one) for one in value)
