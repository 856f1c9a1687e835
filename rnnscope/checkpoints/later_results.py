"""Results that a stored graph makes of its layers' outputs, proved before they are used.

Whoever evaluates a graph hands over a function of layers' outputs whose value has the axes of the
graph, and samples: outputs together with what the whole graph made of them. Which axis is that of
sequences, and whether sequences are apart, is found out by trying.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.layers.later_result import LaterResult
from rnnscope.model.ops import EvaluationError
from rnnscope.model.signal import Signal

SignalFunction = Callable[[tuple[Signal, ...]], Array]
"""``function(signals) -> value``; it raises `EvaluationError` where it cannot take them."""

LIMITS = {"f4": 1e-5, "f8": 1e-11}
"""By dtype: how far rounding takes a value apart, relative to the largest (at least 1)."""

MISFITS = (ValueError, IndexError, TypeError, KeyError, ArithmeticError, AttributeError,
           AssertionError, MemoryError)  # fmt: skip
"""What numpy and operations raise where a graph hands them what does not fit."""

TRIED_COUNTS = (2, 5)
"""Numbers of sequences that are computed together and one by one."""

AXES_OF_RESULTS = (2, 3)
"""(sequence, width) and (sequence, timestep, width)."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Outputs of layers, and what the graph makes of them when it computes these, too.

    Attributes
    ----------
    signals : tuple of Signal
        (sequence, timestep, width) each.
    value : ndarray
        As the graph has it.
    """

    signals: tuple[Signal, ...]
    value: Array

    @property
    def sequences(self) -> int:
        return len(self.signals[0].values)

    @property
    def timesteps(self) -> int:
        return int(self.signals[0].values.shape[1])


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
            made.append(self._together(_taken(signals, rows))[: count - at])
        return np.concatenate(made)

    def _together(self, signals: tuple[Signal, ...]) -> Array:
        sequences, timesteps = signals[0].values.shape[:2]
        try:
            value = np.asarray(self.function(signals))
            return self.layout.laid(value, sequences, timesteps)
        except MISFITS as error:
            raise EvaluationError(str(error) or type(error).__name__) from error


def later_result(
    name: str,
    kind: str,
    function: SignalFunction,
    samples: Sequence[Sample],
    known: Sequence[Array] = (),
) -> LaterResult:
    """A result behind layers, as a layer.

    Parameters
    ----------
    name, kind : str
        As of `LaterResult`.
    function : SignalFunction
        Its value has the axes of the graph.
    samples : sequence of Sample
        The first is what the layout is found with; the result agrees with all.
    known : sequence of ndarray (sequence, …)
        Of the first sample: results that are known, of which no other is wanted.

    Raises
    ------
    EvaluationError
        It is no result of sequences that are apart, or not that of the graph, or it is known.
    """
    made = _by_rows(function, samples[0])
    for sample in samples:
        laid = made.layout.laid(sample.value, sample.sequences, sample.timesteps)
        if not agree(made(sample.signals), _like(made, laid, sample)):
            raise EvaluationError("it is not what the graph computes")
    rows = made(samples[0].signals)
    flat = rows.reshape(len(rows), -1)
    if any(agree(flat, one.reshape(len(one), -1)) for one in known):
        raise EvaluationError("it is known")
    return LaterResult(name, made, kind, of_each_step=_is_of_each_step(made, samples[0]))


def _like(made: ByRows, laid: Array, sample: Sample) -> Array:
    """What the graph made of a sample, in the shape of the result."""
    if made.streams:
        laid = laid.reshape(sample.sequences, 1, -1)
    return laid[:, None] if laid.ndim == 1 else laid


def _by_rows(function: SignalFunction, sample: Sample) -> ByRows:
    """The function with the first layout in which sequences are apart, as many at once as can be.

    Raises
    ------
    EvaluationError
        There is none.
    """
    failure = EvaluationError("it is no array of floats")
    if sample.value.dtype.kind != "f" or not sample.value.ndim:
        raise failure
    streams = sample.timesteps == 1
    for group in dict.fromkeys((None, 1, sample.sequences)):
        for layout in _layouts(sample):
            made = ByRows(function, layout, group, streams)
            try:
                laid = layout.laid(sample.value, sample.sequences, sample.timesteps)
                if not agree(made(sample.signals), _like(made, laid, sample)):
                    failure = EvaluationError("it is not what the graph computes")
                    continue
                _require_apart(made, sample)
            except EvaluationError as error:
                failure = error
                continue
            return made
    raise failure


def _layouts(sample: Sample) -> Iterator[Layout]:
    shape, sequences = sample.value.shape, sample.sequences
    yield from (Layout(axis) for axis, size in enumerate(shape) if size == sequences)
    if shape[0] == sequences * sample.timesteps:
        yield Layout(0, "sequences")
        yield Layout(0, "timesteps")
    if sequences == 1:
        yield Layout(None)


def _require_apart(made: ByRows, sample: Sample) -> None:
    """Refuse a result that a sequence beside another changes, or that no sequence changes.

    Raises
    ------
    EvaluationError
    """
    rng = np.random.default_rng(0)
    for count in TRIED_COUNTS:
        signals = tuple(_random_like(signal, count, rng) for signal in sample.signals)
        together = made(signals)
        alone = [made(_taken(signals, np.array([row]))) for row in range(count)]
        if not agree(together, np.concatenate(alone)):
            raise EvaluationError("its sequences depend on each other")
        if agree(together[:1], together[1:2]):
            raise EvaluationError("it does not depend on the layers")


def _is_of_each_step(made: ByRows, sample: Sample) -> bool:
    """Whether the first steps alone make the first steps of the result."""
    if made.streams:
        return True
    rows, timesteps = made(sample.signals), sample.timesteps
    if rows.ndim != 3 or rows.shape[1] != timesteps:
        return False
    for steps in {1, timesteps - 1}:
        first = tuple(_first_steps(signal, steps) for signal in sample.signals)
        try:
            if not agree(made(first), rows[:, :steps]):
                return False
        except EvaluationError:
            return False
    return True


def agree(ours: Array, theirs: Array) -> bool:
    """Whether two values differ by rounding alone; never where one is not finite."""
    if ours.shape != theirs.shape or not np.isfinite(theirs).all():
        return False
    limit = max(LIMITS.get(one.dtype.str[1:], LIMITS["f4"]) for one in (ours, theirs))
    size = max(1.0, float(np.abs(theirs).max(initial=0)))
    worst = float(np.abs(np.asarray(ours, np.float64) - theirs).max(initial=0))
    return worst <= limit * size


def _taken(signals: tuple[Signal, ...], rows: Array) -> tuple[Signal, ...]:
    return tuple(
        Signal(signal.values[rows], None if signal.mask is None else signal.mask[rows])
        for signal in signals
    )


def _first_steps(signal: Signal, steps: int) -> Signal:
    return Signal(signal.values[:, :steps], None if signal.mask is None else signal.mask[:, :steps])


def _step_by_step(signal: Signal) -> Signal:
    """Every timestep as a sequence of its own."""
    values = signal.values
    return Signal(values.reshape(-1, 1, *values.shape[2:]))


def _random_like(signal: Signal, count: int, rng: np.random.Generator) -> Signal:
    timesteps = signal.values.shape[1]
    values = rng.uniform(-1, 1, (count, *signal.values.shape[1:])).astype(signal.values.dtype)
    if signal.mask is None:
        return Signal(values)
    lengths = rng.integers(1, timesteps + 1, count)
    return replace(Signal(values), mask=np.arange(timesteps) < lengths[:, None])
