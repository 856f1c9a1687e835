"""Layers that change the shape. Keras drops the mask at each of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnscope.errors import InputError
from rnnscope.network import Layer, Signal


@dataclass(frozen=True)
class Flatten(Layer):
    """(sequence, …) to (sequence, everything)."""

    kind: str = "Flatten"

    def __call__(self, *signals: Signal) -> Signal:
        """Flatten all but the first axis."""
        values = signals[0].values
        return Signal(values.reshape(len(values), -1))


@dataclass(frozen=True)
class Reshape(Layer):
    """Reshape all but the first axis; one -1 in `target_shape` takes what is left."""

    target_shape: tuple[int, ...]
    kind: str = "Reshape"

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, …) to (sequence, *target_shape)."""
        values = signals[0].values
        try:
            return Signal(values.reshape(len(values), *self.target_shape))
        except ValueError:
            raise InputError(
                "The input does not fit a Reshape layer of the model.",
                expected=f"values that reshape to (sequence, {self.target_shape})",
                found=f"shape {values.shape}",
            ) from None


@dataclass(frozen=True)
class Permute(Layer):
    """Reorder all but the first axis; `dims` counts them from 1, as Keras does."""

    dims: tuple[int, ...]
    kind: str = "Permute"

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, …), axes reordered."""
        values = signals[0].values
        if sorted(self.dims) != list(range(1, values.ndim)):
            raise InputError(
                "The input does not fit a Permute layer of the model.",
                expected=f"{len(self.dims) + 1} axes, to be reordered by {self.dims}",
                found=f"shape {values.shape}",
            )
        return Signal(values.transpose(0, *self.dims))


@dataclass(frozen=True)
class RepeatVector(Layer):
    """(sequence, feature) to (sequence, n, feature): the same vector at every step."""

    n: int
    kind: str = "RepeatVector"

    def __call__(self, *signals: Signal) -> Signal:
        """Repeat the vector n times."""
        return Signal(np.repeat(signals[0].values[:, None], self.n, axis=1))
