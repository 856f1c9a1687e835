"""All checks of a trace, in slices of sequences: memory does not grow with their number."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnnscope.checks import CHECKS, merge, run_checks
from rnnscope.checks.interface import CheckContext, CheckedSlice, Finding, GoldenDiff
from rnnscope.checks.numbers import unit_peaks
from rnnscope.checks.padding_verdict import PaddingSummary, PaddingVerdict
from rnnscope.checks.result import Subject
from rnnscope.checks.settings import CheckSettings
from rnnscope.errors import TraceError, spell
from rnnscope.model.cell import Array
from rnnscope.model.initial_state import HandoverJoin, join_state
from rnnscope.model.states import LayerSlice
from rnnscope.trace import LayerHeader, Trace

if TYPE_CHECKING:
    from rnnscope.clusters.dask_cluster import Cluster

    # Neither checkpoints nor the comparison of states is loaded unless it is asked for.
    from rnnscope.comparing.result import DiffResult
    from rnnscope.comparing.tolerance import Tolerances
    from rnnscope.record.replay import Recomputation, Replay

SLICE_BYTES = 16 * 2**20
"""Of stored arrays at a time; checks hold a few times as much. One sequence is never cut."""

RECOMPUTED = frozenset({"padding-leak", "float-drift", "framework-kernel"})

PAST_LENGTH = ("outputs-past-length", "state-past-length")


@dataclass(frozen=True)
class Comparison:
    """What a trace is compared with.

    Attributes
    ----------
    replay : Replay or None
        How the run is done again, for the checks that do so; None: they are skipped.
    golden : Path or None
        A stored trace.
    tolerances : Tolerances or None
        Of the comparison with it; None: those of ``rnnscope diff``.
    picture : Path or None
        An ``.svg`` to write where the two part over time, in place of one that is there.
    """

    replay: Replay | None = None
    golden: Path | None = None
    tolerances: Tolerances | None = None
    picture: Path | None = None


def check_trace(
    path: str | os.PathLike[str] | Trace,
    settings: CheckSettings | None = None,
    against: Comparison | None = None,
    cluster: Cluster | None = None,
) -> Subject:
    """Check a trace; of one in parts every part, to its last number, too.

    Parameters
    ----------
    path : path or Trace
        A trace that is open stays open.
    settings : CheckSettings, optional
    against : Comparison, optional
    cluster : Cluster, optional
        Its workers do the work, on a trace that they see; nothing is recomputed then.

    Returns
    -------
    Subject

    Raises
    ------
    RnnscopeError
        The trace, or what it is compared with, cannot be read.
    """
    settings, against = settings or CheckSettings(), against or Comparison()
    ids = settings.ids()
    with ExitStack() as opened:
        trace = path if isinstance(path, Trace) else opened.enter_context(Trace.open(path))
        settings.check_layers(header.name for header in trace.layers)
        golden, picture = None, ""
        if against.golden is not None and "golden" in ids:
            golden, picture = _golden(trace, against, settings, cluster)
        again = None
        if against.replay is not None and ids & RECOMPUTED:
            from rnnscope.record.replay import open_recomputation

            again = opened.enter_context(open_recomputation(trace, against.replay))
        checks = SliceChecks(trace, settings, ids, again, golden)
        if cluster is not None:
            from rnnscope.record.checks_on_cluster import check_on_cluster

            check_on_cluster(trace, settings, checks, cluster)
        else:
            if trace.parts is not None:
                for place in trace.parts.places:
                    trace.parts.require_numbers(place)
            for rows in slices_of(trace):
                checks.take(rows)
        return Subject(
            name=str(trace.path),
            checkpoint=trace.header.checkpoint,
            input=trace.header.input,
            findings=checks.findings(),
            padding=checks.padding(),
            notes=_notes(trace, again),
            picture=picture,
        )


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

    def _check(
        self, header: LayerHeader, layer: CheckedSlice, only: frozenset[str] | None
    ) -> None:
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


def _golden(
    trace: Trace, against: Comparison, settings: CheckSettings, cluster: Cluster | None = None
) -> tuple[dict[str, GoldenDiff], str]:
    """How each layer compares with a stored trace, and the picture of where they part first.

    The stored trace must not have other layers, unless the user names those that count.
    """
    from rnnscope.comparing import DiffSettings, Tolerances, diff_states
    from rnnscope.states.interface import ReadOptions
    from rnnscope.states.recognise import recognise

    options = ReadOptions("trace")
    one, other = recognise((trace, str(against.golden)), (options, options))
    with one.states, other.states:
        how = DiffSettings(against.tolerances or Tolerances(), hints=False)
        measured = None
        if cluster is not None:
            from rnnscope.comparing.on_cluster import measure_on_cluster

            paths = (str(trace.path.absolute()), str(Path(against.golden or "").absolute()))
            measured = measure_on_cluster(*paths, (options, options), how, trace.sequences, cluster)
        result = diff_states(one, other, how, measured=measured)
    alone = [f"layer '{name}' is in the stored trace alone" for name in result.only_b]
    differences = (*result.differences, *(() if settings.layers else alone))
    compared = {layer.a: GoldenDiff(layer, differences) for layer in result.layers}
    kept = tuple(layer for layer in result.layers if settings.keeps(layer.a))
    return compared, _picture(trace, against, replace(result, layers=kept))


def _picture(trace: Trace, against: Comparison, result: DiffResult) -> str:
    """The name of the picture that was written; empty where none was asked for, or none differs.

    Raises
    ------
    TraceError
        It cannot be written.
    """
    if against.picture is None or against.golden is None or result.verdict == "same":
        return ""
    from rnnscope.seeing.divergence import first_divergence
    from rnnscope.seeing.divergence_svg import divergence_svg
    from rnnscope.states.saving import save_text

    found = first_divergence(trace, result)
    if found is None:
        return ""
    with Trace.open(against.golden) as stored:
        svg = divergence_svg(trace, stored, found)
    save_text(against.picture, svg, force=True, what="picture")
    return str(against.picture)


def picture_path(folder: Path, name: str) -> Path:
    """Where the picture of a trace or case goes: a name of its own that every system takes.

    Raises
    ------
    TraceError
        The folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TraceError(
            "The folder for pictures cannot be made.", where=folder, found=error.strerror
        ) from error
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:80].strip(".")
    if plain != name:
        plain += "-" + hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
    return folder / f"{plain}.svg"


def _notes(trace: Trace, again: Recomputation | None) -> tuple[str, ...]:
    notes = list(again.notes) if again is not None else []
    if trace.selection:
        notes.append(f"The trace keeps {', '.join(trace.selection)} alone ({spell('select')}).")
    return tuple(notes)
