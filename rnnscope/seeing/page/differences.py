"""Other traces beside the first: their values, and the difference at the places both have."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from rnnscope.comparing.result import ArrayDiff, LayerDiff
from rnnscope.comparing.wording import first_words
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError
from rnnscope.seeing.divergence import subtract
from rnnscope.seeing.page.budget import Plan
from rnnscope.seeing.page.contents import ArrayPlace, ComparedArray, OtherArray, OtherTrace
from rnnscope.seeing.page.series import Shelf, array_label
from rnnscope.seeing.state_view import StateView, open_view, view_names
from rnnscope.trace import Trace


@dataclass(frozen=True, eq=False)
class OtherViews:
    """An array of another trace, and its difference from that of the first.

    Attributes
    ----------
    key : (str, str)
        The first trace's layer and array.
    label : str
    name : str
        Which of the others.
    other, difference : StateView
    first : ArrayPlace or None
    """

    key: tuple[str, str]
    label: str
    name: str
    other: StateView
    difference: StateView
    first: ArrayPlace | None


def difference_views(
    trace: Trace,
    others: Sequence[tuple[OtherTrace, Trace]],
    known: Collection[tuple[str, str]],
) -> Iterator[OtherViews]:
    """The arrays that others have in common with those of the first trace that a page shows.

    Where traces part first comes first, then what differs: that is seen first, and stays if there
    is no room for all.
    """
    found = [
        one for other, opened in others for one in _of_trace(trace, other, opened, known)
    ]  # fmt: skip
    parting = {
        (other.first.layer_a, other.first.array) for other, _ in others if other.first is not None
    }
    yield from sorted(found, key=lambda one: (one.key not in parting, one.first is None))


def _of_trace(
    trace: Trace, other: OtherTrace, opened: Trace, known: Collection[tuple[str, str]]
) -> Iterator[OtherViews]:
    for layer in other.result.layers:
        for array in layer.arrays:
            key = (layer.a, array.name)
            if key not in known or array.name not in view_names(opened, layer.b):
                continue
            mine = open_view(trace, layer.a, array.name)
            theirs = open_view(opened, layer.b, array.name)
            try:
                difference = subtract(mine, theirs)
            except OptionError:  # no places in common: the comparison says so in words
                continue
            label = f"{_layer(layer)}: {array_label(mine)}"
            yield OtherViews(key, label, other.name, theirs, difference, _place(array))


def _layer(layer: LayerDiff) -> str:
    return layer.a if layer.a == layer.b else f"{layer.a} <> {layer.b}"


def _place(array: ArrayDiff) -> ArrayPlace | None:
    first = array.first
    if first is None or len(first.place) != 3:
        return None
    sequence, timestep, unit = first.place
    return ArrayPlace(sequence, timestep, unit, first.a, first.b, first_words(array, first))


def compared_arrays(
    pairs: Sequence[OtherViews],
    shelf: Shelf,
    plan: Plan,
    sequences: Sequence[int],
    ids: Mapping[tuple[str, str], str],
) -> tuple[ComparedArray, ...]:
    """Embed others' arrays and differences; those of one array of the first trace together."""
    by_key: dict[tuple[str, str], list[OtherArray]] = {}
    labels: dict[tuple[str, str], str] = {}
    for pair in pairs:
        labels.setdefault(pair.key, pair.label)
        by_key.setdefault(pair.key, []).append(
            OtherArray(
                pair.name,
                shelf.put(pair.other, plan, sequences, pair.name),
                shelf.put(pair.difference, plan, sequences, f"A − {pair.name}"),
                pair.first,
            )
        )
    return tuple(
        ComparedArray(labels[key], ids[key], tuple(others)) for key, others in by_key.items()
    )
