"""Arrays by name, in rnnscope's words or those of frameworks: the format that can hold all."""

from __future__ import annotations

from collections.abc import Mapping

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
from rnnscope.states.naming import parse_array_name
from rnnscope.states.state_set import FINAL, INITIAL, INPUTS, StateSet
from rnnscope.states.writing import (
    READ_BY_DECODER,
    lengths_and_mask_arrays,
    time_first,
    wanted_arrays,
)

NAME = "arrays"


def readings(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:
    """By names; two axes under a state's name are final states, or one sequence over time."""
    members, left = named_members(arrays)
    return readings_of_members(arrays, NAME, members, options, left) if members else []


def named_members(arrays: NamedArrays) -> tuple[list[LayerArray], dict[str, str]]:
    """The arrays whose names tell what they are; and the others, with the reason where known."""
    members: list[LayerArray] = []
    left: dict[str, str] = {}
    for name in arrays.names:
        if is_lengths_or_mask(name):
            continue
        parsed = parse_array_name(name)
        if parsed is None:
            left[name] = ""
        elif not _can_be(parsed.key, array := arrays.array(name)):
            left[name] = f"{array.dtype} of shape {array.shape} is no {parsed.key}"
        else:
            layer, key = parsed.layer, parsed.key
            members.append(LayerArray(layer, key, array, name, named=bool(layer)))
    return members, left


def _can_be(key: str, array: StoredArray) -> bool:
    """Numbers, with no more axes than the name allows: torch's h_n has one for the layers."""
    most = 2 if key.startswith((FINAL, INITIAL)) else 3
    return is_number(array) and 0 < len(array.shape) <= most


def readings_of_members(
    arrays: NamedArrays,
    format_name: str,
    members: list[LayerArray],
    options: ReadOptions,
    left: Mapping[str, str] | None = None,
    words: str = "arrays by name",
) -> list[StateReading]:
    """One reading where axes leave no doubt, else one for each meaning of two axes."""
    deep = any(len(member.array.shape) == 3 for member in members)
    flat = [member for member in members if len(member.array.shape) == 2
            and member.key in ("c", "m", "array")]  # fmt: skip
    names = ", ".join(name for name in arrays.names[:4] if name)
    reason = f"its arrays are called {names}" if names else "by its name"
    readings_ = []
    for final in (True, False) if flat and not deep else (True,):
        states = build_states(
            arrays,
            format_name,
            members,
            time_major=options.time_major,
            flat_is_final=final,
            reasons=left,
        )
        if states is None:
            continue
        axes = ""
        if flat and not deep:
            axes = ", (sequence, unit)" if final else ", (timestep, unit) of one sequence"
        readings_.append(
            StateReading(format_name, words + axes, reason, states, sure=deep or not flat)
        )
    return readings_


def write(states: StateSet, options: WriteOptions) -> WrittenStates:
    """Every array under LAYER/NAME."""
    held = {}
    for layer in states.layers:
        for key, array in wanted_arrays(layer, options).items():
            name = f"{layer.name}/{key}".strip("/")
            held[name] = time_first(array, options.time_major)
    lost: tuple[str, ...] = ("options of the layers, their direction and where they come from",)
    if any(INPUTS in layer.arrays for layer in states.layers):
        lost = (READ_BY_DECODER, *lost)
    if options.steps == "final":
        lost = ("states of single timesteps", *lost)
    return WrittenStates(held | lengths_and_mask_arrays(states, options), lost)


STATE_FORMAT = StateFormat(
    NAME,
    "arrays by name: LAYER/c, LAYER/m, LAYER/final/c …",
    "arrays whose names end in c, m, h or outputs",
    "everything but the layers' options",
    readings,
    write,
    holds_outputs_alone=True,
)
