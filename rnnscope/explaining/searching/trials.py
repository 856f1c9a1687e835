"""Readings that are computed and held to every view of a reference, while there is time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import field, replace
from functools import cached_property

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.explaining.compared.comparison import Comparison, PreparedViews
from rnnscope.explaining.compared.subject import Subject
from rnnscope.explaining.compared.tolerance import tolerance_of
from rnnscope.explaining.computing.grouping import groups
from rnnscope.explaining.computing.setup import Setup
from rnnscope.explaining.computing.simulated import prepared
from rnnscope.explaining.computing.simulation import simulate
from rnnscope.explaining.readings.deviations import Deviation, Reading, View
from rnnscope.explaining.searching.combining import reading_of

WORK_AT_ONCE = 2_000_000
"""Cell-steps (sequence x timestep x unit) between two looks at the clock."""

LOOK_SEQUENCES = 8
"""A look takes the first sequences: two, and more until a short and a long one are among them."""


class OutOfTimeError(Exception):
    """The budget is spent."""


@dataclass
class Trials:
    """What became of the readings that were tried.

    Attributes
    ----------
    subject : Subject
    views : list of View
        Every way to read the reference; those with deviations behind those without.
    tolerance : float
        In units of the largest value of each array.
    deadline : float
        Of `time.monotonic`.
    most : int
        Deviations that a reading and a view may have together.
    rounded : bool
        Whether the reference's values are of half precision.
    tried : int
        Readings that were computed.
    found : list of Reading
        Those that fit, with view and error.
    partial : dict of int to list of Reading
        By number of deviations: those that agreed with a view for their first steps.
    """

    subject: Subject
    views: list[View]
    tolerance: float
    deadline: float
    most: int
    rounded: bool = False
    tried: int = 0
    found: list[Reading] = field(default_factory=list)
    partial: dict[int, list[Reading]] = field(default_factory=dict)
    _prepared_views: PreparedViews = field(default_factory=PreparedViews)

    @cached_property
    def _ids_of_views(self) -> list[set[str]]:
        return [{one.id for one in view.deviations} for view in self.views]

    @cached_property
    def _looked_at(self) -> set[str]:
        return set[str]().union(*self._ids_of_views)

    def look_setup(self) -> Setup:
        """The setup of the few sequences that are computed first."""
        setup = self.subject.setup
        count = min(setup.sequences, 2)
        lengths = setup.lengths
        if lengths is not None:
            for rows in range(count, min(setup.sequences, LOOK_SEQUENCES) + 1):
                count = rows
                part = lengths[:rows]
                if part.min() < setup.timesteps and part.max() == setup.timesteps:
                    break
        return setup.rows(np.arange(count))

    def check_time(self) -> None:
        """Go on while there is time.

        Raises
        ------
        OutOfTimeError
        """
        if time.monotonic() > self.deadline:
            raise OutOfTimeError

    def try_all(self, readings: Sequence[Reading], size: int) -> None:
        """Find the readings of the look that fit the whole as well, with view and error.

        Raises
        ------
        OutOfTimeError
            What was found before is kept.
        """
        portion = self._portion()
        for start in range(0, len(readings), portion):
            part = readings[start : start + portion]
            fitting, partial = self._compare(part)
            self.tried += len(part)
            self.partial[size] += partial
            if part[0].setup.sequences < self.subject.setup.sequences:
                whole = [self.whole(reading.deviations) for reading, _, _ in fitting]
                distinct = {id(one): one for one in whole if one is not None}
                fitting, _ = self._compare(list(distinct.values()))
            self.found += [
                replace(reading, view=self.views[view], error=error)
                for reading, view, error in fitting
            ]

    def _portion(self) -> int:
        """Readings that are tried before the clock is looked at: few of a model that takes long."""
        look = self.look_setup()
        units = sum(one.cell.num_units for one in look.layers.values())
        work = units * look.timesteps * look.sequences
        return int(np.clip(WORK_AT_ONCE // max(work, 1), 4, 1024))

    def _compare(
        self, readings: Sequence[Reading]
    ) -> tuple[list[tuple[Reading, int, float]], list[Reading]]:
        """The readings that agree with a view, with view and error; and those that do at first."""
        found, partial = [], []
        setups = [prepared(reading.setup) for reading in readings]
        for members in groups(setups):
            self.check_time()
            sizes = np.array([len(readings[at].deviations) for at in members])
            tolerances = np.array(
                [tolerance_of(readings[at], self.tolerance, rounded=self.rounded) for at in members]
            )
            first = readings[members[0]].setup
            comparison = Comparison(
                self.views,
                sizes,
                self.most,
                np.broadcast_to(tolerances[:, None], (len(members), len(self.views))).copy(),
                first.sequences,
                transposed=first.transposed,
                prepared_views=self._prepared_views,
                whole=first.sequences == self.subject.setup.sequences,
            )
            # One confusion at a time of each kind: two that undo each other would only hide steps.
            for place, at in enumerate(members):
                ids = {one.id for one in readings[at].deviations}
                if ids & self._looked_at:
                    comparison.alive[place] &= [not ids & of for of in self._ids_of_views]
            kept = simulate([setups[at] for at in members], comparison)
            for place, at in enumerate(kept):
                for view in np.flatnonzero(comparison.alive[place]):
                    error = float(comparison.errors[place, view])
                    found.append((readings[members[at]], int(view), error))
            given_up = np.setdiff1d(np.flatnonzero(comparison.reached), kept)
            partial += [replace(readings[members[at]], reached=int(comparison.reached[at]))
                        for at in given_up]  # fmt: skip
        return found, partial

    def whole(self, deviations: Sequence[Deviation]) -> Reading | None:
        """A reading over all sequences."""
        return reading_of(deviations, self.subject.setup)
