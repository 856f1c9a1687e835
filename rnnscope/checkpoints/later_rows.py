"""A value of a stored graph as a row for each sequence, whatever axes the graph gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.ops import MISFITS, EvaluationError
from rnnscope.model.signal import Signal

SignalFunction = Callable[[tuple[Signal, ...]], Array]
"""``function(signals) -> value``; it raises `EvaluationError` where it cannot take them."""

AXES_OF_RESULTS = (2, 3)
"""(sequence, width) and (sequence, timestep, width)."""


@dataclass(frozen=True)
class Layout:
    """Where a value has its sequences.

    Attributes
    ----------
    axis : int or None
        Their axis; None where there is no such axis.
    merged : str
        What the first axis is made of, where it is that of sequences and timesteps together:
        ``"sequences"`` or ``"timesteps"`` first; empty where it is not.
    """

    axis: int | None
    merged: Literal["", "sequences", "timesteps"] = ""

    def laid(self, value: Array, sequences: int, timesteps: int) -> Array:
        """The value with the axis of sequences in front.

        Raises
        ------
        EvaluationError
            It has another shape.
        """
        if self.merged:
            if value.shape[:1] != (sequences * timesteps,):
                raise EvaluationError(f"it makes {value.shape} of {sequences} x {timesteps} steps")
            both = (sequences, timesteps) if self.merged == "sequences" else (timesteps, sequences)
            apart = value.reshape(*both, *value.shape[1:])
            return apart if self.merged == "sequences" else apart.swapaxes(0, 1)
        if self.axis is None:
            if sequences != 1:
                raise EvaluationError("it has no axis of sequences")
            return value[None]
        if self.axis >= value.ndim or value.shape[self.axis] != sequences:
            raise EvaluationError(f"it makes {value.shape} of {sequences} sequences")
        return np.moveaxis(value, self.axis, 0)


@dataclass(frozen=True, eq=False)
class ByRows:
    """A function of signals whose result has a row for each sequence.

    Attributes
    ----------
    function : SignalFunction
    layout : Layout
        Of its value.
    group : int or None
        How many sequences it takes at once; None if any number.
    streams : bool
        It is for one timestep, and is called for each.
    """

    function: SignalFunction
    layout: Layout
    group: int | None
    streams: bool = False

    def __call__(self, signals: tuple[Signal, ...]) -> Array:
        """The result, (sequence, timestep, width) or (sequence, width).

        Raises
        ------
        EvaluationError
            The function cannot take the signals.
        """
        sequences, timesteps = signals[0].values.shape[:2]
        if self.streams:
            signals = tuple(_step_by_step(signal) for signal in signals)
        made = self._rows(signals)
        if self.streams:
            made = made.reshape(sequences, timesteps, -1)
        if made.ndim == 1:
            made = made[:, None]
        if made.ndim not in AXES_OF_RESULTS:
            raise EvaluationError(f"it makes values of {made.ndim} axes")
        return made

    def _rows(self, signals: tuple[Signal, ...]) -> Array:
        count = len(signals[0].values)
        if self.group is None or self.group == count:
            return self._together(signals)
        made = []
        for at in range(0, count, self.group):
            # Made up to a whole group by repeating the last one.
            rows = np.minimum(np.arange(at, at + self.group), count - 1)
            made.append(self._together(rows_of(signals, rows))[: count - at])
        return np.concatenate(made)

    def _together(self, signals: tuple[Signal, ...]) -> Array:
        sequences, timesteps = signals[0].values.shape[:2]
        try:
            value = np.asarray(self.function(signals))
            return self.layout.laid(value, sequences, timesteps)
        except MISFITS as error:
            raise EvaluationError(str(error) or type(error).__name__) from error


def rows_of(signals: tuple[Signal, ...], rows: Array) -> tuple[Signal, ...]:
    """Some sequences of each signal."""
    return tuple(
        Signal(signal.values[rows], None if signal.mask is None else signal.mask[rows])
        for signal in signals
    )


def _step_by_step(signal: Signal) -> Signal:
    """Every timestep as a sequence of its own."""
    values = signal.values
    return Signal(values.reshape(-1, 1, *values.shape[2:]))
