"""Names of diagNNose: ``hx_l0``, ``cx_l0``, rows of all sentences one after the other.

diagNNose itself keeps pickles, which are not read: save its arrays with numpy, with ``ranges``
(sequence, 2), the first row of each sentence and the row after its last.

References
----------
https://github.com/i-machine-think/diagNNose, activation_writer.py
"""

from __future__ import annotations

import re

import numpy as np

from rnnscope.errors import InputError
from rnnscope.files.array_views import Unfolded
from rnnscope.files.named_arrays import NamedArrays
from rnnscope.files.stored_array import LoadedArray, StoredArray
from rnnscope.model.cell import Array
from rnnscope.states.build import Member, build_states
from rnnscope.states.flat import folded, row_lengths, with_lengths
from rnnscope.states.interface import Reading, ReadOptions, StateFormat, WriteOptions, Written
from rnnscope.states.model import StateSet
from rnnscope.states.writing import not_held, state_of

NAME = "diagnnose"
KEYS = {"cx": "c", "hx": "m", "i_g": "gates/i", "f_g": "gates/f", "o_g": "gates/o",
        "c_tilde_g": "gates/g"}  # fmt: skip
KNOWN = "|".join(KEYS)
ARRAY = re.compile(rf"(?:(?P<before>\d+)-)?(?P<name>{KNOWN})(?:_l(?P<after>\d+))?")
RANGES = ("ranges", "activation_ranges")


def readings(arrays: NamedArrays, options: ReadOptions) -> list[Reading]:
    """``hx_l0`` or ``0-hx``, of two axes, cut into sequences by ``ranges``."""
    found: list[tuple[str, str, StoredArray]] = []
    for name in arrays.names:
        match = ARRAY.fullmatch(name)
        number = match and (match["before"] or match["after"])
        if match and number and len(arrays.array(name).shape) == 2:
            found.append((number, KEYS[match["name"]], arrays.array(name)))
    if not found:
        return []
    rows = found[0][2].shape[0]
    starts, lengths, reason = _ranges(arrays, rows, options)
    if any(array.shape[0] != rows for _, _, array in found):
        return []
    members = [
        Member(number, key, Unfolded(array, starts, lengths), named=False)
        for number, key, array in found
    ]
    states = build_states(arrays, NAME, members)
    if states is None:
        return []
    return [Reading(NAME, "hx, cx in rows", reason, with_lengths(states, lengths), sure=True)]


def _ranges(arrays: NamedArrays, rows: int, options: ReadOptions) -> tuple[Array, Array, str]:
    name = next((name for name in RANGES if name in arrays.names), None)
    if name is None:
        lengths, why = row_lengths(arrays, rows, options)
        return np.cumsum(lengths) - lengths, lengths, why
    ranges = arrays.array(name).read()
    good = ranges.ndim == 2 and ranges.shape[1:] == (2,) and ranges.dtype.kind in "iu"
    if not good or ((ranges < 0) | (ranges > rows)).any() or (ranges[:, 1] < ranges[:, 0]).any():
        raise InputError(
            "The ranges do not fit the rows.",
            where=f"{arrays.label}: {name}",
            expected=f"integers (sequence, 2) from 0 to {rows}",
            found=f"shape {ranges.shape}, {ranges.dtype}",
        )
    whole = ranges.astype(np.int64)
    return whole[:, 0], whole[:, 1] - whole[:, 0], f"its arrays are called hx_l0 …, and {name}"


def write(states: StateSet, options: WriteOptions) -> Written:
    """``hx_l0``, ``cx_l0``, ``hx_l1`` … and ``ranges``."""
    held: dict[str, StoredArray] = {}
    own = WriteOptions("all") if options.steps == "all" else options
    ranges: Array = np.zeros((0, 2), np.int64)
    for number, layer in enumerate(states.layers):
        for name, state in (("hx", "m"), ("cx", "c")):
            array, lengths = folded(states, layer, state_of(layer, state, own, NAME))
            ends = np.cumsum(lengths)
            ranges = np.stack([ends - lengths, ends], axis=1)
            held[f"{name}_l{number}"] = array
        if options.steps == "all":
            held |= {
                f"{name}_l{number}": folded(states, layer, layer.arrays[key])[0]
                for name, key in KEYS.items()
                if key.startswith("gates/") and key in layer.arrays
            }
    lost = [entry for entry in not_held(states, options) if entry != "gates"]
    order = ", ".join(f"l{number} is {layer.name}" for number, layer in enumerate(states.layers))
    held["ranges"] = LoadedArray(ranges)
    notes = (order, "diagNNose itself reads pickles: load these arrays and dump them there")
    return Written(held, ("the layers' names", "steps past the length", *lost), notes)


STATE_FORMAT = StateFormat(
    NAME,
    "names of diagNNose: hx_l0, cx_l0, ranges",
    "arrays hx_l0, cx_l0 … of (step, unit), and ranges (sequence, 2)",
    "c, m and gates of valid steps",
    readings,
    write,
)
