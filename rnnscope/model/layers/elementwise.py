"""Layers of ONNX graphs: arithmetic with a constant, and the last step of a sequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.signal import Layer, Signal

OPERATIONS: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
}
"""What `Arithmetic` computes, by the name of the ONNX operator."""


@dataclass(frozen=True, eq=False)
class Arithmetic(Layer):
    """Every value with a constant: added, subtracted, multiplied or divided.

    Attributes
    ----------
    kind : str
        A key of `OPERATIONS`.
    constant : ndarray (feature,) or ()
    constant_first : bool
        True for ``constant - x`` and ``constant / x``.
    """

    kind: str
    constant: Array
    constant_first: bool = False
    step_by_step = True

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, …, feature), each with the constant."""
        values = signals[0].values
        pair = (values, self.constant.astype(values.dtype, copy=False))
        made = OPERATIONS[self.kind](*(reversed(pair) if self.constant_first else pair))
        return replace(signals[0], values=made)


@dataclass(frozen=True)
class LastStep(Layer):
    """The output after the last processed step of each sequence: ONNX ``Y_h``.

    Attributes
    ----------
    backward : bool
        True behind a backward layer, whose last processed step is the first.
    masked : bool
        Whether the layer before it passes over steps that do not count.
    """

    backward: bool = False
    masked: bool = True
    kind: str = "LastStep"

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, timestep, feature) to (sequence, feature)."""
        (signal,) = signals
        if self.backward:
            return Signal(signal.values[:, 0])
        if signal.mask is None or not self.masked:
            return Signal(signal.values[:, -1])
        steps = np.arange(signal.mask.shape[1])
        last = np.where(signal.mask, steps, 0).max(axis=1)
        return Signal(signal.values[np.arange(len(last)), last])
