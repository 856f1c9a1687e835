"""The search: readings with few deviations before those with more, a short look before the whole.

A reading is a set of deviations. Those that compute something else are applied to the setup of a
few sequences, all that can be are computed at once, and each is given up at the step where it
leaves every view of the reference; what is left is computed over all sequences. Once readings with
some number of deviations fit, none with more is looked for: a confusion is not explained by two
where one does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field, replace
from functools import cached_property

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.explaining.combining import Portion, combined, grown, reading_of, readings_of_size
from rnnscope.explaining.comparison import Comparison, PreparedViews
from rnnscope.explaining.confusions import CONFUSIONS, Facts
from rnnscope.explaining.deviations import Deviation, Reading, Unknown, View
from rnnscope.explaining.grouping import groups
from rnnscope.explaining.reference import Reference
from rnnscope.explaining.setup import Setup
from rnnscope.explaining.simulated import beginnings_of, prepared, results_of
from rnnscope.explaining.simulation import simulate
from rnnscope.explaining.solving import affects_first_step, solve
from rnnscope.explaining.subject import Subject
from rnnscope.explaining.tolerance import rounding, tolerance_of
from rnnscope.explaining.view_variants import plain_views, with_looks

MOST_DEVIATIONS = 3
MOST_COMBINED = 2
"""Deviations beside which unknowns are solved for."""

OFTEN_TOGETHER = frozenset(
    {"gate-order", "kernel-rows", "transposed", "bias", "peepholes", "directions", "layer-order",
     "forget-bias", "activation", "recurrent-activation", "reset-after", "update-gate"}
)  # fmt: skip
"""What a port gets wrong at once, in its reading of the weights: triples of these come first."""

SOLVED_AT_ONCE = 64

WORK_AT_ONCE = 2_000_000
"""Cell-steps (sequence x timestep x unit) between two looks at the clock."""

MOST_PROMISING = 12
"""Readings that are looked at again where none fits."""

LOOK_SEQUENCES = 8
"""A look takes the first sequences: two, and more until a short and a long one are among them."""

Progress = Callable[[str, float], None]


class OutOfTimeError(Exception):
    """The budget is spent."""


@dataclass
class Search:
    """A search for the readings that a reference fits.

    Attributes
    ----------
    subject : Subject
    views : list of View
        Every way to read the reference; those with deviations behind those without.
    tolerance : float
        In units of the largest value of each array.
    deadline : float
        Of `time.monotonic`.
    tried : int
        Readings that were computed.
    rounded : bool
        Whether the reference's values are of half precision.
    finished : bool
        False where the budget ended before all readings were tried.
    cut_short : bool
        Not every number was solved for beside every deviation, for want of time.
    """

    subject: Subject
    views: list[View]
    tolerance: float
    deadline: float
    progress: Progress | None = None
    most: int = MOST_DEVIATIONS
    rounded: bool = False
    tried: int = 0
    finished: bool = True
    cut_short: bool = False
    fixed: list[Deviation] = field(default_factory=list)
    lone: list[Deviation] = field(default_factory=list)
    unknowns: list[Unknown] = field(default_factory=list)
    found: list[Reading] = field(default_factory=list)
    _partial: dict[int, list[Reading]] = field(default_factory=dict)
    _late: set[int] = field(default_factory=set)
    _prepared_views: PreparedViews = field(default_factory=PreparedViews)

    @cached_property
    def _ids_of_views(self) -> list[set[str]]:
        return [{one.id for one in view.deviations} for view in self.views]

    @cached_property
    def _looked_at(self) -> set[str]:
        return set[str]().union(*self._ids_of_views)

    @classmethod
    def of(
        cls,
        subject: Subject,
        reference: Reference,
        *,
        budget: float,
        progress: Progress | None = None,
        tolerance: float | None = None,
        most: int = MOST_DEVIATIONS,
    ) -> Search:
        """A search over every deviation that means something here.

        Raises
        ------
        InputError
            The reference fits no result of the model.
        """
        plain = plain_views(reference, subject)
        facts = Facts(subject, plain)
        fixed: list[Deviation] = []
        unknowns: list[Unknown] = []
        looks: list[Deviation] = []
        for confusion in CONFUSIONS:
            for deviation in confusion.deviations(facts):
                if isinstance(deviation, Unknown):
                    unknowns.append(deviation)
                elif deviation.look is not None:
                    looks.append(deviation)
                else:
                    fixed.append(deviation)
        if tolerance is None:
            tolerance = rounding(subject, reference)
        lone = [one for one in fixed if one.alone]
        fixed = sorted((one for one in fixed if not one.alone), key=lambda one: not one.usual)
        return cls(
            subject=subject,
            views=with_looks(plain, looks),
            tolerance=tolerance,
            deadline=time.monotonic() + budget,
            progress=progress,
            most=most,
            fixed=fixed,
            lone=lone,
            unknowns=unknowns,
            rounded=reference.rounded in ("float16", "bfloat16"),
        )

    def run(self) -> list[Reading]:
        """The readings that fit with the fewest deviations, best first; none if none does."""
        found = self.found
        look = self.look_setup()
        try:
            for size in range(self.most + 1):
                self._say(size, 0.0)
                self._partial[size] = []
                for batch in self._batches(size, look):
                    if size == MOST_DEVIATIONS and not batch and self._at(found, size):
                        break  # what grew from pairs fits; more would be another such triple
                    self._fitting(batch, size)
                if size and (size == 1 or not self._at(found, size)):
                    self._solved(size, look)
                if size == 1:
                    self._late = self._find_late(look)
                if self._at(found, size):
                    return self._ranked(self._at(found, size))
        except OutOfTimeError:
            self.finished = False
        best = min((len(one.every) for one in found), default=0)
        return self._ranked([one for one in found if len(one.every) == best])

    def promising(self) -> list[Reading]:
        """The plain reading, and those that agreed with the reference for most steps."""
        partial = [one for size in (1, 2) for one in self._partial.get(size, ())]
        partial.sort(key=lambda one: -one.reached)
        chosen = [(), *(one.deviations for one in partial[:MOST_PROMISING])]
        found = [self.whole(deviations) for deviations in chosen]
        return [one for one in found if one is not None]

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

    def _say(self, size: int, part: float) -> None:
        if self.progress is not None:
            words = ("as rnnscope reads it", "one deviation", "two deviations", "three deviations")
            self.progress(words[min(size, 3)], part)

    def _at(self, found: Iterable[Reading], size: int) -> list[Reading]:
        return [one for one in found if len(one.every) == size]

    def _batches(self, size: int, look: Setup) -> Iterator[list[Reading]]:
        """Readings with that many deviations of computing, in portions, the likely ones first.

        An empty portion stands where what follows is less likely.
        """
        if size == 0:
            yield [Reading((), look)]
        elif size == 1:
            yield from self._timed(size, combined(size, look, (*self.fixed, *self.lone)))
        elif size < MOST_DEVIATIONS:
            yield from self._timed(size, combined(size, look, self.fixed))
        else:
            yield from self._timed(size, grown(self._partial.get(2, ()), look, self.fixed))
            yield []
            early = self._early()
            usual = [one for one in early if one.usual]
            often = [one for one in usual if one.id in OFTEN_TOGETHER]
            for among in (often, usual, early):
                yield from self._timed(size, combined(size, look, among))
                yield []

    def _timed(self, size: int, portions: Iterable[Portion]) -> Iterator[list[Reading]]:
        """Portions, as long as there is time for them."""
        for readings, part in portions:
            self._check_time()
            self._say(size, part)
            yield readings

    def _early(self) -> list[Deviation]:
        """The deviations that change the first step; all where nothing tells."""
        late = self._late
        return [one for one in self.fixed if id(one) not in late]

    def _find_late(self, look: Setup) -> set[int]:
        """The deviations that leave the first step of the first sequence as it is."""
        one = look.rows(np.arange(1))
        cut = one.first_steps(1)
        begun = cut is None  # a backward layer begins at the end
        if cut is None:
            cut = one
        plain = beginnings_of(cut, 1) if begun else results_of(cut)
        late = set()
        for deviation in self.fixed:
            assert deviation.change is not None
            other = deviation.change(cut)
            if other is None or (other.first_steps(1) is None) != begun:
                continue
            made = beginnings_of(other, 1) if begun else results_of(other)
            if made.keys() == plain.keys() and all(
                np.array_equal(made[node][key], array)
                for node, results in plain.items()
                for key, array in results.items()
                if key in made[node]
            ):
                late.add(id(deviation))
        return late

    def _check_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise OutOfTimeError

    def _fitting(self, readings: Sequence[Reading], size: int) -> None:
        """Find the readings of the look that fit the whole as well, with view and error."""
        portion = self._portion()
        for start in range(0, len(readings), portion):
            part = readings[start : start + portion]
            fitting, partial = self._compare(part)
            self.tried += len(part)
            self._partial[size] += partial
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
            self._check_time()
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

    def _solved(self, size: int, look: Setup) -> None:
        """Find readings with an unknown among their deviations, solved for.

        Pairs of them take a third of the time that is left at most: triples come after them.
        """
        now = time.monotonic()
        until = self.deadline if size == 1 else now + (self.deadline - now) / 3
        for unknown in self.unknowns:
            if size > 1 and len(unknown.starts[0]) > 1:
                continue
            for view in self.views:
                others = size - 1 - len(view.deviations)
                if others < 0 or others > MOST_COMBINED:
                    continue
                early = affects_first_step(look, unknown, view)
                if early is not False and others and view.deviations:
                    continue
                bases = self._bases(unknown, others, look, early=early)
                for part in _alike(bases):
                    if time.monotonic() > until:
                        self.cut_short = True
                        return
                    solved = solve(
                        [one.setup for one in part], unknown, view, self.tolerance,
                        self._check_time,
                    )  # fmt: skip
                    readings = [
                        part[at].and_also(unknown.at(numbers)) for at, numbers in solved.items()
                    ]
                    self._fitting([one for one in readings if one is not None], size)

    def _bases(
        self, unknown: Unknown, others: int, look: Setup, *, early: bool | None
    ) -> list[Reading]:
        """The readings that an unknown may make fit."""
        if others == 0:
            return [Reading((), look)]
        if early is False:
            # What it does not change must be right already.
            return [one for one in self._partial.get(others, ())
                    if unknown.id not in {d.id for d in one.deviations}]  # fmt: skip
        among = [one for one in self.fixed if one.id != unknown.id and one.usual]
        return list(readings_of_size(others, look, among)) if others == 1 else []

    def _ranked(self, found: Iterable[Reading]) -> list[Reading]:
        """Best first; of readings that say the same, one; none far behind the best."""
        best: dict[object, Reading] = {}
        for reading in sorted(found, key=lambda one: one.error):
            best.setdefault(reading.key, reading)
        readings = list(best.values())
        if not readings:
            return []
        limit = max(readings[0].error * 1000, 1e-12, self.tolerance / 100)
        readings = [one for one in readings if one.error <= limit]
        # Numbers that were solved for come near whatever there is: what has fewer of them stands.
        fewest: dict[frozenset[str], int] = {}
        for one in readings:
            ids = frozenset(deviation.id for deviation in one.every)
            fewest[ids] = min(fewest.get(ids, one.numbers), one.numbers)
        return [
            one
            for one in readings
            if one.numbers == fewest[frozenset(deviation.id for deviation in one.every)]
        ]


def _alike(bases: Sequence[Reading]) -> Iterator[list[Reading]]:
    """Readings whose numbers can be solved for side by side: they give as many values."""
    found: dict[object, list[Reading]] = {}
    for base in bases:
        setup = base.setup
        cut = setup.first_steps(1) is None
        key = (setup.transposed, setup.sequences, setup.timesteps, cut)
        found.setdefault(key, []).append(base)
    for members in found.values():
        for start in range(0, len(members), SOLVED_AT_ONCE):
            yield members[start : start + SOLVED_AT_ONCE]
