"""From arrays whose meaning is known to a `StateSet`: axes in order, lengths and masks beside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rnnscope.files.array_views import Expanded, Picked, Turned
from rnnscope.files.named_arrays import NamedArrays
from rnnscope.files.stored_array import StoredArray
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerFacts
from rnnscope.states.model import FINAL, INITIAL, StateLayer, StateSet
from rnnscope.states.naming import LENGTH_NAMES, MASK_NAMES, is_backward, position_of

COMPANIONS = {*LENGTH_NAMES, *MASK_NAMES}


@dataclass(frozen=True, eq=False)
class Member:
    """One array of one layer: where it belongs, and the array as the file has it."""

    layer: str
    key: str
    array: StoredArray
    named: bool = True


def is_number(array: StoredArray) -> bool:
    """Whether an array holds real numbers that float64 can hold."""
    return array.dtype.kind in "fiu" and array.dtype.itemsize <= 8


def over_time(array: StoredArray, *, time_major: bool | None) -> StoredArray:
    """A (sequence, timestep, unit) view of an array over time; two axes are one sequence."""
    if len(array.shape) == 2:
        return Expanded(array, 0)
    return Turned(array, (1, 0, 2)) if time_major else array


def build_states(
    arrays: NamedArrays,
    format_name: str,
    members: Iterable[Member],
    *,
    time_major: bool | None = None,
    flat_is_final: bool = True,
    notes: tuple[str, ...] = (),
) -> StateSet | None:
    """Members as layers; None if their axes do not fit each other or what they are.

    Parameters
    ----------
    arrays : NamedArrays
        Lengths and a mask are taken from it by name.
    format_name : str
    members : iterable of Member
    time_major : bool or None
        Arrays over time, and the mask, are (timestep, sequence, …).
    flat_is_final : bool
        What two axes are: True (sequence, unit); False (timestep, unit) of one sequence.
    notes : tuple of str
    """
    layers: dict[str, dict[str, StoredArray]] = {}
    named: dict[str, bool] = {}
    for member in members:
        placed = _placed(member, time_major=time_major, flat_is_final=flat_is_final)
        if placed is None:
            return None
        layers.setdefault(member.layer, {})[placed[0]] = placed[1]
        named[member.layer] = member.named
    built = tuple(
        StateLayer(name, held, _facts(name), named=named[name]) for name, held in layers.items()
    )
    if not built or not all(_fits(layer) for layer in built):
        return None
    lengths, mask = read_companions(arrays, time_major=time_major)
    sequences = {layer.sequences for layer in built}
    if len(sequences) != 1:
        return None
    if lengths is not None and len(lengths) not in sequences:
        return None
    return StateSet(
        arrays.label, format_name, built, lengths, mask, notes=notes, close=arrays.close
    )


def _placed(
    member: Member, *, time_major: bool | None, flat_is_final: bool
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


def read_companions(
    arrays: NamedArrays, *, time_major: bool | None = None
) -> tuple[Array | None, Array | None]:
    """Lengths (int64) and mask (bool) that stand beside the states under their usual names."""
    lengths = mask = None
    for name in arrays.names:
        leaf = name.rpartition("/")[2]
        if leaf in LENGTH_NAMES and len(arrays.array(name).shape) == 1 and lengths is None:
            lengths = arrays.array(name).read().astype(np.int64)
        elif leaf in MASK_NAMES and len(arrays.array(name).shape) == 2 and mask is None:
            mask = arrays.array(name).read() != 0
            mask = mask.T if time_major else mask
    return lengths, mask


def positional(arrays: NamedArrays, *, forced: bool) -> list[StoredArray] | None:
    """The arrays in their order where they have no names; None if they have.

    That is ``arr_0``, ``arr_1`` … of `numpy.savez`, a list of lists, or one array with the list
    along its first axis: of four axes, or of three if the user says that it is a list.
    """
    names = [name for name in arrays.names if name.rpartition("/")[2] not in COMPANIONS]
    places = [position_of(name) for name in names]
    if len(names) > 1 and all(place is not None for place in places):
        order = sorted(range(len(names)), key=lambda number: places[number] or ())
        return [arrays.array(names[number]) for number in order]
    if len(names) == 1 and (names[0] == "" or position_of(names[0]) is not None):
        whole = arrays.array(names[0])
        rank = len(whole.shape)
        if whole.shape and whole.shape[0] % 2 == 0 and (rank == 4 or (rank == 3 and forced)):
            return [Picked(whole, 0, number) for number in range(whole.shape[0])]
    return None


def pairs_of(
    found: list[StoredArray], order: tuple[str, str], layers: list[str] | None = None
) -> list[Member]:
    """Arrays two by two as the states of one layer after the other."""
    members = []
    for number in range(0, len(found), 2):
        layer = layers[number // 2] if layers else str(number // 2) if len(found) > 2 else ""
        pair = zip(order, found[number : number + 2], strict=True)
        members += [Member(layer, key, array, named=False) for key, array in pair]
    return members
