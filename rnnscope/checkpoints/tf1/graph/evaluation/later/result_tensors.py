"""Which tensors of a graph may be results: made of layers' outputs alone, the last of each way."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.evaluation.later.forward_flow import ALIASES, ForwardFlow
from rnnscope.checkpoints.tf1.graph.evaluation.proving.random_inputs import ChosenSizes
from rnnscope.checkpoints.tf1.graph.evaluation.values.evaluator import GraphEvaluator
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import DROPOUT_DEPTH
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.model.cell import Array
from rnnscope.model.ops import MISFITS, EvaluationError

ENDS = {"Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "TopK", "TopKV2", "Exp", "Log"}
"""Ops that models end with, and people compare in front of."""

MOST_TENSORS = 3000
"""Tensors that are looked at."""

_GRADIENTS = re.compile(r"gradients(_\d+)?$")
"""The scope in which TensorFlow puts the gradients of a training."""


def computable(
    flow: ForwardFlow,
    evaluator: GraphEvaluator,
    sources: Collection[GraphTensor],
    inside: Collection[str],
    sizes: ChosenSizes,
) -> dict[GraphTensor, Array]:
    """What can be computed of layers' outputs alone, and may be a result.

    Parameters
    ----------
    flow : ForwardFlow
    evaluator : GraphEvaluator
        Given what the layers return.
    sources : collection of GraphTensor
        What they return.
    inside : collection of str
        Nodes in front of the layers and within them.
    sizes : ChosenSizes
        Of what `evaluator` was given.
    """
    found: dict[GraphTensor, Array] = {}
    pending = [(one, 0) for source in sources for one in flow.onward(source)]
    seen = {tensor for tensor, _ in pending}
    while pending and len(seen) < MOST_TENSORS:
        tensor, failed = pending.pop(0)
        if tensor in sources or tensor.node in inside:
            continue
        value = value_or_none(evaluator, tensor)
        failed = 0 if isinstance(value, np.ndarray) else failed + 1
        if failed > DROPOUT_DEPTH:
            continue
        if not failed and value.dtype.kind == "f" and _has_sequences(value, sizes):
            found[tensor] = value
        onward = [one for one in flow.onward(tensor) if one not in seen]
        seen.update(onward)
        pending.extend((one, failed) for one in onward)
    return found


def last_ones(
    view: GraphView, flow: ForwardFlow, made: Collection[GraphTensor]
) -> list[GraphTensor]:
    """Of arrays that are made of layers' outputs the last ones of each way."""
    ends = []
    for tensor in made:
        if _of_training(tensor):
            continue
        beyond = list(_beyond(view, flow, tensor))
        onward = [one for one in beyond if one in made and not _of_training(one)]
        last = any(view.op(one) in ENDS for one in beyond)
        if view.op(tensor) not in ALIASES and (last or not onward):
            ends.append(tensor)
    return ends


def _beyond(view: GraphView, flow: ForwardFlow, tensor: GraphTensor) -> Iterator[GraphTensor]:
    """What is computed of a tensor, past what hands it on as it is."""
    pending, seen = [tensor], {tensor}
    while pending:
        for one in flow.onward(pending.pop()):
            if one in seen:
                continue
            seen.add(one)
            if view.op(one) in ALIASES:
                pending.append(one)
            else:
                yield one


def _of_training(tensor: GraphTensor) -> bool:
    """Whether a tensor is a part of the gradients."""
    return any(_GRADIENTS.match(part) for part in tensor.node.split("/"))


def value_or_none(evaluator: GraphEvaluator, tensor: GraphTensor) -> Any:
    """The value of a tensor, or None where it cannot be computed."""
    try:
        with np.errstate(all="ignore"):
            return evaluator.value(tensor)
    except (EvaluationError, *MISFITS):
        return None


def _has_sequences(value: Array, sizes: ChosenSizes) -> bool:
    """Whether an array may have a row for each sequence."""
    both = sizes.sequences * sizes.timesteps
    return value.ndim > 0 and (sizes.sequences in value.shape or both == value.shape[0])
