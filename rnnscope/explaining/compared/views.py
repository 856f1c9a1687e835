"""The ways to read a reference as results of a model.

A file says what its arrays are as far as names and shapes tell, and people leave the rest open:
which axis is time, which steps are there, whether an array alone is c, m or a later result. Each
way to read it is a `View`; a reading fits if it agrees with one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, permutations, product

from rnnscope.errors import InputError
from rnnscope.explaining.compared.placing import Part
from rnnscope.explaining.compared.reference import Reference, ReferenceReading
from rnnscope.explaining.compared.result_places import Placed, ResultShape, places_of
from rnnscope.explaining.readings.deviations import View
from rnnscope.model.cell import Array

MOST_VIEWS = 48
MOST_COMBINATIONS = 4096

MOST_ORDERED = 5
"""Layers of which every order is tried where their names say nothing and their shapes do."""


def views_of(
    reference: Reference,
    results: Sequence[ResultShape],
    recurrent: Sequence[str],
    sequences: int,
) -> list[View]:
    """Every way to read a reference as results of a model.

    Parameters
    ----------
    reference : Reference
    results : sequence of ResultShape
        What the model makes of the input.
    recurrent : sequence of str
        The recurrent layers, in order.
    sequences : int
        Those of the input, of which `results` may have the first alone.

    Raises
    ------
    InputError
        None of its arrays has the shape of any result.
    """
    found = _distinct(reference.readings, results, recurrent, sequences)
    if not found:
        apart = [one for reading in reference.readings for one in _layers_apart(reading)]
        found = _distinct(apart, results, recurrent, sequences)
    if not found:
        raise _no_fit(reference, results)
    # A view that has no place for an array is no reading of the whole reference, if others have.
    least = min(len(view.not_compared) for view in found.values())
    whole = [view for view in found.values() if len(view.not_compared) == least]
    # What had to be found out least about is the likeliest.
    return sorted(whole, key=lambda view: len(view.words))[:MOST_VIEWS]


def _distinct(
    readings: Sequence[ReferenceReading],
    results: Sequence[ResultShape],
    recurrent: Sequence[str],
    sequences: int,
) -> dict[tuple[object, ...], View]:
    """The views of readings, by what they say."""
    found: dict[tuple[object, ...], View] = {}
    for reading in readings:
        for view in _views_of_reading(reading, results, recurrent, sequences):
            key = tuple((t.node, t.key, t.values.tobytes()) for t in view.targets)
            found.setdefault(key, view)
    return found


def _layers_apart(reading: ReferenceReading) -> Iterator[ReferenceReading]:
    """Each layer of a reference that has more than the model: those of several calls, say."""
    layers = dict.fromkeys(array.layer for array in reading.arrays)
    for layer in layers if len(layers) > 1 else ():
        rest = [one for one in reading.arrays if one.layer != layer]
        yield replace(
            reading,
            arrays=tuple(one for one in reading.arrays if one.layer == layer),
            start=tuple(one for one in reading.start if one.layer == layer),
            alone=f"'{layer}' alone" if layer else "what has no layer's name alone",
            beside=tuple(f"{one.source} {one.values.shape}" for one in rest),
        )


def _views_of_reading(
    reading: ReferenceReading,
    results: Sequence[ResultShape],
    recurrent: Sequence[str],
    sequences: int,
) -> Iterator[View]:
    for turned in (False, True):
        names, places = _named_places(reading, results, recurrent, sequences, turned=turned)
        choices = [found for found in places if found]
        pairs = zip(reading.arrays, places, strict=True)
        left = [f"{array.source} {array.values.shape}" for array, found in pairs if not found]
        if not choices:
            continue
        for chosen in _combinations(choices):
            words = dict.fromkeys(word for one in chosen for word in one.words)
            said = [reading.alone] if reading.alone else []
            said += ["time-major"] if turned else []
            yield View(
                tuple(one.target for one in chosen),
                (*said, *words),
                (),
                reading.format,
                reading.lengths,
                not_compared=(*left, *reading.beside),
                start=_start(reading, names, recurrent),
            )


def _named_places(
    reading: ReferenceReading,
    results: Sequence[ResultShape],
    recurrent: Sequence[str],
    sequences: int,
    *,
    turned: bool,
) -> tuple[Mapping[str, str], list[list[Placed]]]:
    """Which layer each layer of the reference is, and where each array may stand then.

    Layers whose names are unknown stand in the model's order; in another one where only that has
    a place for all of every array.
    """

    def placed_as(names: Mapping[str, str]) -> list[list[Placed]]:
        return [
            list(places_of(array, names.get(array.layer), results, sequences, turned=turned))
            for array in reading.arrays
        ]

    layers = list(dict.fromkeys(array.layer for array in reading.arrays))
    names = _layer_names(layers, recurrent)
    places = placed_as(names)
    if _all_whole(places) or not 1 < len(layers) <= len(recurrent) <= MOST_ORDERED:
        return names, places
    for order in permutations(recurrent, len(layers)):
        others = dict(zip(layers, order, strict=True))
        found = placed_as(others)
        if _all_whole(found):
            return others, found
    return names, places


def _all_whole(places: Sequence[Sequence[Placed]]) -> bool:
    return all(any(one.part == Part() for one in found) for found in places)


def _start(
    reading: ReferenceReading, names: Mapping[str, str], recurrent: Sequence[str]
) -> dict[str, dict[str, Array]]:
    """What the reference says of the state before the first step, by layer of the model."""
    found: dict[str, dict[str, Array]] = {}
    for array in reading.start:
        name = recurrent[0] if len(recurrent) == 1 else names.get(array.layer)
        if name is not None:
            found.setdefault(name, {})[array.key] = array.values
    return found


def _combinations(choices: Sequence[Sequence[Placed]]) -> Iterator[tuple[Placed, ...]]:
    """One place for each array.

    No two are in one place, where steps or sequences are missing they are the same of each, arrays
    of one shape are all states over time or all final ones, and what the reference keeps as one
    layer's is one layer's.
    """
    for chosen in islice(product(*choices), MOST_COMBINATIONS):
        parts = [one.part for one in chosen]
        rows = {part.sequences for part in parts if part.sequences is not None}
        steps = {(part.steps, part.of_its_own) for part in parts if part.steps or part.of_its_own}
        over_time: dict[tuple[int, ...], set[object]] = {}
        nodes: dict[str, set[object]] = {}
        for one in chosen:
            axes = over_time.setdefault(one.array.values.shape, set())
            axes.add(one.target.values.ndim)
            if one.array.key != "array" and one.target.key != "value":
                nodes.setdefault(one.array.layer, set()).add(one.target.node)
        # What a layer returns may be its last output, which a file may hold as final m, too.
        slots = {(one.target.node, one.target.key, one.array.key) for one in chosen}
        alike: tuple[set[object], ...] = (
            set(rows), set(steps), *nodes.values(), *over_time.values(),
        )  # fmt: skip
        if len(slots) == len(chosen) and not any(len(of) > 1 for of in alike):
            yield chosen


def _layer_names(layers: Sequence[str], recurrent: Sequence[str]) -> dict[str, str]:
    """Which recurrent layer each layer of the reference is, where names or places tell."""
    if all(layer in recurrent for layer in layers):
        return {layer: layer for layer in layers}
    known = {}
    for layer in layers:
        ends = [
            name
            for name in recurrent
            if layer and (f"/{name}".endswith(f"/{layer}") or layer.endswith(f"/{name}"))
        ]
        if len(ends) == 1:
            known[layer] = ends[0]
    if len(known) == len(layers):
        return known
    if len(layers) == len(recurrent) and len(layers) > 1:
        return dict(zip(layers, recurrent, strict=True))
    return known


def _no_fit(reference: Reference, results: Sequence[ResultShape]) -> InputError:
    made = {f"{one.node} {one.key}": one.shape for one in results if not one.turned}
    held = (f"{array.source} {array.values.shape}" for array in reference.readings[0].arrays)
    return InputError(
        "The reference fits no result of the model over this input.",
        where=reference.name,
        expected="; ".join(f"{name} {shape}" for name, shape in list(made.items())[:8]),
        found="; ".join(list(held)[:8]),
        hint="compare what was computed over the same input; axes are (sequence, timestep, unit)",
    )
