"""What formats share when they write: which arrays are wanted, axes in another order, pairs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rnnscope.errors import OptionError, spell
from rnnscope.files.arrays.array_views import Turned
from rnnscope.files.arrays.stored_array import LoadedArray, StoredArray
from rnnscope.states.interface import WriteOptions
from rnnscope.states.state_set import FINAL, GATES, INITIAL, INPUTS, StateLayer, StateSet

READ_BY_DECODER = "what a decoder read at each step"

DIRECTION = re.compile(r"fw|forward|bw|backward|_reverse", re.IGNORECASE)


def wanted_arrays(layer: StateLayer, options: WriteOptions) -> dict[str, StoredArray]:
    """A layer's states: all of them, or the final ones alone."""
    if options.steps == "all":
        return {key: array for key, array in layer.arrays.items() if key != INPUTS}
    return {key: array for key, array in layer.arrays.items() if key.startswith(FINAL)}


def state_of(layer: StateLayer, state: str, options: WriteOptions, format_name: str) -> StoredArray:
    """C or m of a layer, over time or final.

    Raises
    ------
    OptionError
        The layer has none.
    """
    key = state if options.steps == "all" else FINAL + state
    if key not in layer.arrays:
        raise OptionError(
            f"The layer has no {key}, which the format {format_name} needs.",
            where=f"layer '{layer.name}'",
            expected=key,
            found=", ".join(layer.arrays),
            hint=f"choose layers with {spell('layers')}, or write {spell('to', 'arrays')}",
        )
    return layer.arrays[key]


def only_layer(states: StateSet, called: str, several: str) -> StateLayer:
    """The only layer of states, for formats that hold one; `several` says what else there is.

    Raises
    ------
    OptionError
        There are several.
    """
    if len(states.layers) != 1:
        raise OptionError(
            f"{called} holds one layer.",
            where=states.name,
            expected="one layer",
            found=", ".join(layer.name for layer in states.layers),
            hint=several,
        )
    return states.layers[0]


def time_first(array: StoredArray, time_major: bool | None) -> StoredArray:
    """(timestep, sequence, unit) where that is wanted; final states are as they are."""
    return Turned(array, (1, 0, 2)) if time_major and len(array.shape) == 3 else array


def lengths_and_mask_arrays(states: StateSet, options: WriteOptions) -> dict[str, StoredArray]:
    """Lengths and mask as arrays, to be written with the states."""
    held: dict[str, StoredArray] = {}
    if states.lengths is not None:
        held["lengths"] = LoadedArray(states.lengths)
    if states.mask is not None and options.steps == "all":
        mask = states.mask.astype("int8")
        held["mask"] = LoadedArray(mask.T if options.time_major else mask)
    return held


def losses_in_words(states: StateSet, options: WriteOptions, *held: str) -> tuple[str, ...]:
    """What the layers have and the format does not take, in words.

    ``outputs`` are not missed where they are m; final states not where the steps are there.
    """
    keys = {key for layer in states.layers for key in layer.arrays}
    lost = []
    if options.steps == "final":
        lost.append("states of single timesteps")
    if any(key.startswith(GATES) for key in keys):
        lost.append("gates")
    if "outputs" in keys and "outputs" not in held and options.steps == "all":
        lost.append("outputs, which past the length or behind a wrapper are not m")
    if any(key.startswith(INITIAL) for key in keys):
        lost.append("initial states")
    if INPUTS in keys:
        lost.append(READ_BY_DECODER)
    return (*lost, "options of the layers, their direction and where they come from")


class DirectionPair(NamedTuple):
    """A layer that reads forward, and its partner that reads backward, if there is one."""

    name: str
    forward: StateLayer
    backward: StateLayer | None


def direction_pairs(layers: Sequence[StateLayer]) -> list[DirectionPair]:
    """Layers that only differ in direction, by name or by standing together, as pairs.

    A backward layer without a partner stands as a forward one: the format's axis of directions
    has one place then.
    """
    pairs: list[DirectionPair] = []
    for layer in layers:
        last = pairs[-1] if pairs else None
        partner = (
            last is not None
            and last.backward is None
            and layer.backward
            and not last.forward.backward
            and _alike(last.forward, layer)
        )
        if last is not None and partner:
            pairs[-1] = last._replace(name=_common(last.forward.name, layer.name), backward=layer)
        else:
            pairs.append(DirectionPair(layer.name, layer, None))
    return pairs


def _alike(a: StateLayer, b: StateLayer) -> bool:
    return {key: array.shape for key, array in a.arrays.items()} == {
        key: array.shape for key, array in b.arrays.items()
    }


def _common(forward: str, backward: str) -> str:
    """The name without the word for the direction: ``bidi/forward_lstm`` is ``bidi/lstm``."""
    plain = DIRECTION.sub("", forward)
    if plain != DIRECTION.sub("", backward):
        return forward
    return re.sub(r"[/_]{2,}", "/", plain).strip("/_") or "bidirectional"
