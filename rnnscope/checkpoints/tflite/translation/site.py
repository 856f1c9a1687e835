"""One operator of a TensorFlow Lite graph, where it is told in ONNX's operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from rnnscope.checkpoints.tflite.lite_model import LiteGraph, LiteModel, LiteOperator, LiteTensor
from rnnscope.checkpoints.tflite.translation.builder import LiteGraphUnderConstruction
from rnnscope.checkpoints.translated.messages import NotTranslated
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array

DOMAIN = "tflite"
"""That of operators which ONNX does not have."""


@dataclass(eq=False)
class Values:
    """The values of one subgraph that are known by name.

    Attributes
    ----------
    model : LiteModel
    graph : LiteGraph
    build : LiteGraphUnderConstruction
    names : dict of int to str
        What each tensor is called in the graph that is built.
    variables : mapping of str to LiteTensor
        The constants that resource variables are given once, by shared name.
    """

    model: LiteModel
    graph: LiteGraph
    build: LiteGraphUnderConstruction
    names: dict[int, str] = field(default_factory=dict)
    variables: dict[str, LiteTensor] = field(default_factory=dict)
    _stored: dict[int, str] = field(default_factory=dict)

    def value(self, number: int) -> str:
        """The name of the floats, or whole numbers, that a tensor stands for."""
        if number not in self.names:
            tensor = self.graph.tensors[number]
            if tensor.data is None:
                raise NotTranslated(f"that reads tensor '{tensor.name}', which nothing makes")
            self.names[number] = self.constant(tensor.name, tensor)
        return self.names[number]

    def stored(self, number: int) -> str:
        """The name of a stored tensor as it is stored; that of its value where it is made."""
        tensor = self.graph.tensors[number]
        if tensor.data is None or not tensor.is_quantised:
            return self.value(number)
        if number not in self._stored:
            self._stored[number] = (
                self.build.stored(tensor.name, tensor.data) if tensor.place is None
                else self.build.in_file(tensor.name, tensor.shape, tensor.place)
            )  # fmt: skip
        return self._stored[number]

    def constant(self, name: str, tensor: LiteTensor) -> str:
        """A constant: what a stored tensor stands for; a large one stays in the file."""
        if tensor.in_file is None:
            return self.build.stored(name, tensor.real)
        return self.build.in_file(name, tensor.shape, tensor.in_file)


@dataclass(eq=False)
class Site:
    """One operator.

    Attributes
    ----------
    values : Values
    op : LiteOperator
    """

    values: Values
    op: LiteOperator

    @property
    def options(self) -> Any:
        return self.op.options

    @property
    def build(self) -> LiteGraphUnderConstruction:
        return self.values.build

    def has(self, number: int) -> bool:
        """Whether an input is there."""
        return self.op.input(number) >= 0

    def tensor(self, number: int) -> LiteTensor:
        """An input's tensor."""
        if not self.has(number):
            raise NotTranslated(f"without input {number}")
        return self.values.graph.tensors[self.op.input(number)]

    def result(self, number: int = 0) -> LiteTensor:
        """An output's tensor."""
        return self.values.graph.tensors[self.op.outputs[number]]

    def x(self, number: int) -> str:
        """The name of an input's value."""
        self.tensor(number)
        return self.values.value(self.op.input(number))

    def every(self) -> list[str]:
        """The names of all inputs' values."""
        return [self.x(number) for number in range(len(self.op.inputs))]

    def constant(self, number: int) -> Array:
        """An input's value, which the file holds."""
        found = self.known(number)
        if found is None:
            raise NotTranslated(f"whose input {number} is no constant")
        return found

    def known(self, number: int) -> Array | None:
        """An input's value if the file holds it."""
        tensor = self.tensor(number)
        return None if tensor.data is None else tensor.real

    def numbers(self, number: int) -> list[int]:
        """An input that holds whole numbers."""
        return [int(one) for one in np.ravel(self.constant(number))]

    def add(self, op: str, inputs: Sequence[str], *, domain: str = "", **attributes: Any) -> str:
        """A node in between; its output."""
        made = self.build.unique(f"{self.result().name}/{op}")
        self.build.add_node(op, inputs, [made], domain=domain, **attributes)
        return made

    def end(
        self,
        op: str,
        inputs: Sequence[str],
        *,
        domain: str = "",
        outputs: int = 1,
        **attributes: Any,
    ) -> None:
        """The node that makes the results, the fused activation behind it."""
        if outputs == 1 and self.op.activation != "NONE":
            self.activate(self.add(op, inputs, domain=domain, **attributes))
            return
        made = [self.named(number) for number in range(outputs)]
        self.build.add_node(op, inputs, made, domain=domain, **attributes)

    def activate(self, made: str) -> None:
        """The fused activation as the node that makes the result."""
        op, bounds = FUSED.get(self.op.activation, ("", ()))
        if not op:
            raise NotTranslated(f"with {self.op.activation}")
        more = [self.number(bound) for bound in bounds]
        self.build.add_node(op, [made, *more], [self.named()])

    def named(self, number: int = 0) -> str:
        """The name of an output, which is known from now on."""
        place = self.op.outputs[number]
        name = self.build.unique(self.values.graph.tensors[place].name)
        self.values.names[place] = name
        return name

    def alias(self, source: str) -> None:
        """Let the result be a value that is there."""
        self.build.add_node("Identity", [source], [self.named()])

    def number(self, value: float, dtype: Any = np.float32) -> str:
        """A constant of one number."""
        return self.build.stored(f"{self.result().name}/number", np.asarray(value, dtype))


FUSED: dict[str, tuple[str, tuple[float, ...]]] = {
    "NONE": ("Identity", ()),
    "RELU": ("Relu", ()),
    "RELU_N1_TO_1": ("Clip", (-1, 1)),
    "RELU6": ("Clip", (0, 6)),
    "TANH": ("Tanh", ()),
}
"""Fused activations: the operator, and the bounds that it takes."""

Tell = Callable[[Site], None]
"""Adds the nodes of an operator; raises `NotTranslated`, or what a damaged file leads to."""
