"""Layers that are no stock cell: the graph itself computes their states, where it is told how."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.evaluation.proving.cell_record import CellRecord, Obstacle
from rnnscope.checkpoints.tf1.graph.evaluation.proving.verdict import Verdict
from rnnscope.checkpoints.tf1.graph.evaluation.settling.settling_network import SettlingNetwork
from rnnscope.checkpoints.tf1.graph.evaluation.settling.unknown_loops import (
    held_past,
    held_past_lengths,
)
from rnnscope.checkpoints.tf1.graph.evaluation.values.loops import Loop
from rnnscope.checkpoints.tf1.graph.layers.state_parts import loop_variable
from rnnscope.checkpoints.tf1.graph.layers.unrolled import handed_over, reaches
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor
from rnnscope.model.cell import Option
from rnnscope.model.initial_state import (
    InitialState,
    OutsideState,
)
from rnnscope.model.layers import Unsupported
from rnnscope.model.lengths_source import LENGTHS_UNUSED, LengthsSource
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer


def as_graph_cell(
    settled: SettlingNetwork, node: Node, layer: RecurrentLayer, verdict: Verdict
) -> str:
    """Let the graph itself compute a layer; why not, in words, where it cannot."""
    record = settled.proof.records[node.name]
    written = _written(settled, node, record)
    cells, steps = settled.cells(node.name), settled.proof.sizes.timesteps
    taken = len(cells) if len(cells) > 1 else record.steps
    if attends_unrolled(settled, node):
        return "it reads its own last output"
    changes = len(cells) > 1 and "state" in verdict.kinds()
    if cells[0].unsure or (changes and (written is None or _is_state(written, record))):
        return "the graph does not tell which of its values a step returns"
    unclear = _unclear_state(settled, node, layer, verdict, record)
    if unclear:
        return unclear
    if taken != steps:
        return f"it takes {taken} steps where its input has {steps}"
    found = settled.search.find(node.name, cells, record, layer, written)
    if isinstance(found, Obstacle):
        return found.words
    evaluated, source = found
    if "input" in verdict.kinds():
        layer = settled.directions.aligned(node.name, layer, settled.cells(node.name), source)
        evaluated = replace(evaluated, layer=layer)
    computed = settled.computes_lengths(node.name, source)
    if computed:
        holds = held_past(settled.lengths[node.name][1], record)
    else:
        holds = held_past_lengths(settled.proof, record)
    evaluated = replace(evaluated, zeros_past_length=holds and len(cells) > 1)
    behind = settled.variables_behind(
        [*cells[0].after.values(), cells[0].x, *([] if written is None else [written])]
    )
    variables = tuple(dict.fromkeys((*layer.cell.variables, *behind)))
    settled.used.update(variables)
    made = evaluated.as_cell(record, variables)
    start = InitialState(
        {state: OutsideState("placeholder", str(tensor))
         for state, tensor in evaluated.placeholders.items()},
        "" if evaluated.placeholders else "what the graph computes",
    )  # fmt: skip
    made = replace(made, initial_state=Option(start, "graph"), **padding_options(holds=holds))
    reads = settled.entry(source)
    if computed and holds:
        made, reads = settled.behind_lengths(node.name, made, reads, source)
    settled.nodes[node.name] = Node(node.name, made, (reads,))
    words = "; ".join(dict.fromkeys(_told(verdict)))
    settled.notes.append(
        f"'{node.name}' is no stock cell ({words}): its states are what the graph computes, "
        "op by op."
    )
    settled.note_assumed(node.name, evaluated)
    return ""


def _unclear_state(
    settled: SettlingNetwork,
    node: Node,
    layer: RecurrentLayer,
    verdict: Verdict,
    record: CellRecord,
) -> str:
    """Why it cannot be told what the states of a layer are that changes them; else empty."""
    sources = list(settled.search.inputs())
    if "input" in verdict.kinds() and not settled.directions.told(
        settled.cells(node.name), sources
    ):
        return "which end of its input it begins at is not told"
    within = layer.backward.value and layer.reversal == "within length"
    made = layer.lengths.value.kind in ("computed", "stored")
    if within and made and settled.source_of_lengths(node.name) is None:
        return "it is turned within lengths that the graph makes"
    if not verdict.kinds() & {"state", "start"}:
        return ""
    cells = settled.cells(node.name)
    for state, before in cells[0].before.items():
        loop = settled.proof.recorder.loops.around(cells[0].m)
        if loop is not None:
            plain = loop_variable(settled.view, before) is not None
            if not plain and not _is_carried(settled, loop, cells[0], state, record):
                return f"no variable of the loop is its {state}"
        elif not all(handed_over(settled.view, cell.before[state]) for cell in cells[1:]):
            return f"where one step's {state} ends and the next one's begins is not told"
    return ""


def _is_carried(
    settled: SettlingNetwork, loop: Loop, cell: FoundCell, state: str, record: CellRecord
) -> bool:
    """Whether a variable of the loop is made of what the cell leaves of a state."""
    if state not in record.variables:
        return False
    after = cell.after[state]
    behind = settled.proof.recorder.loops.reached(loop, cell.before[state])
    return any(reaches(settled.view, loop.variables[one].update, after, ()) for one in behind)


def attends_unrolled(settled: SettlingNetwork, node: Node) -> bool:
    """Whether an unrolled layer reads what its own output makes: it may return that, too."""
    before = settled.nodes.get(node.reads[0]) if node.reads else None
    stand_in = None if before is None else before.layer
    unrolled = len(settled.cells(node.name)) > 1
    return unrolled and isinstance(stand_in, Unsupported) and stand_in.of_own_output


def _written(settled: SettlingNetwork, node: Node, record: CellRecord) -> GraphTensor | None:
    """What holds the outputs of a layer that is evaluated; None where m is returned."""
    above = settled.built.network.recurrent
    loop = settled.proof.recorder.loops.around(settled.cells(node.name)[0].m)
    for other in above:
        mine = settled.built.network.recurrent_below(other)
        around = settled.proof.recorder.loops.around(settled.cells(other.name)[0].m)
        if node.name in mine and around is loop:
            return None
    return next(iter(record.written), None)


def _told(verdict: Verdict) -> list[str]:
    """The faults in words; a state that is changed on its way begins changed, too."""
    kinds = verdict.kinds()
    hidden = {"start"} if "state" in kinds else set[str]()
    return [fault.words for fault in verdict.faults if fault.kind not in hidden]


def _is_state(written: GraphTensor | None, record: CellRecord) -> bool:
    """Whether what an unrolled step seems to return is the state that the next one reads."""
    if written is None:
        return False
    return any(
        array.shape == record.written[written].shape
        and bool(np.any(np.all(array == record.written[written], axis=-1)))
        for array in record.carried.values()
    )


def padding_options(*, holds: bool) -> dict[str, Any]:
    """The options of padding of a layer that holds its state past the lengths, or does not."""
    lengths = LENGTHS_UNUSED
    if holds:
        lengths = LengthsSource("input", "sequence_length from a placeholder")
    return {
        "padding": Option("zeros" if holds else "none", "graph"),
        "lengths": Option(lengths, "graph"),
    }
