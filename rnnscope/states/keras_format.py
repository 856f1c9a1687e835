"""Keras lists: [h, c] of a layer, output state first; one such list for each layer."""

from __future__ import annotations

from rnnscope.files.containers.named_arrays import NamedArrays
from rnnscope.states.arrays_format import named_members, readings_of_members
from rnnscope.states.build import build_states, choice_reason, pairs_of, positional_arrays
from rnnscope.states.interface import (
    ReadOptions,
    StateFormat,
    StateReading,
    WriteOptions,
    WrittenStates,
)
from rnnscope.states.state_set import StateSet
from rnnscope.states.writing import lengths_and_mask_arrays, losses_in_words, state_of, time_first

NAME = "keras"
WORDS = "list [h, c]"


def readings(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:
    """Arrays two by two, h first; or by name, h before c."""
    forced = options.format == NAME
    in_order = positional_arrays(arrays, forced=forced)
    if in_order is not None:
        if len(in_order) % 2:
            return []
        members = pairs_of(in_order, ("m", "c"))
        states = build_states(arrays, NAME, members, time_major=options.time_major)
        why = choice_reason("arrays two by two, h first", forced=forced)
        return [StateReading(NAME, WORDS, why, states, sure=forced)] if states else []
    members, left = named_members(arrays)
    keys = [member.key for member in members]
    own = bool(keys) and not left and keys == ["m", "c"] * (len(keys) // 2)
    # Names tell more than places: c and h are what they say, in either order.
    if not own and not (forced and keys.count("m") == keys.count("c") > 0):
        return []
    return readings_of_members(arrays, NAME, members, options, left, words=WORDS)


def write(states: StateSet, options: WriteOptions) -> WrittenStates:
    """``h``, ``c`` of the only layer, or ``LAYER/h``, ``LAYER/c`` of each."""
    held = {}
    for layer in states.layers:
        for name, state in (("h", "m"), ("c", "c")):
            array = state_of(layer, state, options, NAME)
            place = name if len(states.layers) == 1 else f"{layer.name}/{name}"
            held[place] = time_first(array, options.time_major)
    return WrittenStates(
        held | lengths_and_mask_arrays(states, options), losses_in_words(states, options)
    )


STATE_FORMAT = StateFormat(
    NAME,
    "Keras list [h, c]",
    "two arrays a layer: h, then c",
    "c and m of any number of layers",
    readings,
    write,
)
