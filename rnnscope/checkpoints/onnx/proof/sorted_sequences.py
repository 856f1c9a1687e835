"""Whether a recurrent node reads the same with its sequences in order as with them sorted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.trial import MAX_WORK, Trial
from rnnscope.checkpoints.onnx.evaluation.work import Work
from rnnscope.checkpoints.onnx.graph.cone import Cone
from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.network.recurrent import FIRST_STATE_INPUT, LENGTHS_INPUT, STATES
from rnnscope.checkpoints.onnx.network.sorting import sorted_input
from rnnscope.checkpoints.onnx.proof.operator import difference, limit_of
from rnnscope.model.cell import Array


def is_same_unsorted(program: OnnxProgram, trial: Trial, node: OnnxNode) -> bool:
    """Whether all that a node reads of each sequence is the same, but for the order of sequences.

    Its X, lengths and initial states: where the graph sorts some of them and not the others, it
    joins what belongs to different sequences, which nothing here does.

    Raises
    ------
    EvaluationError
        Some of it is not computed.
    """
    if not program.unsorted:
        return True  # nothing to look for in all that stands before the node
    keys = [key for _, key in _inputs(node)]
    cones = [Cone.of(key, program.graph, program.stored, ()) for key in keys]
    sorting = {one for cone in cones for one in cone.nodes if one in program.unsorted}
    if not sorting:
        return True
    lengths = {name: _ascending(trial.bound[name])
               for name in {sorted_input(program.graph, one) for one in sorting}}  # fmt: skip
    order = np.argsort(-next(iter(lengths.values())), kind="stable")
    bound = {**trial.bound, **lengths}
    ours = program.evaluation(bound, Work(MAX_WORK))
    true = replace(program, unsorted=frozenset()).evaluation(bound, Work(MAX_WORK))
    return all(
        _is_reordered(
            _sequences_first(node, number, ours.value(key)),
            _sequences_first(node, number, true.value(key)),
            order,
        )
        for number, key in _inputs(node)
    )


def _inputs(node: OnnxNode) -> Iterator[tuple[int, str]]:
    """The inputs of a node that have something of each sequence, by number."""
    states = range(FIRST_STATE_INPUT, FIRST_STATE_INPUT + len(STATES[node.op]))
    for number in (0, LENGTHS_INPUT, *states):
        if node.input(number):
            yield number, node.input(number)


def _ascending(lengths: Array) -> Array:
    """Lengths in the order that sorting changes most; none longer than the longest given."""
    longest = int(lengths.max())
    made = np.minimum(np.arange(1, len(lengths) + 1), longest)
    made[-1] = longest
    return made.astype(lengths.dtype)


def _sequences_first(node: OnnxNode, number: int, value: Any) -> Array:
    first = number == LENGTHS_INPUT or bool(node.integer("layout"))
    return np.asarray(value) if first or np.ndim(value) < 2 else np.swapaxes(value, 0, 1)


def _is_reordered(ours: Array, true: Array, order: Array) -> bool:
    return len(ours) == len(order) and difference(ours[order], true) <= limit_of(true)
