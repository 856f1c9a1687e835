"""What is to be pooled: layers by name, pairs of directions, states that they have."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, TraceError, spell
from rnnscope.pooling.directions import Pair, find_pairs, source_of_pair
from rnnscope.pooling.interface import Direction, Edge, PoolJob, PoolSource
from rnnscope.pooling.methods import POOLINGS
from rnnscope.pooling.notes import plan_notes
from rnnscope.trace.pooled import PooledHeader
from rnnscope.trace.schema import LayerHeader

if TYPE_CHECKING:
    from rnnscope.trace import Trace

STATES = ("m", "c", "outputs")


@dataclass(frozen=True)
class PoolPlan:
    """The arrays to make, source by source, and what there is to say before."""

    jobs: tuple[PoolJob, ...]
    edge: Edge
    notes: tuple[str, ...] = ()

    @property
    def headers(self) -> tuple[PooledHeader, ...]:
        return tuple(job.header for job in self.jobs)


def plan_pool(
    trace: Trace,
    states: Sequence[str],
    methods: Sequence[str],
    *,
    layers: Sequence[str] = (),
    direction: Direction | None = None,
    edge: Edge = "input",
) -> PoolPlan:
    """Find what a trace has of what is asked for.

    Parameters
    ----------
    trace : Trace
    states : sequence of str
        Of ``m c outputs``.
    methods : sequence of str
        Keys of POOLINGS.
    layers : sequence of str
        Names or globs; none: all.
    direction : Direction, optional
        What to take of bidirectional layers; None: each direction as a layer of its own.
    edge : Edge
        ``"final"``: first and last are those of each direction's own way through time.

    Raises
    ------
    TraceError
        No layer fits, or none has the state; it suggests the nearest name.
    OptionError
        A direction was asked for and no layer is bidirectional; or the sum of unequal widths.
    """
    sources = _sources(trace, layers, direction)
    _refuse_cut(trace, sources)
    kept = _kept_states(trace, sources)
    jobs, notes = [], []
    for state in dict.fromkeys(states):
        having = [source for source in sources if state in kept[source]]
        if not having:
            raise _no_state(trace, kept, state)
        # A merge never has states: that is worth no note where other layers have them.
        notes += [
            f"{source.name} has no {state}: it was left out."
            for source in sources
            if source not in having and (source.layers[0].widths or layers)
        ]
        for source in having:
            jobs += [_job(source, state, method, edge) for method in dict.fromkeys(methods)]
    jobs.sort(key=lambda job: sources.index(job.source))  # stable: states stay in their order
    used = list(dict.fromkeys(job.source for job in jobs))
    notes += plan_notes(trace, used, methods, edge)
    return PoolPlan(tuple(jobs), edge, tuple(dict.fromkeys(notes)))


def _refuse_cut(trace: Trace, sources: Sequence[PoolSource]) -> None:
    """Of some steps one could make a mean, but not the one that was asked for."""
    for layer in dict.fromkeys(layer.name for source in sources for layer in source.layers):
        if trace.is_cut(layer):
            raise TraceError(
                "The trace holds a layer in part: pooling takes every timestep and unit.",
                where=f"{trace.path}: {layer}",
                expected=f"a run without {spell('select', 'steps=…')} and units=…",
                found=spell("select", str(" ".join(trace.selection))),
                hint=f"run it again, with {spell('select', 'layers=…')} or states=… at most",
            )


def _kept_states(trace: Trace, sources: Sequence[PoolSource]) -> dict[PoolSource, tuple[str, ...]]:
    """The states that are stored of all layers of each source; a run may have left some out."""
    kept = {}
    for source in sources:
        states = [state for state in STATES if source.width(state) is not None]
        if trace.selection:
            parts = [trace.read_layer(layer.name, slice(0, 1)).states for layer in source.layers]
            states = [
                state
                for state in states
                if all(
                    len(part.outputs) if state == "outputs" else state in part.states
                    for part in parts
                )
            ]
        kept[source] = tuple(states)
    return kept


def _job(source: PoolSource, state: str, method: str, edge: Edge) -> PoolJob:
    pooling = POOLINGS[method]
    header = PooledHeader(
        layer=source.name,
        state=state,
        method=method,
        width=source.width(state) or 0,
        dtype="int64" if pooling.gives_steps else source.dtype.name,
        layers=tuple(layer.name for layer in source.layers),
        direction=source.direction,
        edge=edge if pooling.opposite else None,
    )
    return PoolJob(source, state, method, header)


def _sources(
    trace: Trace, globs: Sequence[str], direction: Direction | None
) -> tuple[PoolSource, ...]:
    """All that can be pooled, in the order of the run, as far as a glob fits one of its names."""
    headers = trace.layers + trace.merges
    pairs = find_pairs(trace.layers)
    all_sources = [(source, names) for source, names in _all_sources(headers, pairs, direction)]
    for glob in globs:
        if not any(fnmatchcase(name, glob) for _, names in all_sources for name in names):
            raise _no_layer(trace, glob, [name for _, names in all_sources for name in names])
    chosen = tuple(
        source
        for source, names in all_sources
        if not globs or any(fnmatchcase(name, glob) for glob in globs for name in names)
    )
    if direction and not any(source.direction for source in chosen):
        raise OptionError(
            "None of the layers is bidirectional.",
            where=f"{trace.path}: {spell('direction', str(direction))}",
            expected="a forward and a backward layer that read the same",
            found=", ".join(source.name for source in chosen) or "no layer",
            hint=f"leave {spell('direction')} away",
        )
    return chosen


def _all_sources(
    headers: Sequence[LayerHeader], pairs: Sequence[Pair], direction: Direction | None
) -> Iterator[tuple[PoolSource, tuple[str, ...]]]:
    """Sources, and the names by which ``--layer`` may mean each."""
    backward = {header.name for header in headers if header.known_facts.backward}
    of_pair = {half.name: pair for pair in pairs for half in pair}
    for header in headers:
        pair = of_pair.get(header.name)
        inner = tuple(name for name in header.inputs if not header.widths and name in backward)
        if direction is None or (pair is None and not inner):
            parts = (header.name,) if header.name in backward else inner
            yield PoolSource(header.name, (header,), None, parts), (header.name,)
        elif pair is not None and header is pair[0]:
            merges = (
                merge.name for merge in headers if {*merge.inputs} >= {pair[0].name, pair[1].name}
            )
            source = source_of_pair(pair, direction)
            yield source, (source.name, pair[0].name, pair[1].name, *merges)


def _no_layer(trace: Trace, glob: str, names: Sequence[str]) -> TraceError:
    names = list(dict.fromkeys(names))
    near = difflib.get_close_matches(glob, names, n=1)
    return TraceError(
        "The trace holds no such layer.",
        where=f"{trace.path}: {spell('layers', str(glob))}",
        expected=", ".join(names) or "a trace with layers",
        found="nothing of that name",
        hint=f"did you mean {near[0]}?" if near else None,
    )


def _no_state(
    trace: Trace, states_by_source: Mapping[PoolSource, Sequence[str]], state: str
) -> TraceError:
    kept = [name for name in STATES if any(name in states for states in states_by_source.values())]
    cells = dict.fromkeys(
        layer.known_facts.cell
        for source in states_by_source
        for layer in source.layers
        if layer.widths
    )
    return TraceError(
        f"No layer that was chosen has the state {state}.",
        where=f"{trace.path}: {spell('states', str(state))}",
        expected=f"one of {', '.join(kept)}" if kept else "a trace with states",
        found=f"cells: {', '.join(cells)}" if cells else "outputs alone",
        hint=f"say {spell('states', str(kept[0]))}" if kept else None,
    )
