"""One line a layer, in plain words: how padding was applied.

The words tell what the arrays show, not what the rule promises; the checks compare the two.
"""

from __future__ import annotations

from dataclasses import field

import numpy as np

from rnnscope.checks import steps
from rnnscope.checks.padding import cut_rows, outputs_past, states_past, zero_tails
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.states import LayerFacts, LayerSlice
from rnnscope.wording import plural


@dataclass
class PaddingSummary:
    """What the slices of one layer say of its padding, gathered one slice at a time.

    Attributes
    ----------
    facts : LayerFacts
    sequences, timesteps : int
    has_mask : bool
        Whether lengths or a mask were given.
    masked, tail, left, holes, empty : int
        Sequences with steps past the length: anywhere; at the end; at the start; between valid
        steps; at every step. The first counts each sequence once.
    zero_tails, cut : int
        Sequences whose length runs through all-zero rows at the end of the input; whose length
        leaves rows of the input out that are not zero.
    """

    facts: LayerFacts
    sequences: int = 0
    timesteps: int = 0
    has_mask: bool = False
    masked: int = 0
    tail: int = 0
    left: int = 0
    holes: int = 0
    empty: int = 0
    zero_tails: int = 0
    cut: int = 0
    _state_names: tuple[str, ...] = ()
    _shown: set[str] = field(default_factory=lambda: {"zeros", "held", "carried"})
    """What every step past the length has shown so far."""
    _steps_seen: int = 0

    def add(self, layer: LayerSlice) -> None:
        """Take in one slice of the layer."""
        self.count(layer)
        self.observe(layer)

    def count(self, layer: LayerSlice) -> None:
        """Count the sequences of a slice by their lengths or mask; states are not looked at."""
        sequences, self.timesteps = steps.shape(layer)
        self.sequences += sequences
        self._state_names = self._state_names or tuple(layer.states.states)
        mask = steps.valid_steps(layer)
        if layer.input_steps is not None:
            self.zero_tails += int(np.count_nonzero(zero_tails(layer)))
            if mask is not None:
                self.cut += int(np.count_nonzero(cut_rows(layer)))
        if mask is None:
            return
        self.has_mask = True
        first, end, count = steps.first_valid(mask), steps.valid_end(mask), mask.sum(axis=1)
        some = count > 0
        self.masked += int(np.count_nonzero(count < self.timesteps))
        self.tail += int(np.count_nonzero(some & (end < self.timesteps)))
        self.left += int(np.count_nonzero(some & (first > 0)))
        self.holes += int(np.count_nonzero(some & (count < end - first)))
        self.empty += int(np.count_nonzero(~some))

    def observe(self, layer: LayerSlice) -> None:
        """See what the states and outputs of a slice show past the length."""
        self._state_names = tuple(layer.states.states)
        if steps.valid_steps(layer) is None:
            return
        # A layer that computes every step starts from rest: what comes before its first valid
        # step may stand still without being padding.
        after = self.facts.padding == "none"
        if layer.states.outputs is not None:
            outputs = outputs_past(layer, after_valid=after)
            self._shown &= {"carried"} | {
                name for name, so in (("zeros", outputs.zeros), ("held", outputs.held)) if so
            }
        states = states_past(layer, after_valid=after)
        if not states.held:
            self._shown.discard("carried")
        self._steps_seen += states.count

    def merge(self, other: PaddingSummary) -> None:
        """Take in what another summary saw of other sequences of the same layer."""
        self.sequences += other.sequences
        self.timesteps = max(self.timesteps, other.timesteps)
        self.has_mask = self.has_mask or other.has_mask
        for name in ("masked", "tail", "left", "holes", "empty", "zero_tails", "cut"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self._state_names = self._state_names or other._state_names
        self._shown &= other._shown
        self._steps_seen += other._steps_seen

    def text(self, source: str = "") -> str:
        """The verdict, one line.

        Parameters
        ----------
        source : str
            Words on where the lengths come from, added in brackets.
        """
        verdict = self._verdict()
        if source:
            verdict += f" ({source})"
        if self.zero_tails:
            verdict += (
                f"; the input of {_some(self.zero_tails, self.sequences)} ends in all-zero rows "
                "that were computed as steps, not as padding"
            )
        if self.cut and self.facts.padding != "none":
            verdict += f"; the lengths of {self.cut} leave out rows that are not zero"
        return verdict

    def _verdict(self) -> str:
        everyone = _all(self.sequences)
        if not self.has_mask:
            return f"no lengths: every step of {everyone} was computed"
        if not self.masked:
            return f"no padding: {everyone} {_verb(self.sequences, 'runs', 'run')} the full " + (
                plural(self.timesteps, "step")
            )
        stands_still = self._steps_seen and "carried" in self._shown
        if self.facts.padding == "none" and not stands_still:
            return (
                "lengths given, but this layer does not use them: it computed on through the "
                f"padding ({self._who()})"
            )
        return f"{self._who()}: {self._outputs()}, {self._states()}"

    def _who(self) -> str:
        some = _some(self.masked, self.sequences)
        if self._plain:
            empty = f", {self.empty} without a valid step" if self.empty else ""
            are = _verb(self.masked, "is", "are")
            return f"{some} {are} shorter than {plural(self.timesteps, 'step')}{empty}"
        kinds = [
            (self.left, "at the start (left padding)"),
            (self.holes, "between valid steps (holes)"),
            (self.tail, "at the end"),
            (self.empty, "everywhere"),
        ]
        present = [(count, where) for count, where in kinds if count]
        have = _verb(self.masked, "has", "have")
        if len(present) == 1:
            return f"{some} {have} masked steps {present[0][1]}"
        parts = ", ".join(f"{count} {where}" for count, where in present)
        return f"{some} {have} masked steps: {parts}"

    @property
    def _plain(self) -> bool:
        """Whether all masked steps lie past a length, as in a batch padded at the end."""
        return not (self.left or self.holes)

    def _outputs(self) -> str:
        subject = "outputs past the length" if self._plain else "outputs at masked steps"
        zeros, held = "zeros" in self._shown, "held" in self._shown
        if held and (self.facts.padding == "hold" or not zeros):
            start = (
                ""
                if self._plain and not self._reads_tail_first
                else (" (zeros before the first valid step)")
            )
            return f"{subject} repeat the previous output{start}"
        return f"{subject} are zero" if zeros else f"{subject} are computed on"

    @property
    def _reads_tail_first(self) -> bool:
        return self.facts.backward and self.facts.reversal == "whole"

    def _states(self) -> str:
        names = " and ".join(self._state_names) or "the state"
        one = len(self._state_names) < 2
        if "carried" not in self._shown:
            return f"{names} {'changes' if one else 'change'} there"
        keep, hold = ("keeps", "holds") if one else ("keep", "hold")
        if not self._plain:
            return f"{names} {'is' if one else 'are'} carried through them"
        if self._reads_tail_first:
            return f"{names} {hold} the initial state there, since the layer reads from the end"
        if self.facts.backward:
            return f"{names} {keep} the final state"
        return f"{names} {keep} the state of the last valid step"


def _some(count: int, total: int) -> str:
    return f"{count} of {plural(total, 'sequence')}"


def _all(total: int) -> str:
    return "the one sequence" if total == 1 else f"all {total} sequences"


def _verb(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def padding_verdict(layer: LayerSlice, source: str = "") -> str:
    """The verdict on a layer that is one slice; `PaddingSummary` takes several."""
    summary = PaddingSummary(layer.facts)
    summary.add(layer)
    return summary.text(source)


@dataclass(frozen=True)
class PaddingVerdict:
    """The verdict on one layer's padding, one line."""

    layer: str
    verdict: str
