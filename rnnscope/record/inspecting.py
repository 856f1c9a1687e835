"""INSPECTORS: what a file is, and what it holds: a trace, a suite, a saved model, arrays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from rnnscope.checkpoints import find_reader, read_checkpoint
from rnnscope.errors import CheckpointError, InputError, RnnscopeError, TraceError, called
from rnnscope.files.archives.first_bytes import HDF5
from rnnscope.files.arrays.array_views import blocks
from rnnscope.files.arrays.reference import split_reference
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.files.containers.npy import ObjectArrayError
from rnnscope.files.containers.opening import ARCHIVES, Container, open_container
from rnnscope.files.guarding.regular import require_regular
from rnnscope.files.hdf5.safe_hdf5 import open_h5
from rnnscope.files.remote.addresses import as_address
from rnnscope.files.remote.local_copies import here
from rnnscope.inputs.lengths_masks_states import choose_name
from rnnscope.printable import Printable
from rnnscope.record.results.file_contents import (
    ArrayContents,
    CaseContents,
    FileOfArrays,
    SuiteContents,
    TraceContents,
)
from rnnscope.record.results.inspect_report import inspect_report
from rnnscope.seeing.summary import summarise
from rnnscope.trace import Trace
from rnnscope.trace.schema import SCHEMA
from rnnscope.trace.stores.naming import is_zarr
from rnnscope.wording import plural

ROLES = {"inputs": "input", "x": "input", "ids": "ids for an embedding"}
"""What ``rnnscope run`` takes an array of an ``.npz`` for, by its name; others go by their own."""

COMPANIONS = ("lengths", "mask", "offsets", "initial_c", "initial_m")


def inspect_path(path: Path, *, layout: str | None = None) -> Printable:
    """What a file is and holds; nothing is run.

    Parameters
    ----------
    path : Path
        Also ``FILE::NAME``, one array of a file.
    layout : str, optional
        Whose names and gate order the arrays of an ``.npz`` of weights have; without it an
        ``.npz`` is an input.

    Returns
    -------
    InspectReport, TraceContents, FileOfArrays or SuiteContents

    Raises
    ------
    RnnscopeError
        It is none of these, or cannot be read.
    """
    place = as_address(path)
    if is_zarr(place):
        with Trace.open(place) as trace:
            return _trace_contents(trace)
    file, key = split_reference(str(path))
    if key is not None and file.is_file():
        return _one_array(file, key)
    path = here(place, CheckpointError, "checkpoint")
    require_regular(path, CheckpointError)  # a pipe would be waited for
    if layout is None:
        for inspect in INSPECTORS:
            found = inspect(path)
            if found is not None:
                return found
    return inspect_report(read_checkpoint(path, layout=layout))


def _trace(path: Path) -> Printable | None:
    try:
        with path.open("rb") as file:
            if file.read(len(HDF5)) != HDF5:
                return None
        trace = Trace.open(path)
    except (RnnscopeError, OSError):
        if _says_trace(path):
            raise  # it says itself what is wrong with it: no other reader would
        return None
    with trace:
        return _trace_contents(trace)


def _says_trace(path: Path) -> bool:
    """Whether an HDF5 file has the mark of a trace, be it damaged or not complete."""
    with suppress(RnnscopeError, OSError), open_h5(path, error=TraceError) as file:
        schema = file.attrs.get("schema")
        return isinstance(schema, str) and schema == SCHEMA
    return False


def _trace_contents(trace: Trace) -> Printable:
    recipe = json.loads(trace.header.recipe) if trace.header.recipe else {}
    return TraceContents(summarise(trace), recipe)


def _suite(path: Path) -> Printable | None:
    if path.suffix.lower() != ".toml":
        return None
    from rnnscope.record.suites.suite_file import read_suite

    cases = [
        CaseContents(case.name, str(case.recipe), len(case.settings.ids()), str(case.golden or ""))
        for case in read_suite(path)
    ]
    return SuiteContents(str(path), tuple(cases))


def _arrays(path: Path) -> Printable | None:
    """Arrays that no reader of models takes; an ``.npz`` is one of weights only with a layout."""
    if not path.is_file():
        return None
    reader = find_reader(path)
    if reader is not None and not reader.takes_any_arrays:
        return None
    try:
        container = open_container(path)
    except InputError:
        return None
    try:
        found = tuple(_contents(container, name) for name in container.names)
        if found and all(one.dtype == "object" for one in found):
            container.array(found[0].name)  # nothing that could be run: refused as there
    finally:
        container.close()
    if not found:
        return None
    return FileOfArrays(
        called(str(path)), container.kind, found, tuple(_notes(found, container.kind))
    )


def _one_array(path: Path, key: str) -> Printable:
    """The array that ``FILE::NAME`` names, as `rnnscope.run` takes it."""
    container = open_container(path)
    try:
        name = choose_name(container, path, key, "the array")
        found = (_contents_of(name, container.array(name)),)
    finally:
        container.close()
    notes = tuple(_notes(found, container.kind))
    return FileOfArrays(called(f"{path}::{key}"), container.kind, found, notes)


def _contents(container: Container, name: str) -> ArrayContents:
    try:
        array = container.array(name)
    except InputError as error:
        if not isinstance(error.__cause__, ObjectArrayError):
            raise
        # Who runs the file need not read it: it is listed, and no pickle is loaded.
        return ArrayContents(name, error.__cause__.shape, "object")
    return _contents_of(name, array)


def _contents_of(name: str, array: StoredArray) -> ArrayContents:
    shape, dtype = tuple(int(size) for size in array.shape), np.dtype(array.dtype)
    last = name.rpartition("/")[2]
    role = ROLES.get(last, last if last in COMPANIONS else "")
    if dtype.kind not in "fiub":
        return ArrayContents(name, shape, str(dtype), role)
    not_finite, lowest, highest = 0, np.inf, -np.inf
    for key in blocks(shape, dtype.itemsize) if shape else [()]:
        part = array.read(key)
        finite = np.isfinite(part)
        not_finite += int(part.size - np.count_nonzero(finite))
        kept = part[finite]
        if kept.size:
            lowest, highest = min(lowest, float(kept.min())), max(highest, float(kept.max()))
    known = lowest <= highest
    return ArrayContents(
        name, shape, str(dtype), role, not_finite,
        known and not not_finite and lowest == highest == 0,
        lowest if known else None, highest if known else None,
    )  # fmt: skip


def _notes(arrays: tuple[ArrayContents, ...], kind: str) -> Iterator[str]:
    for array in arrays:
        called = array.name or "the array"
        if array.not_finite:
            are = "is" if array.not_finite == 1 else "are"
            yield f"{plural(array.not_finite, 'value')} of {called} {are} NaN or infinite"
        if array.is_zero and array.role != "mask":
            yield f"{called} is all zero"
    inputs = [array for array in arrays if array.role in ("input", ROLES["ids"])]
    if kind in ARCHIVES and not inputs and len(arrays) > 1:
        yield "none is called inputs, x or ids: say which is the input, FILE::NAME"
    for array in inputs or arrays[:1]:
        if array.role != ROLES["ids"] and len(array.shape) in (2, 3):
            axes = "sequence, timestep, feature" if len(array.shape) == 3 else "timestep, feature"
            yield f"as an input {array.name or 'it'} is ({axes}): {array.shape}"


INSPECTORS: tuple[Callable[[Path], Printable | None], ...] = (_trace, _suite, _arrays)
"""In the order of asking; each returns None for what it does not know. Models come last."""
