"""Loops of a graph in which no cell was found, as layers that are evaluated, or refused by name."""

from __future__ import annotations

from dataclasses import replace

from rnnscope.checkpoints.tf1.graph.evaluation.proving.cell_record import Obstacle
from rnnscope.checkpoints.tf1.graph.evaluation.settling.evaluated_cell import padding_options
from rnnscope.checkpoints.tf1.graph.evaluation.settling.settling_network import SettlingNetwork
from rnnscope.checkpoints.tf1.graph.evaluation.settling.unknown_loops import (
    UnknownLoop,
    common_scope,
    unknown_loops,
)
from rnnscope.model.cell import CellSpec, Option
from rnnscope.model.cells.graph_cell import GraphOptions
from rnnscope.model.initial_state import (
    InitialState,
)
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer


def add_unknown_layers(settled: SettlingNetwork) -> None:
    """Layers for the states of loops that no cell was found for."""
    known = {name: one.cells for name, one in settled.built.appearances.items()}
    found, obstacles = unknown_loops(settled.view, settled.proof, known)
    for unknown in found:
        beside = [
            name for name, cells in known.items()
            if settled.proof.recorder.loops.around(cells[0].m) is unknown.loop
        ]  # fmt: skip
        if beside and not _own_weights(settled, unknown):
            states = ", ".join(state for state in unknown.cell.before if state not in "cm")
            settled.notes.append(
                f"The loop of {', '.join(map(repr, beside))} carries further states, which are "
                f"not kept: {states or 'those of its outputs'}."
            )
        else:
            _as_layer(settled, unknown)
    for name, reason in obstacles.items():
        loop = settled.proof.recorder.loops.every[name]
        updates = [variable.update for variable in loop.variables.values()]
        weights = [one for one in settled.variables_behind(updates) if one not in settled.all_used]
        if weights:
            words = f"the loop '{name}', which uses {', '.join(weights)}, is not computed"
            settled.add_refused(name, f"{words} ({reason})")


def _as_layer(settled: SettlingNetwork, unknown: UnknownLoop) -> None:
    """A loop that is evaluated, as a layer; refused by name where it cannot be."""
    behind = _behind(settled, unknown)
    name = common_scope(_own_weights(settled, unknown)) or unknown.loop.name
    while name in settled.nodes:
        name = f"{name}/{unknown.loop.name.rpartition('/')[2]}"
    if unknown.record.steps != settled.proof.sizes.timesteps:
        settled.add_refused(name, f"it takes {unknown.record.steps} steps of its input's")
        return
    if unknown.lengths is not None:
        settled.lengths[name] = unknown.lengths
    plain = _plain_layer(unknown)
    found = settled.search.find(name, [unknown.cell], unknown.record, plain, unknown.written)
    if isinstance(found, Obstacle):
        settled.add_refused(name, f"its states are no stock cell's, and {found.words}")
        return
    evaluated, source = found
    layer = settled.directions.of_loop(name, plain, unknown.cell, unknown.record, source)
    computed = unknown.lengths is not None and settled.computes_lengths(name, source)
    if layer is None or (unknown.lengths is not None and not computed):
        told = "which end of its input it begins at" if layer is None else "where its lengths end"
        settled.add_refused(name, f"its states are no stock cell's, and {told} is not told")
        return
    evaluated = replace(evaluated, layer=layer)
    settled.used.update(behind)
    made, reads = evaluated.as_cell(unknown.record, tuple(behind)), settled.entry(source)
    if computed:
        made, reads = settled.behind_lengths(name, made, reads, source)
    settled.nodes[name] = Node(name, made, (reads,))
    states = ", ".join(unknown.cell.before)
    settled.notes.append(
        f"'{name}' is no stock cell: its states ({states}) are what the graph computes, op by op."
    )
    settled.note_assumed(name, evaluated)


def _behind(settled: SettlingNetwork, unknown: UnknownLoop) -> list[str]:
    """The stored variables that an unknown loop is computed with."""
    written = [] if unknown.written is None else [unknown.written]
    return settled.variables_behind([*unknown.cell.after.values(), *written])


def _own_weights(settled: SettlingNetwork, unknown: UnknownLoop) -> list[str]:
    """Those of them that no layer uses that is known."""
    return [name for name in _behind(settled, unknown) if name not in settled.all_used]


def _plain_layer(unknown: UnknownLoop) -> RecurrentLayer:
    """What is known of a loop beside its states: no direction, lengths if it holds past them."""
    spec = CellSpec("graph", "loop of the graph", None, GraphOptions(), (), "")
    return RecurrentLayer(
        cell=spec,
        backward=Option(False, "graph"),
        **padding_options(holds=unknown.holds),
        initial_state=Option(InitialState({}, "what the graph computes"), "graph"),
        state_format=Option("the loop's variables", "graph"),
    )
