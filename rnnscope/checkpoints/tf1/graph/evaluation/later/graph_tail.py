"""A tensor of a TensorFlow graph as a function of what recurrent layers return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.evaluation.later.layer_tensors import LayerTensor
from rnnscope.checkpoints.tf1.graph.evaluation.proving.proof import Proof
from rnnscope.checkpoints.tf1.graph.evaluation.proving.random_inputs import FedTensor
from rnnscope.checkpoints.tf1.graph.evaluation.settling.graph_run import stand_in
from rnnscope.checkpoints.tf1.graph.evaluation.values.evaluator import GraphEvaluator
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.ops import EvaluationError
from rnnscope.model.signal import Signal


@dataclass(frozen=True, eq=False)
class GraphTail:
    """A tensor of the graph as a function of what the network hands over.

    Attributes
    ----------
    view : GraphView
    weights : GraphWeights
    proof : Proof
        What the graph is fed, and which of its axes is time.
    tensor : GraphTensor
    sources : tuple of LayerTensor
    lengths : frozenset of GraphTensor
        Placeholders that take the lengths.
    read : tuple of FedTensor
        Inputs of the model that it reads as layers do.
    """

    view: GraphView
    weights: GraphWeights
    proof: Proof
    tensor: GraphTensor
    sources: tuple[LayerTensor, ...]
    lengths: frozenset[GraphTensor]
    read: tuple[FedTensor, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        layers = dict.fromkeys(source.layer for source in self.sources)
        return (*layers, *(str(one.tensor) for one in self.read))

    def __call__(self, signals: tuple[Signal, ...]) -> Array:
        """The value, with the axes of the graph, of signals in the order of `reads`.

        Raises
        ------
        EvaluationError
        """
        named = dict(zip(self.reads, signals, strict=True))
        evaluator = self.evaluator(named)
        with np.errstate(all="ignore"):
            value = evaluator.value(self.tensor)
        if not isinstance(value, np.ndarray):
            raise EvaluationError(f"'{self.tensor}' is no array")
        return value

    def evaluator(self, signals: Mapping[str, Signal]) -> GraphEvaluator:
        """An evaluator that is given what layers return, and nothing else of the model's inputs."""
        first = next(iter(signals.values()))
        sequences, timesteps = first.values.shape[:2]
        given = self._given(sequences, timesteps, first.mask)
        for source in self.sources:
            given[source.tensor] = source.value(signals[source.layer])
        for one in self.read:
            values = signals[str(one.tensor)].values
            values = values.swapaxes(0, 1) if self.proof.sizes.time_major else values
            given[one.tensor] = values.astype(one.dtype, copy=False)
        return GraphEvaluator(self.view, self.weights, self.proof.recorder.loops, given)

    def _given(self, sequences: int, timesteps: int, mask: Array | None) -> dict[GraphTensor, Any]:
        given: dict[GraphTensor, Any] = {}
        for one in self.proof.fed:
            if one.has_default:
                continue
            value = stand_in(one, self.proof.sizes, sequences, timesteps)
            if one.tensor in self.lengths:
                counts = np.full(sequences, timesteps) if mask is None else mask.sum(axis=1)
                value = counts.astype(one.dtype)
            if value is not None:
                given[one.tensor] = value
        return given
