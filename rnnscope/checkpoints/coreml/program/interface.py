"""What an entry of the operations' table gets: the graph that is written, and what it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.checkpoints.coreml.program.values import (
    NotStated,
    blob,
    immediate,
    is_text,
    text_of,
)
from rnnscope.checkpoints.translated.messages import GraphUnderConstruction, NotTranslated
from rnnscope.checkpoints.translated.reading import SourceOperator
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array


@dataclass(eq=False)
class ProgramScope:
    """A function of an ML program on its way into an ONNX graph.

    Attributes
    ----------
    made : GraphUnderConstruction
    path : Path
        The model's file; weights lie in its folder.
    values : dict of str to str
        The key of each value that was written.
    stated : dict of str to Value
        Constants, by name.
    types : dict of str to TensorType
        Of each value.
    sources : dict of str to SourceOperator
        See `Translation`.
    notes : list of str
    """

    made: GraphUnderConstruction
    path: Path
    values: dict[str, str] = field(default_factory=dict)
    stated: dict[str, Any] = field(default_factory=dict)
    types: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, SourceOperator] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def keys(self, op: Any, argument: str) -> list[str]:
        """The keys of all values of an argument."""
        if argument not in op.inputs:
            return []
        return [self._key(op, one) for one in op.inputs[argument].arguments]

    def key(self, op: Any, argument: str) -> str:
        """The key of an argument's value, empty if it is left out."""
        found = self.keys(op, argument)
        return found[0] if found else ""

    def _key(self, op: Any, binding: Any) -> str:
        if binding.WhichOneof("binding") == "value":
            name = f"{name_of(op)}/value"
            return self.store(name, binding.value)
        if binding.name not in self.values:
            raise NotTranslated(f"reads '{binding.name}', which is no array of numbers")
        return self.values[binding.name]

    def store(self, name: str, value: Any) -> str:
        """Write a constant.

        Raises
        ------
        NotTranslated
            It is of a type that is not read.
        """
        try:
            if value.WhichOneof("value") == "blobFileValue":
                found = blob(value, self.path.parent, name)
                return self.made.beside(
                    name, found.data_type, found.shape, found.location, found.offset, found.size
                )
            return self.made.stored(name, immediate(value, name))
        except NotStated as reason:
            raise NotTranslated(str(reason)) from reason

    def _stated(self, op: Any, argument: str) -> Any:
        if argument not in op.inputs or not op.inputs[argument].arguments:
            return None
        binding = op.inputs[argument].arguments[0]
        if binding.WhichOneof("binding") == "value":
            return binding.value
        found = self.stated.get(binding.name)
        if found is None:
            raise NotTranslated(f"takes its {argument} from what is no constant")
        return found

    def array(self, op: Any, argument: str) -> Array | None:
        """A constant argument; None if it is left out."""
        value = self._stated(op, argument)
        if value is None:
            return None
        try:
            return immediate(value, name_of(op))
        except NotStated as reason:
            raise NotTranslated(f"takes a {argument} that {reason}") from reason

    def ints(self, op: Any, argument: str) -> list[int] | None:
        array = self.array(op, argument)
        return None if array is None else [int(one) for one in np.ravel(array)]

    def number(self, op: Any, argument: str, default: float) -> float:
        array = self.array(op, argument)
        return default if array is None else float(np.ravel(array)[0])

    def true(self, op: Any, argument: str, default: bool = False) -> bool:
        return bool(self.number(op, argument, float(default)))

    def text(self, op: Any, argument: str, default: str = "") -> str:
        value = self._stated(op, argument)
        if value is None:
            return default
        if not is_text(value):
            raise NotTranslated(f"takes a {argument} that holds no text")
        return text_of(value)

    def rank(self, op: Any, argument: str) -> int:
        """How many axes an argument has."""
        binding = op.inputs[argument].arguments[0]
        if binding.WhichOneof("binding") == "value":
            return int(binding.value.type.tensorType.rank)
        return int(self.types[binding.name].rank) if binding.name in self.types else 0


def name_of(op: Any) -> str:
    """What an operation is called: as its first output."""
    return str(op.outputs[0].name) if op.outputs else str(op.type)


Operator = Callable[[ProgramScope, Any], Sequence[str]]
"""``operator(scope, operation) -> keys`` of its outputs. It raises `NotTranslated`."""
