"""Initial states that the user gives: whose they are, and the layers that start from them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from rnnscope.errors import InputError, spell
from rnnscope.inputs import InputSource
from rnnscope.inputs.lengths_masks_states import LocatedArray, check_initial
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.model.initial_state import GivenState, InitialState, UncomputedState
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer


def unblocked(network: Network, initial: Mapping[str, Collection[str]]) -> Network:
    """The network with given states in the place of those that are not computed.

    Parameters
    ----------
    network : Network
    initial : mapping of str to collection of str
        The states that are given, by layer, or by the empty name for the only one.
    """
    changed: dict[str, Node] = {}
    free = _starting_by_themselves(network.recurrent)
    for node in network.recurrent:
        layer = node.recurrent
        assert layer is not None
        state = layer.initial_state.value
        blocked = {name for name, part in state.parts.items() if isinstance(part, UncomputedState)}
        key = "" if node.name not in initial and free == [node.name] else node.name
        if blocked and blocked <= {*initial.get(key, ())}:
            changed[node.name] = replace(node, layer=_given(layer, key, blocked))
    return network.replaced(changed)


def with_states_by_input_name(network: Network, source: InputSource) -> InputSource:
    """The input with states that its file holds under the names of the model's own inputs.

    An inference decoder takes its initial states as inputs, ``h_in`` and ``c_in``: arrays of these
    names are what the model would be given. States named as usual go before them.

    Raises
    ------
    InputError
        Such an array does not fit the input.
    """
    initial = {name: dict(states) for name, states in source.initial.items()}
    notes = list(source.notes)
    for node in network.recurrent:
        layer = node.recurrent
        assert layer is not None
        for state, part in layer.initial_state.value.outside().items():
            named = part.kind == "model input" and part.name in source.container.names
            given = state in initial.get("", {}) or state in initial.get(node.name, {})
            if not named or given:
                continue
            where = f"{source.path.name}::{part.name}"
            array = LocatedArray(source.container.array(part.name).read(), where)
            values = check_initial(array, source.sequences)
            initial.setdefault(node.name, {})[state] = values
            notes.append(f"The initial {state} of '{node.name}' is {where}, the model's input.")
    return replace(source, initial=initial, notes=tuple(notes))


def starting_from_given(layers: Sequence[Node], source: InputSource) -> dict[str, Node]:
    """The layers, by name, that start from states given with the input.

    Parameters
    ----------
    layers : sequence of Node
        The recurrent nodes that are run.
    source : InputSource
        ``initial`` holds the states (sequence, width), by layer, or by the empty name for the only
        layer that needs one.

    Raises
    ------
    InputError
        A state is given for a layer that is not run, for no layer in particular though there are
        several, or does not fit its layer.
    """
    by_name = {node.name: node for node in layers}
    changed: dict[str, Node] = {}
    for key, states in source.initial.items():
        node = by_name.get(key or _only_layer(layers, source))
        if node is None or node.recurrent is None:
            raise InputError(
                "An initial state is given for a layer that is not run.",
                where=source.name,
                expected=f"one of {', '.join(by_name)}",
                found=key,
            )
        _check_widths(node.name, node.recurrent, states)
        changed[node.name] = replace(node, layer=_given(node.recurrent, key, states))
    return changed


def _only_layer(layers: Sequence[Node], source: InputSource) -> str:
    """The one layer that states without a name are for."""
    free = _starting_by_themselves(layers)
    if len(free) != 1:
        names = free or [node.name for node in layers]
        raise InputError(
            "Initial states without a layer's name were given for several layers.",
            where=source.name,
            expected=", ".join(f"{name}/initial_c" for name in names),
            found="initial_c, initial_m",
            hint=f"name the arrays by layer, or choose one layer with {spell('layers')}",
        )
    return free[0]


def _starting_by_themselves(nodes: Iterable[Node]) -> list[str]:
    """Layers that states without a name may be for: a decoder starts from the encoder's."""
    return [n.name for n in nodes if n.recurrent and not n.recurrent.starts_from_layers]


def _check_widths(name: str, layer: RecurrentLayer, states: Mapping[str, Array]) -> None:
    widths = CELLS[layer.cell.kind].widths(layer.cell)
    for state, array in states.items():
        if array.shape[-1] != widths.get(state):
            raise InputError(
                "An initial state does not fit its layer.",
                where=f"initial_{state} of layer '{name}'",
                expected=", ".join(f"{known}: width {w}" for known, w in widths.items()),
                found=f"{state}: shape {array.shape}",
            )


def _given(layer: RecurrentLayer, key: str, states: Iterable[str]) -> RecurrentLayer:
    """A layer of which some states are given, whatever the file says of them."""
    before = layer.initial_state.value
    parts = {**before.parts, **dict.fromkeys(states, GivenState(key))}
    return layer.starting(InitialState(parts, listed=before.listed), "flag")
