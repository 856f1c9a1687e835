"""Pooling over windows or over whole axes, and what adds, cuts or repeats along them."""

from __future__ import annotations

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.layers.windows import Windows
from rnnscope.model.signal import Layer, Signal


@dataclass(frozen=True)
class Pooling(Layer):
    """The largest value or the mean of every window; padding counts for neither.

    Attributes
    ----------
    windows : Windows
    mean : bool
    kind : str
        ``"MaxPooling2D"``.
    """

    windows: Windows
    mean: bool = False
    kind: str = "MaxPooling1D"

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, *axes, feature) to (sequence, *windows, feature)."""
        values = self.windows.channels_last(signals[0].values)
        inside = tuple(range(-len(self.windows.size), 0))
        if not self.mean:
            made = self.windows.of(values, -np.inf).max(axis=inside)
            return Signal(self.windows.as_stored(made))
        total = self.windows.of(values).sum(axis=inside)
        count = self.windows.of(np.ones_like(values[:1, ..., :1])).sum(axis=inside)
        return Signal(self.windows.as_stored(total / count))


@dataclass(frozen=True)
class GlobalPooling(Layer):
    """The largest value or the mean over all axes but those of sequences and features.

    Attributes
    ----------
    axes : int
        How many are pooled over.
    mean, channels_first, keepdims : bool
    kind : str
    """

    axes: int
    mean: bool = False
    channels_first: bool = False
    keepdims: bool = False
    kind: str = "GlobalMaxPooling1D"

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, *axes, feature) to (sequence, feature), the mean by the mask."""
        values, mask = signals[0].values, signals[0].mask
        first = 2 if self.channels_first else 1
        over = tuple(range(first, first + self.axes))
        if not self.mean:
            return Signal(values.max(axis=over, keepdims=self.keepdims))
        if mask is None or self.axes > 1:
            return Signal(values.mean(axis=over, keepdims=self.keepdims))
        valid = np.expand_dims(mask, 1 if self.channels_first else 2).astype(values.dtype)
        total = (values * valid).sum(axis=over, keepdims=self.keepdims)
        return Signal(total / valid.sum(axis=over, keepdims=self.keepdims))


@dataclass(frozen=True)
class Borders(Layer):
    """Zeros added around the axes, or rows cut off there, or every row repeated.

    Attributes
    ----------
    widths : tuple of (int, int)
        How much before and behind each axis; of a repetition the factors, twice.
    how : str
        ``"pad"``, ``"crop"`` or ``"repeat"``.
    channels_first : bool
    kind : str
    """

    widths: tuple[tuple[int, int], ...]
    how: str
    channels_first: bool = False
    kind: str = "ZeroPadding1D"

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, *axes, feature), longer or shorter along the axes."""
        values: Array = signals[0].values
        first = 2 if self.channels_first else 1
        for axis, (before, behind) in enumerate(self.widths, first):
            if self.how == "repeat":
                values = np.repeat(values, before, axis=axis)
            elif self.how == "pad":
                around = [(0, 0)] * values.ndim
                around[axis] = (before, behind)
                values = np.pad(values, around)
            else:
                stop = values.shape[axis] - behind
                values = values.take(range(before, stop), axis=axis)
        return Signal(values)
