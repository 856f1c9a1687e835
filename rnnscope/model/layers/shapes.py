"""Layers that change the shape. Keras drops the mask at each of them."""

from __future__ import annotations

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError
from rnnscope.model.signal import Layer, Signal


@dataclass(frozen=True)
class Flatten(Layer):
    """(sequence, …) to (sequence, everything).

    Attributes
    ----------
    channels_first : bool
        The features are axis 1; they are turned to the end before.
    """

    channels_first: bool = False
    kind: str = "Flatten"

    def __call__(self, *signals: Signal) -> Signal:
        """Flatten all but the first axis."""
        values = signals[0].values
        if self.channels_first and values.ndim > 2:
            values = np.moveaxis(values, 1, -1)
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


@dataclass(frozen=True)
class LastOutput(Layer):
    """(sequence, timestep, feature) to (sequence, feature): the output that is the final state.

    Attributes
    ----------
    first : bool
        True behind a layer that reads backwards and whose outputs are in input time order: there
        it ends at the first step.
    masked : bool
        Whether the layer before it passes over masked steps; then the last valid one counts.
    """

    first: bool = False
    masked: bool = True
    kind: str = "final state"

    def __call__(self, *signals: Signal) -> Signal:
        """Pick one step of each sequence; zeros where none is valid."""
        values, mask = signals[0].values, signals[0].mask
        if mask is None or not self.masked or not values.shape[1]:
            return Signal(values[:, 0 if self.first else -1])
        last = mask.shape[1] - 1
        steps = mask.argmax(axis=1) if self.first else last - mask[:, ::-1].argmax(axis=1)
        picked = values[np.arange(len(values)), steps]
        picked[~mask.any(axis=1)] = 0
        return Signal(picked)
