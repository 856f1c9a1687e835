"""What a TensorFlow graph makes of the outputs of its recurrent layers: logits, probabilities.

A graph has no list of outputs: what is made of the layers' outputs, can be computed without labels,
and goes into nothing else that can be, is a result.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np

from rnnscope.checkpoints.later_results import Sample, later_result
from rnnscope.checkpoints.tf1.graph.evaluation.later.forward_flow import ALIASES, ForwardFlow
from rnnscope.checkpoints.tf1.graph.evaluation.later.graph_tail import GraphTail
from rnnscope.checkpoints.tf1.graph.evaluation.later.graph_trial import GraphTrial, trials
from rnnscope.checkpoints.tf1.graph.evaluation.later.layer_tensors import LayerTensor, layer_tensors
from rnnscope.checkpoints.tf1.graph.evaluation.later.result_tensors import (
    computable,
    last_ones,
    value_or_none,
)
from rnnscope.checkpoints.tf1.graph.evaluation.proving.proof import Proof
from rnnscope.checkpoints.tf1.graph.evaluation.values.loops import MERGES, SWITCHES
from rnnscope.checkpoints.tf1.graph.layers.network import GraphNetwork
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights
from rnnscope.model.cell import Array
from rnnscope.model.network import Node
from rnnscope.model.ops import EvaluationError
from rnnscope.model.signal import Signal

CHOOSING = {*MERGES, *SWITCHES}

MOVING = {
    "BroadcastTo", "Cast", "Concat", "ConcatV2", "ExpandDims", "Gather", "GatherNd", "GatherV2",
    "Pack", "Pad", "PadV2", "Reshape", "Reverse", "ReverseSequence", "ReverseV2", "Slice", "Split",
    "SplitV", "Squeeze", "StridedSlice", "Tile", "Transpose", "Unpack",
}  # fmt: skip
"""Ops that put values together, take them apart and bring them into another order."""

MOST_RESULTS = 16

MOST_NAMED = 8

_CALLED = re.compile(r"^([^/]*PartitionedCall[^/]*/f/)+")
"""Functions that a signature calls, in front of a name that people know."""

MOST_JOINED = 8
"""Layers whose outputs are joined in pairs, to tell a join from a result."""


def later_results(
    view: GraphView, weights: GraphWeights, built: GraphNetwork, proof: Proof
) -> tuple[Node, ...]:
    """Nodes that compute what a graph makes of what its recurrent layers return.

    Parameters
    ----------
    view : GraphView
    weights : GraphWeights
    built : GraphNetwork
        As `settle` left it.
    proof : Proof
    """
    first, *others = trials(view, weights, built, proof)
    if not first.signals:
        return ()
    return tuple(_Tails(view, weights, built, proof, first, others).nodes())


class _Tails:
    def __init__(
        self,
        view: GraphView,
        weights: GraphWeights,
        built: GraphNetwork,
        proof: Proof,
        first: GraphTrial,
        others: Sequence[GraphTrial],
    ) -> None:
        self._view = view
        self._weights = weights
        self._proof = proof
        self._network = built.network
        self._trials = [first, *others]
        self._flow = ForwardFlow(view)
        loops = proof.recorder.loops
        self._sources = layer_tensors(view, self._flow, loops, built, first)
        cells = [cell for one in built.appearances.values() for cell in one.cells]
        within = [loops.around(cell.m) for cell in cells]
        entered = [
            variable.initial for loop in within if loop for variable in loop.variables.values()
        ]
        ends = [
            tensor for cell in cells
            for tensor in (cell.x, *cell.before.values(), *cell.after.values())
        ]  # fmt: skip
        self._inside = self._flow.upstream([*ends, *entered])
        self._lengths = frozenset(
            one.tensor for one in proof.fed
            if one.is_lengths and one.tensor.node in self._inside
        )  # fmt: skip
        self._states = {
            tensor for cell in cells for tensor in (*cell.after.values(), *cell.before.values())
        }
        read = {name for node in self._network.recurrent for name in node.reads}
        self._readable = tuple(
            one for one in proof.fed
            if str(one.tensor) in read and one.dtype.kind == "f" and len(one.shape or ()) in (0, 3)
        )  # fmt: skip
        self._taken = {*self._network.inputs, *self._network.by_name}
        self._made = self._computable() if self._sources else {}

    def nodes(self) -> Iterator[Node]:
        known = list(self._known())
        made = 0
        for tensor in last_ones(self._view, self._flow, self._made):
            node = self._node_or_none(tensor, known)
            if node is not None:
                yield node
                made += 1
            if made >= MOST_RESULTS:
                return

    def _node_or_none(self, tensor: GraphTensor, known: list[Array]) -> Node | None:
        try:
            tail, samples = self._tried(tensor)
            name = self._unique(_CALLED.sub("", str(self._flow.maker(tensor))))
            layer = later_result(name, self._kind(tail), tail, samples, known)
        except EvaluationError:
            return None
        values = layer(*samples[0].signals).values
        known.append(values)
        self._taken.add(name)
        return Node(name, layer, tail.reads)

    def _tried(self, tensor: GraphTensor) -> tuple[GraphTail, list[Sample]]:
        """A tensor of layers alone or, where these do not do, of inputs that layers read as well.

        Raises
        ------
        EvaluationError
        """
        tail = self._tail(tensor)
        samples = list(self._samples(tail))
        if not samples:
            raise EvaluationError("it cannot be tried")
        try:
            tail(samples[0].signals)
        except EvaluationError:
            tail = replace(tail, read=self._readable)
            samples = list(self._samples(tail))
        return tail, samples

    def _unique(self, name: str) -> str:
        found, number = name, 2
        while found in self._taken:
            found, number = f"{name}_{number}", number + 1
        return found

    def _whole(self, tensor: GraphTensor, sources: Sequence[LayerTensor]) -> GraphTail:
        return GraphTail(
            self._view, self._weights, self._proof, tensor, tuple(sources), self._lengths
        )

    def _computable(self) -> dict[GraphTensor, Array]:
        tail = self._whole(next(iter(self._sources)), [*self._sources.values()])
        tail = replace(tail, read=self._readable)
        evaluator = tail.evaluator({name: self._signal(name, 0) for name in tail.reads})
        sizes = self._trials[0].sizes
        return computable(self._flow, evaluator, self._sources, self._inside, sizes)

    def _tail(self, tensor: GraphTensor) -> GraphTail:
        """A tensor as a function of the layers that it reaches first."""
        pending, seen, sources = [tensor], {tensor}, dict[GraphTensor, LayerTensor]()
        while pending:
            current = pending.pop()
            if current in self._sources:
                sources[current] = self._sources[current]
                continue
            if current in self._states:
                raise EvaluationError(f"it reads a state, '{current}'")
            node = self._view.node(current)
            behind = () if node is None else (*node.inputs, *self._view.results(current))
            for one in behind:
                if one not in seen:
                    seen.add(one)
                    pending.append(one)
        if not sources:
            raise EvaluationError("no recurrent layer is behind it")
        order = {node.name: place for place, node in enumerate(self._network.nodes)}
        return self._whole(tensor, sorted(sources.values(), key=lambda one: order[one.layer]))

    def _kind(self, tail: GraphTail) -> str:
        """The ops between layers and a tensor, for people.

        Raises
        ------
        EvaluationError
            They compute nothing: states in another order are no result of their own.
        """
        behind = self._flow.upstream([tail.tensor])
        ops = (self._view.op(tensor) for tensor in self._made if tensor.node in behind)
        found = list(dict.fromkeys(op for op in ops if op not in ALIASES | CHOOSING))
        if MOVING.issuperset(found):
            raise EvaluationError("it moves what layers return")
        return ", ".join([*found[:MOST_NAMED], *["…"] * (len(found) > MOST_NAMED)])

    def _samples(self, tail: GraphTail) -> Iterator[Sample]:
        for number, trial in enumerate(self._trials):
            if not trial.signals.keys() >= {one.layer for one in tail.sources}:
                continue
            value = value_or_none(trial.evaluator, tail.tensor)
            if isinstance(value, np.ndarray):
                yield Sample(tuple(self._signal(name, number) for name in tail.reads), value)
            elif not number:
                raise EvaluationError("it cannot be computed on random input")

    def _signal(self, name: str, trial: int) -> Signal:
        """What a layer or an input of the model hands over in a trial."""
        known = self._trials[trial].signals.get(name)
        if known is not None:
            return known
        fed = next(one for one in self._readable if str(one.tensor) == name)
        values = np.asarray(self._trials[trial].given[fed.tensor])
        return Signal(values.swapaxes(0, 1) if self._proof.sizes.time_major else values)

    def _known(self) -> Iterator[Array]:
        """What there is without any tail: outputs of layers, their last steps, and joins of two."""
        values = [signal.values for signal in self._trials[0].signals.values()]
        for one in values:
            yield from (one, one[:, 0], one[:, -1])
        if len(values) <= MOST_JOINED:
            for first, second in permutations(values, 2):
                if first.shape[:2] == second.shape[:2]:
                    yield np.concatenate([first, second], axis=-1)
