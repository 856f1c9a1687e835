"""Groups and arrays of an opened trace, by what the schema calls them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rnnscope.errors import TraceError, spell
from rnnscope.model.cell import GATE_ORDER, Array
from rnnscope.trace.attributes import (
    FULL,
    FULL_TIMESTEPS,
    KIND,
    LAYER,
    RECURRENT,
    decode_layer,
)
from rnnscope.trace.schema import FINAL, GATES, INPUTS, OUTPUTS, STATE_M, LayerHeader
from rnnscope.trace.stores.interface import ArrayNode, GroupNode


def layer_groups(root: GroupNode) -> Iterator[GroupNode]:
    """The groups of layers; links to elsewhere are refused. Layers are never nested.

    Each group is looked into once: hard links may form circles.
    """
    waiting, seen = [root], set()
    while waiting:
        parent = waiting.pop()
        for name in parent.names():
            item = parent.child(name)
            if not isinstance(item, GroupNode) or item.identity in seen:
                continue
            seen.add(item.identity)
            if LAYER in item.attributes:
                yield item
            else:
                waiting.append(item)


def read_header(group: GroupNode, version: int) -> LayerHeader:
    """A layer's header, from the attributes and arrays of its group.

    Parameters
    ----------
    group : GroupNode
    version : int
        Of the trace's schema.
    """
    attributes = dict(group.attributes)
    outputs = group.array(OUTPUTS)
    final = group.group(FINAL) if attributes[KIND] == RECURRENT else None
    gates = group.group(GATES)
    widths = {
        state: int(attributes.get(FULL + state, array.shape[1]))
        for state, array in ({} if final is None else _arrays_in(final)).items()
    }
    # A selection may have left the outputs out, but then the attributes tell of them.
    size = int(attributes[FULL + OUTPUTS] if outputs is None else outputs.shape[-1])
    steps = int(attributes[FULL_TIMESTEPS] if outputs is None else outputs.shape[1])
    sizes = (
        int(attributes.get(FULL + OUTPUTS, size)), int(attributes.get(FULL_TIMESTEPS, steps))
    )  # fmt: skip
    stored = () if gates is None else tuple(sorted(gates.names(), key=_gate_position))
    header = decode_layer(attributes, widths, sizes, stored, version)
    m = group.array(STATE_M)
    same = outputs is not None and m is not None and m.same_as(outputs)
    inputs = group.array(INPUTS)
    width = None if inputs is None else int(inputs.shape[-1])
    return replace(header, outputs_are_m=same, input_size=width)


def _arrays_in(group: GroupNode) -> dict[str, ArrayNode]:
    found = {name: group.array(name) for name in group.names()}
    return {name: array for name, array in found.items() if array is not None}


def _gate_position(gate: str) -> tuple[int, str]:
    """Sorts into `GATE_ORDER`; gates that an LSTM has not come after, by name."""
    return (GATE_ORDER.index(gate) if gate in GATE_ORDER else len(GATE_ORDER), gate)


def stored_shape(group: GroupNode, name: str) -> tuple[int, ...] | None:
    """The shape of an array by path in its group; None if it is not stored."""
    array = group.array(name)
    return None if array is None else array.shape


def read_array(group: GroupNode, name: str, rows: slice) -> Array:
    """Some rows of an array.

    Raises
    ------
    TraceError
        It is not stored, damaged, or compressed by what is not installed.
    """
    array = group.array(name)
    if array is None:
        raise TraceError(
            "The trace lacks an array.",
            where=f"{group.path}/{name}",
            hint=f"did the run select something else ({spell('select')})?",
        )
    return array.read(rows)


def read_all(group: GroupNode, part: str, names: tuple[str, ...], rows: slice) -> dict[str, Array]:
    """The arrays of a subgroup by name; those that are not stored are left out."""
    found = group.group(part)
    if found is None:
        return {}
    return {name: read_array(found, name, rows) for name in names if name in found}
