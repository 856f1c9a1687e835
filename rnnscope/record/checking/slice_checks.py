"""The checks of a trace, some sequences at a time; what several find is put together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rnnscope.checks import CHECKS, merge, run_checks
from rnnscope.checks.interface import CheckContext, CheckedSlice, Finding, GoldenDiff
from rnnscope.checks.numbers import unit_peaks
from rnnscope.checks.padding_verdict import PaddingSummary, PaddingVerdict
from rnnscope.checks.settings import CheckSettings
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.initial_state import HandoverJoin, join_state
from rnnscope.model.states import LayerSlice
from rnnscope.trace import LayerHeader, Trace

if TYPE_CHECKING:
    from rnnscope.record.replaying.recomputation import Recomputation

SLICE_BYTES = 16 * 2**20
"""Of stored arrays at a time; checks hold a few times as much. One sequence is never cut."""

PAST_LENGTH = ("outputs-past-length", "state-past-length")


def slices_of(trace: Trace) -> Iterator[slice]:
    """The slices of sequences that are checked at a time."""
    row = 0
    for header in trace.layers:
        width = sum(header.widths.values()) + header.output_size
        width += len(header.gates) * (header.unit_size or 0)
        row += width * (header.timesteps or trace.timesteps) * np.dtype(header.dtype).itemsize
    each = max(1, SLICE_BYTES // max(1, row))
    for start in range(0, trace.sequences, each):
        yield slice(start, min(start + each, trace.sequences))


@dataclass(frozen=True)
class SeenSlices:
    """What was found in some slices of a trace.

    Attributes
    ----------
    found : list of Finding
    peaks : dict of str to ndarray (unit,)
        The largest abs(m) of each unit, by layer.
    padding : dict of str to PaddingSummary
    """

    found: list[Finding]
    peaks: dict[str, Array]
    padding: dict[str, PaddingSummary]


class SliceChecks:
    """Findings and padding of all layers, slice by slice."""

    def __init__(
        self,
        trace: Trace,
        settings: CheckSettings,
        ids: frozenset[str],
        again: Recomputation | None,
        golden: Mapping[str, GoldenDiff] | None,
    ) -> None:
        self._trace, self._settings, self._ids = trace, settings, ids
        self._again, self._golden = again, golden
        self._layers = [header for header in trace.layers if settings.keeps(header.name)]
        cut = {header.name for header in trace.layers if trace.is_cut(header.name)}
        # Sizes that no selection explains are damage, which state-width tells of.
        self._cut, self._misshapen = (cut, set()) if trace.selection else (set(), cut)
        self._mask_given = trace.has_mask and trace.has_lengths
        self._found: list[Finding] = []
        self._peaks: dict[str, Array] = {}
        self._padding: dict[str, PaddingSummary] = {}
        if not trace.sequences:
            self._found = [
                Finding(check, header.name, "skip", "the trace holds no sequences")
                for header in self._layers
                for check in CHECKS
                if check in ids
            ]

    def take(
        self, rows: slice, *, only: frozenset[str] | None = None, last: bool | None = None
    ) -> None:
        """Check some sequences of every layer.

        Parameters
        ----------
        rows : slice
        only : frozenset of str, optional
            These checks alone; sequences are not counted then.
        last : bool, optional
            Whether the checks at the end are due; with the last sequences, if nothing is said.
        """
        again = self._again
        wanted = self._ids if again is not None else frozenset()
        alone = again.alone(rows) if again and "padding-leak" in wanted else {}
        wide = again.wide(rows) if again and "float-drift" in wanted else {}
        verifying = again is not None and again.verifier and "framework-kernel" in wanted
        computed = again.again(rows) if again and verifying else {}
        finals: dict[str, Mapping[str, Array]] = {}
        for header in self._trace.layers:
            layer = self._trace.read_layer(header.name, rows)
            if header.name in self._misshapen:
                layer = replace(layer, states=self._trace.read_states(header.name, rows))
            finals[header.name] = layer.states.final
            if not self._settings.keeps(header.name):
                continue
            name, verified = header.name, None
            if again is not None and name in computed and layer.states.states:
                verified = again.verify(computed[name], layer.states)
            golden = None
            if self._golden is not None:
                golden = self._golden.get(name, GoldenDiff(None))
            known = CheckContext(
                options={option: value for option, (value, _) in header.options.items()},
                last=rows.stop >= self._trace.sequences if last is None else last,
                projected=header.projected,
                mask_given=self._mask_given,
                m_peaks=self._peaks_with(layer),
                alone=alone.get(name),
                wide=wide.get(name),
                origin=_joined_finals(header, finals),
                verified=verified,
                golden=golden,
                limits=self._settings.limits,
            )
            self._check(header, CheckedSlice.of(layer, known), only)

    def seen(self) -> SeenSlices:
        """What was found so far, to be absorbed elsewhere."""
        return SeenSlices(self._found, self._peaks, self._padding)

    def absorb(self, seen: SeenSlices) -> None:
        """Add what was found of later sequences."""
        self._found = merge([*self._found, *seen.found])
        for name, peaks in seen.peaks.items():
            self._peaks[name] = np.maximum(self._peaks.get(name, peaks), peaks)
        for name, summary in seen.padding.items():
            if name in self._padding:
                self._padding[name].merge(summary)
            else:
                self._padding[name] = summary

    def _peaks_with(self, layer: LayerSlice) -> Array | None:
        if "m" not in layer.states.states or layer.facts.name in self._misshapen:
            return None
        name, peaks = layer.facts.name, unit_peaks(layer)
        self._peaks[name] = np.maximum(self._peaks.get(name, peaks), peaks)
        return self._peaks[name]

    def _check(self, header: LayerHeader, layer: CheckedSlice, only: frozenset[str] | None) -> None:
        ids, name = self._ids if only is None else self._ids & only, header.name
        reasons = {}
        if name in self._cut:
            kept = ", ".join(self._trace.selection)
            why = f"the trace holds only some of the layer's timesteps or units ({kept})"
            # A stored trace that was cut in the same way can be compared with it.
            reasons = dict.fromkeys(ids - {"golden"}, why)
        elif self._trace.offsets is not None:
            why = "a ragged trace holds no steps past the length"
            reasons = dict.fromkeys(ids & {*PAST_LENGTH}, why)
        found = run_checks(layer, only=ids - reasons.keys())
        skipped = [Finding(check, name, "skip", why) for check, why in reasons.items()]
        self._found = merge([*self._found, *found, *skipped])
        if only is None and name not in self._cut | self._misshapen:
            self._note_padding(layer)

    def _note_padding(self, layer: CheckedSlice) -> None:
        states = layer.states
        if not states.states and not len(states.outputs):
            return
        if not len(states.outputs):
            states = replace(states, outputs=None)  # type: ignore[arg-type]  # left out on purpose
        summary = self._padding.setdefault(layer.facts.name, PaddingSummary(layer.facts))
        summary.add(replace(layer, states=states))

    def findings(self) -> tuple[Finding, ...]:
        """All findings, in the order of layers, then of CHECKS."""
        layers = {header.name: number for number, header in enumerate(self._layers)}
        checks = {name: number for number, name in enumerate(CHECKS)}
        key = lambda found: (layers[found.layer], checks[found.check])  # noqa: E731
        return tuple(sorted(self._found, key=key))

    def padding(self) -> tuple[PaddingVerdict, ...]:
        """The verdict on each layer's padding."""
        return tuple(PaddingVerdict(name, one.text()) for name, one in self._padding.items())


def _joined_finals(
    header: LayerHeader, finals: Mapping[str, Mapping[str, Array]]
) -> Mapping[str, Array] | None:
    """The final states of other layers that a layer starts from, joined; None if of none."""
    layers = header.initial_from
    if not layers or not finals.keys() >= {*layers}:
        return None
    join: HandoverJoin = "sum" if header.initial_join == "sum" else "concat"
    return {
        state: join_state([finals[name][state] for name in layers], join)
        for state in header.initial_states
    }
