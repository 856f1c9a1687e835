"""Which known fault of a streamer gives the outputs at hand, and how often it happens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from rnnscope.checks.streamed import StreamFault
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.network import Node
from rnnscope.streaming.fault import Fault
from rnnscope.streaming.faults import faults_of
from rnnscope.streaming.results import Results, results_of
from rnnscope.streaming.streamed_model import RIGHT, StreamedModel
from rnnscope.streaming.targets import Apart, Target, Targets, apart_from
from rnnscope.wording import plural

NEAR = 3
"""A fault at a step may be too small to be seen there: it is looked for so many steps before."""

EVERY_LENGTH_TO = 64
USUAL_LENGTHS = (80, 96, 100, 128, 160, 192, 200, 240, 256, 320, 384, 400, 480, 500, 512, 640, 768,
                 800, 960, 1000, 1024, 1600, 2048, 4096)  # fmt: skip
"""Lengths of chunks that are tried where the outputs do not tell where the first one ends."""

MORE = 8
"""Steps that are looked at beyond those at which a fault should show."""

MOST_PLACES = 200
"""Places of an irregular fault that are followed."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A streamer that was simulated.

    Attributes
    ----------
    fault : Fault
    starts : tuple of int
        The first timesteps of its chunks but the first.
    period : int or None
        None: irregular, or none at all.
    apart : Apart
    """

    fault: Fault
    starts: tuple[int, ...]
    period: int | None
    apart: Apart


@dataclass(eq=False)
class FaultSearch:
    """Simulates streamers until their outputs part from those at hand.

    Parameters
    ----------
    model : StreamedModel
    plain : sequence of Node
    targets : Targets
    chunks : sequence of int
        Lengths that the user names.
    limit : float
        What counts as rounding.

    Attributes
    ----------
    tried : int
    nearest : Fit or None
        What agreed for the longest.
    """

    model: StreamedModel
    plain: Sequence[Node]
    targets: Targets
    chunks: Sequence[int]
    limit: float
    tried: int = 0
    nearest: Fit | None = None

    def whole(self) -> Apart:
        """How the whole sequence, fed at once, differs."""
        return self._apart(RIGHT, (), None)

    def run(self, right: Apart) -> list[Fit]:
        """Every fault that gives the outputs, the plainest first.

        Parameters
        ----------
        right : Apart
            Where a right streamer parts from the outputs.
        """
        assert right.first_step is not None
        found: list[Fit] = []
        for fault in faults_of(self.model.facts):
            fit = self._fit(fault, right.first_step)
            if fit is not None:
                found.append(fit)
        if found:
            return found
        periodic = [fault for fault in faults_of(self.model.facts) if fault.periodic]
        followed = [self._followed(fault, right.first_step) for fault in periodic]
        return [fit for fit in followed if fit is not None]

    def _fit(self, fault: Fault, parts_at: int) -> Fit | None:
        """The first length of chunks with which a fault gives the outputs."""
        if not fault.periodic:
            return self._tried(fault, (), None, parts_at)
        for period in self._periods(fault, parts_at):
            starts = tuple(range(period, self.model.timesteps, period))
            fit = self._tried(fault, starts, period, parts_at) if starts else None
            if fit is not None:
                return fit
        return None

    def _periods(self, fault: Fault, parts_at: int) -> Iterator[int]:
        """Lengths of chunks to try: as given, then such that the first one ends where they part."""
        near = range(parts_at, max(parts_at - NEAR, 0), -1)
        wanted: Iterable[int] = [*self.chunks, *near]
        if fault.any_length:
            wanted = [*wanted, *range(1, EVERY_LENGTH_TO + 1), *USUAL_LENGTHS]
        yield from dict.fromkeys(one for one in wanted if 0 < one < self.model.timesteps)

    def _tried(
        self, fault: Fault, starts: tuple[int, ...], period: int | None, parts_at: int
    ) -> Fit | None:
        """A fit, if the outputs are those of this streamer; the beginning is looked at first."""
        # What a sequence leaves to the next is known at its end alone.
        early = () if fault.kept else (2 * (period or 0), max(parts_at + 1, 2 * (period or 0)))
        for window in early:
            if window + MORE < self.model.timesteps // 2:
                apart = self._apart(fault, starts, window + MORE)
                if not apart.fits:
                    self._note(Fit(fault, starts, period, apart))
                    return None
        fit = Fit(fault, starts, period, self._apart(fault, starts, None))
        if not fit.apart.fits:
            self._note(fit)
            return None
        return fit

    def _followed(self, fault: Fault, parts_at: int) -> Fit | None:
        """A fault at irregular steps: each next place is where the outputs part again."""
        places: list[int] = []
        apart = Apart(parts_at, 0, np.inf)
        while apart.first_step is not None:
            step = apart.first_step
            if not 0 < step < self.model.timesteps or (places and step <= places[-1]):
                return None
            places.append(step)
            if len(places) > MOST_PLACES:
                return None
            apart = self._apart(fault, tuple(places), None)
        gaps = {*np.diff(places).tolist()}
        period = int(next(iter(gaps))) if len(gaps) == 1 and len(places) > 2 else None
        return Fit(fault, tuple(places), period, apart)

    def _apart(self, fault: Fault, starts: tuple[int, ...], window: int | None) -> Apart:
        self.tried += 1
        model, targets = self.model, self.targets.all
        if window is not None:
            rows = slice(0, model.facts.sequences)
            model = model.some(rows, window)
            targets = tuple(one.some(rows, window) for one in targets if one.over_time)
        made = results_of(model, self.plain, model.stream(starts, fault), self.targets.places)
        if fault.lag:
            made = _lagging(made, fault.lag)
            targets = tuple(_without_start(one, fault.lag) for one in targets)
        return apart_from(targets, made, _mask(model, fault.lag), self.limit, model.timesteps)

    def _note(self, fit: Fit) -> None:
        if self.nearest is None or _reached(fit) > _reached(self.nearest):
            self.nearest = fit


def _reached(fit: Fit) -> int:
    assert fit.apart.first_step is not None
    return fit.apart.first_step


def _mask(model: StreamedModel, lag: int) -> Array | None:
    mask = next((one.mask for one in model.read.values()), None)
    return mask if mask is None or not lag else mask[:, lag:]


def _lagging(results: Results, lag: int) -> dict[tuple[str, str], Array]:
    """Results as far as they have come out when the last step was fed."""
    return {place: array[:, :-lag] if array.ndim == 3 else array
            for place, array in results.items()}  # fmt: skip


def _without_start(target: Target, lag: int) -> Target:
    """A target from the first output that belongs to a step."""
    if not target.over_time:
        return target
    return Target(target.place, target.values[:, lag:], target.scale, target.source)


def told(fit: Fit, chunks: Sequence[int]) -> StreamFault:
    """A fit in words."""
    every = _every(fit, chunks)
    words = fit.fault.words.format(every=every)
    if fit.fault.id == "never-carried" and fit.period is not None and fit.period in chunks:
        words = f"the state is never carried from one chunk of {fit.period} to the next"
    elif fit.fault.id == "never-carried":
        words = f"the state is reset{every}"
    return StreamFault(
        id=fit.fault.id,
        words=words,
        period=fit.period,
        steps=fit.starts[:8],
        error=fit.apart.largest,
        advice=fit.fault.advice,
    )


def _every(fit: Fit, chunks: Sequence[int]) -> str:
    """Where in time a fault happens."""
    if not fit.starts:
        return ""
    if fit.period is None:
        shown = ", ".join(map(str, fit.starts[:6]))
        more = f" and {len(fit.starts) - 6} others" if len(fit.starts) > 6 else ""
        return f" at {'timestep' if len(fit.starts) == 1 else 'timesteps'} {shown}{more}"
    words = f" every {plural(fit.period, 'step')}"
    if fit.starts[0] != fit.period:
        words += f", first at timestep {fit.starts[0]}"
    of = [chunk for chunk in chunks if fit.period % chunk == 0 and chunk < fit.period]
    if of:
        words += f" ({plural(fit.period // of[0], 'chunk')} of {of[0]})"
    return words
