"""What a Keras layer starts from in a graph: final states of others, inputs, constants."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from rnnscope.checkpoints.keras.calls.constants import ConstantArray
from rnnscope.checkpoints.keras.layer_tensor import STATES, LayerTensor, StateTensor
from rnnscope.model.cells import CELLS
from rnnscope.model.initial_state import (
    HandoverJoin,
    InitialState,
    OutsideState,
    StatePart,
    StoredState,
    UncomputedState,
)
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer

CONSTANT = "a constant of the configuration"


class GrowingNetwork(Protocol):
    """What a start is told by, and may add to: a network while it grows (`Graph`)."""

    inputs: list[str]
    nodes: dict[str, Node]
    joined: dict[str, tuple[HandoverJoin, tuple[LayerTensor, ...]]]

    def add_stand_in(
        self, name: str, kind: str, reason: str, reads: tuple[str, ...], where: str
    ) -> LayerTensor:
        """A node for what is not computed."""
        ...


def _start_words(states: Sequence[StateTensor]) -> str:
    return ", ".join(
        f"{name} from {state.words if isinstance(state, LayerTensor) else CONSTANT}"
        for name, state in zip(STATES, states, strict=False)
    )


def handed_over(
    graph: GrowingNetwork, layer: RecurrentLayer, given: Sequence[StateTensor]
) -> InitialState | None:
    """The start of a layer that takes all of other layers' final state; None for another."""
    kinds = {"lstm": ["h", "c"]}.get(layer.cell.kind, ["h"])
    states = [state for state in given if isinstance(state, LayerTensor)]
    if len(states) < len(given):
        return None
    # What is joined is joined alike for each state, from the same layers.
    parts = [graph.joined.get(t.node, ("concat", (t,))) for t in states]
    hows = {how for how, _ in parts}
    sources = [[tensor.node for tensor in tensors] for _, tensors in parts]
    found = [[tensor.state for tensor in tensors] for _, tensors in parts]
    if len(hows) != 1 or any(source != sources[0] for source in sources):
        return None
    if found != [[kind] * len(sources[0]) for kind in kinds]:
        return None
    (how,) = hows
    if not _fits(graph, layer, sources[0], how):
        return None
    words = _start_words(states) if len(sources[0]) == 1 else ""
    return InitialState.handed_over(
        map(STATES.__getitem__, kinds), sources[0], how, words=words, listed=sources[0]
    )


def assembled(
    graph: GrowingNetwork,
    name: str,
    layer: RecurrentLayer,
    states: Sequence[StateTensor],
    where: str,
) -> InitialState:
    """The start of a layer that takes inputs, constants, or what is not computed."""
    words = _start_words(states)
    tensors = [state for state in states if isinstance(state, LayerTensor)]
    makers = tuple(tensor.node for tensor in tensors)
    names = [*CELLS[layer.cell.kind].widths(layer.cell)]
    reason = _uncomputed(graph, layer, states, makers, words)
    if reason is None:
        parts = {STATES[kind]: _part(state)
                 for kind, state in zip(STATES, states, strict=False)}  # fmt: skip
        return InitialState(parts, words, makers)
    # It keeps the layer from running, which would start from zeros without a word.
    stand_in = f"{name}[initial state]"
    graph.add_stand_in(stand_in, "initial state", reason, makers, where)
    blocked = UncomputedState(stand_in)
    known = {STATES[kind]: state for kind, state in zip(STATES, states, strict=False)}
    outside = {
        state: _part(known[state]) if _is_input(graph, known.get(state)) else blocked
        for state in names
    }
    return InitialState(outside, words, (stand_in,))


def _is_input(graph: GrowingNetwork, state: StateTensor | None) -> bool:
    return isinstance(state, LayerTensor) and state.node in graph.inputs


def _part(state: StateTensor) -> StatePart:
    if isinstance(state, ConstantArray):
        return StoredState(state.values, CONSTANT)
    return OutsideState("model input", state.node)


def _uncomputed(
    graph: GrowingNetwork,
    layer: RecurrentLayer,
    states: Sequence[StateTensor],
    makers: Collection[str],
    words: str,
) -> str | None:
    """Why the states that a call gives cannot be taken; None if they can."""
    widths = CELLS[layer.cell.kind].widths(layer.cell)
    if len(states) != len(widths):
        return f"is {words}: {len(states)} where the cell has {len(widths)}"
    for kind, state in zip(STATES, states, strict=False):
        width = widths[STATES[kind]]
        if isinstance(state, ConstantArray) and state.values.shape[1:] != (width,):
            return f"is a constant of shape {state.values.shape}, where {kind} is {width} wide"
    return None if set(makers) <= set(graph.inputs) else f"is {words}, which is not computed"


def _fits(
    graph: GrowingNetwork, layer: RecurrentLayer, sources: list[str], how: HandoverJoin
) -> bool:
    """Whether layers are of the same kind, and their states together as wide, as one's own."""
    cells = [node.recurrent.cell for node in map(graph.nodes.get, sources)
             if node is not None and node.recurrent is not None]  # fmt: skip
    if len(cells) != len(sources) or any(cell.kind != layer.cell.kind for cell in cells):
        return False
    units = [cell.num_units for cell in cells]
    if how == "sum":
        return set(units) == {layer.cell.num_units}
    return sum(units) == layer.cell.num_units
