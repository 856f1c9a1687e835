"""One array a state: c and m side by side on the last axis (``state_is_tuple=False``).

A projected cell's halves are not equal: c has num_units, m what the projection leaves. The state of
a stack is all of its layers' side by side: c, m, c, m …
"""

from __future__ import annotations

from typing import NamedTuple

from rnnscope.files.arrays.array_views import Joined, Span
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.files.containers.named_arrays import NamedArrays
from rnnscope.states.build import LayerArray, build_states, is_lengths_or_mask, is_number
from rnnscope.states.interface import (
    ReadOptions,
    StateFormat,
    StateReading,
    WriteOptions,
    WrittenStates,
)
from rnnscope.states.naming import CONCAT_NAMES
from rnnscope.states.state_set import StateSet
from rnnscope.states.writing import lengths_and_mask_arrays, losses_in_words, state_of, time_first

NAME = "concat"


def readings(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:
    """Arrays called ``state``, or the only one, split at `num_units` or in the middle."""
    forced = options.format == NAME
    concatenated = _states(arrays, forced=forced)
    if not concatenated:
        return []
    readings_: list[StateReading] = []
    flat = all(len(state.array.shape) == 2 for state in concatenated)
    for final in (True, False) if flat else (True,):
        members: list[LayerArray] = []
        for state in concatenated:
            cuts = split_widths(state.array.shape[-1], options.num_units)
            if cuts is None:
                return []
            members += _split(state, cuts)
        states = build_states(
            arrays, NAME, members, time_major=options.time_major, flat_is_final=final
        )
        if states is None:
            continue
        words = _words(members) + (
            "" if not flat else ", (sequence, unit)" if final else ", (timestep, unit)"
        )
        by_name = any(name.rpartition("/")[2] in CONCAT_NAMES for name in arrays.names)
        units_known = bool(options.num_units)
        reason = "num_units is known" if units_known else "split in the middle, as nothing projects"
        sure = not flat and (forced or (by_name and units_known))
        readings_.append(StateReading(NAME, words, reason, states, sure))
    return readings_


class ConcatState(NamedTuple):
    """An array that is c and m of a layer side by side, and its name in the file."""

    layer: str
    source: str
    array: StoredArray


def _states(arrays: NamedArrays, *, forced: bool) -> list[ConcatState]:
    names = [name for name in arrays.names if not is_lengths_or_mask(name)]
    named = [name for name in names if name.rpartition("/")[2] in CONCAT_NAMES]
    if named:
        return [ConcatState(name.rpartition("/")[0], name, arrays.array(name)) for name in named]
    if len(names) == 1:
        array, leaf = arrays.array(names[0]), names[0].rpartition("/")[2]
        plain = forced or leaf in ("", "arr_0", "array")
        if plain and is_number(array) and len(array.shape) in (2, 3):
            return [ConcatState("", names[0], array)]
    return []


def split_widths(width: int, num_units: tuple[int, ...]) -> list[tuple[int, int]] | None:
    """Widths of c and m of each layer in a state of this width; None if they do not fit."""
    if not num_units:
        return None if width % 2 else [(width // 2, width // 2)]
    rest = width - sum(num_units)
    if rest == sum(num_units):
        return [(units, units) for units in num_units]
    return [(num_units[0], rest)] if len(num_units) == 1 and rest > 0 else None


def _split(state: ConcatState, cuts: list[tuple[int, int]]) -> list[LayerArray]:
    layer, source, array = state
    members, at = [], 0
    axis = len(array.shape) - 1
    for number, widths in enumerate(cuts):
        name = layer if len(cuts) == 1 else f"{layer}/{number}".strip("/")
        for key, width in zip(("c", "m"), widths, strict=True):
            part = Span(array, axis, at, at + width)
            members.append(LayerArray(name, key, part, source, named=bool(layer)))
            at += width
    return members


def _words(members: list[LayerArray]) -> str:
    parts = ", ".join(f"{member.key} {member.array.shape[-1]}" for member in members[:4])
    return f"concat [{parts}{', …' if len(members) > 4 else ''}]"


def write(states: StateSet, options: WriteOptions) -> WrittenStates:
    """``state`` of the only layer, or ``LAYER/state`` of each."""
    held: dict[str, StoredArray] = {}
    for layer in states.layers:
        parts = [state_of(layer, state, options, NAME) for state in ("c", "m")]
        place = "state" if len(states.layers) == 1 else f"{layer.name}/state"
        held[place] = time_first(Joined(parts, len(parts[0].shape) - 1), options.time_major)
    widths = ", ".join(
        f"{layer.name}: {state_of(layer, 'c', options, NAME).shape[-1]}" for layer in states.layers
    )
    lost = ("where c ends and m begins", *losses_in_words(states, options))
    return WrittenStates(
        held | lengths_and_mask_arrays(states, options), lost, (f"num_units of {widths}",)
    )


STATE_FORMAT = StateFormat(
    NAME,
    "concat [c, m] on the last axis (state_is_tuple=False)",
    "one array, or arrays called state; with the number of units, unless c and m are as wide",
    "c and m of any number of layers",
    readings,
    write,
)
