"""The arrays of a layer: names in the file, dimensions, and where parts of a run belong."""

from __future__ import annotations

from typing import NamedTuple

from rnnscope.model.cell import Array
from rnnscope.model.states import LayerStates
from rnnscope.trace.blocks import same_bits
from rnnscope.trace.schema import (
    DTYPES,
    FINAL,
    GATES,
    INITIAL,
    INPUT,
    INPUTS,
    OUTPUT,
    OUTPUTS,
    SEQUENCE,
    STATE_M,
    TIMESTEP,
    UNIT,
    LayerHeader,
)
from rnnscope.trace.stores.interface import ALL

Arrays = dict[str, tuple[str, ...]]
"""Dimensions of datasets, by path in their group."""

OVER_TIME = (SEQUENCE, TIMESTEP)


class ArrayPart(NamedTuple):
    """What is written of an array: the timesteps where it belongs, and whether it does at all."""

    array: Array
    steps: slice
    belongs: bool = True


def layer_arrays(header: LayerHeader) -> Arrays:
    """The arrays of a layer's group, if everything is kept: dimensions by path."""
    arrays: Arrays = {OUTPUTS: (*OVER_TIME, OUTPUT)}
    arrays |= {f"{GATES}/{gate}": (*OVER_TIME, UNIT) for gate in header.gates}
    for state in header.widths:
        dimension = header.state_dimension(state)
        arrays[state] = (*OVER_TIME, dimension)
        arrays |= {f"{when}/{state}": (SEQUENCE, dimension) for when in (INITIAL, FINAL)}
    if header.input_size is not None:
        arrays[INPUTS] = (*OVER_TIME, INPUT)
    return arrays


def check_layer(header: LayerHeader) -> None:
    """Refuse a header that says what cannot be.

    Raises
    ------
    ValueError
    """
    if header.dtype not in DTYPES:
        raise ValueError(f"layer {header.name}: a trace holds {DTYPES}, not {header.dtype}")
    in_order = header.known_facts.outputs_in_input_order
    fits = header.widths.get(STATE_M) == header.output_size
    if header.outputs_are_m and not (in_order and fits):
        raise ValueError(f"layer {header.name}: its outputs cannot be m")


def layer_parts(
    header: LayerHeader, states: LayerStates, timesteps: int, steps: slice
) -> dict[str, ArrayPart]:
    """The arrays of some timesteps of a layer, by path in its group.

    Parameters
    ----------
    header : LayerHeader
    states : LayerStates
    timesteps : int
        Of the layer, in the whole run.
    steps : slice
        The timesteps of the arrays, in input time order.

    Raises
    ------
    ValueError
        The outputs are not m, against the header.
    """
    if header.outputs_are_m and not same_bits(states.outputs, states.m):
        raise ValueError(f"layer {header.name}: the outputs differ from m, against the header")
    start, stop, _ = steps.indices(timesteps)
    ends = (start == 0, stop == timesteps)
    first, last = reversed(ends) if header.known_facts.backward else ends
    parts = {state: ArrayPart(array, steps) for state, array in states.states.items()}
    parts |= {f"{GATES}/{gate}": ArrayPart(array, steps) for gate, array in states.gates.items()}
    if states.inputs is not None:
        parts[INPUTS] = ArrayPart(states.inputs, steps)
    parts[OUTPUTS] = ArrayPart(states.outputs, outputs_place(header, timesteps, steps))
    parts |= {
        f"{INITIAL}/{name}": ArrayPart(end, ALL, first) for name, end in states.initial.items()
    }
    parts |= {f"{FINAL}/{name}": ArrayPart(end, ALL, last) for name, end in states.final.items()}
    return parts


def outputs_place(header: LayerHeader, timesteps: int, steps: slice) -> slice:
    """Where the outputs of some timesteps belong: elsewhere if they are in processing order."""
    facts = header.known_facts
    if not facts.backward or facts.outputs_in_input_order:
        return steps
    start, stop, _ = steps.indices(timesteps)
    return slice(timesteps - stop, timesteps - start)
