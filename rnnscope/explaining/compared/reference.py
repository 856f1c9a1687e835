"""A reference, read: its arrays in every way that their names allow, and their rounding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field, replace
from typing import NamedTuple

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, spell, spell_command
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.files.containers.named_arrays import NamedArrays
from rnnscope.model.cell import Array
from rnnscope.model.half_floats import rounded
from rnnscope.states.interface import ReadOptions, StateReading
from rnnscope.states.naming import parse_array_name
from rnnscope.states.operands import Operand, open_operand
from rnnscope.states.recognise import readings_of

RETURNED = frozenset({"torch", "onnx"})
"""Formats of what frameworks return, which is their outputs and final states."""

LENGTHS_NAME = re.compile(r"(^|/)(seq(uence)?_?)?len(gth)?s?$", re.IGNORECASE)
"""Of integers: how many steps of each sequence count."""

LEAST_VALUES = 4
"""Values that are not zero from which rounding can be told."""

WEIGHT_NAME = re.compile(r"weight|kernel|bias", re.IGNORECASE)
"""In the names of arrays that are no results, whatever their shape."""


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
    scale : float
        What differences from it are measured in, where its own largest value is not: digits after
        the point round every array of a reference alike.
    """

    layer: str
    key: str
    values: Array
    source: str
    scale: float = 0.0


@dataclass(frozen=True, eq=False)
class ReferenceReading:
    """One way in which STATE_FORMATS read the reference.

    Attributes
    ----------
    format, words : str
    arrays : tuple of ReferenceArray
    lengths : ndarray of int (sequence,) or None
    start : tuple of ReferenceArray
        States before the first step; their key is the state's.
    alone : str
        Which part of the reference it is, in words; empty: all of it.
    beside : tuple of str
        The arrays of the reference that are no part of it, with their shapes.
    """

    format: str
    words: str
    arrays: tuple[ReferenceArray, ...]
    lengths: Array | None = None
    start: tuple[ReferenceArray, ...] = ()
    alone: str = ""
    beside: tuple[str, ...] = ()


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
        not_read = [str(one) for reading in found[:1] for one in reading.states.not_read]
        if not any(reading.sure for reading in found):
            plain, not_read = _any_arrays(arrays, most_values)
            readings.insert(0, plain)
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
    if not any(array.values.any() for array in readings[0].arrays):
        raise InputError(
            "The reference is zero everywhere: no reading can be told from it.",
            where=arrays.label,
            expected="numbers that depend on the model",
            found=", ".join(f"{a.source} {a.values.shape}" for a in readings[0].arrays[:8]),
            hint="arrays that nothing was written to are zeros, and so are states that are read "
            "under another name than they have",
        )
    precision = _precision([one.values for one in readings[0].arrays])
    if precision.scale:
        readings = [_measured_in(reading, precision.scale) for reading in readings]
    return Reference(
        arrays.label, tuple(readings), precision.relative, precision.rounded, tuple(not_read)
    )


def _measured_in(reading: ReferenceReading, scale: float) -> ReferenceReading:
    arrays = tuple(replace(array, scale=scale) for array in reading.arrays)
    return replace(reading, arrays=arrays)


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
    every = [
        (layer.name, key, array) for layer in states.layers for key, array in layer.arrays.items()
    ]
    _refuse_too_many([array.shape for _, _, array in every], most_values, states.name)
    arrays, start = [], []
    for layer, key, array in every:
        values = np.asarray(array.read(), np.float64)
        source = f"{layer} {key}".strip()
        if key.startswith("initial/"):
            start.append(ReferenceArray(layer, key.removeprefix("initial/"), values, source))
        elif not key.startswith("inputs"):
            meant = _returned(reading.format, key, array.shape)
            arrays.append(ReferenceArray(layer, meant, values, source))
    return ReferenceReading(
        reading.format, reading.words, tuple(arrays), states.valid_steps(), tuple(start)
    )


def _refuse_too_many(shapes: Sequence[tuple[int, ...]], most_values: int, name: str) -> None:
    size = sum(int(np.prod(shape)) for shape in shapes)
    if size > most_values:
        raise InputError(
            "The reference holds more values than can be searched.",
            where=name,
            expected=f"{most_values:,} values at most",
            found=f"{size:,}",
            hint=f"some sequences are enough: cut input and reference, or give {spell('layers')}",
        )


def _returned(format_name: str, key: str, shape: tuple[int, ...]) -> str:
    """What frameworks return over time is outputs, also where a format keeps it as m."""
    returned = format_name in RETURNED and key == "m" and len(shape) == 3
    return "outputs" if returned else key


def _any_arrays(arrays: NamedArrays, most_values: int) -> tuple[ReferenceReading, list[str]]:
    """Every array of numbers, called what its name says; and what is none, in words."""
    found, start, left = [], [], []
    lengths = None
    stored = {name: arrays.array(name) for name in arrays.names}
    numbers = {name: one for name, one in stored.items() if _may_be_result(name, one)}
    _refuse_too_many([one.shape for one in numbers.values()], most_values, arrays.label)
    for name, one in stored.items():
        if name not in numbers:
            if LENGTHS_NAME.search(name) and one.dtype.kind in "iu" and len(one.shape) == 1:
                lengths = np.asarray(one.read(), np.int64)
            else:
                left.append(f"{name} ({one.dtype} {tuple(one.shape)})")
            continue
        parsed = parse_array_name(name)
        key = "array" if parsed is None else parsed.key
        layer = "" if parsed is None else parsed.layer
        values = np.asarray(one.read(), np.float64)
        values = values[None] if values.ndim == 1 else values
        if key.startswith("initial/"):
            start.append(ReferenceArray(layer, key.removeprefix("initial/"), values, name))
        else:
            found.append(ReferenceArray(layer, key, values, name or "the array"))
    return ReferenceReading("", "arrays", tuple(found), lengths, tuple(start)), left


def _may_be_result(name: str, stored: StoredArray) -> bool:
    numbers = stored.dtype.kind == "f" and len(stored.shape) in (1, 2, 3)
    return numbers and WEIGHT_NAME.search(name) is None


def _refuse_nonfinite(array: ReferenceArray, name: str) -> None:
    if np.isfinite(array.values).all():
        return
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(array.values))[0])
    raise InputError(
        "The reference holds a value that is not a finite number: no reading can explain it.",
        where=f"{name}, {array.source}, {list(place)}",
        expected="finite numbers",
        found=array.values[place],
        hint=f"{spell_command('diff', 'A', 'B')} names every such place",
    )


class _Precision(NamedTuple):
    """How far values may be from what they were before they were written.

    Attributes
    ----------
    relative : float
        In units of the largest value.
    rounded : str
        What they were rounded to, where it is less than float32.
    scale : float
        The largest value of all arrays, where all were rounded by the same amount; else 0.
    """

    relative: float
    rounded: str = ""
    scale: float = 0.0


def _precision(arrays: Sequence[Array]) -> _Precision:
    values = np.concatenate([array.reshape(-1) for array in arrays])
    largest = float(np.abs(values).max(initial=0.0))
    single = np.array_equal(values, values.astype(np.float32))
    own = _Precision(2.0**-24 if single else 2.0**-53)
    if np.count_nonzero(values) < LEAST_VALUES:
        return own  # too few to tell
    if single:
        if np.array_equal(values, values.astype(np.float16).astype(np.float64)):
            return _Precision(2.0**-11, "float16")
        if np.array_equal(values, rounded(values, "bfloat16")):
            return _Precision(2.0**-8, "bfloat16")
    for digits in (2, 3, 4, 5, 6):
        near = np.round(values, digits)
        if np.abs(values - near).max() <= 1e-9 + 1e-7 * largest * single:
            words = f"{digits} digits after the point"
            return _Precision(0.51 * 10.0**-digits / largest, words, largest)
    return own
