"""Lengths that a graph computes: the tensor that makes them, and what it made."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rnnscope.checkpoints.tf1.graph.evaluation.proving.recording import Recorder
from rnnscope.checkpoints.tf1.graph.evaluation.values.evaluator import GraphEvaluator
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor
from rnnscope.model.cell import Array


def made_lengths(
    recorder: Recorder, evaluator: GraphEvaluator, candidates: Iterable[GraphTensor], sequences: int
) -> tuple[GraphTensor, Array] | None:
    """The first of some tensors outside of loops that holds a number for every sequence.

    Returns
    -------
    tensor : GraphTensor
    lengths : ndarray of int64 (sequence,)
    """
    for tensor in candidates:
        if recorder.loops.around(tensor) is not None:
            continue
        value = recorder.try_value(evaluator, tensor)
        if np.shape(value) == (sequences,) and np.asarray(value).dtype.kind in "if":
            # Floats are cast on the way to the comparison, which cuts them off.
            return tensor, np.asarray(value).astype(np.int64)
    return None
