"""The input: scale, columns, rows of an embedding, and the precision of everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations

import numpy as np

from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.confusions.options import words
from rnnscope.explaining.deviations import Deviation, Unknown
from rnnscope.explaining.setup import DrivenLayer, Setup, altered
from rnnscope.explaining.stacking import round_to
from rnnscope.model.cell import Array

ALL_COLUMN_ORDERS_UP_TO = 4


def _scales(facts: Facts) -> Iterator[Unknown]:
    def factor(setup: Setup, numbers: Sequence[float]) -> Setup:
        return setup.with_inputs(lambda x: x * numbers[0])

    def affine(setup: Setup, numbers: Sequence[float]) -> Setup:
        return setup.with_inputs(lambda x: x * numbers[0] + numbers[1])

    if facts.subject.embedding is not None:
        return
    yield Unknown(
        "input-scale", ((0.7,), (0.1,), (2.0,)), factor, lambda n: f"factor {words(n[0])}"
    )
    yield Unknown(
        "input-scale",
        ((0.7, 0.1), (1.0, -0.3)),
        affine,
        lambda n: f"factor {words(n[0])}, offset {words(n[1])}",
    )


def _columns(facts: Facts) -> Iterator[Deviation]:
    if facts.subject.embedding is not None:
        return
    for name, x in facts.setup.inputs.items():
        del name
        width = x.shape[2]
        if width < 2:
            continue
        for order in _orders(width):
            value = " ".join(map(str, order)) if width <= 16 else _in_short(order)
            common = order == order[::-1] or order == tuple(range(width))[::-1]
            yield Deviation("input-columns", value, _reordered(order), usual=common)
        return


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


def _reordered(order: tuple[int, ...]) -> Callable[[Setup], Setup | None]:
    columns = list(order)

    def change(setup: Setup) -> Setup | None:
        if any(x.shape[2] != len(columns) for x in setup.inputs.values()):
            return None
        return setup.with_inputs(lambda x: np.ascontiguousarray(x[..., columns]))

    return change


def _embeddings(facts: Facts) -> Iterator[Deviation]:
    embedding = facts.subject.embedding
    if embedding is None or facts.setup.ids is None:
        return
    table = np.asarray(embedding.table, np.float64)
    last = len(table) - 1

    def looked_up(of: Callable[[Array], Array]) -> Callable[[Setup], Setup | None]:
        def change(setup: Setup) -> Setup | None:
            if setup.ids is None:
                return None
            ids = of(setup.ids)
            inside = (ids >= 0) & (ids <= last)
            rows = np.where(inside[..., None], table[np.clip(ids, 0, last)], 0.0)
            return altered(setup, inputs=dict.fromkeys(setup.inputs, rows))

        return change

    yield Deviation("embedding", "ids + 1", looked_up(lambda ids: ids + 1))
    yield Deviation("embedding", "ids - 1", looked_up(lambda ids: ids - 1))
    yield Deviation("embedding", "ids + 1", looked_up(lambda ids: np.minimum(ids + 1, last)))
    yield Deviation("embedding", "ids - 1", looked_up(lambda ids: np.maximum(ids - 1, 0)))
    yield Deviation("embedding", "ids - 1", looked_up(lambda ids: (ids - 1) % (last + 1)))
    yield Deviation("embedding", "ids + 1", looked_up(lambda ids: (ids + 1) % (last + 1)))
    yield Deviation(
        "embedding", "row 0 is zeros", looked_up(lambda ids: np.where(ids == 0, -1, ids))
    )
    for most in _round_bounds(facts.setup.ids):
        yield Deviation(
            "embedding",
            "ids clipped",
            looked_up(lambda ids, most=most: np.minimum(ids, most)),  # type: ignore[misc]
        )


def _round_bounds(ids: Array) -> list[int]:
    """Bounds that ids may have been clipped to: each that leaves some of them."""
    values = np.unique(ids)
    return [int(value) for value in values[-9:-1]]


def _dtypes(facts: Facts) -> Iterator[Deviation]:
    if not any(driven.stackable for driven in facts.layers):
        return
    for dtype in ("float16", "bfloat16"):
        yield Deviation("dtype", f"{dtype} weights", _every(_rounded_weights(dtype)))
        for first in (False, True):
            change = _every(_rounded_states(dtype, first=first))
            yield Deviation("dtype", f"{dtype} states", change)

        def both(driven: DrivenLayer, dtype: str = dtype) -> DrivenLayer | None:
            return altered(_rounded_weights(dtype)(driven), rounding=dtype)

        yield Deviation("dtype", f"{dtype} weights and states", _every(both))


def _every(change: Callable[[DrivenLayer], DrivenLayer | None]) -> Callable[[Setup], Setup | None]:
    return lambda setup: setup.changed(lambda driven: change(driven) if driven.stackable else None)


def _rounded_weights(dtype: str) -> Callable[[DrivenLayer], DrivenLayer]:
    def change(driven: DrivenLayer) -> DrivenLayer:
        arrays = {
            name: round_to(array, dtype)
            for name, array in vars(driven.cell.weights).items()
            if isinstance(array, np.ndarray)
        }
        if "added_bias" in arrays:  # each of both is rounded, then they are added
            weights = driven.cell.weights
            own = round_to(weights.bias - weights.added_bias, dtype)
            arrays["bias"] = own + arrays["added_bias"]
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
