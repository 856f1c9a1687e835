"""The one way into a trace: its arrays are what the schema says before anything is read.

A trace may come from anybody. Kinds, ranks, lengths and types are held to FORMAT.md here, once, so
that readers need not think of a group where an array belongs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnscope.errors import TraceError
from rnnscope.trace.attributes import (
    CHECKS,
    FULL,
    FULL_TIMESTEPS,
    KIND,
    LAYER,
    POSITION,
    RECURRENT,
)
from rnnscope.trace.schema import (
    DTYPES,
    FINAL,
    GATES,
    INITIAL,
    INPUT_STEPS,
    INPUT_TIMESTEP,
    INPUTS,
    LENGTHS,
    MASK,
    OFFSETS,
    OUTPUTS,
    RESETS,
    SEQUENCE,
    STEP,
    TIMESTEP,
)
from rnnscope.trace.stores.interface import ArrayNode, GroupNode

MAX_TEXT = 2**20
"""Bytes of a name or text that is shown; recipes and findings may be longer."""


class TraceSizes(NamedTuple):
    """Sizes that hold in the whole file.

    Attributes
    ----------
    sequences, timesteps : int
        Of the run's input, whether all of it was kept or not.
    steps : int or None
        Of a ragged trace: of all sequences together.
    """

    sequences: int
    timesteps: int
    steps: int | None


def require_structure(path: Path, root: GroupNode) -> TraceSizes:
    """Refuse a trace whose root is not as the schema says.

    Returns
    -------
    TraceSizes

    Raises
    ------
    TraceError
        It names the dataset or attribute, what it should be and what it is.
    """
    sequences = _coordinates(path, root, SEQUENCE)
    ragged = OFFSETS in root
    time = next((name for name in (INPUT_TIMESTEP, TIMESTEP) if name in root), None)
    if time is None and not ragged:
        raise _wrong(path, TIMESTEP, "a dataset", "nothing of that name")
    kept = None if time is None else _coordinates(path, root, time)
    full = root.attributes.get(FULL_TIMESTEPS)
    told = full is not None or ragged
    timesteps = _count(path, FULL_TIMESTEPS, full) if told else kept or 0
    steps = _coordinates(path, root, STEP) if ragged else None
    if ragged:
        _array(path, root, OFFSETS, "iu", (sequences + 1,))
    for name in (LENGTHS, INPUT_STEPS):
        if name in root:
            array = _array(path, root, name, "iu", (sequences,))
            if not array.is_elsewhere:  # of parts, each is looked at when it is opened
                _between(path, array, timesteps)
    for name in (MASK, RESETS):
        if name in root:
            _array(path, root, name, "iub", (sequences, kept))
    if not isinstance(root.attributes.get(CHECKS, ""), str):
        raise _wrong(path, CHECKS, "text", "an attribute of another type")
    return TraceSizes(sequences, timesteps, steps)


def require_layer(path: Path, group: GroupNode, sizes: TraceSizes) -> None:
    """Refuse the group of a layer that is not as the schema says.

    Parameters
    ----------
    path : Path
    group : GroupNode
    sizes : TraceSizes

    Raises
    ------
    TraceError
    """
    attributes = dict(group.attributes)
    for name in (LAYER, KIND, "dtype"):
        text = attributes.get(name)
        if not isinstance(text, (str, bytes)) or len(text) > MAX_TEXT:
            raise _wrong(path, f"{group.path}: {name}", "text", _shown(text))
    if attributes["dtype"] not in DTYPES:
        raise _wrong(path, f"{group.path}: dtype", " or ".join(DTYPES), attributes["dtype"])
    _count(path, f"{group.path}: {POSITION}", attributes.get(POSITION))
    for name, value in attributes.items():
        if name.startswith(FULL):
            _count(path, f"{group.path}: {name}", value)
    dtype = np.dtype(attributes["dtype"])
    widths = _state_widths(path, group, dtype, sizes.sequences)
    if attributes[KIND] == RECURRENT and not widths:
        raise _wrong(path, f"{group.path}/{FINAL}", "the final state of each state", "none")
    time = _Time(path, sizes)
    for name in (*widths, OUTPUTS, INPUTS):
        if name in group:
            time.require(_array(path, group, name, "f", None, dtype))
    gates = group.child(GATES)
    if gates is not None:
        for name in _names(path, gates):
            time.require(_array(path, gates, name, "f", None, dtype))
    if time.timesteps is None and FULL_TIMESTEPS not in attributes:
        raise _wrong(path, f"{group.path}/{OUTPUTS}", "a dataset", "nothing of that name")
    if OUTPUTS not in group and FULL + OUTPUTS not in attributes:
        raise _wrong(path, f"{group.path}/{OUTPUTS}", "a dataset", "nothing of that name")


class _Time:
    """The arrays over time of a layer: all of one length."""

    def __init__(self, path: Path, sizes: TraceSizes) -> None:
        self._path, self._sizes = path, sizes
        self.timesteps: int | None = None

    def require(self, array: ArrayNode) -> None:
        shape = array.shape
        flat = self._sizes.steps is not None and len(shape) == 2
        first = self._sizes.steps if flat else self._sizes.sequences
        size = None if flat or len(shape) != 3 else shape[1]
        if self.timesteps is None:
            self.timesteps = size if size is not None else (-1 if flat else None)
        alike = self.timesteps == (-1 if flat else size)
        if len(shape) != (2 if flat else 3) or shape[0] != first or not alike:
            wanted = "(step, width)" if flat else "(sequence, timestep, width)"
            raise _wrong(self._path, array.path, f"{wanted}, as long as the others", f"{shape}")


def _state_widths(path: Path, group: GroupNode, dtype: Any, sequences: int) -> dict[str, int]:
    widths: dict[str, int] = {}
    for part in (FINAL, INITIAL):
        held = group.child(part)
        if held is None:
            continue
        for name in _names(path, held):
            found = _array(path, held, name, "f", (sequences, None), dtype)
            widths.setdefault(name, int(found.shape[1]))
    return widths


def _names(path: Path, group: GroupNode | ArrayNode) -> list[str]:
    if not isinstance(group, GroupNode):
        raise _wrong(path, group.path, "a group", "a dataset")
    return group.names()


def _coordinates(path: Path, root: GroupNode, name: str) -> int:
    """How many there are."""
    return _array(path, root, name, "iu", (None,)).shape[0]


def _array(
    path: Path,
    group: GroupNode | ArrayNode,
    name: str,
    kinds: str,
    shape: tuple[int | None, ...] | None,
    dtype: Any = None,
) -> ArrayNode:
    """An array, once its kind, its type and its shape are known to fit; None fits any size."""
    array = group.child(name) if isinstance(group, GroupNode) else None
    where = f"{group.path.rstrip('/')}/{name}"
    if not isinstance(array, ArrayNode):
        is_there = isinstance(group, GroupNode) and name in group
        found = "a group, or no values" if is_there else "nothing of that name"
        raise _wrong(path, where, "a dataset of numbers", found)
    found_dtype = _dtype(path, array)
    if found_dtype.kind not in kinds or (dtype is not None and found_dtype != dtype):
        raise _wrong(path, where, str(dtype or "integers"), str(found_dtype))
    sizes = array.shape
    if shape is not None and not (
        len(sizes) == len(shape)
        and all(want in (None, size) for want, size in zip(shape, sizes, strict=True))
    ):
        wanted = "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
        raise _wrong(path, where, f"the shape {wanted}", f"{sizes}")
    return array


def _dtype(path: Path, array: ArrayNode) -> np.dtype[Any]:
    try:
        found = array.dtype
    except (TypeError, ValueError, OSError, RuntimeError) as error:  # numpy has no such type
        raise _wrong(path, array.path, "a dataset of numbers", str(error)) from error
    return found.newbyteorder("=") if found.kind in "fiu" else found


def _count(path: Path, name: str, value: Any) -> int:
    """A number of things, or the error that names the attribute."""
    if not isinstance(value, (int, np.integer)) or not 0 <= int(value) < 2**62:
        raise _wrong(path, name, "a number from 0", _shown(value))
    return int(value)


def _between(path: Path, array: ArrayNode, most: int) -> None:
    values = array.read()
    if values.size and not 0 <= int(values.min()) <= int(values.max()) <= most:
        found = f"{values.min()} to {values.max()}"
        raise _wrong(path, array.path, f"numbers from 0 to {most}", found)


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) < 200 else text[:200] + " …"


def _wrong(path: Path, what: str, expected: str, found: str) -> TraceError:
    return TraceError(
        "The trace is not as its schema says.",
        where=f"{path}::{what}",
        expected=expected,
        found=found,
        hint="was the file changed after rnnscope wrote it? Then run it again",
    )
