"""What goes with an input array: lengths, a mask, initial states; found, shaped and validated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, spell
from rnnscope.files.arrays.reference import split_reference
from rnnscope.files.containers.opening import Container, nearest, open_container
from rnnscope.model.cell import Array

INLINE_INTEGERS = re.compile(r"\s*[+-]?\d+\s*(,\s*[+-]?\d+\s*)*,?\s*")


@dataclass(frozen=True)
class LocatedArray:
    """An array that the user named or that the input file holds, and where it is from."""

    array: Array
    where: str


ArrayReference = str | Array
"""``KEY``, ``FILE`` or ``FILE::KEY``; or the array itself."""


def find_array(spec: ArrayReference, option: str, beside: Container, path: Path) -> LocatedArray:
    """The array that an option names: a key of the input file, or a file of its own.

    Parameters
    ----------
    spec : str or ndarray
        ``KEY``, ``FILE`` or ``FILE::KEY``; or the array itself.
    option : str
        The flag, for messages.
    beside, path : Container, Path
        The input file.

    Raises
    ------
    InputError
        It is neither a key nor a file; the message names the nearest key.
    """
    if not isinstance(spec, str):
        return LocatedArray(np.asarray(spec), option)
    if spec in beside.names:
        return LocatedArray(beside.array(spec).read(), f"{path}::{spec}")
    file, name = split_reference(spec)
    if name is None and not file.exists():
        keys = ", ".join(key for key in beside.names if key)
        raise InputError(
            f"{option} names neither an array of the input file nor a file.",
            where=spec,
            expected=f"one of {keys}" if keys else "a file",
            found="nothing of that name",
            hint=nearest(spec, beside.names),
        )
    if file.exists() and path.exists() and file.samefile(path):
        # The input file under its own name: what is read of it is remembered there.
        key = choose_name(beside, file, name, option)
        return LocatedArray(beside.array(key).read(), spec)
    other = open_container(file)
    try:
        key = choose_name(other, file, name, option)
        return LocatedArray(other.array(key).read(), spec)
    finally:
        other.close()


def choose_name(container: Container, path: Path, name: str | None, option: str) -> str:
    """`name` if the container has it; without a name, its only array.

    Raises
    ------
    InputError
        No such array, or more than one to choose from; the message lists them.
    """
    if name is not None and name in container.names:
        return name
    if name is None and len(container.names) == 1:
        return container.names[0]
    raise InputError(
        f"{path.name} holds no array {name!r}."
        if name is not None
        else f"{path.name} holds several arrays: which one?",
        where=path,
        expected=f"a name for {option}",
        found=", ".join(container.names) or "no arrays of numbers",
        hint=(nearest(name, container.names) if name is not None else None)
        or f"name one as {path}::NAME",
    )


def check_lengths(given: LocatedArray, sequences: int, timesteps: int) -> Array:
    """Lengths as int64 (sequence,): whole numbers, one a sequence, from 0 to `timesteps`."""
    array = given.array
    if array.ndim == 2 and 1 in array.shape:  # a row or a column of a text file
        array = array.ravel()
    if array.shape != (sequences,):
        raise InputError(
            "There must be one length for each sequence.",
            where=given.where,
            expected=f"{sequences} lengths",
            found=f"{array.size} lengths" if array.ndim == 1 else f"shape {array.shape}",
        )
    if array.dtype.kind not in "fiu":
        raise InputError(
            "Lengths must be whole numbers.",
            where=given.where,
            expected="integers",
            found=f"an array of {array.dtype}",
        )
    # NaN compares False, so that it counts as wrong.
    fits = (array >= 0) & (array <= timesteps) & (array == np.trunc(array))
    if not fits.all():
        sequence = int(np.argmin(fits))
        raise InputError(
            "A length does not fit its sequence.",
            where=f"{given.where}, sequence {sequence}",
            expected=f"a whole number from 0 to {timesteps}, the number of timesteps",
            found=array[sequence],
        )
    return array.astype(np.int64)


class FlagWords(NamedTuple):
    """What messages say of an array of flags over all steps.

    Attributes
    ----------
    misfit, wrong_value : str
        Its shape is wrong; it holds another value than 0 and 1.
    values : str
        What the two mean.
    option : str
        The option that ignores it with ``none``.
    """

    misfit: str
    wrong_value: str
    values: str
    option: str


MASK_WORDS = FlagWords(
    "The mask does not fit the input.",
    "The mask holds a value other than 0 and 1.",
    "0 (padding) or 1 (valid), or booleans",
    "mask",
)


def check_mask(
    given: LocatedArray,
    sequences: int,
    timesteps: int,
    time_major: bool,
    words: FlagWords = MASK_WORDS,
) -> Array:
    """Flags of all steps as bool (sequence, timestep); their axes are in the input's order."""
    array = given.array
    if sequences == 1 and array.shape in ((timesteps,), (timesteps, 1)):
        array = array.reshape(1, timesteps)
    elif time_major and array.ndim == 2:
        array = array.T
    if array.shape != (sequences, timesteps):
        raise InputError(
            words.misfit,
            where=given.where,
            expected=f"shape {(sequences, timesteps)}: (sequence, timestep)",
            found=f"shape {given.array.shape}",
            hint=f"{spell(words.option, 'none')} ignores it",
        )
    wrong = ~np.isin(array, (0, 1))
    if wrong.any():
        sequence, timestep = (int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))
        raise InputError(
            words.wrong_value,
            where=f"{given.where}, sequence {sequence}, timestep {timestep}",
            expected=words.values,
            found=array[sequence, timestep],
            hint=f"{spell(words.option, 'none')} ignores it",
        )
    return np.ascontiguousarray(array, dtype=np.bool_)


def lengths_of_prefix(mask: Array) -> Array | None:
    """The lengths of a mask whose every row is valid steps, then padding; else None."""
    lengths: Array = mask.sum(axis=1, dtype=np.int64)
    plain = np.array_equal(mask, np.arange(mask.shape[1]) < lengths[:, None])
    return lengths if plain else None


def check_agreement(lengths: LocatedArray, mask: LocatedArray, values: Array, valid: Array) -> None:
    """Lengths `values` (sequence,) and the mask `valid` must say the same.

    Raises
    ------
    InputError
        It names the first place where they do not.
    """
    differ = valid != (np.arange(valid.shape[1]) < values[:, None])
    if not differ.any():
        return
    sequence, timestep = (int(i) for i in np.unravel_index(np.argmax(differ), differ.shape))
    masked = "valid" if valid[sequence, timestep] else "padding"
    raise InputError(
        "Lengths and mask contradict each other.",
        where=f"sequence {sequence}, timestep {timestep}",
        expected=f"the same from {lengths.where} and {mask.where}",
        found=f"length {values[sequence]}, but the mask says that this step is {masked}",
        hint=f"leave one out: {spell('lengths', 'none')}, or {spell('mask', 'none')}",
    )


def check_initial(given: LocatedArray, sequences: int) -> Array:
    """An initial state as (sequence, width); one row of (width,) serves every sequence."""
    array = given.array
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2) or 0 in array.shape:
        raise InputError(
            "The initial state is not an array of numbers over sequences and units.",
            where=given.where,
            expected="shape (sequence, width) or (width,)",
            found=f"shape {array.shape}, {array.dtype}",
        )
    if array.ndim == 2 and len(array) != sequences:
        raise InputError(
            "The initial state does not fit the input.",
            where=given.where,
            expected=f"{sequences} sequences",
            found=f"{len(array)} sequences",
        )
    if not np.isfinite(array).all():
        place = np.argwhere(~np.isfinite(np.atleast_2d(array)))[0]
        raise InputError(
            "The initial state holds a value that is not a finite number.",
            where=f"{given.where}, sequence {place[0]}, unit {place[1]}",
            expected="finite numbers",
            found=np.atleast_2d(array)[tuple(place)],
        )
    return np.broadcast_to(array, (sequences, array.shape[-1]))
