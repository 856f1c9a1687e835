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
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from rnnscope.explaining.comparison import Comparison, PreparedViews
from rnnscope.explaining.confusions import CONFUSIONS, Facts
from rnnscope.explaining.deviations import Deviation, Reading, Unknown, View
from rnnscope.explaining.reference import Reference, views_of
from rnnscope.explaining.setup import Setup
from rnnscope.explaining.simulation import groups, prepared, results_of, simulate
from rnnscope.explaining.solving import affects_first_step, solve
from rnnscope.explaining.subject import Subject
from rnnscope.model.layers import BidirectionalMerge

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

SINGLE, DOUBLE = 1e-5, 1e-10
"""How far a reading may be from a reference of float32 or float64, in units of the largest value.

Another order of the same sums leaves differences of some 1e-7 and 1e-15; a real confusion, hardly
any below 1e-4."""

ROUNDED_STATES = 4.0
"""Half units in the last place that states rounded at every step may be apart, of the largest."""

APPLIED = {id_: place for place, id_ in enumerate(dict.fromkeys(one.id for one in CONFUSIONS))}

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
    ) -> Search:
        """A search over every deviation that means something here.

        Raises
        ------
        InputError
            The reference fits no result of the model.
        """
        plain = views_of(reference, subject.shapes(), subject.recurrent)
        plain = [_split_joins(view, subject) for view in plain]
        plain = [_named(_without_zero_tails(view, subject)) for view in plain]
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
        fixed.sort(key=lambda one: not one.usual)
        return cls(
            subject=subject,
            views=_with_looks(plain, looks),
            tolerance=tolerance,
            deadline=time.monotonic() + budget,
            progress=progress,
            fixed=fixed,
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
        """Readings with that many deviations of computing, in portions, the likely ones first."""
        if size == 0:
            yield [Reading((), look)]
            return
        if size == 3:
            yield from self._grown(look)
            yield []
            early = self._early()
            usual = [one for one in early if one.usual]
            often = [one for one in usual if one.id in OFTEN_TOGETHER]
            yield from self._combined(3, look, often)
            yield []
            yield from self._combined(3, look, usual)
            yield []
            yield from self._combined(3, look, early)
            return
        yield from self._combined(size, look, self.fixed)

    def _early(self) -> list[Deviation]:
        """The deviations that change the first step; all where nothing tells."""
        late = self._late
        return [one for one in self.fixed if id(one) not in late]

    def _find_late(self, look: Setup) -> set[int]:
        """The deviations that leave the first step of the first sequence as it is."""
        cut = look.rows(np.arange(1)).first_steps(1)
        if cut is None:
            return set()
        plain = results_of(cut)
        late = set()
        for deviation in self.fixed:
            assert deviation.change is not None
            other = deviation.change(cut)
            if other is None or other.first_steps(1) is None:
                continue
            made = results_of(other)
            if made.keys() == plain.keys() and all(
                np.array_equal(made[node][key], array)
                for node, results in plain.items()
                for key, array in results.items()
                if key in made[node]
            ):
                late.add(id(deviation))
        return late

    def _grown(self, look: Setup) -> Iterator[list[Reading]]:
        """Pairs that agree with the first steps, with one deviation more, the farthest first."""
        pairs = sorted(self._partial.get(2, ()), key=lambda one: -one.reached)
        seen: set[frozenset[int]] = set()
        batch: list[Reading] = []
        for done, pair in enumerate(pairs):
            own = frozenset(map(id, pair.deviations))
            ids = {one.id for one in pair.deviations}
            for deviation in self.fixed:
                key = own | {id(deviation)}
                if deviation.id in ids or key in seen:
                    continue
                seen.add(key)
                reading = self._prefix(self._in_order((*pair.deviations, deviation)), look)
                if reading is not None:
                    batch.append(reading)
            if len(batch) >= 512:
                self._check_time()
                self._say(3, done / len(pairs))
                yield batch
                batch = []
        yield batch

    def _combined(
        self, size: int, look: Setup, among: Sequence[Deviation]
    ) -> Iterator[list[Reading]]:
        total = max(_choices(len(among), size), 1)
        places = {id(one): place for place, one in enumerate(among)}
        seen, batch = 0, []
        for prefix in self._prefixes(size - 1, look, among):
            first = prefix.deviations
            start = 1 + max((places[id(one)] for one in first), default=-1)
            ids = {one.id for one in first}
            for deviation in among[start:]:
                seen += 1
                if deviation.id in ids:
                    continue
                last = max((APPLIED[id_] for id_ in ids), default=-1)
                if APPLIED[deviation.id] >= last:
                    reading = prefix.and_also(deviation)
                else:
                    reading = self._prefix(self._in_order((*first, deviation)), look)
                if reading is not None:
                    batch.append(reading)
            if len(batch) >= 512:
                self._check_time()
                self._say(size, seen / total)
                yield batch
                batch = []
        yield batch

    def _prefixes(self, size: int, look: Setup, among: Sequence[Deviation]) -> Iterator[Reading]:
        """Readings of some deviations of different ids."""
        for chosen in combinations(among, size):
            if len({one.id for one in chosen}) < size:
                continue
            reading = self._prefix(self._in_order(chosen), look)
            if reading is not None:
                yield reading

    def _in_order(self, chosen: Iterable[Deviation]) -> list[Deviation]:
        """Deviations in the order in which they are applied."""
        return sorted(chosen, key=lambda one: APPLIED[one.id])

    def _prefix(self, chosen: Iterable[Deviation], look: Setup) -> Reading | None:
        """The reading of some deviations, applied one after the other."""
        reading: Reading | None = Reading((), look)
        for deviation in chosen:
            reading = None if reading is None else reading.and_also(deviation)
        return reading

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
                [_tolerance(readings[at], self.tolerance, rounded=self.rounded) for at in members]
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
        reading: Reading | None = Reading((), self.subject.setup)
        for deviation in self._in_order(deviations):
            reading = None if reading is None else reading.and_also(deviation)
        return reading

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
        return list(self._prefixes(others, look, among)) if others == 1 else []

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


def _tolerance(reading: Reading, tolerance: float, *, rounded: bool) -> float:
    """States that are rounded at every step may round another way where sums differ a little."""
    if any(one.rounding for one in reading.setup.layers.values()) and rounded:
        half = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
        least = max(half[one.rounding] for one in reading.setup.layers.values() if one.rounding)
        return max(tolerance, ROUNDED_STATES * least)
    return tolerance


def rounding(subject: Subject, reference: Reference) -> float:
    """How far a reading may be from a reference and still be it."""
    if reference.precision > 2.0**-24:
        return max(SINGLE, 1.05 * reference.precision)
    layers = [node.recurrent for node in subject.planned.plan.layers if node.recurrent]
    double = all(layer.cell.dtype == np.float64 for layer in layers)
    double = double and reference.precision < 1e-12
    return DOUBLE if double else SINGLE


def _without_zero_tails(view: View, subject: Subject) -> View:
    """A view that says nothing of c and m past the lengths where the reference has zeros there.

    No framework returns these states; who records them step by step leaves zeros.
    """
    lengths = subject.setup.lengths
    if lengths is None:
        return view
    past = np.arange(subject.setup.timesteps) >= lengths[:, None]
    targets, some = [], False
    for target in view.targets:
        values = target.values
        states = target.key in ("c", "m", "unprojected") and values.ndim == 3
        if states and past.any() and not np.nan_to_num(values[past]).any():
            before = np.flatnonzero(lengths > 0)
            last = values[before, lengths[before] - 1]
            if (last != 0).any(axis=1).all():
                values, some = values.copy(), True
                values[past] = np.nan
        targets.append(target.with_values(values))
    return replace(view, targets=tuple(targets)) if some else view


def _split_joins(view: View, subject: Subject) -> View:
    """A view of two directions side by side as a view of each: a layer is judged step by step."""
    joins = {
        node.name: node.reads
        for node in subject.setup.nodes
        if isinstance(node.layer, BidirectionalMerge)
        and node.layer.mode == "concat"
        and not node.layer.flip_second
        and all(name in subject.setup.layers for name in node.reads)
    }
    targets = []
    for target in view.targets:
        reads = joins.get(target.node, ())
        key = {"value": "outputs", "final/m": "final/m"}.get(target.key)
        layers = [subject.setup.layers[name].layer for name in reads]
        if key is None or not reads or not all(layer.return_sequences for layer in layers):
            targets.append(target)
            continue
        cut = layers[0].output_size
        halves = np.split(target.values, [cut], axis=-1)
        for name, values in zip(reads, halves, strict=True):
            scale = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
            targets.append(replace(target, node=name, key=key, values=values, scale=scale))
    return replace(view, targets=tuple(targets))


def _named(view: View) -> View:
    """A view that had to take m before its projection has that as a deviation."""
    if any("unprojected" in target.key for target in view.targets):
        return replace(view, deviations=(Deviation("projection", "ignored", look=lambda one: one),))
    return view


def _with_looks(views: Sequence[View], looks: Sequence[Deviation]) -> list[View]:
    """Every view, alone and with up to two deviations of comparing."""
    found = list(views)
    for count in (1, 2):
        for view in views:
            for chosen in combinations(looks, count):
                if len({one.id for one in (*view.deviations, *chosen)}) < count + len(
                    view.deviations
                ):
                    continue
                other: View | None = view
                for deviation in chosen:
                    other = None if other is None else other.and_also(deviation)
                if other is not None and any(np.isfinite(t.values).any() for t in other.targets):
                    found.append(other)
    return found


def _choices(among: int, size: int) -> int:
    found = 1
    for at in range(size):
        found = found * (among - at) // (at + 1)
    return found
