"""The time axis of a backward layer: turned to be stepped through, and turned back."""

from __future__ import annotations

import numpy as np

from rnnscope.explaining.computing.setup import DrivenLayer
from rnnscope.model.cell import Array


class Turn:
    """Turning the time axis (axis 2) of a backward layer; done twice, it undoes itself."""

    def __init__(self, order: Array | None, *, whole: bool = False) -> None:
        self._order = order
        self._whole = whole

    @classmethod
    def of(cls, driven: DrivenLayer, mask: Array | None, timesteps: int) -> Turn:
        if not driven.layer.backward.value:
            return cls(None)
        if driven.layer.reversal == "whole" or mask is None:
            return cls(None, whole=True)
        steps = np.arange(timesteps)
        lengths = np.where(mask, steps + 1, 0).max(axis=2, initial=0)[:, :, None]
        return cls(np.where(steps < lengths, lengths - 1 - steps, steps))

    @property
    def free(self) -> bool:
        """Whether time stays as it is."""
        return self._order is None and not self._whole

    def kept(self, keep: Array) -> Turn:
        """The turn for a part of the stack."""
        if self._order is None or len(self._order) == 1:
            return self
        return Turn(self._order[keep])

    def __call__(self, array: Array) -> Array:
        if self._whole:
            turned_whole: Array = array[:, :, ::-1]
            return turned_whole
        if self._order is None:
            return array
        stack = max(len(array), len(self._order))
        order = np.broadcast_to(self._order, (stack, *self._order.shape[1:]))
        whole = np.broadcast_to(array, (stack, *array.shape[1:]))
        index = order.reshape(order.shape + (1,) * (array.ndim - 3))
        turned: Array = np.take_along_axis(whole, index, axis=2)
        return turned
