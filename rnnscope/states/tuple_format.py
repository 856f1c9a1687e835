"""TensorFlow 1's LSTMStateTuple: c first, then what it calls h."""

from __future__ import annotations

from rnnscope.errors import spell
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
from rnnscope.states.writing import (
    lengths_and_mask_arrays,
    losses_in_words,
    only_layer,
    state_of,
    time_first,
)

NAME = "tuple"
WORDS = "tuple (c, m)"


def readings(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:
    """Fields c and h by name, or two arrays in that order."""
    forced = options.format == NAME
    in_order = positional_arrays(arrays, forced=forced)
    if in_order is not None:
        states = len(in_order) == 2 and build_states(
            arrays, NAME, pairs_of(in_order, ("c", "m")), time_major=options.time_major
        )
        why = choice_reason("two arrays, c first", forced=forced)
        return [StateReading(NAME, WORDS, why, states, sure=forced)] if states else []
    members, left = named_members(arrays)
    keys = [member.key for member in members]
    # Names tell more than places: c and h are what they say, in either order.
    own = (keys == ["c", "m"] and not left) or (forced and sorted(keys) == ["c", "m"])
    if not own or any(member.layer for member in members):
        return []
    return readings_of_members(arrays, NAME, members, options, left, words=WORDS)


def write(states: StateSet, options: WriteOptions) -> WrittenStates:
    """One layer as ``c``, ``h``."""
    several = f"write {spell('to', 'nested')}, or choose one with {spell('layers')}"
    layer = only_layer(states, "A tuple", several)
    held = {
        name: time_first(state_of(layer, state, options, NAME), options.time_major)
        for name, state in (("c", "c"), ("h", "m"))
    }
    lost = ("the layer's name", *losses_in_words(states, options))
    return WrittenStates(held | lengths_and_mask_arrays(states, options), lost)


STATE_FORMAT = StateFormat(
    NAME,
    "LSTMStateTuple (c, h) of TensorFlow 1",
    "two arrays: c and h by name, or in this order",
    "c and m of one layer",
    readings,
    write,
)
