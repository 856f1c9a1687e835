"""A reference as targets: which of a model's results each of its arrays is, in every possible way.

A file says what its arrays are as far as names and shapes tell, and people leave the rest open:
which axis is time, which steps are there, whether an array alone is c, m or a later result. Each
way to read it is a `View`; a reading fits if it agrees with one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import NamedTuple

import numpy as np

from rnnscope.errors import InputError, spell
from rnnscope.explaining.deviations import Target, View
from rnnscope.files.named_arrays import NamedArrays
from rnnscope.model.cell import Array
from rnnscope.states.interface import ReadOptions, StateReading
from rnnscope.states.naming import parse_array_name
from rnnscope.states.operands import Operand, open_operand
from rnnscope.states.recognise import readings_of

MOST_VIEWS = 48
MOST_COMBINATIONS = 4096
RETURNED = frozenset({"torch", "onnx"})
"""Formats of what frameworks return, which is their outputs and final states."""

WEIGHT_NAME = re.compile(r"weight|kernel|bias", re.IGNORECASE)
"""In the names of arrays that are no results, whatever their shape."""

MOST_ROWS = 8
"""Sequences of which a reference of one may be any."""

MOST_MISSING_STEPS = 4
"""Steps that may be missing at either end with every place tried; more only at one of the ends."""


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


@dataclass(frozen=True, eq=False)
class ReferenceArray:
    """An array of a reference, and what its name says.

    Attributes
    ----------
    layer : str
        Empty, a name or a position.
    key : str
        As of a `StateLayer`; ``array`` where nothing says it.
    values : ndarray
    source : str
    """

    layer: str
    key: str
    values: Array
    source: str


@dataclass(frozen=True, eq=False)
class ReferenceReading:
    """One way in which STATE_FORMATS read the reference."""

    format: str
    words: str
    arrays: tuple[ReferenceArray, ...]
    lengths: Array | None = None


@dataclass(frozen=True, eq=False)
class Reference:
    """A reference, read.

    Attributes
    ----------
    name : str
    readings : tuple of ReferenceReading
    precision : float
        The rounding of its values, relative to the largest: that of their dtype, or of what they
        were rounded to.
    rounded : str
        What they were rounded to, in words; empty for their own dtype.
    """

    name: str
    readings: tuple[ReferenceReading, ...]
    precision: float
    rounded: str = ""
    not_read: tuple[str, ...] = field(default=())


def read_reference(operand: Operand, options: ReadOptions, *, most_values: int) -> Reference:
    """Read a reference in every way that its names and shapes allow.

    Raises
    ------
    InputError
        It holds no numbers, a number that is not finite, or too many.
    """
    arrays = open_operand(operand, "the reference")
    try:
        found = _state_readings(arrays, options)
        readings = [_loaded(reading, most_values) for reading in found]
        if not any(reading.sure for reading in found):
            readings.insert(0, _any_arrays(arrays))
        not_read = tuple(str(one) for reading in found[:1] for one in reading.states.not_read)
    finally:
        arrays.close()
    readings = [reading for reading in readings if reading.arrays]
    if not readings:
        raise InputError(
            "The reference holds no array of numbers.",
            where=arrays.label,
            expected="states, outputs or results: (sequence, timestep, unit), (sequence, unit)",
            found=", ".join(arrays.names) or "nothing",
        )
    for array in readings[0].arrays:
        _refuse_nonfinite(array, arrays.label)
    precision, rounded = _precision([one.values for one in readings[0].arrays])
    return Reference(arrays.label, tuple(readings), precision, rounded, not_read)


def _state_readings(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:
    try:
        found = readings_of(arrays, options)
    except InputError:
        if options.format is not None:
            raise
        return []
    # An array alone is every result of its shape, whatever a state format would make of it.
    return [reading for reading in found if reading.format != "single"]


def _loaded(reading: StateReading, most_values: int) -> ReferenceReading:
    states = reading.states
    size = sum(int(np.prod(a.shape)) for layer in states.layers for a in layer.arrays.values())
    if size > most_values:
        raise InputError(
            "The reference holds more values than can be searched.",
            where=states.name,
            expected=f"{most_values:,} values at most",
            found=f"{size:,}",
            hint=f"some sequences are enough: cut input and reference, or give {spell('layers')}",
        )
    arrays = tuple(
        ReferenceArray(
            layer.name,
            _returned(reading.format, key, array.shape),
            np.asarray(array.read(), np.float64),
            f"{layer.name} {key}".strip(),
        )
        for layer in states.layers
        for key, array in layer.arrays.items()
        if not key.startswith(("initial/", "inputs"))
    )  # fmt: skip
    return ReferenceReading(reading.format, reading.words, arrays, states.valid_steps())


def _returned(format_name: str, key: str, shape: tuple[int, ...]) -> str:
    """What frameworks return over time is outputs, also where a format keeps it as m."""
    returned = format_name in RETURNED and key == "m" and len(shape) == 3
    return "outputs" if returned else key


def _any_arrays(arrays: NamedArrays) -> ReferenceReading:
    """Every array of numbers, called what its name says."""
    found = []
    for name in arrays.names:
        stored = arrays.array(name)
        if stored.dtype.kind != "f" or len(stored.shape) not in (1, 2, 3):
            continue
        if WEIGHT_NAME.search(name):
            continue
        parsed = parse_array_name(name)
        key = "array" if parsed is None else parsed.key
        layer = "" if parsed is None else parsed.layer
        values = np.asarray(stored.read(), np.float64)
        values = values[None] if values.ndim == 1 else values
        found.append(ReferenceArray(layer, key, values, name or "the array"))
    return ReferenceReading("", "arrays", tuple(found))


def _refuse_nonfinite(array: ReferenceArray, name: str) -> None:
    if np.isfinite(array.values).all():
        return
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(array.values))[0])
    raise InputError(
        "The reference holds a value that is not a finite number: no reading can explain it.",
        where=f"{name}, {array.source}, {list(place)}",
        expected="finite numbers",
        found=array.values[place],
        hint="'rnnscope diff' names every such place",
    )


def _precision(arrays: Sequence[Array]) -> tuple[float, str]:
    """The relative rounding of values, and what they were rounded to if to less than float32."""
    values = np.concatenate([array.reshape(-1) for array in arrays])
    if not values.size:
        return 1e-15, ""
    largest = float(np.abs(values).max()) or 1.0
    single = np.array_equal(values, values.astype(np.float32))
    if values.size >= 4 and single:
        if np.array_equal(values, values.astype(np.float16).astype(np.float64)):
            return 2.0**-11, "float16"
        if np.array_equal(values, bfloat16(values)):
            return 2.0**-8, "bfloat16"
    for digits in (2, 3, 4, 5, 6):
        near = np.round(values, digits)
        if values.size >= 4 and np.abs(values - near).max() <= 1e-9 + 1e-7 * largest * single:
            return 0.51 * 10.0**-digits / largest, f"{digits} digits after the point"
    return (2.0**-24 if single else 2.0**-53), ""


def bfloat16(values: Array) -> Array:
    """Values rounded to bfloat16, to the nearest even, as float64."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) & np.uint32(0xFFFF0000)
    found: Array = rounded.astype(np.uint32).view(np.float32).astype(np.float64)
    return found


def views_of(
    reference: Reference, results: Sequence[ResultShape], recurrent: Sequence[str]
) -> list[View]:
    """Every way to read a reference as results of a model.

    Parameters
    ----------
    reference : Reference
    results : sequence of ResultShape
        What the model makes of the input.
    recurrent : sequence of str
        The recurrent layers, in order.

    Raises
    ------
    InputError
        None of its arrays has the shape of any result.
    """
    found: dict[tuple[object, ...], View] = {}
    for reading in reference.readings:
        for view in _views_of_reading(reading, results, recurrent):
            key = tuple((t.node, t.key, t.values.tobytes()) for t in view.targets)
            found.setdefault(key, view)
    if not found:
        raise _no_fit(reference, results)
    # A view that has no place for an array is no reading of the whole reference, if others have.
    least = min(len(view.not_compared) for view in found.values())
    whole = [view for view in found.values() if len(view.not_compared) == least]
    # What had to be found out least about is the likeliest.
    return sorted(whole, key=lambda view: len(view.words))[:MOST_VIEWS]


def _views_of_reading(
    reading: ReferenceReading, results: Sequence[ResultShape], recurrent: Sequence[str]
) -> Iterator[View]:
    layers = list(dict.fromkeys(array.layer for array in reading.arrays))
    names = _layer_names(layers, recurrent)
    for turned in (False, True):
        choices, left = [], []
        for array in reading.arrays:
            wanted = names.get(array.layer)
            places = list(_places(array, wanted, results, turned=turned))
            if places:
                choices.append([_Placed(target, words, array) for target, words in places])
            else:
                left.append(f"{array.source} {array.values.shape}")
        if not choices:
            continue
        for chosen in _combinations(choices):
            words = dict.fromkeys(word for one in chosen for word in one.words)
            said = ("time-major",) if turned else ()
            targets = tuple(one.target for one in chosen)
            yield View(
                targets,
                (*said, *words),
                (),
                reading.format,
                reading.lengths,
                not_compared=tuple(left),
            )


class _Placed(NamedTuple):
    """An array of the reference in one place."""

    target: Target
    words: tuple[str, ...]
    array: ReferenceArray


def _combinations(choices: Sequence[Sequence[_Placed]]) -> Iterator[tuple[_Placed, ...]]:
    """One place for each array.

    No two are in one place, where steps or sequences are missing they are the same of each, arrays
    of one shape are all states over time or all final ones, and what the reference keeps as one
    layer's is one layer's.
    """
    for chosen in islice(product(*choices), MOST_COMBINATIONS):
        told: dict[str, set[object]] = {
            kind: {word for one in chosen for word in one.words if word.startswith(kind)}
            for kind in ("steps", "sequence")
        }
        over_time: dict[tuple[int, ...], set[object]] = {}
        for one in chosen:
            axes = over_time.setdefault(one.array.values.shape, set())
            axes.add(one.target.values.ndim)
        # What a layer returns may be its last output, which a file may hold as final m, too.
        slots = {(one.target.node, one.target.key, one.array.key) for one in chosen}
        nodes: dict[str, set[object]] = {}
        for one in chosen:
            if one.array.key != "array" and one.target.key != "value":
                nodes.setdefault(one.array.layer, set()).add(one.target.node)
        apart: tuple[set[object], ...] = (*told.values(), *nodes.values(), *over_time.values())
        if len(slots) == len(chosen) and not any(len(of) > 1 for of in apart):
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


def _places(
    array: ReferenceArray,
    layer: str | None,
    results: Sequence[ResultShape],
    *,
    turned: bool,
) -> Iterator[tuple[Target, tuple[str, ...]]]:
    """Where an array may belong: every result whose shape it can have."""
    values = array.values
    if turned:
        if values.ndim != 3:
            # Final states have no time; they belong to both ways of reading the rest.
            yield from _places(array, layer, results, turned=False)
            return
        values = values.swapaxes(0, 1)
    for result in results:
        if not _may_be(array, layer, result):
            continue
        for filled, words in _filled(values, result.shape):
            scale = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
            target = Target(result.node, result.key, filled, scale, array.source, result.turned)
            yield target, words


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


def _filled(values: Array, shape: tuple[int, ...]) -> Iterator[tuple[Array, tuple[str, ...]]]:
    """The values in an array of the result's shape, NaN where there are none, in every place."""
    if values.shape == shape:
        yield values, ()
        return
    if values.ndim == 2 and len(shape) == 3:
        if values.shape[1] == shape[1] * shape[2]:
            flat = values.reshape(len(values), *shape[1:])
            for filled, words in _filled(flat, shape):
                yield filled, ("flat: timestep after timestep", *words)
        elif values.shape[1] == shape[2]:
            yield from _filled(values[None], shape)  # one sequence over time
        return
    if values.ndim != len(shape) or values.shape[-1] != shape[-1]:
        return
    rows = values.shape[0]
    if rows > shape[0]:
        return
    for row in range(min(shape[0], MOST_ROWS) if rows == 1 and shape[0] > 1 else 1):
        told = () if rows == shape[0] else (
            (f"sequence {row} alone",) if rows == 1 else (f"the first {rows} sequences",)
        )  # fmt: skip
        part = np.full((shape[0], *values.shape[1:]), np.nan)
        part[row : row + rows] = values
        for filled, words in _filled_steps(part, shape):
            yield filled, (*told, *words)


def _filled_steps(values: Array, shape: tuple[int, ...]) -> Iterator[tuple[Array, tuple[str, ...]]]:
    """The same where sequences are as many, and timesteps may not be."""
    if values.shape == shape:
        yield values, ()
        return
    rows, told = values.shape[0], ()
    steps, timesteps = values.shape[1], shape[1]
    if steps > timesteps:
        for first in range(min(steps - timesteps, MOST_MISSING_STEPS) + 1):
            out = np.full(shape, np.nan)
            out[:rows] = values[:, first : first + timesteps]
            word = f"steps {first} to {first + timesteps - 1} of its {steps}"
            yield out, (*told, word)
        return
    missing = timesteps - steps
    firsts = range(missing + 1) if missing <= MOST_MISSING_STEPS else (0, missing)
    for first in firsts:
        out = np.full(shape, np.nan)
        out[:rows, first : first + steps] = values
        yield out, (*told, f"steps {first} to {first + steps - 1} alone")


def _no_fit(reference: Reference, results: Sequence[ResultShape]) -> InputError:
    made: Mapping[str, tuple[int, ...]] = {
        f"{result.node} {result.key}": result.shape for result in results
    }
    held: Iterable[str] = (
        f"{array.source} {array.values.shape}" for array in reference.readings[0].arrays
    )
    return InputError(
        "The reference fits no result of the model over this input.",
        where=reference.name,
        expected="; ".join(f"{name} {shape}" for name, shape in list(made.items())[:8]),
        found="; ".join(list(held)[:8]),
        hint="compare what was computed over the same input; axes are (sequence, timestep, unit)",
    )
