"""Which end of its input a layer begins at, found by changing one step of the input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.evaluation.proving.cell_record import CellRecord, Obstacle
from rnnscope.checkpoints.tf1.graph.evaluation.proving.proof import Proof
from rnnscope.checkpoints.tf1.graph.evaluation.proving.recording import Recorder
from rnnscope.checkpoints.tf1.graph.evaluation.proving.turning import (
    backward,
    forward,
    other_directions,
    turned,
)
from rnnscope.checkpoints.tf1.graph.evaluation.settling.graph_run import ModelInput
from rnnscope.checkpoints.tf1.graph.evaluation.settling.unknown_loops import held_counts
from rnnscope.checkpoints.tf1.graph.feeds.sequence_ops import REVERSES
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.model.cell import Array
from rnnscope.model.recurrent_layer import RecurrentLayer


class Directions:
    """Finds the direction of layers that do not read an input as it is.

    Parameters
    ----------
    view : GraphView
    proof : Proof
        With the random values that one step is changed of.
    recorder : Recorder
    lengths : mapping of str to tuple of GraphTensor and ndarray of int (sequence,)
        What the graph computed as the lengths of layers, by name.
    """

    def __init__(
        self,
        view: GraphView,
        proof: Proof,
        recorder: Recorder,
        lengths: Mapping[str, tuple[GraphTensor, Array]],
    ) -> None:
        self._view = view
        self._proof = proof
        self._full = recorder
        self._lengths = lengths

    def aligned(
        self, name: str, layer: RecurrentLayer, cells: list[FoundCell], source: ModelInput
    ) -> RecurrentLayer:
        """The layer in the direction that its x shows: which end of the input comes first in it."""
        first = self._influence(cells, source, 0)
        if first is None or first.size < 2:
            return layer
        # By step of the layer, whether the first step of the input (of any sequence) matters.
        # Where it reaches both ends, or neither, nothing is told.
        begins, ends = bool(first[0]), bool(first[-1])
        if not _is_local(first) or begins == ends:
            return layer
        if begins:
            return forward(layer)
        within = self._turned_within(name, cells, source)
        return backward(layer, "within length" if within else "whole")

    def _turned_within(self, name: str, cells: list[FoundCell], source: ModelInput) -> bool:
        """Whether the last step within its length is the first of a shorter sequence."""
        lengths = self._lengths_of(name)
        if lengths is None or len(lengths) < 2 or lengths[1] >= self._proof.sizes.timesteps:
            return False
        found = self._influence(cells, source, int(lengths[1]) - 1, sequence=1)
        return found is not None and bool(found[0])

    def _influence(
        self, cells: list[FoundCell], source: ModelInput, step: int, sequence: int = 0
    ) -> Array | None:
        """By step of a layer, whether its x depends on one step of the model's input."""
        given = dict(self._proof.given)
        value = np.array(given[source.fed.tensor])
        if value.ndim < (2 if source.is_ids else 3) or not cells:
            return None
        by_sequence = value.swapaxes(0, 1) if self._proof.sizes.time_major else value
        if source.is_ids:
            other = _other_id(by_sequence, int(by_sequence[sequence, step]))
            if other is None:
                return None
            by_sequence[sequence, step] = other
        else:
            by_sequence[sequence, step] += 1
        given[source.fed.tensor] = value
        recorder = self._full
        evaluator = recorder.evaluator([cells], given)
        changed = recorder.attempt(evaluator, cells)
        before = recorder.attempt(recorder.evaluator([cells], self._proof.given), cells)
        if isinstance(changed, Obstacle) or isinstance(before, Obstacle):
            return None
        if changed.x.shape != before.x.shape:
            return None
        different = changed.x[:, sequence] != before.x[:, sequence]
        any_of_step: Array = np.any(different.reshape(len(different), -1), axis=1)
        return any_of_step

    def of_loop(
        self,
        name: str,
        layer: RecurrentLayer,
        cell: FoundCell,
        record: CellRecord,
        source: ModelInput,
    ) -> RecurrentLayer | None:
        """The direction of a loop that is no known cell, by its x; None where it is not told."""
        found = self._of_x(name, layer, record)
        if found is None and self._looks_back(cell, source):
            found = layer
        if found is None and self.told([cell], [source]):
            found = self.aligned(name, layer, [cell], source)
        return found

    def _looks_back(self, cell: FoundCell, source: ModelInput) -> bool:
        """Whether the states of a loop that takes its x from no list come of earlier steps alone.

        Its first state stands for x, which shows in a step what the steps before it read.
        """
        if cell.x not in cell.before.values():
            return False
        first = self._influence([cell], source, 0)
        last = self._influence([cell], source, self._proof.sizes.timesteps - 1)
        if first is None or last is None or first.size < 2:
            return False
        return bool(first[1]) and not first[0] and not last.any()

    def _of_x(self, name: str, layer: RecurrentLayer, record: CellRecord) -> RecurrentLayer | None:
        """The layer in the direction in which it reads what one of the inputs was fed."""
        lengths = self._lengths_of(name)
        for value in self._proof.given.values():
            array = np.asarray(value)
            if array.ndim != 3:
                continue
            values = array.swapaxes(0, 1) if self._proof.sizes.time_major else array
            if lengths is not None and len(values) != len(lengths):
                continue
            for other in (layer, *other_directions(layer)):
                if np.array_equal(turned(other, values, lengths).swapaxes(0, 1), record.x):
                    return other
        return None

    def _lengths_of(self, name: str) -> Array | None:
        """The lengths that a layer had: those that the graph computed, else those it was fed."""
        made = self._lengths.get(name)
        return held_counts(self._proof) if made is None else made[1]

    @cached_property
    def _turns(self) -> bool:
        """Whether the graph turns anything round."""
        return any(node.op in (*REVERSES, "ReverseSequence") for node in self._view)

    def told(self, cells: list[FoundCell], sources: Iterable[ModelInput]) -> bool:
        """Whether it can be told at which end of an input a layer begins.

        Nothing turned, nothing to tell; else x has to depend, step by step, on few steps.
        """
        if not self._turns:
            return True
        for source in sources:
            found = self._influence(cells, source, 0)
            if found is not None and np.any(found):
                return _is_local(found)
        return False


def _other_id(ids: Array, current: int) -> int | None:
    """One of some ids that is neither another's nor 0, which may stand for padding."""
    others = ids[(ids != current) & (ids != 0)]
    return int(others.flat[0]) if others.size else None


def _is_local(influence: Array) -> bool:
    """Whether one step of the input reaches at most half of the steps of x."""
    return int(np.count_nonzero(influence)) * 2 <= influence.size + 1
