"""Where an array of a reference may stand: every result whose name and shape allow it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from rnnscope.explaining.compared.placing import Part, placed
from rnnscope.explaining.compared.reference import ReferenceArray
from rnnscope.explaining.readings.deviations import Target
from rnnscope.model.cell import Array

NO_SCALE = float(np.finfo(np.float32).tiny)
"""The scale of an array of zeros: nothing but zeros is near it."""


def scale_of(values: Array) -> float:
    """The largest value of an array, which differences are measured in."""
    return float(np.nanmax(np.abs(values), initial=0.0)) or NO_SCALE


class ResultShape(NamedTuple):
    """One result of a model: a node's array.

    Attributes
    ----------
    node, key : str
        ``c``, ``m``, ``outputs``, ``unprojected``, ``gates/i``, ``final/c``, ``final/m``, and
        ``value`` of a node without states.
    shape : tuple of int
        (sequence, timestep, width) or (sequence, width).
    turned : bool
        A final state of each timestep, as there is where sequences are taken for timesteps.
    """

    node: str
    key: str
    shape: tuple[int, ...]
    turned: bool = False

    @property
    def over_time(self) -> bool:
        return len(self.shape) == 3

    @property
    def width(self) -> int:
        return self.shape[-1]


class Placed(NamedTuple):
    """An array of the reference in one place."""

    target: Target
    part: Part
    array: ReferenceArray

    @property
    def words(self) -> tuple[str, ...]:
        values = self.target.values
        return self.part.words(values.shape[1] if values.ndim == 3 else 1)


def places_of(
    array: ReferenceArray,
    layer: str | None,
    results: Sequence[ResultShape],
    sequences: int,
    *,
    turned: bool,
) -> Iterator[Placed]:
    """Where an array may belong: every result whose shape it can have."""
    values = array.values
    if turned:
        if values.ndim != 3:
            # Final states have no time; they belong to both ways of reading the rest.
            yield from places_of(array, layer, results, sequences, turned=False)
            return
        values = values.swapaxes(0, 1)
    scale = array.scale or scale_of(values)
    for result in results:
        if not _may_be(array, layer, result):
            continue
        for filled, part in placed(values, result.shape, sequences):
            target = Target(result.node, result.key, filled, scale, array.source, result.turned)
            yield Placed(target, part, array)


def _may_be(array: ReferenceArray, layer: str | None, result: ResultShape) -> bool:
    flat = array.values.ndim == 2 and array.values.shape[1] == np.prod(result.shape[1:])
    if array.values.shape[-1] != result.width and not flat:
        return False
    if flat and array.key.startswith("final/") and result.over_time:
        # One row of all steps, under the name of a state.
        return result.key == array.key.removeprefix("final/")
    if layer is not None and result.node != layer:
        # Names of one direction's layer, or of a wrapper, may stand for what joins them.
        return False
    return result.key in _keys_of(array)


def _keys_of(array: ReferenceArray) -> tuple[str, ...]:
    """The results that an array of this name may be."""
    key = array.key
    if key == "array":
        return (
            "outputs",
            "c",
            "value",
            "final/m",
            "final/c",
            "unprojected outputs",
            "final/unprojected",
        )
    if key == "outputs":
        return ("outputs", "value", "final/m", "unprojected outputs")
    if key == "final/m":
        return ("final/m", "value", "final/unprojected")
    if key in ("c", "m") and array.values.ndim == 2:
        return (key, f"final/{key}")
    if key == "m":
        return ("m", "value", "unprojected")
    return (key,)
