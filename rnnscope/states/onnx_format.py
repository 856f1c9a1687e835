"""The outputs of ONNX's LSTM: Y, Y_h and Y_c.

Layout 0: Y (timestep, direction, batch, unit), Y_h and Y_c (direction, batch, unit). Layout 1: Y
(batch, timestep, direction, unit), Y_h and Y_c (batch, direction, unit).

References
----------
https://onnx.ai/onnx/operators/onnx__LSTM.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rnnscope.files.arrays.array_views import Picked, Turned, stacked
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.files.containers.named_arrays import NamedArrays
from rnnscope.states.build import (
    LayerArray,
    PositionalArray,
    build_states,
    positional_arrays,
)
from rnnscope.states.interface import (
    ReadOptions,
    StateFormat,
    StateReading,
    WriteOptions,
    WrittenStates,
)
from rnnscope.states.naming import parse_array_name
from rnnscope.states.state_set import FINAL, StateSet
from rnnscope.states.writing import (
    DirectionPair,
    direction_pairs,
    lengths_and_mask_arrays,
    losses_in_words,
    state_of,
)

NAME = "onnx"
OUTPUT = re.compile(r"(?:(?P<layer>.*)[/_.])?(?P<name>Y|Y_h|Y_c)")
ARRAYS = {"Y": "m", "Y_h": FINAL + "m", "Y_c": FINAL + "c"}
DIRECTION_AXIS = {("Y", 0): 1, ("Y", 1): 2, ("Y_h", 0): 0, ("Y_h", 1): 1, ("Y_c", 0): 0,
                  ("Y_c", 1): 1}  # fmt: skip
SIDES = ("forward", "backward")


def readings(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:
    """By the names Y, Y_h, Y_c, or three arrays in this order; one for each layout that fits."""
    in_order = positional_arrays(arrays, forced=False)
    layers: dict[str, dict[str, PositionalArray]] = {}
    if in_order is not None:
        if len(in_order) != 3 or len(in_order[0].array.shape) != 4:
            return []
        layers[""] = dict(zip(ARRAYS, in_order, strict=True))
    else:
        for name in arrays.names:
            if match := OUTPUT.fullmatch(name):
                held = layers.setdefault(match["layer"] or "", {})
                held[match["name"]] = PositionalArray(name, arrays.array(name))
    if options.format != NAME and any(parse_array_name(name) for name in arrays.names):
        return []  # layers of their own stand beside ONNX's: the file tells more by name
    layouts = {True: (0,), False: (1,), None: (0, 1)}[options.time_major]
    result = []
    for layout in layouts:
        if not layers or not all(_layout_fits(held, layout) for held in layers.values()):
            continue
        members = [
            member for layer, held in layers.items() for member in _members(layer, held, layout)
        ]
        states = build_states(arrays, NAME, members)
        if states is not None:
            words = f"Y, Y_h, Y_c in layout {layout}"
            result.append(StateReading(NAME, words, "by name and shape", states, sure=False))
    if len(result) == 1:
        one = result[0]
        return [StateReading(NAME, one.words, one.reason, one.states, sure=True)]
    return result


def _layout_fits(held: Mapping[str, PositionalArray], layout: int) -> bool:
    """One or two directions on their axis, and the same batch in all arrays."""
    batches = set()
    for name, (_, array) in held.items():
        if len(array.shape) != (4 if name == "Y" else 3):
            return False
        if array.shape[DIRECTION_AXIS[name, layout]] not in (1, 2):
            return False
        batches.add(array.shape[-2] if layout == 0 else array.shape[0])
    directions = {array.shape[DIRECTION_AXIS[name, layout]] for name, (_, array) in held.items()}
    return len(batches) == 1 and len(directions) == 1


def _members(layer: str, held: Mapping[str, PositionalArray], layout: int) -> list[LayerArray]:
    members = []
    for name, (source, array) in held.items():
        axis = DIRECTION_AXIS[name, layout]
        for number in range(min(array.shape[axis], 2)):
            part: StoredArray = Picked(array, axis, number)
            if name == "Y" and layout == 0:
                part = Turned(part, (1, 0, 2))
            side = f"{layer}/{SIDES[number]}".strip("/") if array.shape[axis] == 2 else layer
            members.append(LayerArray(side, ARRAYS[name], part, source, named=bool(layer)))
    return members


def write(states: StateSet, options: WriteOptions) -> WrittenStates:
    """``Y``, ``Y_h``, ``Y_c`` of the only node, or ``LAYER/Y`` … of each; layout 0 by default."""
    layout = 1 if options.time_major is False else 0
    pairs = direction_pairs(states.layers)
    held: dict[str, StoredArray] = {}
    for pair in pairs:
        prefix = "" if len(pairs) == 1 else f"{pair.name}/"
        for name in ARRAYS if options.steps == "all" else ("Y_h", "Y_c"):
            held[prefix + name] = _stack(pair, name, layout)
    lost = (["c of single timesteps"] if options.steps == "all" else []) + list(
        losses_in_words(states, options)
    )
    if any(pair.backward for pair in pairs):
        lost.insert(0, "the names of the two directions")
    about_steps = {
        name: array
        for name, array in lengths_and_mask_arrays(states, options).items()
        if name != "mask"
    }
    return WrittenStates(held | about_steps, tuple(lost), (f"layout {layout}",))


def _stack(pair: DirectionPair, name: str, layout: int) -> StoredArray:
    state = "c" if name == "Y_c" else "m"
    steps = WriteOptions("all" if name == "Y" else "final")
    sides = [pair.forward] + ([pair.backward] if pair.backward else [])
    parts = []
    for side in sides:
        array = state_of(side, state, steps, NAME)
        parts.append(Turned(array, (1, 0, 2)) if name == "Y" and layout == 0 else array)
    return stacked(parts, DIRECTION_AXIS[name, layout])


STATE_FORMAT = StateFormat(
    NAME,
    "ONNX LSTM outputs Y, Y_h, Y_c (layout 0, or 1)",
    "arrays called Y, Y_h, Y_c",
    "m of every timestep, final c and m",
    readings,
    write,
)
