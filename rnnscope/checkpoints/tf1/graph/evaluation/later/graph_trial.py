"""A graph on random inputs, with what its layers return: the samples of what stands behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.evaluation.proving.cell_record import CellRecord
from rnnscope.checkpoints.tf1.graph.evaluation.proving.proof import Proof
from rnnscope.checkpoints.tf1.graph.evaluation.proving.random_inputs import (
    ChosenSizes,
    choose_sizes,
    random_values,
    smallest_vocabulary,
)
from rnnscope.checkpoints.tf1.graph.evaluation.proving.recorded_signals import RecordedSignals
from rnnscope.checkpoints.tf1.graph.evaluation.proving.recording import Recorder
from rnnscope.checkpoints.tf1.graph.evaluation.values.evaluator import GraphEvaluator
from rnnscope.checkpoints.tf1.graph.layers.network import GraphNetwork
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights
from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import RnnscopeError
from rnnscope.model.cell import Array
from rnnscope.model.network import Node
from rnnscope.model.signal import Signal

OTHER_SEQUENCES, MORE_STEPS = 2, 3
"""Of a second trial: how many sequences it has, and how many steps more than the first."""


MOST_OPS = 2_000_000
"""Ops after which a trial is given up: every step of what is written out, and loops of few."""


@dataclass(frozen=True, eq=False)
class GraphTrial:
    """One set of random inputs.

    Attributes
    ----------
    given : mapping of GraphTensor to value
    sizes : ChosenSizes
    evaluator : GraphEvaluator
        Of the whole graph.
    signals : mapping of str to Signal
        What recurrent layers return, (sequence, timestep, width), by name; those that cannot be
        computed are missing.
    """

    given: Mapping[GraphTensor, Any]
    sizes: ChosenSizes
    evaluator: GraphEvaluator
    signals: Mapping[str, Signal]


def trials(
    view: GraphView, weights: GraphWeights, built: GraphNetwork, proof: Proof
) -> Iterator[GraphTrial]:
    """The inputs that layers were proved with, and others of other sizes.

    Parameters
    ----------
    view : GraphView
    weights : GraphWeights
    built : GraphNetwork
        As `settle` left it.
    proof : Proof
    """
    maker = _Maker(view, weights, built, proof)
    yield maker.trial(proof.given, proof.sizes)
    fed, first = list(proof.fed), proof.sizes
    unrolled = any(len(one.cells) > 1 for one in built.appearances.values())
    steps = first.timesteps if unrolled else first.timesteps + MORE_STEPS
    other = choose_sizes(
        fed, first.features, time_major=first.time_major, steps=steps, sequences=OTHER_SEQUENCES
    )
    below = smallest_vocabulary(view, weights)
    yield maker.trial(random_values(fed, other, below, seed=1), other)


class _Maker:
    def __init__(
        self, view: GraphView, weights: GraphWeights, built: GraphNetwork, proof: Proof
    ) -> None:
        self._network = built.network
        self._fed = proof.fed
        # Of every step, whatever the proof looked at.
        self._recorder = Recorder(view, weights, proof.recorder.loops, most_ops=MOST_OPS)
        self._cells = {
            node.name: built.appearances[node.name].cells
            for node in built.network.recurrent
            if node.name in built.appearances
        }

    def trial(self, given: Mapping[GraphTensor, Any], sizes: ChosenSizes) -> GraphTrial:
        evaluator = self._recorder.evaluator(self._cells.values(), given)
        records: dict[str, CellRecord] = {}
        for name, cells in self._cells.items():
            made = self._recorder.attempt(evaluator, cells)
            if isinstance(made, CellRecord):
                records[name] = made
        lengths = [given[one.tensor] for one in self._fed if one.is_lengths and one.tensor in given]
        recorded = RecordedSignals(
            self._network, records, given.get, lengths, time_major=sizes.time_major
        )
        signals = {}
        for node in self._network.recurrent:
            signal = self._signal(node, recorded, given, lengths)
            if signal is not None and signal.values.ndim == 3:
                signals[node.name] = signal
        return GraphTrial(given, sizes, evaluator, signals)

    def _signal(
        self,
        node: Node,
        recorded: RecordedSignals,
        given: Mapping[GraphTensor, Any],
        lengths: list[Array],
    ) -> Signal | None:
        layer = node.recurrent
        if layer is None or layer.cell.kind != "graph":
            return recorded.signal(node.name)
        read = recorded.signal(node.reads[0]) if node.reads else None
        if read is None or read.values.ndim != 3:
            return None
        mask = read.mask
        if mask is None and layer.padding.value != "none" and lengths:
            mask = np.arange(read.values.shape[1]) < np.asarray(lengths[0])[:, None]
        initial = {
            state: given[GraphTensor(part.name)]
            for state, part in layer.initial_state.value.outside().items()
            if GraphTensor(part.name) in given
        }
        try:
            return Signal(run_layer(layer, read.values, mask, initial).outputs, mask)
        except (RnnscopeError, ValueError, IndexError):
            return None
