"""The state of a TensorFlow 1 MultiRNNCell: a tuple of (c, h), one for each layer."""

from __future__ import annotations

import re
from dataclasses import replace

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

NAME = "nested"
WORDS = "nested tuples ((c, m), …)"
LAYER = re.compile(r"(?:cell|layer)?_?\d+")


def readings(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:
    """``cell_0/c``, ``cell_0/h`` …, or arrays two by two."""
    forced = options.format == NAME
    in_order = positional_arrays(arrays, forced=forced)
    if in_order is not None:
        if len(in_order) % 2 or (len(in_order) < 4 and not forced):
            return []
        members = pairs_of(in_order, ("c", "m"))
        states = build_states(arrays, NAME, members, time_major=options.time_major)
        why = choice_reason("arrays two by two, c first", forced=forced)
        return [StateReading(NAME, WORDS, why, states, sure=forced)] if states else []
    members, left = named_members(arrays)
    layers = {member.layer for member in members}
    if (left and not forced) or not layers or not all(LAYER.fullmatch(layer) for layer in layers):
        return []
    members = [replace(member, named=False) for member in members]
    return readings_of_members(arrays, NAME, members, options, left, words=WORDS)


def write(states: StateSet, options: WriteOptions) -> WrittenStates:
    """``cell_0/c``, ``cell_0/h``, ``cell_1/c`` … in the order of the layers."""
    held = {}
    for number, layer in enumerate(states.layers):
        for name, state in (("c", "c"), ("h", "m")):
            array = state_of(layer, state, options, NAME)
            held[f"cell_{number}/{name}"] = time_first(array, options.time_major)
    order = ", ".join(
        f"cell_{number} is {layer.name}" for number, layer in enumerate(states.layers)
    )
    lost = ("the layers' names", *losses_in_words(states, options))
    return WrittenStates(held | lengths_and_mask_arrays(states, options), lost, (order,))


STATE_FORMAT = StateFormat(
    NAME,
    "tuples in a tuple, of MultiRNNCell",
    "arrays cell_0/c, cell_0/h, cell_1/c …, or two for each layer in this order",
    "c and m of any number of layers",
    readings,
    write,
)
