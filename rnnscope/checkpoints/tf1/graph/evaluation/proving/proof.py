"""Proving what was read of a graph: the graph itself, evaluated on random inputs, is the judge."""

from __future__ import annotations

from typing import Any

from rnnscope.checkpoints.tf1.graph.evaluation.proving.cell_record import CellRecord, Obstacle
from rnnscope.checkpoints.tf1.graph.evaluation.proving.computed_lengths import made_lengths
from rnnscope.checkpoints.tf1.graph.evaluation.proving.judge import Judge
from rnnscope.checkpoints.tf1.graph.evaluation.proving.random_inputs import (
    SEQUENCES,
    TIMESTEPS,
    ChosenSizes,
    FedTensor,
    choose_sizes,
    fed_tensors,
    random_values,
    smallest_vocabulary,
)
from rnnscope.checkpoints.tf1.graph.evaluation.proving.recording import Recorder, takes_sequences
from rnnscope.checkpoints.tf1.graph.evaluation.proving.verdict import Verdict
from rnnscope.checkpoints.tf1.graph.evaluation.values.evaluator import GraphEvaluator
from rnnscope.checkpoints.tf1.graph.evaluation.values.loops import Loops
from rnnscope.checkpoints.tf1.graph.layers.network import GraphNetwork
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array

MOST_UNROLLED = 6
"""Steps of an unrolled layer that are compared: what is right for them is right for all."""

MOST_CONSUMERS = 50

MOST_OPS = 400_000
"""Ops after which a proof is given up: some seconds on random input of the size a graph fixes."""


@dataclass(frozen=True, eq=False)
class Proof:
    """What the evaluation of a graph said of its layers.

    Attributes
    ----------
    verdicts : dict of str to Verdict
    obstacles : dict of str to Obstacle
        For the layers without a verdict: why there is none.
    records : dict of str to CellRecord
    fed : tuple of FedTensor
        What the graph is fed.
    given : dict of GraphTensor to ndarray
        The random values.
    sizes : ChosenSizes
    recorder : Recorder
    lengths : dict of str to tuple of GraphTensor and ndarray of int (sequence,)
        What makes the lengths of a layer, where the graph computes them, and those that it made.
    """

    verdicts: dict[str, Verdict]
    obstacles: dict[str, Obstacle]
    records: dict[str, CellRecord]
    fed: tuple[FedTensor, ...]
    given: dict[GraphTensor, Any]
    sizes: ChosenSizes
    recorder: Recorder
    lengths: dict[str, tuple[GraphTensor, Array]]


def _is_step(one: FedTensor) -> bool:
    """Whether a fed tensor may be what a single step reads: features, or ids."""
    features = one.dtype.kind == "f" and one.shape is not None and len(one.shape) == 2
    return features or one.is_ids_of_step


def prove(view: GraphView, weights: GraphWeights, built: GraphNetwork, loops: Loops) -> Proof:
    """Evaluate a graph on random inputs and compare every layer that was read of it.

    Parameters
    ----------
    view : GraphView
    weights : GraphWeights
    built : GraphNetwork
    loops : Loops
        Of `view`.

    Returns
    -------
    Proof
        It has a verdict or an obstacle for every recurrent layer.
    """
    prover = _Prover(view, weights, built, loops)
    first = prover.try_axes(time_major=False)
    if prover.fits(first):
        return first
    second = prover.try_axes(time_major=True)
    if prover.fits(second) or len(second.obstacles) < len(first.obstacles):
        return second
    return first


class _Prover:
    def __init__(
        self, view: GraphView, weights: GraphWeights, built: GraphNetwork, loops: Loops
    ) -> None:
        self._view = view
        self._weights = weights
        self._network = built.network
        self._appearances = built.appearances
        self._cells = {
            node.name: built.appearances[node.name].cells for node in self._network.recurrent
        }
        self._recorder = Recorder(
            view, weights, loops, most_unrolled=MOST_UNROLLED, most_ops=MOST_OPS
        )
        self._fed = tuple(fed_tensors(view))
        self._below = smallest_vocabulary(view, weights)

    def try_axes(self, *, time_major: bool) -> Proof:
        """One evaluation, with time as the second or the first axis of the inputs."""
        features = next(
            (node.recurrent.cell.input_size for node in self._network.recurrent if node.recurrent),
            1,
        )
        sizes = choose_sizes(
            list(self._fed),
            features,
            time_major=time_major,
            steps=self._unrolled(),
            sequences=self._stored_batch(),
        )
        given = random_values(self._fed, sizes, self._below)
        evaluator = self._recorder.evaluator(self._cells.values(), given)
        records: dict[str, CellRecord] = {}
        obstacles: dict[str, Obstacle] = {}
        for name, cells in self._cells.items():
            made = self._recorder.attempt(evaluator, cells)
            if isinstance(made, CellRecord):
                records[name] = made
            else:
                obstacles[name] = made
        computed = self._computed_lengths(evaluator, sizes.sequences)
        judge = Judge(
            self._network,
            records,
            given.get,
            {name: self._loop_of(name) for name in self._cells},
            {name: len(cells) for name, cells in self._cells.items() if not self._loop_of(name)},
            [given[one.tensor] for one in self._fed if one.is_lengths and one.tensor in given],
            {name: value for name, (_, value) in computed.items()},
            [given[one.tensor] for one in self._fed if one.tensor in given and _is_step(one)],
            time_major=time_major,
        )
        verdicts = {
            name: judge.judge(node)
            for name, node in self._network.by_name.items()
            if name in records
        }
        return Proof(
            verdicts, obstacles, records, self._fed, given, sizes, self._recorder, computed
        )

    def _computed_lengths(
        self, evaluator: GraphEvaluator, sequences: int
    ) -> dict[str, tuple[GraphTensor, Array]]:
        """By layer, the tensor that its steps are compared with, where the graph computes it."""
        found = {}
        for node in self._network.recurrent:
            if node.recurrent is None or node.recurrent.lengths.value.kind != "computed":
                continue
            candidates = self._appearances[node.name].lengths
            made = made_lengths(self._recorder, evaluator, candidates, sequences)
            if made is not None:
                found[node.name] = made
        return found

    def _unrolled(self) -> int:
        """The steps that the graph is written out for; the usual number where it has loops."""
        counts = [len(cells) for cells in self._cells.values() if len(cells) > 1]
        return max(counts, default=TIMESTEPS)

    def _stored_batch(self) -> int:
        """The number of sequences that constants of the graph are for; the usual one if of none."""
        for node in self._view:
            if node.op == "Const" and int(node.attr["dtype"].type) in (3, 9):
                dims = node.attr["value"].tensor.tensor_shape.dim
                if len(dims) == 1 and dims[0].size > 1 and self._compares(node):
                    return int(dims[0].size)
        return SEQUENCES

    def _compares(self, node: GraphNode) -> bool:
        """Whether a constant is compared with a step: lengths are."""
        pending, seen = [GraphTensor(node.name)], set[GraphTensor]()
        while pending and len(seen) < MOST_CONSUMERS:
            current = pending.pop()
            seen.add(current)
            for consumer in self._view.consumers(current):
                if consumer.op in ("GreaterEqual", "Less", "Greater", "LessEqual"):
                    return True
                if consumer.op in ("Identity", "Enter", "ExpandDims", "Cast", "Minimum"):
                    pending.append(GraphTensor(consumer.name))
        return False

    def fits(self, proof: Proof) -> bool:
        """Whether the axes were taken for what they are: nothing reads another x than it should.

        Where batch and time are the other way round, x has the wrong number of sequences.
        """
        if not proof.records:
            return False
        sequences = proof.sizes.sequences
        return all(record.x.shape[1] == sequences for record in proof.records.values())

    def _loop_of(self, name: str) -> str:
        cell = self._cells[name][0]
        if takes_sequences(cell):
            return cell.name
        loop = self._recorder.loops.around(cell.m)
        return "" if loop is None else loop.name
