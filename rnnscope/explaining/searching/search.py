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
from dataclasses import field

from rnnscope.deferred_dataclass import dataclass
from rnnscope.explaining.compared.reference import Reference
from rnnscope.explaining.compared.subject import Subject
from rnnscope.explaining.compared.tolerance import rounding
from rnnscope.explaining.computing.setup import Setup
from rnnscope.explaining.confusions import CONFUSIONS, Facts
from rnnscope.explaining.readings.deviations import Deviation, Reading, Unknown
from rnnscope.explaining.readings.late_deviations import late_deviations
from rnnscope.explaining.readings.ranking import ranked
from rnnscope.explaining.searching.combining import Portion, combined, grown, readings_of_size
from rnnscope.explaining.searching.solving import affects_first_step, solve
from rnnscope.explaining.searching.trials import OutOfTimeError, Trials
from rnnscope.explaining.searching.view_variants import plain_views, with_looks

MOST_DEVIATIONS = 3
MOST_COMBINED = 2
"""Deviations beside which unknowns are solved for."""

OFTEN_TOGETHER = frozenset(
    {"gate-order", "kernel-rows", "transposed", "bias", "peepholes", "directions", "layer-order",
     "forget-bias", "activation", "recurrent-activation", "reset-after", "update-gate"}
)  # fmt: skip
"""What a port gets wrong at once, in its reading of the weights: triples of these come first."""

SOLVED_AT_ONCE = 64

MOST_PROMISING = 12
"""Readings that are looked at again where none fits."""

Progress = Callable[[str, float], None]


@dataclass
class Search:
    """A search for the readings that a reference fits.

    Attributes
    ----------
    trials : Trials
        What was computed and held to the reference.
    progress : callable, optional
        ``progress(what, part)`` is called as the search goes on.
    fixed, lone : list of Deviation
        Those that stand beside others, the usual ones first, and those that stand alone.
    unknowns : list of Unknown
        Numbers that are solved for.
    finished : bool
        False where the budget ended before all readings were tried.
    cut_short : bool
        Not every number was solved for beside every deviation, for want of time.
    """

    trials: Trials
    progress: Progress | None = None
    fixed: list[Deviation] = field(default_factory=list)
    lone: list[Deviation] = field(default_factory=list)
    unknowns: list[Unknown] = field(default_factory=list)
    finished: bool = True
    cut_short: bool = False
    _late: set[int] = field(default_factory=set)

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
        trials = Trials(
            subject=subject,
            views=with_looks(plain, looks),
            tolerance=tolerance,
            deadline=time.monotonic() + budget,
            most=most,
            rounded=reference.rounded in ("float16", "bfloat16"),
        )
        return cls(trials, progress, fixed, lone, unknowns)

    def run(self) -> list[Reading]:
        """The readings that fit with the fewest deviations, best first; none if none does."""
        trials = self.trials
        found, look = trials.found, trials.look_setup()
        try:
            for size in range(trials.most + 1):
                self._say(size, 0.0)
                trials.partial[size] = []
                for batch in self._batches(size, look):
                    if size == MOST_DEVIATIONS and not batch and self._at(found, size):
                        break  # what grew from pairs fits; more would be another such triple
                    trials.try_all(batch, size)
                if size and (size == 1 or not self._at(found, size)):
                    self._solved(size, look)
                if size == 1:
                    self._late = late_deviations(self.fixed, look)
                if self._at(found, size):
                    return ranked(self._at(found, size), trials.tolerance)
        except OutOfTimeError:
            self.finished = False
        best = min((len(one.every) for one in found), default=0)
        return ranked([one for one in found if len(one.every) == best], trials.tolerance)

    def promising(self) -> list[Reading]:
        """The plain reading, and those that agreed with the reference for most steps."""
        partial = [one for size in (1, 2) for one in self.trials.partial.get(size, ())]
        partial.sort(key=lambda one: -one.reached)
        chosen = [(), *(one.deviations for one in partial[:MOST_PROMISING])]
        found = [self.trials.whole(deviations) for deviations in chosen]
        return [one for one in found if one is not None]

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
            yield from self._timed(size, grown(self.trials.partial.get(2, ()), look, self.fixed))
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
            self.trials.check_time()
            self._say(size, part)
            yield readings

    def _early(self) -> list[Deviation]:
        """The deviations that change the first step; all where nothing tells."""
        late = self._late
        return [one for one in self.fixed if id(one) not in late]

    def _solved(self, size: int, look: Setup) -> None:
        """Find readings with an unknown among their deviations, solved for.

        Pairs of them take a third of the time that is left at most: triples come after them.
        """
        trials, now = self.trials, time.monotonic()
        until = trials.deadline if size == 1 else now + (trials.deadline - now) / 3
        for unknown in self.unknowns:
            if size > 1 and len(unknown.starts[0]) > 1:
                continue
            for view in trials.views:
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
                        [one.setup for one in part], unknown, view, trials.tolerance,
                        trials.check_time,
                    )  # fmt: skip
                    readings = [
                        part[at].and_also(unknown.at(numbers)) for at, numbers in solved.items()
                    ]
                    trials.try_all([one for one in readings if one is not None], size)

    def _bases(
        self, unknown: Unknown, others: int, look: Setup, *, early: bool | None
    ) -> list[Reading]:
        """The readings that an unknown may make fit."""
        if others == 0:
            return [Reading((), look)]
        if early is False:
            # What it does not change must be right already.
            return [one for one in self.trials.partial.get(others, ())
                    if unknown.id not in {d.id for d in one.deviations}]  # fmt: skip
        among = [one for one in self.fixed if one.id != unknown.id and one.usual]
        return list(readings_of_size(others, look, among)) if others == 1 else []


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
