"""Bringing two arrays together place by place: coordinates, and which steps count."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnscope.comparing.array_measure import AlignedArrays
from rnnscope.files.arrays.array_views import cut_to
from rnnscope.model.cell import Array
from rnnscope.states.state_set import FINAL, GATES, INITIAL, INPUTS, StateLayer, StateSet

AXES = ("sequence", "timestep", "unit")


class LayerOfSet(NamedTuple):
    """A layer and the set it belongs to."""

    states: StateSet
    layer: StateLayer


class AxisMatch(NamedTuple):
    """The places that both sides have on an axis."""

    names: Array
    a: Array
    b: Array
    problem: str


def align(
    a: LayerOfSet, b: LayerOfSet, key: str, *, padding: bool = False
) -> tuple[AlignedArrays | None, tuple[str, ...]]:
    """Both sides' array of this name, cut to the places that both have.

    Parameters
    ----------
    a, b : LayerOfSet
    key : str
    padding : bool
        Count steps past the length, too.

    Returns
    -------
    AlignedArrays or None
        None if the arrays cannot be compared place by place.
    tuple of str
        What differs apart from the values.
    """
    first, second = a.layer.arrays[key], b.layer.arrays[key]
    if len(first.shape) != len(second.shape):
        return None, (f"{len(first.shape)} axes in A, {len(second.shape)} in B",)
    axes = AXES if len(first.shape) == 3 else (AXES[0], AXES[2])
    selected = a.states.selected or b.states.selected
    matches = []
    for axis, name in enumerate(axes):
        matches.append(
            _match_axis(
                name,
                _coordinates(a, key, name, first.shape[axis]),
                _coordinates(b, key, name, second.shape[axis]),
                selected=selected,
            )
        )
    problems = tuple(match.problem for match in matches if match.problem)
    # Timesteps and sequences have a beginning in common; units without names have not.
    if matches[-1].problem or not all(len(match.names) for match in matches):
        empty = all(not size for size in (*first.shape, *second.shape)[:1])
        if matches[-1].problem or not empty:
            nothing = () if problems else ("no places in common",)
            return None, problems + nothing
    valid = None
    if len(first.shape) == 3 and not padding:
        valid = _common_steps(a, b, key, matches)
    pair = AlignedArrays(
        cut_to(first, [match.a for match in matches]),
        cut_to(second, [match.b for match in matches]),
        valid,
        tuple(match.names for match in matches),
        backward=a.layer.backward or b.layer.backward,
    )
    return pair, problems


def _match_axis(name: str, a: Array, b: Array, *, selected: bool) -> AxisMatch:
    if np.array_equal(a, b):
        return AxisMatch(a, np.arange(len(a)), np.arange(len(b)), "")
    common, at_a, at_b = np.intersect1d(a, b, return_indices=True)
    problem = f"{len(a)} {name}s in A, {len(b)} in B"
    if len(a) == len(b):
        problem = f"{name}s {_range(a)} in A, {_range(b)} in B"
    return AxisMatch(common, at_a, at_b, "" if selected and len(common) else problem)


def _range(names: Array) -> str:
    return f"{names[0]} to {names[-1]}"


def _coordinates(side: LayerOfSet, key: str, axis: str, size: int) -> Array:
    """What the places of an axis are called: by the file where that fits, else numbers."""
    names = None
    if axis == "sequence":
        names = side.states.sequence
    elif axis == "timestep":
        names = side.layer.coordinates.get(
            "timestep", side.states.timestep if side.layer.counted else None
        )
    elif key != INPUTS:
        state = key.removeprefix(FINAL).removeprefix(INITIAL)
        of_units = state == "c" or key.startswith(GATES)
        names = side.layer.coordinates.get("unit" if of_units else "output")
    return names if names is not None and len(names) == size else np.arange(size)


def valid_steps(side: LayerOfSet, key: str) -> Array | None:
    """True at the steps of an array that count, (sequence, timestep); None if nothing tells."""
    states, layer = side
    if not layer.counted or key not in layer.arrays or len(layer.arrays[key].shape) != 3:
        return None
    shape = layer.arrays[key].shape[:2]
    valid = states.mask
    if valid is None and states.lengths is not None and len(states.lengths) == shape[0]:
        names = _coordinates(side, key, "timestep", shape[1])
        valid = names < states.lengths[:, None]
    if valid is None or valid.shape != shape:
        return None
    turned = key == "outputs" and layer.facts is not None and not layer.facts.outputs_in_input_order
    # Outputs in the order of processing begin with the padding, unless each sequence was turned
    # within its length.
    if turned and layer.facts is not None and layer.facts.reversal == "whole":
        valid = valid[:, ::-1]
    return valid


def _common_steps(a: LayerOfSet, b: LayerOfSet, key: str, matches: list[AxisMatch]) -> Array | None:
    """The steps that count on both sides; a side that does not tell goes by the other."""
    valid = None
    for side, rows, steps in (
        (a, matches[0].a, matches[1].a),
        (b, matches[0].b, matches[1].b),
    ):
        own = valid_steps(side, key)
        if own is not None:
            own = own[np.ix_(rows, steps)]
            valid = own if valid is None else valid & own
    return valid


def length_differences(a: StateSet, b: StateSet) -> tuple[list[str], list[str]]:
    """How the lengths or masks of two sets differ, and notes on where one is missing."""
    steps_a, steps_b = a.valid_steps(), b.valid_steps()
    if steps_a is not None and steps_b is not None:
        if len(steps_a) != len(steps_b) or np.array_equal(steps_a, steps_b):
            return [], []
        at = int(np.argmax(steps_a != steps_b))
        count = int(np.count_nonzero(steps_a != steps_b))
        more = f" and {count - 1} more" if count > 1 else ""
        words = f"lengths: sequence {at} has {steps_a[at]} steps in A, {steps_b[at]} in B{more}"
        return [words], []
    if a.mask is not None and b.mask is not None:
        if a.mask.shape == b.mask.shape and not np.array_equal(a.mask, b.mask):
            at, step = (int(i) for i in np.argwhere(a.mask != b.mask)[0])
            return [f"masks: they differ from sequence {at}, timestep {step} on"], []
        return [], []
    sides = ["A" if states is a else "B" for states in (a, b) if _tells(states)]
    if len(sides) != 1:
        return [], []
    with_lengths, without = (a, b) if sides == ["A"] else (b, a)
    if with_lengths.selected and without.timesteps is not None:
        # Valid steps alone are kept: what the other side has beyond them is missing.
        steps = with_lengths.valid_steps()
        if steps is not None and (steps != without.timesteps).any():
            at = int(np.argmax(steps != without.timesteps))
            words = (
                f"lengths: sequence {at} has {steps[at]} steps in {sides[0]}, the other side "
                f"{without.timesteps} and no lengths"
            )
            return [words], []
    if a.format == b.format == "trace":
        other = "B" if sides == ["A"] else "A"
        return [f"lengths: {sides[0]} has lengths or a mask, {other} computed every step"], []
    return [], [f"the lengths of {sides[0]} are taken for both"]


def _tells(states: StateSet) -> bool:
    return states.lengths is not None or states.mask is not None
