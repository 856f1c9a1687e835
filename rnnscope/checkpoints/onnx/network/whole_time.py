"""Lengths that say nothing: as many steps as there are, for every sequence.

Exporters that know of no lengths write them where an operator wants some: made of a shape, or
constant where the number of timesteps is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.trial import Trial
from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.network.recurrent import LENGTHS_INPUT
from rnnscope.checkpoints.onnx.proof.operator import in_order
from rnnscope.model.ops import EvaluationError

OF_SHAPE = ("Shape", "Size")
WHOLE_TIME = "as many as there are timesteps"


def are_whole_time(
    program: OnnxProgram, node: OnnxNode, trials: Sequence[Callable[[], Trial]]
) -> bool:
    """Whether the lengths of a recurrent node are its number of timesteps, whatever is given.

    No values may enter them, shapes alone; and they must be that number in every trial, two of
    which have different sizes unless the file fixes them.
    """
    key = node.input(LENGTHS_INPUT)
    if _depends_on_values(program, key):
        return False
    try:
        for make in trials:
            trial = make()
            steps = in_order(node, trial.value(node.input(0))).shape[1]
            if not bool((np.ravel(trial.value(key)) == steps).all()):
                return False
    except EvaluationError:
        return False
    return True


def _depends_on_values(program: OnnxProgram, key: str) -> bool:
    graph = program.graph
    pending, seen = [key], set[str]()
    while pending:
        name = pending.pop()
        if name in seen or name in program.stored or not name:
            continue
        seen.add(name)
        node = graph.producers.get(name)
        if node is None or node.op.startswith("Random"):
            return True
        if node.op not in OF_SHAPE:
            pending.extend(node.inputs)
    return False
