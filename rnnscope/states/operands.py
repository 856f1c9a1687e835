"""What can be compared or exported: a file by its name, an open trace, or arrays at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import OptionError
from rnnscope.files.arrays.reference import split_reference
from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.files.containers.named_arrays import NamedArrays, open_named, part_of
from rnnscope.states.naming import tells
from rnnscope.states.torch_arrays import is_torch_file, open_torch_arrays
from rnnscope.trace import Trace
from rnnscope.trace.stored_arrays import TraceArrays, reading_parts
from rnnscope.trace.stores.naming import is_zarr

Operand = Any
"""What `open_operand` takes. Arrays of frameworks count as arrays, so that no type says it all."""


def open_operand(operand: Operand, name: str = "arrays in memory") -> NamedArrays:
    """The arrays of an operand, unread.

    Parameters
    ----------
    operand : str, path, Trace, array, or mapping or sequence of arrays
        A file or folder, or ``PATH::NAME``; a trace that is open and stays open; arrays as a file
        might hold them: by name, ``c``, ``final/m``, ``encoder/gates/i``, or by their places, as
        frameworks return them, ``[h, c]``. Mappings and sequences may be nested.
    name : str
        What messages call arrays that are in no file.

    Raises
    ------
    InputError
        Nothing is there, or nothing that holds arrays.
    OptionError
        The value is none of these.
    """
    if isinstance(operand, Trace):
        return TraceArrays(operand)
    if isinstance(operand, (str, PathLike)):
        path, part = split_reference(fspath(operand))
        if is_zarr(path):
            return part_of(TraceArrays(Trace.open(path), owned=True), part)
        if is_torch_file(Path(operand)):
            return open_torch_arrays(Path(operand))
        return reading_parts(open_named(fspath(operand), tells))
    if not _has_array(operand):
        raise OptionError(
            "States cannot be read from this.",
            where=name,
            expected="a path, an open trace, or arrays: {'c': array, 'm': array}",
            found=f"{type(operand).__name__} {operand!r:.60}",
        )
    arrays = dict(_arrays(operand, ""))
    return NamedArrays(Path(name), "memory", tuple(arrays), arrays.__getitem__)


def _is_array(value: object) -> bool:
    return hasattr(value, "__array__")


def _has_array(value: Any) -> bool:
    """Whether a value is an array, or a mapping or sequence with an array somewhere inside."""
    if isinstance(value, Mapping):
        return any(map(_has_array, value.values()))
    return _is_array(value) or (isinstance(value, (list, tuple)) and any(map(_has_array, value)))


def _arrays(value: Any, name: str) -> Iterator[tuple[str, LoadedArray]]:
    """Arrays by name; a list of numbers, such as lengths may be, is one array."""
    if _is_array(value) or not _has_array(value):
        yield name, LoadedArray(np.asarray(value))
        return
    for key, one in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from _arrays(one, f"{name}/{key}".strip("/"))
