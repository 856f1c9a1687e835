"""Names of diagNNose: ``hx_l0``, ``cx_l0``, rows of all sentences one after the other.

diagNNose itself keeps pickles, which are not read: save its arrays with numpy, with ``ranges``
(sequence, 2), the first row of each sentence and the row after its last.

References
----------
https://github.com/i-machine-think/diagNNose, activation_writer.py
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from rnnscope.errors import InputError
from rnnscope.files.arrays.array_views import Unfolded
from rnnscope.files.arrays.stored_array import LoadedArray, StoredArray
from rnnscope.files.containers.named_arrays import NamedArrays
from rnnscope.model.cell import Array
from rnnscope.states.build import LayerArray, build_states
from rnnscope.states.interface import (
    ReadOptions,
    StateFormat,
    StateReading,
    WriteOptions,
    WrittenStates,
)
from rnnscope.states.rows_of_steps import RowCuts, cut_by_lengths, folded, with_lengths
from rnnscope.states.state_set import StateSet
from rnnscope.states.writing import losses_in_words, state_of

NAME = "diagnnose"
KEYS = {"cx": "c", "hx": "m", "i_g": "gates/i", "f_g": "gates/f", "o_g": "gates/o",
        "c_tilde_g": "gates/g"}  # fmt: skip
KNOWN = "|".join(KEYS)
ARRAY = re.compile(rf"(?:(?P<before>\d+)-)?(?P<name>{KNOWN})(?:_l(?P<after>\d+))?")
RANGES = ("ranges", "activation_ranges")


def readings(arrays: NamedArrays, options: ReadOptions) -> list[StateReading]:
    """``hx_l0`` or ``0-hx``, of two axes, cut into sequences by ``ranges``."""
    in_rows: list[LayerArray] = []
    for name in arrays.names:
        match = ARRAY.fullmatch(name)
        number = match and (match["before"] or match["after"])
        if match and number and len((array := arrays.array(name)).shape) == 2:
            in_rows.append(LayerArray(number, KEYS[match["name"]], array, name, named=False))
    if not in_rows:
        return []
    rows = in_rows[0].array.shape[0]
    cuts = _ranges(arrays, rows, options)
    if any(member.array.shape[0] != rows for member in in_rows):
        return []
    members = [
        replace(member, array=Unfolded(member.array, cuts.starts, cuts.lengths))
        for member in in_rows
    ]
    states = build_states(arrays, NAME, members)
    if states is None:
        return []
    left = tuple(array for array in states.not_read if array.name not in cuts.sources)
    states = replace(with_lengths(states, cuts.lengths), not_read=left)
    return [StateReading(NAME, "hx, cx in rows", cuts.reason, states, sure=True)]


def _ranges(arrays: NamedArrays, rows: int, options: ReadOptions) -> RowCuts:
    name = next((name for name in RANGES if name in arrays.names), None)
    if name is None:
        return cut_by_lengths(arrays, rows, options)
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
    reason = f"its arrays are called hx_l0 …, and {name}"
    return RowCuts(whole[:, 0], whole[:, 1] - whole[:, 0], reason, (name,))


def write(states: StateSet, options: WriteOptions) -> WrittenStates:
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
    lost = [entry for entry in losses_in_words(states, options) if entry != "gates"]
    order = ", ".join(f"l{number} is {layer.name}" for number, layer in enumerate(states.layers))
    held["ranges"] = LoadedArray(ranges)
    notes = (order, "diagNNose itself reads pickles: load these arrays and dump them there")
    return WrittenStates(held, ("the layers' names", "steps past the length", *lost), notes)


STATE_FORMAT = StateFormat(
    NAME,
    "names of diagNNose: hx_l0, cx_l0, ranges",
    "arrays hx_l0, cx_l0 … of (step, unit), and ranges (sequence, 2)",
    "c, m and gates of valid steps",
    readings,
    write,
)
