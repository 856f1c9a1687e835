"""A TensorFlow Lite model: its tensors, operators and subgraphs."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from rnnscope.checkpoints.tflite.schema import ACTIVATIONS, DTYPES
from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.messages.values_in_file import HeldValue, ValueInFile, floats_on_grid
from rnnscope.model.cell import Array


@dataclass(frozen=True, eq=False)
class LiteTensor:
    """A tensor of a subgraph.

    Attributes
    ----------
    name : str
        As stored.
    shape : tuple of int
    open_axes : tuple of bool
        Which sizes are those of one export alone, as the file says.
    kind : int
        TensorType.
    data : ndarray or None
        What the file holds of it, as it is stored.
    scale, zero : ndarray
        Of a quantised tensor: one number, or one a channel; empty for others.
    axis : int
        That of the channels.
    is_variable : bool
        A state that is kept from one call to the next.
    place : ValueInFile or None
        Where the numbers of a large tensor lie, as they are stored.
    in_file : HeldValue or None
        `real` of a large tensor, not read yet.
    """

    name: str
    shape: tuple[int, ...]
    open_axes: tuple[bool, ...]
    kind: int
    data: Array | None
    scale: Array
    zero: Array
    axis: int
    is_variable: bool
    place: ValueInFile | None = None
    in_file: HeldValue | None = None

    @property
    def is_quantised(self) -> bool:
        return self.scale.size > 0

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """That of the stored bytes; None for what is no array of numbers."""
        return np.dtype(DTYPES[self.kind]) if self.kind in DTYPES else None

    @cached_property
    def real(self) -> Array:
        """The floats that a stored tensor stands for; whole numbers that stand for themselves."""
        assert self.data is not None
        if self.is_quantised and self.data.dtype.kind in "iu":
            made = floats_on_grid(
                self.data.ravel(), self.scale, self.zero, shape=self.shape, axis=self.axis
            )
            return made.astype(np.float32).reshape(self.shape)
        return self.data.astype(np.float32) if self.data.dtype == np.float16 else self.data

    def same_grid(self, other: LiteTensor) -> bool:
        """Whether whole numbers of both stand for the same floats."""
        return (self.kind, self.scale.tobytes(), self.zero.tobytes()) == (
            other.kind, other.scale.tobytes(), other.zero.tobytes(),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class LiteOperator:
    """An operator of a subgraph.

    Attributes
    ----------
    op : str
        Its name in BuiltinOperator, or ``CUSTOM name``.
    inputs, outputs, intermediates : tuple of int
        Numbers of tensors; -1 for one that is left out.
    options : object
        Its options, by attribute; one without attributes where there are none, or they are not
        read.
    """

    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    intermediates: tuple[int, ...]
    options: Any

    def input(self, number: int) -> int:
        """The number of a tensor, -1 if it is left out."""
        return self.inputs[number] if number < len(self.inputs) else -1

    @property
    def activation(self) -> str:
        """That which is applied to the result."""
        number = getattr(self.options, "fused_activation_function", 0)
        return ACTIVATIONS[number] if 0 <= number < len(ACTIVATIONS) else f"activation {number}"


@dataclass(frozen=True, eq=False)
class LiteGraph:
    """A subgraph."""

    name: str
    tensors: tuple[LiteTensor, ...]
    operators: tuple[LiteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class LiteModel:
    """A file.

    Attributes
    ----------
    graphs : tuple of LiteGraph
        The model is the first.
    description : str
        Who wrote it.
    """

    graphs: tuple[LiteGraph, ...]
    description: str
