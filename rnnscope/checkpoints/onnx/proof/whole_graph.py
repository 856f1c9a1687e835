"""The file's own graph as the judge of what was read of it, on small random inputs.

Every recurrent layer, and every layer in front of it, computes what the graph's operators do when
they are evaluated; what does not is computed as the graph says, op by op, or refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from functools import partial
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.network_values import NetworkValues
from rnnscope.checkpoints.onnx.evaluation.trial import (
    MAX_WORK,
    ModelInputs,
    Sizes,
    Trial,
    first_fitting,
)
from rnnscope.checkpoints.onnx.graph.input_axes import named_axes, turn_inputs
from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.graph_cells.adding import add_graph_cells
from rnnscope.checkpoints.onnx.graph_cells.found_cell import GraphCell
from rnnscope.checkpoints.onnx.network.cells import WEIGHTS
from rnnscope.checkpoints.onnx.network.fronts import Fronts
from rnnscope.checkpoints.onnx.network.recurrent import LENGTHS_INPUT
from rnnscope.checkpoints.onnx.network.starts import settle_start
from rnnscope.checkpoints.onnx.network.wiring import BuiltNode, OnnxWiring
from rnnscope.checkpoints.onnx.proof.operator import (
    gap,
    in_order,
    limit_of,
    made_up,
)
from rnnscope.checkpoints.onnx.proof.sorted_sequences import is_same_unsorted
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.evidence import BY_OPERATOR, Evidence
from rnnscope.model.layers import Dense, Unsupported
from rnnscope.model.ops import EvaluationError
from rnnscope.model.recurrent_layer import RecurrentLayer

_SORTED_APART = (
    "reads some of its inputs sorted by length and others not, or sorted in more than one way"
)


@dataclass(frozen=True, eq=False)
class Settled:
    """What holding a graph's layers to the graph has shown.

    Attributes
    ----------
    axes : dict of str to tuple of str
        What the axes of each input of the model are; see `Checkpoint.input_axes`.
    inputs : ModelInputs
    trial : Trial or None
        None where no inputs can be made up.
    graph_cells : dict of str to GraphCell
        By the name of their layer.
    """

    axes: dict[str, tuple[str, ...]]
    inputs: ModelInputs
    trial: Trial | None = None
    graph_cells: Mapping[str, GraphCell] = field(default_factory=dict)


def settle(wiring: OnnxWiring, program: OnnxProgram) -> Settled:
    """Hold every recurrent node of a graph to what the graph computes.

    Parameters
    ----------
    wiring : OnnxWiring
        Its nodes are changed.
    program : OnnxProgram
    """
    inputs = _model_inputs(wiring, program)
    try:
        wanted = [partial(_fits, built.node) for built in wiring.built]
        trial = first_fitting(program, inputs, wanted)
    except EvaluationError as error:
        for built in wiring.built:
            _keep(wiring, built, replace(BY_OPERATOR, detail=str(error)))
        return Settled(named_axes(inputs, {}), inputs)
    values = NetworkValues(wiring.nodes, inputs, trial)
    fronts = Fronts(wiring, program, inputs, trial, values)
    trials = (trial, _second(program, inputs))
    for built in wiring.built:
        x, reason = fronts.settle(built)
        try:
            if not is_same_unsorted(program, trial, built.node):
                _refuse(wiring, built, _SORTED_APART)
                continue
        except EvaluationError as error:
            fronts.refuse(built, f"sorts sequences by length, which is not computed: {error}")
            x = None
        settle_start(wiring, program, built, trials)
        fronts.settle_lengths(built, (lambda: trial, trials[1]))
        _prove(wiring, built, trial, values, x, reason)
    graph_cells = add_graph_cells(wiring, program, inputs, trial, fronts)
    turn_inputs(wiring, inputs)
    return Settled(named_axes(inputs, fronts.batch_axes), inputs, trial, graph_cells)


def _second(program: OnnxProgram, inputs: ModelInputs) -> Callable[[], Trial]:
    """What gives another trial: one for all nodes, or each would compute all that is before it."""
    made: list[Trial] = []

    def second() -> Trial:
        if not made:
            made.append(Trial(program, inputs, Sizes(3, 4), seed=1))
        made[0].evaluation.work.allow(MAX_WORK)  # for each node that asks
        return made[0]

    return second


def _fits(node: OnnxNode, trial: Trial) -> bool:
    """Whether a trial gives what a node reads: X, and lengths and states for as many sequences."""
    try:
        batch = len(in_order(node, trial.value(node.input(0))))
        for number in range(LENGTHS_INPUT, LENGTHS_INPUT + 3):
            if node.input(number):
                shape = np.shape(trial.value(node.input(number)))
                axis = 0 if number == LENGTHS_INPUT or node.integer("layout") else 1
                if shape[axis : axis + 1] != (batch,):
                    return False
    except EvaluationError:
        return False
    return True


def _prove(
    wiring: OnnxWiring,
    built: BuiltNode,
    trial: Trial,
    values: NetworkValues,
    x: Array | None,
    reason: str,
) -> None:
    """Compare the states of a node's layers with what its operator makes."""
    layers = [_layer(wiring, name) for name in built.layers]
    try:
        given, tried = _arguments(wiring, built, trial, x)
        returned = trial.evaluation.returned.get(built.node) if tried else None
        worst, states = gap(built.node, given, layers, returned)
    except EvaluationError as error:
        _keep(wiring, built, replace(BY_OPERATOR, detail=str(error)))
        return
    steps = in_order(built.node, given[0])
    if not worst <= limit_of(steps):
        reason = f"gives other states here than the operator is defined to give (by {worst:.1g})"
        _refuse(wiring, built, reason)
        return
    lengths = given[LENGTHS_INPUT]
    mask = None if lengths is None else np.arange(steps.shape[1]) < np.ravel(lengths)[:, None]
    if tried:
        for name, made in zip(built.layers, states, strict=True):
            values.keep(name, made, mask)
    if layers[0].cell.kind == "graph":  # one function of ours for the layer and for the operator
        _keep(wiring, built, BY_OPERATOR)
        return
    alone = reason and f"the cell alone: {reason}"
    _keep(wiring, built, Evidence("proved", steps.shape[1], worst, alone))


def _arguments(
    wiring: OnnxWiring, built: BuiltNode, trial: Trial, x: Array | None
) -> tuple[list[Any], bool]:
    """Values for a node's inputs, made up unless the trial gives them all; whether it does."""
    node, cell = built.node, _layer(wiring, built.layers[0]).cell
    keys = {number: node.input(number) for number in range(len(node.inputs)) if node.input(number)}
    values: list[Any] = [None] * max(8, len(node.inputs))
    for number in [one for one in keys if one in WEIGHTS or one > WEIGHTS[-1]]:
        values[number] = wiring.constants.array(keys.pop(number))
    try:
        if x is not None:
            for number, key in keys.items():
                values[number] = trial.value(key)
            return values, True
    except EvaluationError:
        pass  # an initial state or lengths that are not computed: the cell alone is proved
    for number in keys:
        values[number] = made_up(node, number, cell, len(built.layers))
    return values, False


def _layer(wiring: OnnxWiring, name: str) -> RecurrentLayer:
    layer = wiring.nodes[name].layer
    assert isinstance(layer, RecurrentLayer)
    return layer


def _keep(wiring: OnnxWiring, built: BuiltNode, evidence: Evidence) -> None:
    for name in built.layers:
        layer = replace(_layer(wiring, name), evidence=evidence)
        wiring.nodes[name] = replace(wiring.nodes[name], layer=layer)


def _refuse(wiring: OnnxWiring, built: BuiltNode, reason: str) -> None:
    for name in built.layers:
        stand_in = Unsupported(built.node.op, name, reason)
        wiring.nodes[name] = replace(wiring.nodes[name], layer=stand_in)
        wiring.not_built[name] = reason


def _model_inputs(wiring: OnnxWiring, program: OnnxProgram) -> ModelInputs:
    """What the walk over the graph found of the model's inputs."""
    lengths, states = set[str](), set[str]()
    features: dict[str, int] = {}
    for built in wiring.built:
        for name in built.layers:
            layer = _layer(wiring, name)
            features.update(dict.fromkeys(wiring.nodes[name].reads, layer.cell.input_size))
            lengths.add(layer.lengths.value.input)
            outside = layer.initial_state.value.outside().values()
            states |= {part.name for part in outside if part.kind == "placeholder"}
    for node in wiring.nodes.values():
        if isinstance(node.layer, Dense):
            for read in node.reads:
                features.setdefault(read, node.layer.kernel.shape[0])
    roles: dict[str, tuple[str, ...]] = {
        name: tuple(axis.root().role or "" for axis in flow.axes)
        for name in program.graph.inputs
        if (flow := wiring.flows.get(name)) is not None and flow.axes is not None
    }
    inputs = program.graph.inputs.keys()
    return ModelInputs(
        program.graph, roles, frozenset(lengths & inputs), frozenset(states & inputs), features
    )
