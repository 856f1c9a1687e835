"""Arrays over time as a page holds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np

from rnnscope.errors import InputError, OptionError
from rnnscope.model.cell import Array
from rnnscope.seeing.heatmap import CellBudget, Heatmap, colour_limit, read_heatmap
from rnnscope.seeing.labels import TokenLabels
from rnnscope.seeing.page.budget import ArraySize, Plan
from rnnscope.seeing.page.contents import Runs, SeriesFacts
from rnnscope.seeing.page.encoding import EncodedArray, encode
from rnnscope.seeing.ranking import RANKINGS, Score, measure_units
from rnnscope.seeing.state_view import StateView, open_view, view_names
from rnnscope.trace import Trace

LABELS = {
    "c": "c, the cell state",
    "m": "m, the output state",
    "outputs": "outputs",
    "inputs": "inputs",
}


MOST_NAMED = 12
"""Sequences that are told by number."""


class Shelf:
    """What has been put into a page so far: series, blocks of values, rows of tokens.

    The same values, or tokens, are kept once.
    """

    def __init__(self, labels: TokenLabels | None = None) -> None:
        self.series: dict[str, SeriesFacts] = {}
        self.blocks: dict[str, str] = {}
        self.tokens: list[tuple[str, ...]] = []
        self._labels = labels
        self._fitting = labels is None
        self._misfit: InputError | None = None

    def put(self, view: StateView, plan: Plan, sequences: Sequence[int], label: str = "") -> str:
        """Embed some sequences of a view; its id."""
        held = [one for one in sequences if one < view.sequences]
        pictures = [read_heatmap(view, one, CellBudget(None, plan.bins)) for one in held]
        facts = series_facts(view, f"s{len(self.series)}", label)
        encoded = encode(_stacked(pictures, view.array.dtype), plan.held)
        bins = pictures[0].low.shape[1] if pictures else 0
        facts = replace(
            facts,
            sequences=tuple(held),
            bins=bins,
            planes=1 + (bins < len(view.steps)),
            held=encoded.held,
            held_words=_held_words(view, encoded, bins, held),
            step=encoded.step,
            digits=encoded.digits,
            data=self._block(encoded.text),
            valid=tuple(valid_runs(view.valid(one)) for one in held),
            orders=dict(_orders(view, held)),
            limit=colour_limit(
                tuple(part for one in pictures for part in (one.low, one.high)),
                is_gate=view.is_sigmoid_gate,
            ),
            tokens=self._token_rows(view, held),
        )
        self.series[facts.id] = facts
        return facts.id

    def put_facts(self, view: StateView) -> str:
        """Add a view whose values are served; its id."""
        facts = series_facts(view, f"s{len(self.series)}")
        orders: dict[str, tuple[int, ...]] = {by: () for by, _ in _scores(view)}
        self.series[facts.id] = replace(
            facts,
            held_words="Values are read from the file as they are asked for; where a pixel would "
            "be several timesteps, it is the one furthest from zero.",
            orders=orders,
        )
        return facts.id

    def put_values(self, facts: SeriesFacts, values: Array) -> str:
        """Embed values (1, 1 or 2, unit, bin) that come from no trace; the id."""
        encoded = encode(values, "float32")
        whole = replace(
            facts,
            id=f"s{len(self.series)}",
            planes=values.shape[1],
            held=encoded.held,
            data=self._block(encoded.text),
            limit=colour_limit((values,)),
        )
        self.series[whole.id] = whole
        return whole.id

    def check_labels(self) -> None:
        """Refuse tokens that fitted no array.

        Raises
        ------
        InputError
        """
        if not self._fitting and self._misfit is not None:
            raise self._misfit

    def _block(self, text: str) -> str:
        name = "v" + sha256(text.encode("ascii")).hexdigest()[:16]
        self.blocks[name] = text
        return name

    def _token_rows(self, view: StateView, sequences: Iterable[int]) -> tuple[int, ...] | None:
        if self._labels is None:
            return None
        try:
            rows = [self._labels.of(view, sequence) for sequence in sequences]
        except InputError as error:
            self._misfit = error
            return None
        self._fitting = True
        for row in rows:
            if row not in self.tokens:
                self.tokens.append(row)
        return tuple(self.tokens.index(row) for row in rows)


def series_facts(view: StateView, name: str, label: str = "") -> SeriesFacts:
    """What is known of a view before its values are read."""
    return SeriesFacts(
        id=name,
        layer=view.layer.name,
        array=view.gate or view.name,
        label=label or array_label(view),
        units=len(view.units),
        steps=len(view.steps),
        unit_names=_names(view.units),
        step_names=_names(view.steps),
        sequences=(),
        sequence_count=view.sequences,
        bins=len(view.steps),
        held=str(view.array.dtype),
        held_words="",
    )


def array_label(view: StateView) -> str:
    """What a page calls an array."""
    label = f"{view.gate}, a gate" if view.gate else LABELS.get(view.name, view.name)
    return label if view.in_input_order else f"{label} (in the order of processing)"


def page_views(trace: Trace, layers: Iterable[str]) -> Iterator[StateView]:
    """The arrays of a page in the order of layers; outputs that are m are shown as m.

    What has no sequences, timesteps or units is left out.
    """
    for name in layers:
        names = view_names(trace, name)
        outputs_are_m = trace.layer(name).outputs_are_m and "m" in names
        for array in names:
            view = open_view(trace, name, array)
            repeated = array == "outputs" and outputs_are_m
            if all(view.array.shape) and not repeated:
                yield view


def size_of(view: StateView) -> ArraySize:
    """The size of a view, for a plan."""
    sequences, timesteps, units = view.array.shape
    return ArraySize(sequences, timesteps, units, view.array.dtype.itemsize)


def valid_runs(valid: Array) -> Runs:
    """Where a sequence is valid, as spans."""
    edges = np.flatnonzero(np.diff(valid, prepend=False, append=False)).tolist()
    return tuple(zip(edges[::2], edges[1::2], strict=True))


def _orders(view: StateView, sequences: Sequence[int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every order of the units; the values are read once."""
    scores = dict(_scores(view))
    every = _Several(tuple(scores.values()))
    with np.errstate(invalid="ignore"):  # infinity less infinity: no number, and so comes last
        for sequence in sequences:
            measure_units(view, every, slice(sequence, sequence + 1))
    for by, score in scores.items():
        yield by, _by_score(score)


class _Several:
    """Scores that see the same steps."""

    def __init__(self, scores: tuple[Score, ...]) -> None:
        self._scores = scores

    def see(self, values: Array, follows: Array) -> None:
        for score in self._scores:
            score.see(values, follows)

    def result(self) -> Array:
        raise NotImplementedError("each score has its own")


def _scores(view: StateView) -> Iterator[tuple[str, Score]]:
    for by, make in RANKINGS.items():
        try:
            yield by, make(view)
        except OptionError:  # noqa: PERF203  # no ends at which it could saturate
            continue


def _by_score(score: Score) -> tuple[int, ...]:
    scores = score.result()
    order = np.argsort(np.where(np.isnan(scores), np.inf, -scores), kind="stable")
    return tuple(order.tolist())


def _stacked(pictures: Sequence[Heatmap], dtype: np.dtype[Any]) -> Array:
    """All sequences (sequence, 1 or 2, unit, bin) in the dtype of the trace."""
    parts = [
        np.stack([one.low, one.high] if one.is_binned else [one.low]).astype(dtype)
        for one in pictures
    ]
    return np.stack(parts) if parts else np.zeros((0, 1, 0, 0), dtype)


def _names(places: Array) -> tuple[int, ...] | None:
    plain = np.array_equal(places, np.arange(len(places)))
    return None if plain else tuple(places.tolist())


def _held_words(view: StateView, encoded: EncodedArray, bins: int, held: Sequence[int]) -> str:
    words = []
    if encoded.held == "int16":
        words.append(f"values rounded to steps of {encoded.step:.2g}")
    elif encoded.held == str(view.array.dtype):
        words.append(f"values as stored ({encoded.held})")
    else:
        words.append(f"values rounded from {view.array.dtype} to {encoded.held}")
    if bins < len(view.steps):
        words.append(
            f"{len(view.steps)} timesteps in {bins} bins, the least and the greatest of each"
        )
    if len(held) < view.sequences:
        named = f" ({', '.join(map(str, held))})" if len(held) <= MOST_NAMED else ""
        words.append(f"{len(held)} of {view.sequences} sequences{named}")
    text = "; ".join(words)
    return text[0].upper() + text[1:] + "."
