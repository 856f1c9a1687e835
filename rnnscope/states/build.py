"""From arrays whose meaning is known to a `StateSet`: axes in order, with lengths and mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, spell
from rnnscope.files.arrays.array_views import Expanded, Picked, Turned
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.files.containers.named_arrays import NamedArrays
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerFacts
from rnnscope.states.naming import (
    LENGTH_NAMES,
    MASK_NAMES,
    is_backward,
    parse_array_name,
    position_of,
)
from rnnscope.states.state_set import FINAL, INITIAL, StateLayer, StateSet, UnreadArray

MOST_STEPS = 2**40
"""No sequence is longer; a float may say anything."""


@dataclass(frozen=True, eq=False)
class LayerArray:
    """One array of one layer: where it belongs, and the array as the file has it.

    Attributes
    ----------
    layer, key : str
        The layer's name, and which of its arrays it is: ``"c"``, ``"final/m"``.
    array : StoredArray
    source : str
        The name in the file of the array that it is, or is a part of.
    named : bool
        False if `layer` is only a position.
    """

    layer: str
    key: str
    array: StoredArray
    source: str
    named: bool = True


class PositionalArray(NamedTuple):
    """An array that only has a place, and the name in the file of what it is (a part of)."""

    source: str
    array: StoredArray


class LengthsAndMask(NamedTuple):
    """What a file says of valid steps, and the names of the arrays that say it.

    Attributes
    ----------
    lengths : ndarray of int64 (sequence,) or None
    mask : ndarray of bool (sequence, timestep) or None
    sources : tuple of str
    """

    lengths: Array | None
    mask: Array | None
    sources: tuple[str, ...]


def choice_reason(otherwise: str, *, forced: bool) -> str:
    """Why a format is taken: the user says so, or what else speaks for it."""
    return f"as {spell('a_format')} or {spell('b_format')} says" if forced else otherwise


def is_number(array: StoredArray) -> bool:
    """Whether an array holds real numbers that float64 can hold."""
    return array.dtype.kind in "fiu" and array.dtype.itemsize <= 8


def is_lengths_or_mask(name: str) -> bool:
    """Whether an array is called as lengths or a mask are, which are no states."""
    return name.rpartition("/")[2] in (*LENGTH_NAMES, *MASK_NAMES)


def over_time(array: StoredArray, *, time_major: bool | None) -> StoredArray:
    """A (sequence, timestep, unit) view of an array over time; two axes are one sequence."""
    if len(array.shape) == 2:
        return Expanded(array, 0)
    return Turned(array, (1, 0, 2)) if time_major else array


def build_states(
    arrays: NamedArrays,
    format_name: str,
    members: Iterable[LayerArray],
    *,
    time_major: bool | None = None,
    flat_is_final: bool = True,
    reasons: Mapping[str, str] | None = None,
) -> StateSet | None:
    """Members as layers; None if their axes do not fit each other or what they are.

    Every array of the file is accounted for: it is in a layer, tells lengths or the mask, or is
    listed in `StateSet.not_read`.

    Parameters
    ----------
    arrays : NamedArrays
        Lengths and a mask are taken from it by name.
    format_name : str
    members : iterable of LayerArray
        Of two that would be the same array of the same layer the first is read.
    time_major : bool or None
        Arrays over time, and the mask, are (timestep, sequence, …).
    flat_is_final : bool
        What two axes are: True (sequence, unit); False (timestep, unit) of one sequence.
    reasons : mapping of str to str, optional
        Why the format does not read an array, by its name in the file.
    """
    layers: dict[str, dict[str, StoredArray]] = {}
    named: dict[str, bool] = {}
    read: set[str] = set()
    unread = dict(reasons or {})
    for member in members:
        placed = _placed(member, time_major=time_major, flat_is_final=flat_is_final)
        if placed is None:
            return None
        held = layers.setdefault(member.layer, {})
        if placed[0] in held:
            unread[member.source] = f"another array is {placed[0]} already"
            continue
        held[placed[0]] = placed[1]
        named[member.layer] = member.named
        read.add(member.source)
    built = tuple(
        StateLayer(name, held, _facts(name), named=named[name]) for name, held in layers.items()
    )
    if not built or not all(_fits(layer) for layer in built):
        return None
    valid = read_lengths_and_mask(arrays, time_major=time_major)
    sequences = {layer.sequences for layer in built}
    if len(sequences) != 1:
        return None
    if valid.lengths is not None and len(valid.lengths) not in sequences:
        return None
    steps = {layer.timesteps for layer in built} - {None}
    if valid.mask is not None and valid.mask.shape[0] not in sequences:
        return None
    if valid.mask is not None and steps and valid.mask.shape[1] not in steps:
        return None
    return StateSet(
        arrays.label,
        format_name,
        built,
        valid.lengths,
        valid.mask,
        not_read=unread_arrays(
            (*arrays.names, *arrays.unreadable),
            read.union(valid.sources),
            {**arrays.unreadable, **unread},
        ),
        close=arrays.close,
    )


def unread_arrays(
    names: Iterable[str], read: Iterable[str], reasons: Mapping[str, str] | None = None
) -> tuple[UnreadArray, ...]:
    """The arrays of a file that are not among those read, in the file's order."""
    known, reasons = set(read), reasons or {}
    return tuple(
        UnreadArray(name, _key_of(name), reasons.get(name, ""))
        for name in names
        if name not in known
    )


def _key_of(name: str) -> str:
    parsed = parse_array_name(name)
    return "" if parsed is None else parsed.key


def _placed(
    member: LayerArray, *, time_major: bool | None, flat_is_final: bool
) -> tuple[str, StoredArray] | None:
    """Under which key an array goes, and the view that has the axes of that key."""
    array, key = member.array, member.key
    rank = len(array.shape)
    if not is_number(array):
        return None
    if key.startswith((FINAL, INITIAL)):
        if rank == 1:
            return key, Expanded(array, 0)
        return (key, array) if rank == 2 else None
    if rank == 3 or (rank == 2 and not flat_is_final):
        return key, over_time(array, time_major=time_major)
    if rank == 2 and key in ("c", "m"):
        return FINAL + key, array
    if rank == 1 and key in ("c", "m"):
        return FINAL + key, Expanded(array, 0)
    return (key, Expanded(array, 1)) if rank == 2 and key == "outputs" else None


def _fits(layer: StateLayer) -> bool:
    """Whether all arrays have the same sequences, and those over time the same steps."""
    arrays = layer.arrays.values()
    steps = {array.shape[1] for array in arrays if len(array.shape) == 3}
    return len({array.shape[0] for array in arrays}) == 1 and len(steps) <= 1


def _facts(name: str) -> LayerFacts | None:
    return LayerFacts(name, backward=True) if is_backward(name) else None


def read_lengths_and_mask(arrays: NamedArrays, *, time_major: bool | None = None) -> LengthsAndMask:
    """Lengths and mask of a file under their usual names: of several the first that fits."""
    lengths = mask = None
    sources = []
    for name in arrays.names:
        if not is_lengths_or_mask(name):
            continue
        leaf, array = name.rpartition("/")[2], arrays.array(name)
        if leaf in LENGTH_NAMES and len(array.shape) == 1 and lengths is None:
            lengths = whole_numbers(array, f"{arrays.path}::{name}")
            sources.append(name)
        elif leaf in MASK_NAMES and len(array.shape) == 2 and mask is None:
            if array.dtype.kind not in "iufb":
                continue
            mask = array.read() != 0
            mask = mask.T if time_major else mask
            sources.append(name)
    return LengthsAndMask(lengths, mask, tuple(sources))


def whole_numbers(array: StoredArray, where: str) -> Array:
    """Lengths as int64 (sequence,).

    Raises
    ------
    InputError
        They are something else than whole numbers from 0.
    """
    values = array.read() if array.dtype.kind in "iuf" else None
    fits = values is not None and bool((np.isfinite(values) & (values == np.trunc(values))).all())
    if (
        values is None
        or not fits
        or values.min(initial=0) < 0
        or values.max(initial=0) > MOST_STEPS
    ):
        raise InputError(
            "The lengths beside the states are no whole numbers from 0.",
            where=where,
            expected="integers, one for each sequence",
            found=f"{array.dtype}, {array.shape}",
        )
    return values.astype(np.int64)


def _inside(values: Array) -> Array:
    inside: Array = (values >= 0) & (values <= MOST_STEPS)
    return inside


def positional_arrays(arrays: NamedArrays, *, forced: bool) -> list[PositionalArray] | None:
    """The arrays in their order where they have no names; None if they have.

    That is ``arr_0``, ``arr_1`` … of `numpy.savez`, a list of lists, or one array with the list
    along its first axis: of four axes, or of three if the user says that it is a list.
    """
    names = [name for name in arrays.names if not is_lengths_or_mask(name)]
    places = [position_of(name) for name in names]
    if len(names) > 1 and all(place is not None for place in places):
        order = sorted(range(len(names)), key=lambda number: places[number] or ())
        return [PositionalArray(names[at], arrays.array(names[at])) for at in order]
    if len(names) == 1 and (names[0] == "" or position_of(names[0]) is not None):
        whole = arrays.array(names[0])
        rank = len(whole.shape)
        if whole.shape and whole.shape[0] % 2 == 0 and (rank == 4 or (rank == 3 and forced)):
            return [PositionalArray(names[0], Picked(whole, 0, at))
                    for at in range(whole.shape[0])]  # fmt: skip
    return None


def pairs_of(arrays: list[PositionalArray], order: tuple[str, str]) -> list[LayerArray]:
    """Arrays two by two as the states of one layer after the other."""
    members = []
    for number in range(0, len(arrays), 2):
        layer = str(number // 2) if len(arrays) > 2 else ""
        for key, (source, array) in zip(order, arrays[number : number + 2], strict=True):
            members.append(LayerArray(layer, key, array, source, named=False))
    return members
