"""Keras Bidirectional: [forward h, forward c, backward h, backward c]."""

from __future__ import annotations

from rnnscope.errors import OptionError, spell
from rnnscope.files.containers.named_arrays import NamedArrays
from rnnscope.states.build import LayerArray, build_states, choice_reason, positional_arrays
from rnnscope.states.interface import (
    ReadOptions,
    StateFormat,
    StateReading,
    WriteOptions,
    WrittenStates,
)
from rnnscope.states.state_set import StateSet
from rnnscope.states.writing import (
    direction_pairs,
    lengths_and_mask_arrays,
    losses_in_words,
    state_of,
    time_first,
)

NAME = "keras-bidirectional"
WORDS = "list [fh, fc, bh, bc]"
ORDER = (
    ("forward", "h", "m"),
    ("forward", "c", "c"),
    ("backward", "h", "m"),
    ("backward", "c", "c"),
)


def readings(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:
    """Four arrays a layer: by the names ``forward_h`` …, or in their order."""
    forced = options.format == NAME
    in_order = positional_arrays(arrays, forced=forced)
    if in_order is None:
        return _by_name(arrays, options)
    if len(in_order) % 4 or not in_order:
        return []
    members = []
    for number, (source, array) in enumerate(in_order):
        direction, _, state = ORDER[number % 4]
        layer = direction if len(in_order) == 4 else f"{number // 4}/{direction}"
        members.append(LayerArray(layer, state, array, source, named=False))
    states = build_states(arrays, NAME, members, time_major=options.time_major)
    why = choice_reason("arrays four by four", forced=forced)
    return [StateReading(NAME, WORDS, why, states, sure=forced)] if states else []


def _by_name(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:
    states_by_name = {f"{direction}_{name}": (direction, state) for direction, name, state in ORDER}
    members = []
    for whole in arrays.names:
        layer, _, name = whole.rpartition("/")
        if name in states_by_name:
            direction, state = states_by_name[name]
            place = f"{layer}/{direction}".strip("/")
            array = arrays.array(whole)
            members.append(LayerArray(place, state, array, whole, named=bool(layer)))
    states = len(members) >= 4 and build_states(
        arrays, NAME, members, time_major=options.time_major
    )
    reason = "its arrays are called forward_h, forward_c, backward_h, backward_c"
    return [StateReading(NAME, WORDS, reason, states, sure=True)] if states else []


def write(states: StateSet, options: WriteOptions) -> WrittenStates:
    """``forward_h``, ``forward_c``, ``backward_h``, ``backward_c``; ``LAYER/…`` of several."""
    pairs = direction_pairs(states.layers)
    held = {}
    for pair in pairs:
        if pair.backward is None:
            raise OptionError(
                "The format keras-bidirectional holds pairs of a forward and a backward layer.",
                where=f"layer '{pair.forward.name}'",
                expected="a backward layer of the same shape after it",
                found="none",
                hint=f"write {spell('to', 'keras')}, or choose the pair with {spell('layers')}",
            )
        for direction, name, state in ORDER:
            layer = pair.forward if direction == "forward" else pair.backward
            place = f"{direction}_{name}" if len(pairs) == 1 else f"{pair.name}/{direction}_{name}"
            array = state_of(layer, state, options, NAME)
            held[place] = time_first(array, options.time_major)
    lost = ("the names of the two directions", *losses_in_words(states, options))
    return WrittenStates(held | lengths_and_mask_arrays(states, options), lost)


STATE_FORMAT = StateFormat(
    NAME,
    "Keras Bidirectional list [fh, fc, bh, bc]",
    "four arrays a layer: forward h, forward c, backward h, backward c",
    "c and m of pairs of directions",
    readings,
    write,
)
