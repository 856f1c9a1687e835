"""One array that nothing names: c, m, outputs, or whatever the other operand is."""

from __future__ import annotations

from rnnscope.errors import spell
from rnnscope.files.containers.named_arrays import NamedArrays
from rnnscope.states import SINGLE_MEANINGS
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
from rnnscope.states.writing import losses_in_words, only_layer, state_of, time_first

NAME = "single"
MEANINGS = ("array", *SINGLE_MEANINGS)


def readings(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:
    """The only array as each of the states."""
    names = [name for name in arrays.names if not is_lengths_or_mask(name)]
    if len(names) != 1 or not is_number(arrays.array(names[0])):
        return []
    if names[0].rpartition("/")[2] in CONCAT_NAMES:
        return []
    array = arrays.array(names[0])
    readings_ = []
    for key in (options.meaning,) if options.meaning else MEANINGS:
        for final in (True, False) if len(array.shape) == 2 else (True,):
            if final and len(array.shape) == 2 and key in ("array", "outputs"):
                continue
            states = build_states(
                arrays,
                NAME,
                [LayerArray("", key, array, names[0], named=False)],
                time_major=options.time_major,
                flat_is_final=final,
            )
            if states is None:
                continue
            word = "an array without a name" if key == "array" else key
            axes = "" if len(array.shape) == 3 else " of one sequence"
            words = f"final {word}" if final and len(array.shape) < 3 else f"{word}{axes}"
            reason = "the only array"
            if options.meaning:
                reason = f"as {spell('a_format')} or {spell('b_format')} says"
            readings_.append(
                StateReading(NAME, words, reason, states, said=f"{NAME}:{key}")
                if key in SINGLE_MEANINGS
                else StateReading(NAME, words, reason, states)
            )
    return readings_


def write(states: StateSet, options: WriteOptions) -> WrittenStates:
    """M of the only layer."""
    layer = only_layer(states, "A single array", f"choose one with {spell('layers')}")
    array = time_first(state_of(layer, "m", options, NAME), options.time_major)
    lost = ("c", "lengths", "the layer's name", *losses_in_words(states, options))
    return WrittenStates({"m": array}, lost)


STATE_FORMAT = StateFormat(
    NAME,
    "one array: m",
    "one array of (sequence, timestep, unit), (sequence, unit) or (timestep, unit)",
    "m of one layer",
    readings,
    write,
)
