"""Formats that keep the steps of all sequences in one row after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rnnscope.errors import InputError, spell
from rnnscope.files.arrays.array_views import Expanded, Folded
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.files.containers.named_arrays import NamedArrays
from rnnscope.model.cell import Array
from rnnscope.states.interface import ReadOptions
from rnnscope.states.state_set import StateLayer, StateSet


class RowCuts(NamedTuple):
    """How rows of steps are cut into sequences.

    Attributes
    ----------
    starts, lengths : ndarray of int64 (sequence,)
        The first row of each sequence, and how many it has.
    reason : str
        How that is known, in words.
    sources : tuple of str
        The arrays of the file that tell it.
    """

    starts: Array
    lengths: Array
    reason: str
    sources: tuple[str, ...] = ()


def cut_by_lengths(arrays: NamedArrays, rows: int, options: ReadOptions) -> RowCuts:
    """Sequences that stand in so many rows one after the other.

    From ``lengths`` in the file, else those of the file compared with if they add up, else all
    rows are one sequence.

    Raises
    ------
    InputError
        The file's lengths do not add up to its rows.
    """
    if "lengths" in arrays.names:
        lengths = arrays.array("lengths").read().astype(np.int64)
        if lengths.ndim != 1 or (lengths < 0).any() or int(lengths.sum()) != rows:
            raise InputError(
                "The lengths do not add up to the rows.",
                where=arrays.label,
                expected=f"{rows} rows in all",
                found=f"{int(lengths.sum())}",
            )
        return _cuts(lengths, "by name, cut by its lengths", "lengths")
    if options.lengths is not None and sum(options.lengths) == rows:
        return _cuts(np.array(options.lengths, np.int64), "cut by the lengths of the other")
    return _cuts(np.array([rows], np.int64), "nothing cuts the rows: they are one sequence")


def _cuts(lengths: Array, reason: str, *sources: str) -> RowCuts:
    return RowCuts(np.cumsum(lengths) - lengths, lengths, reason, sources)


def with_lengths(states: StateSet, lengths: Array) -> StateSet:
    """The set with these lengths; steps past them are left out on purpose."""
    return replace(states, lengths=lengths, selected=True)


def folded(states: StateSet, layer: StateLayer, array: StoredArray) -> tuple[StoredArray, Array]:
    """An array's valid steps as (step, unit), and the steps of each sequence.

    Raises
    ------
    InputError
        A mask with gaps: rows cannot tell which steps are missing.
    """
    if len(array.shape) == 2:  # final states: a step a sequence
        array = Expanded(array, 1)
        return Folded(array, np.ones(array.shape[0], np.int64)), np.ones(array.shape[0], np.int64)
    lengths = states.valid_steps() if layer.counted else None
    if lengths is None and states.mask is not None and layer.counted:
        raise InputError(
            "The mask has gaps, and rows of steps cannot hold that.",
            where=states.name,
            expected="a mask of valid steps, then padding",
            found="valid steps after padding",
            hint=f"write {spell('to', 'arrays')}",
        )
    if lengths is None:
        lengths = np.full(array.shape[0], array.shape[1], np.int64)
    return Folded(array, lengths), lengths
