"""Fewer steps: the latest state from which the two sides still part.

B's numbers are somebody's, and cannot be computed again with fewer steps. But where B has its whole
state before a step, the recomputed side can be started from it, and then both come from the same
numbers: if they part in that one step, the step alone is the case. If not, the difference has grown
over steps; the latest start from which it still grows beyond the tolerance is found by bisection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

import numpy as np

from rnnscope.comparing.reduction import StartFrom, TriedCase
from rnnscope.comparing.result import SideName
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.reducing.kept import (
    SHARE,
    Kept,
    computed,
    gaps_of,
    is_whole,
    largest_gap,
    leave_out_repeats,
    reproduces,
)
from rnnscope.reducing.layer_pair import LayerPair
from rnnscope.reducing.processed import ProcessedSequence, State
from rnnscope.reducing.target import Target, in_order
from rnnscope.states.state_set import FINAL, GATES, INITIAL


@dataclass(eq=False)
class StepSearch:
    """The search in one sequence of one layer.

    Attributes
    ----------
    pair : LayerPair
    ours : ProcessedSequence
        Of the side that is recomputed.
    side : SideName
    target : Target
    tried : list of TriedCase
    """

    pair: LayerPair
    ours: ProcessedSequence
    side: SideName
    target: Target
    tried: list[TriedCase] = field(default_factory=list)

    @property
    def other(self) -> SideName:
        return "B" if self.side == "A" else "A"

    def find(self) -> Kept | None:
        """The fewest steps that still differ; None if what is computed again does not."""
        last = self._last()
        if not self._own_again(last):
            return None
        if self.target.family == "initial":
            return self._initial()
        counting = self.ours.counting(last)
        if not self.ours.counts[last]:
            return self._padding(last, counting)
        if len(counting) == 1:
            return self._of_stored([last], self.ours.initial, "beginning")
        if self.target.family == "final" and not self._steps_agree():
            return self._of_stored(counting, self.ours.initial, "beginning", self._unknown(last))
        before = self.their_state(counting[-2])
        if before is None:
            return self._of_stored(counting, self.ours.initial, "beginning", self._unknown(last))
        if self._parts(counting[-1:], before, f"{self._step(last)}, from {self.other}'s state"):
            alone = self._of_stored([last], self.ours.before(last), self.side)
            if alone is not None and alone.unit in self._apart_units(alone.key, [last], before):
                return alone
            return self._of_computed([last], before, self.other)
        return self._drift(counting)

    def _last(self) -> int:
        """The position of the difference."""
        if self.target.timestep is not None:
            return self.ours.position(self.target.timestep)
        counting = self.ours.counting(len(self.ours.counts) - 1)
        return counting[-1] if counting else 0

    def _own_again(self, last: int) -> bool:
        """Whether the run done again gives the recomputed side's own numbers at the difference."""
        largest = gap = 0.0
        for key in self.target.keys:
            name = key.rpartition("/")[2]
            own, theirs = (self._stored(side, key, [last]) for side in (self.side, self.other))
            if own is None or theirs is None or key.startswith(GATES):
                continue
            again = self.ours.states["m" if key == "outputs" else name][last]
            if key.startswith(INITIAL):
                again = self.ours.initial[name]
            if key != "outputs" or self.ours.counts[last]:
                largest = max(largest, largest_gap(self._cut(key, again[None]), own))
            gap = max(gap, largest_gap(own, theirs))
        case = TriedCase("the whole sequence again", last + 1, self.ours.layer.cell.num_units,
                         largest <= SHARE * gap, gap)  # fmt: skip
        self.tried.append(case)
        return case.differs

    def their_state(self, position: int) -> State | None:
        """The other side's whole state behind a position; None where it is not all there."""
        sequence, timestep = self.target.sequence, int(self.ours.timesteps[position])
        found = {}
        for name, own in self.ours.states.items():
            keys = [name]
            if name == "m" and self.ours.returns_m and self.ours.counts[position]:
                keys.append("outputs")
            for key in keys:
                values = self.pair.step(self.other, key, sequence, [timestep])
                if values is not None and is_whole(self.pair.unit_names(key), own.shape[1]):
                    found[name] = values[0]
                    break
            else:
                return None
        return found

    def _steps_agree(self) -> bool:
        """Whether both have the steps in front of a final state (which then are the same)."""
        return all(name in self.pair.arrays for name in self.ours.states)

    def _unknown(self, last: int) -> tuple[str, ...]:
        words = (
            f"{self.other} does not hold its whole state before {self._step(last)}: whether it "
            "was the same is not known, and all steps from the beginning are kept."
        )
        return (words,)

    def _step(self, position: int) -> str:
        return f"step {int(self.ours.timesteps[position])}"

    def _initial(self) -> Kept | None:
        counting = self.ours.counting(len(self.ours.counts) - 1) or [0]
        return self._of_stored(counting[:1], self.ours.initial, "beginning")

    def _padding(self, last: int, counting: list[int]) -> Kept | None:
        """A step that counts nothing: it shows what came before it, or zeros."""
        ways: list[tuple[list[int], State, StartFrom]] = [
            ([last], self.ours.before(last), self.side)
        ]
        if counting:
            near = list(range(counting[-1], last + 1))
            ways.append((near, self.ours.before(counting[-1]), self.side))
        ways.append((list(range(last + 1)), self.ours.initial, "beginning"))
        for positions, start, start_from in ways:
            if (kept := self._of_stored(positions, start, start_from)) is not None:
                return kept
        return None

    def _drift(self, counting: list[int]) -> Kept | None:
        """Bisection between the beginning, from where they part, and the last step, where not."""
        parts, within = 0, len(counting) - 1
        while within - parts > 1:
            middle = (parts + within) // 2
            start = self.their_state(counting[middle - 1])
            first = int(self.ours.timesteps[counting[middle]])
            what = f"steps from {first} on, from {self.other}'s state"
            if start is None or not self._parts(counting[middle:], start, what):
                within = middle
            else:
                parts = middle
        words = (
            "No step alone differs by more than the tolerance: the difference has grown over the "
            f"{len(counting) - parts} steps that are kept."
        )
        note = (words,)
        if not parts:
            return self._of_stored(counting, self.ours.initial, "beginning", note)
        start = self.their_state(counting[parts - 1])
        assert start is not None
        return self._of_computed(counting[parts:], start, self.other, note)

    def _parts(self, positions: Sequence[int], start: State, what: str) -> bool:
        """Whether both sides part where the recomputed one starts from the other's state."""
        run = self.ours.run(positions, start, gates=self._with_gates())
        largest, apart = 0.0, 0
        for key in self.target.keys:
            theirs = self._stored(self.other, key, positions[-1:])
            if theirs is None:
                continue
            ours = self._cut(key, computed(run, key))[-1:]
            apart += int(np.count_nonzero(self.pair.beyond(key, ours, theirs)))
            largest = max(largest, largest_gap(ours, theirs))
        units = self.ours.layer.cell.num_units
        self.tried.append(TriedCase(what, len(positions), units, bool(apart), largest))
        return bool(apart)

    def _apart_units(self, key: str, positions: Sequence[int], start: State) -> list[int]:
        theirs = self._stored(self.other, key, positions[-1:])
        assert theirs is not None
        run = self.ours.run(positions, start, gates=self._with_gates())
        ours = self._cut(key, computed(run, key))[-1:]
        return [int(unit) for unit in np.flatnonzero(self.pair.beyond(key, ours, theirs)[0])]

    def _with_gates(self) -> bool:
        return any(key.startswith(GATES) for key in self.target.keys)

    def _cut(self, key: str, values: Array) -> Array:
        """Computed values of the units that were compared."""
        names = self.pair.unit_names(self._tolerance_key(key))
        return values[:, names] if names.max(initial=-1) < values.shape[1] else values

    def _stored(self, side: SideName, key: str, positions: Sequence[int]) -> Array | None:
        if key.startswith((FINAL, INITIAL)):
            values = self.pair.state(side, key, self.target.sequence)
            return None if values is None else values[None]
        timesteps = [int(self.ours.timesteps[at]) for at in positions]
        return self.pair.step(side, key, self.target.sequence, timesteps)

    def _of_stored(
        self,
        positions: Sequence[int],
        start: State,
        start_from: StartFrom,
        notes: tuple[str, ...] = (),
    ) -> Kept | None:
        """Steps with both sides' own numbers, if the recomputed side gives them again."""
        values: dict[SideName, dict[str, Array]] = {self.side: {}, self.other: {}}
        for key in in_order(self.target.keys):
            for side, held in values.items():
                stored = self._stored(side, key, positions)
                if stored is not None:
                    held[key] = stored
                    continue
                last = self._stored(side, key, positions[-1:])
                if last is not None and key in self.ours.states:
                    held[f"{FINAL}{key}"] = last
        return self._checked(positions, start, start_from, values, notes)

    def _of_computed(
        self,
        positions: Sequence[int],
        start: State,
        start_from: StartFrom,
        notes: tuple[str, ...] = (),
    ) -> Kept | None:
        """Steps from the other side's state: what the recomputed side makes of it, and theirs."""
        run = self.ours.run(positions, start, gates=self._with_gates())
        values: dict[SideName, dict[str, Array]] = {self.side: {}, self.other: {}}
        for key in in_order(self.target.keys):
            theirs = self._stored(self.other, key, positions)
            if theirs is not None:
                values[self.other][key] = theirs
                values[self.side][key] = self._cut(key, computed(run, key))[-len(theirs) :]
        return self._checked(positions, start, start_from, values, notes)

    def _checked(
        self,
        positions: Sequence[int],
        start: State,
        start_from: StartFrom,
        values: dict[SideName, dict[str, Array]],
        notes: tuple[str, ...],
    ) -> Kept | None:
        leave_out_repeats(values)
        place = self._worst(values)
        if place is None:
            return None
        key, unit, units = place
        kept = Kept(tuple(positions), start, start_from, key, unit, units, values, notes)
        run = self.ours.run(positions, start, gates=self._with_gates())
        again = values[self.side][key]
        if not key.startswith(INITIAL):
            again = self._cut(key, computed(run, key))
        same = reproduces(again[-1, unit], kept, self.side)
        what = (
            f"{len(positions)} steps" if len(positions) > 1 else f"{self._step(positions[0])} alone"
        )
        words = "from the beginning" if start_from == "beginning" else f"from {start_from}'s state"
        gap = largest_gap(values["A"][key][-1:, [unit]], values["B"][key][-1:, [unit]])
        units_kept = self.ours.layer.cell.num_units
        self.tried.append(TriedCase(f"{what}, {words}", len(positions), units_kept, same, gap))
        return kept if same else None

    def _worst(self, values: dict[SideName, dict[str, Array]]) -> tuple[str, int, int] | None:
        """The array and unit that differ most in the last step, and how many units of it differ."""
        found: list[tuple[float, str, int, int]] = []
        for key in in_order(tuple(values["A"])):
            if key not in values["B"] or (self.target.family == "initial") != key.startswith(
                INITIAL
            ):
                continue
            a, b = values["A"][key][-1], values["B"][key][-1]
            apart = self.pair.beyond(self._tolerance_key(key), a, b)
            if apart.any():
                gaps = np.where(apart, gaps_of(a, b), -1.0)
                unit = int(gaps.argmax())
                found.append((float(gaps[unit]), key, unit, int(apart.sum())))
        if not found:
            return None
        _, key, unit, units = max(found, key=lambda one: one[0])
        return key, unit, units

    def _tolerance_key(self, key: str) -> str:
        return key if key in self.pair.arrays else key.removeprefix(FINAL)
