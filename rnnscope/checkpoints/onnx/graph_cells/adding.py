"""Adding the graph cells of a file to its network."""

from __future__ import annotations

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.trial import ModelInputs, Trial
from rnnscope.checkpoints.onnx.graph_cells.found_cell import GraphCell
from rnnscope.checkpoints.onnx.graph_cells.handed_on import handed_on, last_step
from rnnscope.checkpoints.onnx.graph_cells.layers import as_layer, graph_cell
from rnnscope.checkpoints.onnx.graph_cells.loop_recurrence import LoopRecurrence
from rnnscope.checkpoints.onnx.graph_cells.loops import find_loops
from rnnscope.checkpoints.onnx.graph_cells.recurrence import Recurrence
from rnnscope.checkpoints.onnx.graph_cells.unrolled import UNROLLED, find_unrolled
from rnnscope.checkpoints.onnx.network.fronts import Fronts
from rnnscope.checkpoints.onnx.network.wiring import OnnxWiring
from rnnscope.errors import InputError
from rnnscope.model.layers import Unsupported
from rnnscope.model.network import Node
from rnnscope.model.ops import EvaluationError

ROLES = ("batch", "time", "feature")


def add_graph_cells(
    wiring: OnnxWiring, program: OnnxProgram, inputs: ModelInputs, trial: Trial, fronts: Fronts
) -> dict[str, GraphCell]:
    """Add the loops of a graph, and cells that are written out where it has no other recurrence.

    What cannot be computed stays as it was: a node that is named and not run.

    Returns
    -------
    dict of str to GraphCell
        Those that were added, by the name of their layer.
    """
    added: dict[str, GraphCell] = {}
    found: list[Recurrence] = list(find_loops(program, trial))
    if not found and not wiring.built:
        unrolled, unlike = find_unrolled(program)
        found += unrolled
        # Where no cell is written out at all, such joins are no recurrence: dense blocks, say.
        for name, reason in unlike.items() if unrolled else ():
            _name_only(wiring, name, UNROLLED, reason)
    for recurrence in found:
        try:
            cell = graph_cell(program, inputs, trial, recurrence)
            node = Node(_name(wiring, recurrence.name), as_layer(cell, trial),
                        (_front(cell, inputs, fronts),))  # fmt: skip
        except (EvaluationError, InputError) as error:
            _name_only(wiring, recurrence.name, recurrence.op, str(error))
            continue
        wiring.nodes[node.name] = node
        added[node.name] = cell
        _hand_on(wiring, cell, node.name, trial, fronts)
        _leave_out_turns(wiring, recurrence)
    return added


def _hand_on(wiring: OnnxWiring, cell: GraphCell, name: str, trial: Trial, fronts: Fronts) -> None:
    """Let what stands behind a cell read its layer."""
    last = wiring.unique(f"{name}/last")
    try:
        sources = list(handed_on(cell, name, last, trial))
    except (EvaluationError, InputError):
        return  # what is behind it goes on reading the model's own input
    for source in sources:
        if last in source.reads:
            wiring.nodes[last] = Node(last, last_step(cell), (name,))
        fronts.stop_at(source, wiring.maker(source.key))


def _name_only(wiring: OnnxWiring, wanted: str, op: str, why: str) -> None:
    """Name a recurrence that is not run."""
    name, reason = _name(wiring, wanted), f"is no cell that is computed: {why}"
    wiring.nodes[name] = Node(name, Unsupported(op, name, reason), ())
    wiring.not_built[name] = reason


def _leave_out_turns(wiring: OnnxWiring, recurrence: Recurrence) -> None:
    """A recurrent operator inside a loop that is run is a part of its turn, and no layer."""
    if not isinstance(recurrence, LoopRecurrence):
        return
    for built in wiring.built:
        if recurrence.body.own.isdisjoint(built.node.outputs):
            continue
        for name in built.layers:
            reason = f"is a part of each turn of '{recurrence.name}'"
            wiring.nodes[name] = Node(name, Unsupported(built.node.op, name, reason), ())


def _name(wiring: OnnxWiring, wanted: str) -> str:
    """The recurrence's own name, unless something reads the stand-in that has it."""
    stand_in = wiring.nodes.get(wanted)
    read = any(wanted in node.reads for node in wiring.nodes.values())
    if stand_in is not None and isinstance(stand_in.layer, Unsupported) and not read:
        return wanted
    return wiring.unique(wanted)


def _front(cell: GraphCell, inputs: ModelInputs, fronts: Fronts) -> str:
    """What hands a cell its x: an input of the model, or a piece of the graph."""
    if cell.x not in inputs.graph.inputs:
        return fronts.front_of(cell.x, cell.in_order)
    roles = [""] * 3
    for role, axis in zip(ROLES, (cell.batch, cell.time, 3 - cell.batch - cell.time), strict=True):
        roles[axis] = role
    known = inputs.roles.get(cell.x, ())
    if any(a and a != b for a, b in zip(known, roles, strict=False)):
        raise EvaluationError(f"'{cell.x}' is read with other axes elsewhere")
    inputs.roles[cell.x] = tuple(roles)
    return cell.x
