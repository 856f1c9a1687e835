"""Biases, peepholes and projections that are left out, doubled or in another place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from rnnscope.explaining.computing.setup import DrivenLayer, PeepholeOfO, altered
from rnnscope.explaining.confusions.changes import ChangeLayer, every_layer
from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.confusions.kernel_layout import (
    ReadMatrix,
    columns_as_rows,
    rows_as_columns,
)
from rnnscope.explaining.readings.deviations import Deviation

BIASES = {
    "none": "The bias is not added there: add it.",
    "doubled": "The bias is added twice there: add it once.",
    "input bias only": "Only the bias of the input product is added there: add that of the "
    "recurrent product, too.",
    "recurrent bias only": "Only the bias of the recurrent product is added there: add that of the "
    "input product, too.",
}


def _biases(facts: Facts) -> Iterator[Deviation]:
    changes: dict[str, ChangeLayer] = {
        "none": _scaled(0.0),
        "doubled": _scaled(2.0),
        "input bias only": _without_bias_of_m,
        "recurrent bias only": _without_bias_of_x,
    }
    if facts.stackable:
        for value, advice in BIASES.items():
            yield Deviation("bias", value, every_layer(changes[value]), advice=advice)


def _scaled(factor: float) -> ChangeLayer:
    def change(driven: DrivenLayer) -> DrivenLayer:
        weights = driven.cell.weights
        names = [name for name in ("bias", "recurrent_bias")
                 if getattr(weights, name, None) is not None]  # fmt: skip
        return driven.with_weights(**{name: getattr(weights, name) * factor for name in names})

    return change


def _without_bias_of_m(driven: DrivenLayer) -> DrivenLayer | None:
    weights = driven.cell.weights
    if getattr(weights, "recurrent_bias", None) is not None:
        return driven.with_weights(recurrent_bias=np.zeros_like(weights.recurrent_bias))
    added = getattr(weights, "added_bias", None)
    return None if added is None else driven.with_weights(bias=weights.bias - added)


def _without_bias_of_x(driven: DrivenLayer) -> DrivenLayer | None:
    weights = driven.cell.weights
    if getattr(weights, "recurrent_bias", None) is not None:
        return driven.with_weights(bias=np.zeros_like(weights.bias))
    added = getattr(weights, "added_bias", None)
    return None if added is None else driven.with_weights(bias=added)


def _peepholes(facts: Facts) -> Iterator[Deviation]:
    with_some = [one for one in facts.some("lstm") if one.cell.peepholes]
    if not with_some:
        return
    gates = ("i", "f", "o")
    changes: dict[str, ChangeLayer] = {"ignored": _without_peepholes}
    for order in permutations(gates):
        if order != gates:
            changes[f"order {' '.join(order)}"] = _peepholes_of(order)
    if with_some[0].cell.options.cell_clip.value is not None:
        changes["o sees the unclipped c"] = _o_sees("the unclipped c")
    changes["o sees the previous c"] = _o_sees("the previous c")
    for value, change in changes.items():
        yield Deviation(
            "peepholes",
            value,
            every_layer(change, "lstm"),
            advice=f"The peepholes are read as '{value}': those of i and f see the previous c, "
            "that of o the new one after its clip.",
        )


def _without_peepholes(driven: DrivenLayer) -> DrivenLayer | None:
    names = dict.fromkeys(("peephole_i", "peephole_f", "peephole_o"))
    return driven.with_weights(**names) if driven.cell.peepholes else None


def _peepholes_of(order: tuple[str, ...]) -> ChangeLayer:
    def change(driven: DrivenLayer) -> DrivenLayer | None:
        weights = driven.cell.weights
        arrays = [getattr(weights, f"peephole_{gate}") for gate in order]
        if any(array is None for array in arrays):
            return None
        names = ("peephole_i", "peephole_f", "peephole_o")
        return driven.with_weights(**dict(zip(names, arrays, strict=True)))

    return change


def _o_sees(seen: PeepholeOfO) -> ChangeLayer:
    return lambda driven: altered(driven, peephole_of_o=seen)


def _projections(facts: Facts) -> Iterator[Deviation]:
    projected = [one for one in facts.some("lstm") if one.cell.num_proj is not None]
    if not projected:
        return
    for read in (rows_as_columns, columns_as_rows):
        yield Deviation(
            "projection",
            "transposed",
            every_layer(_projection_read(read), "lstm"),
            advice="The projection is transposed there: m = (o * act(c)) @ projection.",
        )
    rows, columns = projected[0].cell.weights.projection.shape
    if rows == columns:
        yield Deviation(
            "projection",
            "ignored",
            every_layer(lambda one: one.with_weights(projection=None), "lstm"),
            advice=unprojected_advice(rows, columns),
        )


def unprojected_advice(rows: int, columns: int) -> str:
    """What to change where m is shown before its projection."""
    return f"m is shown before its projection there: multiply by the projection {(rows, columns)}."


def _projection_read(read: ReadMatrix) -> ChangeLayer:
    def change(driven: DrivenLayer) -> DrivenLayer | None:
        projection = driven.cell.weights.projection
        return None if projection is None else driven.with_weights(projection=read(projection))

    return change


CONFUSIONS = (
    Confusion("bias", _biases),
    Confusion("peepholes", _peepholes),
    Confusion("projection", _projections),
)
