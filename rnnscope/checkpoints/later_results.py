"""Results that a stored graph makes of its layers' outputs, proved before they are used.

Whoever evaluates a graph hands over a function of layers' outputs whose value has the axes of the
graph, and samples: outputs together with what the whole graph made of them. Which axis is that of
sequences, and whether sequences are apart, is found out by trying.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from rnnscope.checkpoints.later_rows import ByRows, Layout, SignalFunction, rows_of
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.layers.later_result import LaterResult
from rnnscope.model.ops import EvaluationError
from rnnscope.model.signal import Signal

LIMITS = {"f4": 1e-5, "f8": 1e-11}
"""By dtype: how far rounding takes a value apart, relative to the largest (at least 1)."""

TRIED_COUNTS = (2, 5)
"""Numbers of sequences that are computed together and one by one."""


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
        alone = [made(rows_of(signals, np.array([row]))) for row in range(count)]
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


def _first_steps(signal: Signal, steps: int) -> Signal:
    return Signal(signal.values[:, :steps], None if signal.mask is None else signal.mask[:, :steps])


def _random_like(signal: Signal, count: int, rng: np.random.Generator) -> Signal:
    timesteps = signal.values.shape[1]
    values = rng.uniform(-1, 1, (count, *signal.values.shape[1:])).astype(signal.values.dtype)
    if signal.mask is None:
        return Signal(values)
    lengths = rng.integers(1, timesteps + 1, count)
    return replace(Signal(values), mask=np.arange(timesteps) < lengths[:, None])
