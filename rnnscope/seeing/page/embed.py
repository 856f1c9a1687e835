"""The contents of a page that holds all it shows: one file, no server, no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from rnnscope.checks.result import Subject
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, spell, spell_command
from rnnscope.seeing.labels import TokenLabels
from rnnscope.seeing.page.budget import DEFAULT_BYTES, FEW_SEQUENCES, Plan, plan_arrays
from rnnscope.seeing.page.contents import (
    ComparedArray,
    LayerFacts,
    OtherTrace,
    PageContents,
    PageFacts,
    TraceFacts,
)
from rnnscope.seeing.page.differences import OtherViews, compared_arrays, difference_views
from rnnscope.seeing.page.series import Shelf, page_views, size_of
from rnnscope.seeing.page.weight_blocks import WeightComparison
from rnnscope.seeing.state_view import StateView
from rnnscope.trace import LayerHeader, Trace
from rnnscope.wording import plural, some

STATES = ("c", "m", "outputs", "inputs")
"""What is embedded before gates are."""


@dataclass(frozen=True)
class PageRequest:
    """What a page is to show.

    Attributes
    ----------
    layers : tuple of str
        Globs; none: all.
    sequences : tuple of int
        Those whose values are embedded; none: as many as there is room for.
    labels : TokenLabels or None
    labels_asked : bool
        Whether tokens that fit no layer are to be refused.
    budget : float
        Bytes that embedded values may take as text.
    title : str
        Empty: the trace's name.
    """

    layers: tuple[str, ...] = ()
    sequences: tuple[int, ...] = ()
    labels: TokenLabels | None = None
    labels_asked: bool = False
    budget: float = DEFAULT_BYTES
    title: str = ""

    def choose_layers(self, trace: Trace) -> list[str]:
        """The names of the layers that are wanted, in the order of the trace.

        Raises
        ------
        OptionError
            A glob fits none.
        """
        names = [header.name for header in (*trace.layers, *trace.merges)]
        for glob in self.layers:
            if not any(fnmatchcase(name, glob) for name in names):
                raise OptionError(
                    "No layer fits.", where=spell("layer", glob), expected=some(names), found=glob
                )
        return [
            name
            for name in names
            if not self.layers or any(fnmatchcase(name, glob) for glob in self.layers)
        ]


def embed_trace(
    trace: Trace,
    request: PageRequest,
    checked: Subject,
    others: Sequence[tuple[OtherTrace, Trace]] = (),
    checkpoints: WeightComparison | None = None,
) -> PageContents:
    """The contents of a page about a trace, and how others differ from it.

    Parameters
    ----------
    trace : Trace
    request : PageRequest
    checked : Subject
        What the checks found.
    others : sequence of (OtherTrace, Trace)
        Each compared with the first, and open.
    checkpoints : WeightComparison, optional
        Two checkpoints, whose weights are compared.

    Raises
    ------
    OptionError
        There is no such layer or sequence.
    InputError
        The tokens fit no layer.
    """
    names = request.choose_layers(trace)
    views = list(page_views(trace, names))
    ranked = sorted(views, key=lambda view: view.name not in STATES)
    sizes = [size_of(view) for view in ranked]
    share = request.budget / 2 if others else request.budget
    for sequence in request.sequences:
        for view in views:
            view.check_sequence(sequence)
    plan = plan_arrays(sizes, share, sequences=len(set(request.sequences)) or None)
    chosen = _sequences(request, plan, trace, others)
    shelf = Shelf(request.labels)
    kept = ranked[: plan.arrays]
    ids = {_key(view): shelf.put(view, plan, chosen) for view in views if view in kept}
    if request.labels_asked:
        shelf.check_labels()
    compared, dropped = _embed_others(
        list(difference_views(trace, others, set(ids))), shelf, request.budget - share, chosen, ids
    )
    facts = PageFacts(
        layers=tuple(_layer_facts(trace, names, ids)),
        series=shelf.series,
        tokens=tuple(shelf.tokens),
        compared=compared,
        weights=checkpoints.pictures(shelf) if checkpoints else (),
    )
    return PageContents(
        title=request.title or trace.path.name,
        trace=trace_facts(trace, names),
        checked=checked,
        facts=facts,
        blocks=shelf.blocks,
        others=tuple(other for other, _ in others),
        weights=checkpoints.difference() if checkpoints else None,
        notes=tuple(_left_out([view for view in views if view not in kept], dropped)),
    )


def _embed_others(
    pairs: Sequence[OtherViews],
    shelf: Shelf,
    budget: float,
    sequences: Sequence[int],
    ids: dict[tuple[str, str], str],
) -> tuple[tuple[ComparedArray, ...], Sequence[OtherViews]]:
    """Embed other traces' arrays and the differences; and those that have no room."""
    sizes = [size_of(view) for pair in pairs for view in (pair.other, pair.difference)]
    plan = plan_arrays(sizes, budget, sequences=len(sequences), rounded=False)
    room = plan.arrays // 2
    return compared_arrays(pairs[:room], shelf, plan, sequences, ids), pairs[room:]


def embed_weights(checkpoints: WeightComparison, title: str = "") -> PageContents:
    """The contents of a page about two checkpoints alone."""
    shelf = Shelf()
    pictures = checkpoints.pictures(shelf)
    return PageContents(
        title=title or f"{checkpoints.a.path.name} and {checkpoints.b.path.name}",
        trace=None,
        checked=None,
        facts=PageFacts(series=shelf.series, weights=pictures),
        blocks=shelf.blocks,
        weights=checkpoints.difference(),
    )


def _sequences(
    request: PageRequest,
    plan: Plan,
    trace: Trace,
    others: Iterable[tuple[OtherTrace, Trace]],
) -> list[int]:
    """The sequences that were asked for; else those where others part, and the first ones."""
    if request.sequences:
        return sorted({one % trace.sequences for one in request.sequences})
    parting = [other.first.sequence for other, _ in others if other.first is not None]
    wanted = dict.fromkeys([*parting, *range(trace.sequences)])
    return sorted(list(wanted)[: plan.sequences])


def _key(view: StateView) -> tuple[str, str]:
    return view.layer.name, view.name


def _layer_facts(
    trace: Trace, names: Iterable[str], ids: dict[tuple[str, str], str]
) -> Iterable[LayerFacts]:
    for name in names:
        series = tuple(one for (layer, _), one in ids.items() if layer == name)
        if series:
            yield LayerFacts(layer_label(trace.layer(name)), series)


def layer_label(header: LayerHeader) -> str:
    """The layer's name, and the direction of one that reads from the end."""
    return f"{header.name} (backward)" if header.known_facts.backward else header.name


def trace_facts(trace: Trace, names: Sequence[str]) -> TraceFacts:
    """What a page says of a trace beside its states."""
    return TraceFacts(
        name=str(trace.path),
        header=trace.header,
        layers=tuple(trace.layer(name) for name in names),
        sequences=trace.sequences,
        timesteps=trace.timesteps,
        lengths=_lengths(trace),
        selection=trace.selection,
    )


def _lengths(trace: Trace) -> str:
    lengths = trace.lengths
    if lengths is None:
        return "a mask" if trace.mask is not None else "none: every timestep was computed"
    shown = ", ".join(map(str, lengths[:FEW_SEQUENCES]))
    if len(lengths) <= FEW_SEQUENCES:
        return shown
    return f"{shown}, … ({lengths.min()} to {lengths.max()})"


def _left_out(views: Sequence[StateView], others: Sequence[OtherViews]) -> Iterable[str]:
    more = f"a larger {spell('budget')} takes more in."
    if views:
        names = [f"{view.name} of {view.layer.name}" for view in views]
        yield (
            f"{plural(len(views), 'array')} did not fit into this page: {some(names)}. "
            f"{spell_command('view', 'TRACE')} shows them all; {more}"
        )
    if others:
        names = [f"{pair.key[1]} of {pair.key[0]} in {pair.name}" for pair in others]
        yield (
            f"Pictures of {plural(len(others), 'difference')} did not fit into this page: "
            f"{some(names)}; {more}"
        )
