"""The input: scale, columns, rows of an embedding, and the precision of everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations

import numpy as np

from rnnscope.explaining.computing.setup import DrivenLayer, Setup, altered
from rnnscope.explaining.computing.stacking import round_to
from rnnscope.explaining.confusions.changes import (
    LEAST,
    ChangeLayer,
    ChangeSetup,
    every_layer,
    number_words,
)
from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.readings.deviations import Deviation, Unknown
from rnnscope.model.cell import Array

ALL_COLUMN_ORDERS_UP_TO = 4

FACTORS = ((0.7,), (0.1,), (2.0,))
FACTORS_AND_OFFSETS = ((0.7, 0.1), (1.0, -0.3))
"""Where to begin the search for what the input is multiplied by, and what is added to it."""


def _scales(facts: Facts) -> Iterator[Unknown]:
    def scaled(setup: Setup, numbers: Sequence[float]) -> Setup | None:
        factor, offset = (*numbers, 0.0)[:2]
        if abs(factor) < LEAST:
            return None
        return setup.with_inputs(lambda x: x * factor + offset)

    def named(numbers: Sequence[float]) -> Deviation:
        kinds = zip(("factor", "offset"), numbers, strict=False)
        value = ", ".join(f"{kind} {number_words(number)}" for kind, number in kinds)
        advice = f"The input is scaled there (x times {value}): give both sides the same."
        return Deviation("input-scale", value, advice=advice)

    if facts.subject.embedding is None:
        yield Unknown("input-scale", FACTORS, scaled, named)
        yield Unknown("input-scale", FACTORS_AND_OFFSETS, scaled, named)


def _columns(facts: Facts) -> Iterator[Deviation]:
    widths = {x.shape[2] for x in facts.setup.inputs.values()}
    if facts.subject.embedding is not None or len(widths) != 1:
        return
    width = widths.pop()
    for order in _orders(width) if width > 1 else ():
        value = " ".join(map(str, order)) if width <= 16 else _in_short(order)
        yield Deviation(
            "input-columns",
            value,
            _reordered(order),
            advice="The features of the input are in another order there: column k is our column "
            f"{value}.",
            usual=order == tuple(range(width))[::-1],
        )


def _orders(width: int) -> list[tuple[int, ...]]:
    own = tuple(range(width))
    if width <= ALL_COLUMN_ORDERS_UP_TO:
        return [order for order in permutations(own) if order != own]
    found = [own[::-1], (*own[1:], own[0]), (own[-1], *own[:-1])]
    for one in range(width):
        for other in range(one + 1, width):
            if width <= 8 or other == one + 1:
                swapped = list(own)
                swapped[one], swapped[other] = other, one
                found.append(tuple(swapped))
    half = width // 2
    found.append((*own[half:], *own[:half]))
    if width % 2 == 0:
        found.append(tuple(place ^ 1 for place in own))  # pairs change places
    return list(dict.fromkeys(order for order in found if order != own))


def _in_short(order: tuple[int, ...]) -> str:
    moved = [place for place, source in enumerate(order) if place != source]
    if order == tuple(range(len(order)))[::-1]:
        return "in reverse"
    if len(moved) == 2:
        return f"{moved[0]} and {moved[1]} swapped"
    return " ".join(map(str, order))


def _reordered(order: tuple[int, ...]) -> ChangeSetup:
    columns = list(order)
    return lambda setup: setup.with_inputs(lambda x: np.ascontiguousarray(x[..., columns]))


def _embeddings(facts: Facts) -> Iterator[Deviation]:
    embedding, ids = facts.subject.embedding, facts.setup.ids
    if embedding is None or ids is None:
        return
    table = np.asarray(embedding.table, np.float64)
    last = len(table) - 1

    def looked_up(of: Callable[[Array], Array]) -> ChangeSetup:
        def change(setup: Setup) -> Setup | None:
            if setup.ids is None:
                return None
            rows = of(setup.ids)
            inside = (rows >= 0) & (rows <= last)
            values = np.where(inside[..., None], table[np.clip(rows, 0, last)], 0.0)
            return altered(setup, inputs=dict.fromkeys(setup.inputs, values))

        return change

    # What lies outside the table gives zeros, its nearest row, or a row from its other end.
    ways: list[tuple[str, Callable[[Array], Array]]] = []
    for value, by in (("ids + 1", 1), ("ids - 1", -1)):
        ways += [
            (value, lambda ids, by=by: ids + by),  # type: ignore[misc]
            (value, lambda ids, by=by: np.clip(ids + by, 0, last)),  # type: ignore[misc]
            (value, lambda ids, by=by: (ids + by) % (last + 1)),  # type: ignore[misc]
        ]
    ways.append(("row 0 is zeros", lambda ids: np.where(ids == 0, -1, ids)))
    for most in _bounds(ids):
        ways.append(("ids clipped", lambda ids, most=most: np.minimum(ids, most)))  # type: ignore[misc]
    for value, of in ways:
        advice = f"The rows of the embedding are looked up by other ids there: {value}."
        yield Deviation("embedding", value, looked_up(of), advice=advice)


def _bounds(ids: Array) -> list[int]:
    """Bounds that ids may have been clipped to: each that leaves some of them."""
    values = np.unique(ids)
    return [int(value) for value in values[-9:-1]]


def _dtypes(facts: Facts) -> Iterator[Deviation]:
    if not facts.stackable:
        return
    for dtype in ("float16", "bfloat16"):
        changes = (
            ("weights", _rounded_weights(dtype)),
            ("states", _rounded_states(dtype, first=False)),
            ("states", _rounded_states(dtype, first=True)),
            ("weights and states", _rounded_both(dtype)),
        )
        for what, change in changes:
            advice = f"The {what} are rounded to {dtype} there."
            yield Deviation("dtype", f"{dtype} {what}", every_layer(change), advice=advice)


def _rounded_both(dtype: str) -> ChangeLayer:
    return lambda driven: altered(_rounded_weights(dtype)(driven), rounding=dtype)


def _rounded_weights(dtype: str) -> Callable[[DrivenLayer], DrivenLayer]:
    def change(driven: DrivenLayer) -> DrivenLayer:
        arrays = {
            name: round_to(array, dtype)
            for name, array in vars(driven.cell.weights).items()
            if isinstance(array, np.ndarray)
        }
        if "added_bias" in arrays:  # each of both is rounded, then they are added
            own = driven.cell.weights.bias - driven.cell.weights.added_bias
            arrays["bias"] = round_to(own, dtype) + arrays["added_bias"]
        return driven.with_weights(**arrays)

    return change


def _rounded_states(dtype: str, *, first: bool) -> Callable[[DrivenLayer], DrivenLayer]:
    return lambda driven: altered(driven, rounding=dtype, rounds_first=first)


CONFUSIONS = (
    Confusion("input-scale", _scales),
    Confusion("input-columns", _columns),
    Confusion("embedding", _embeddings),
    Confusion("dtype", _dtypes),
)
