"""Operations that a model writes as formulas: ``x + y``, ``1 - x``, ``x[:, -1]``.

Keras 3 keeps them among the layers. No mask comes out of any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError
from rnnscope.model.activations import activation
from rnnscope.model.cell import Array
from rnnscope.model.signal import Layer, Signal

ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "Subtract": np.subtract,
    "Multiply": np.multiply,
    "TrueDivide": np.true_divide,
    "Divide": np.true_divide,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Negative": np.negative,
    "Tanh": np.tanh,
    "Sigmoid": lambda z: activation("sigmoid").function(z),
    "Relu": lambda z: activation("relu").function(z),
}
"""Element-wise operations, by Keras' class of each."""


@dataclass(frozen=True)
class Operation(Layer):
    """An element-wise operation on signals and numbers.

    Attributes
    ----------
    kind : str
        A key of `ARITHMETIC`.
    arguments : tuple of float or None
        What it is called on: a number, or None for the next signal.
    """

    kind: str
    arguments: tuple[float | None, ...]
    step_by_step = True

    def __call__(self, *signals: Signal) -> Signal:
        """Compute it in the dtype of the first signal."""
        dtype = signals[0].values.dtype
        arrays = iter([signal.values for signal in signals])
        values = [dtype.type(n) if n is not None else next(arrays) for n in self.arguments]
        try:
            return Signal(np.asarray(ARITHMETIC[self.kind](*values)))
        except ValueError:
            shapes = ", ".join(str(np.shape(value)) for value in values)
            raise InputError(
                f"What an operation {self.kind} of the model is called on does not fit.",
                expected="shapes that broadcast",
                found=shapes,
            ) from None


@dataclass(frozen=True)
class GetItem(Layer):
    """``x[:, …]``: some steps or features of every sequence.

    Attributes
    ----------
    index : tuple of slice, int or Ellipsis
        The axis of sequences is kept whole: it begins with ``:`` or ``...``.
    """

    index: tuple[Any, ...]
    kind: str = "GetItem"

    def __call__(self, *signals: Signal) -> Signal:
        """Pick from values (sequence, …)."""
        values: Array = signals[0].values
        fault = InputError(
            "An index of the model lies outside what it is applied to.",
            expected=f"values that {list(self.index)} picks from",
            found=f"shape {values.shape}",
        )
        # After "..." as many parts as there are axes would pick among the sequences.
        if self.index[0] is ... and len(self.index) > values.ndim:
            raise fault
        try:
            return Signal(values[self.index])
        except IndexError:
            raise fault from None


@dataclass(frozen=True)
class Join(Layer):
    """Arrays one after another on one axis, as the operation of that name joins them."""

    axis: int = -1
    kind: str = "Concatenate"

    @property
    def step_by_step(self) -> bool:
        """Where features are joined, not timesteps: the last axis alone is always that."""
        return self.axis == -1

    def __call__(self, *signals: Signal) -> Signal:
        """Join values of fitting shapes; unlike the layer of that name, without a mask."""
        try:
            return Signal(np.concatenate([signal.values for signal in signals], axis=self.axis))
        except ValueError:
            raise InputError(
                "What an operation Concatenate of the model is called on does not fit.",
                expected=f"shapes that differ on axis {self.axis} alone",
                found=", ".join(str(signal.values.shape) for signal in signals),
            ) from None
