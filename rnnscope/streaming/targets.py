"""Outputs that somebody streamed: which arrays they are, and how far results are from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError
from rnnscope.explaining.compared.reference import Reference, ReferenceArray
from rnnscope.model.cell import Array
from rnnscope.streaming.results import Place, Results


@dataclass(frozen=True, eq=False)
class Target:
    """An array, and the result that it is held to.

    Attributes
    ----------
    place : Place
    values : ndarray (sequence, timestep, width), or (sequence, width) for a final state
    scale : float
        What differences are measured in.
    source : str
        What the reference calls it.
    """

    place: Place
    values: Array
    scale: float
    source: str

    @property
    def over_time(self) -> bool:
        return self.values.ndim == 3

    @property
    def words(self) -> str:
        node, key = self.place
        return f"{self.source} {self.values.shape}: {key} of '{node}'"

    def some(self, rows: slice, timesteps: int) -> Target:
        """The first timesteps of some sequences."""
        values = self.values[rows, :timesteps] if self.over_time else self.values[rows]
        return replace(self, values=values)

    def apart(self, result: Array, mask: Array | None) -> Array:
        """The largest difference of each step (sequence, timestep); of a final state, of one.

        Steps that do not count are not compared.
        """
        if not self.over_time:
            return _largest(result - self.values)[:, None] / self.scale
        steps = self.values.shape[1]
        found: Array = _largest(result[:, :steps] - self.values) / self.scale
        return found if mask is None else np.where(mask[:, :steps], found, 0.0)


def _largest(difference: Array) -> Array:
    with np.errstate(invalid="ignore"):
        found: Array = np.abs(difference).max(axis=-1, initial=0.0)
    return np.where(np.isnan(found), np.inf, found)


@dataclass(frozen=True, eq=False)
class Targets:
    """What a streamer has to give.

    Attributes
    ----------
    all : tuple of Target
    notes : tuple of str
        What could not be compared, or was turned.
    """

    all: tuple[Target, ...]
    notes: tuple[str, ...]

    @property
    def places(self) -> frozenset[Place]:
        return frozenset(target.place for target in self.all)


def find_targets(reference: Reference, whole: Results, mask: Array | None, limit: float) -> Targets:
    """The results that the arrays of a reference are, by name and shape.

    Where several results have the shape, it is the one that agrees for the longest.

    Raises
    ------
    InputError
        None of its arrays is as large as a result over time.
    """
    for reading in reference.readings:
        found: list[Target] = []
        notes = [f"not read of the reference: {name}" for name in reference.not_read]
        for array in reading.arrays:
            target = _target_of(array, whole, mask, limit, notes)
            if target is None:
                notes.append(f"not compared: {array.source} {array.values.shape}")
            else:
                found.append(target)
        if any(target.over_time for target in found):
            return Targets(tuple(found), tuple(dict.fromkeys(notes)))
    sizes = {f"{key} of '{node}' {array.shape}" for (node, key), array in whole.items()
             if array.ndim == 3}  # fmt: skip
    raise InputError(
        "None of the arrays is a result of the model over time.",
        where=reference.name,
        expected=f"one of {', '.join(sorted(sizes))}; fewer timesteps are compared as far as they "
        "go",
        found=", ".join(f"{a.source} {a.values.shape}" for a in reference.readings[0].arrays[:8]),
    )


def _target_of(
    array: ReferenceArray, whole: Results, mask: Array | None, limit: float, notes: list[str]
) -> Target | None:
    best: tuple[int, int] | None = None
    chosen: Target | None = None
    fitting = 0
    for number, (place, result) in enumerate(whole.items()):
        if not _may_be(array, place):
            continue
        for values, turned in _shaped(array.values, result):
            scale = array.scale or float(np.abs(values).max(initial=0.0)) or 1.0
            target = Target(place, values, scale, array.source)
            apart = target.apart(result, mask) > limit
            reached = int(apart.any(axis=0).argmax()) if apart.any() else values.shape[1]
            fitting += 1
            if best is None or (reached, number) > best:
                best, chosen = (reached, number), target
                if turned:
                    notes.append(f"{array.source} was read as (timestep, sequence, unit)")
    # A final state says nothing of where it parts: it has to be one result alone.
    return None if chosen is not None and not chosen.over_time and fitting > 1 else chosen


def _may_be(array: ReferenceArray, place: Place) -> bool:
    node, key = place
    if array.layer and not array.layer.isdigit() and array.layer not in node:
        return False
    if array.key == "array":
        return not key.startswith("final/") or array.values.ndim == 2
    if array.key in ("outputs", "m"):
        return key in ("outputs", "m")
    return array.key == key


def _shaped(values: Array, result: Array) -> Iterator[tuple[Array, bool]]:
    """The values as (sequence, timestep, width) of as many steps as they have."""
    if result.ndim == 2:
        if values.shape == result.shape:
            yield values, False
        return
    sequences, timesteps, width = result.shape
    if values.ndim == 2 and sequences == 1:
        values = values[None]
    if values.ndim == 2 and width == 1 and values.shape[0] == sequences:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] != width:
        return
    if values.shape[0] == sequences and 1 < values.shape[1] <= timesteps:
        yield values, False
    elif values.shape[1] == sequences and 1 < values.shape[0] <= timesteps:
        yield np.swapaxes(values, 0, 1), True


@dataclass(frozen=True)
class Apart:
    """How a streamer's results differ from the targets.

    Attributes
    ----------
    first_step, first_sequence : int or None
        None where all are within the limit; of final states the step is one past the last.
    largest : float
    """

    first_step: int | None
    first_sequence: int | None
    largest: float

    @property
    def fits(self) -> bool:
        return self.first_step is None


def apart_from(
    targets: Sequence[Target], results: Results, mask: Array | None, limit: float, timesteps: int
) -> Apart:
    """Where results part from what they should be, over all targets."""
    first: tuple[int, int] | None = None
    largest = 0.0
    for target in targets:
        result = results.get(target.place)
        if result is None:
            return Apart(0, 0, np.inf)
        apart = target.apart(result, mask)
        largest = max(largest, float(apart.max(initial=0.0)))
        beyond = apart > limit
        if not beyond.any():
            continue
        at = int(beyond.any(axis=0).argmax())
        here = (at if target.over_time else timesteps, int(beyond[:, at].argmax()))
        first = here if first is None else min(first, here)
    step, sequence = first or (None, None)
    return Apart(step, sequence, largest)
