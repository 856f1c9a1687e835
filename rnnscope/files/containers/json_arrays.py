"""Small arrays in JSON: an object of nested lists, or nested lists alone.

JSON knows no dtype: numbers are float64 unless the object has ``"dtypes": {"NAME": "float32"}``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import InputError
from rnnscope.files.arrays.stored_array import LoadedArray, StoredArray
from rnnscope.files.writing.own_files import write_new
from rnnscope.model.cell import Array

MAX_BYTES = 64 * 2**20
"""The largest file that is read: JSON is for small arrays."""

MAX_VALUES = 2**20
"""The most values that are written."""

DTYPES = "dtypes"
FLOATS = ("float16", "float32", "float64")


def looks_like_json(path: Path) -> bool:
    """True for a file that begins with ``{`` or ``[``. Never raises."""
    try:
        with path.open("rb") as file:
            head = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError:
        return False
    return head[:1] in (b"{", b"[")


def read_json_arrays(path: Path) -> dict[str, StoredArray]:
    """The arrays by name: keys joined by slashes, or numbers for a list of unlike arrays.

    Raises
    ------
    InputError
        It is no JSON, too large, or holds something other than numbers.
    """
    if path.stat().st_size > MAX_BYTES:
        raise InputError(
            "The JSON file is too large.",
            where=path,
            expected=f"at most {MAX_BYTES} bytes",
            found=f"{path.stat().st_size} bytes",
            hint="keep large arrays in .npz or .h5",
        )
    try:
        held = json.loads(path.read_text("utf-8-sig"))
        dtypes = held.pop(DTYPES, {}) if isinstance(held, dict) else {}
        found = dict(_arrays(held, ""))
        for name, dtype in dtypes.items():
            if name in found and dtype in FLOATS:
                found[name] = found[name].astype(dtype)
    except (ValueError, TypeError, RecursionError, AttributeError, OverflowError) as error:
        raise InputError(
            "The JSON file does not hold arrays of numbers.",
            where=path,
            expected='nested lists of numbers, by name: {"c": [[…]], "h": [[…]]}',
            found=str(error),
        ) from error
    return {name: LoadedArray(array) for name, array in found.items()}


def _arrays(value: Any, name: str) -> Iterator[tuple[str, Array]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _arrays(item, f"{name}/{key}".strip("/"))
        return
    if not isinstance(value, list):
        if isinstance(value, (int, float)):
            yield name, np.asarray(value)
        return  # a word beside the arrays: a title, a version
    try:
        array = np.array(value)
    except ValueError:  # of unequal lengths
        array = None
    if array is not None and array.dtype.kind in "fiub":
        yield name, array
        return
    if not any(isinstance(item, (list, dict)) for item in value):
        raise ValueError(f"{name or 'the list'} holds something other than numbers")
    for number, item in enumerate(value):
        yield from _arrays(item, f"{name}/{number}".strip("/"))


def write_json_arrays(path: Path, arrays: Mapping[str, StoredArray]) -> None:
    """Write arrays as one object; infinities and NaN as Python's json does.

    Raises
    ------
    ValueError
        They are too large for JSON.
    """
    values = sum(int(np.prod(array.shape)) for array in arrays.values())
    if values > MAX_VALUES:
        raise ValueError(f"{values} values are too many for JSON, which takes {MAX_VALUES}")
    dtypes = {name: str(array.dtype) for name, array in arrays.items() if array.dtype.kind == "f"}
    held: dict[str, Any] = {DTYPES: dtypes}
    held |= {name: array.read().tolist() for name, array in arrays.items()}
    write_new(path, json.dumps(held).encode() + b"\n")
