"""What stands behind a graph cell reads its layer: which values of the graph are its outputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.trial import Trial
from rnnscope.checkpoints.onnx.graph_cells.found_cell import GraphCell
from rnnscope.checkpoints.onnx.network.sources import Source
from rnnscope.checkpoints.onnx.proof.operator import difference, limit_of
from rnnscope.model.cell import Array
from rnnscope.model.layers.elementwise import LastStep
from rnnscope.model.ops import EvaluationError


def outputs_of(cell: GraphCell, trial: Trial) -> Array:
    """What a cell returns in a trial, (sequence, timestep, width), in the input's order."""
    back = slice(None, None, -1 if cell.recurrence.backward else 1)
    x = cell.in_order(np.asarray(trial.value(cell.x)))[:, back]
    lengths = None
    if cell.lengths:
        lengths = np.asarray(trial.bound[cell.lengths[0]], np.int64).ravel()
    return cell.run(x, lengths, {}).outputs[:, back]


def handed_on(cell: GraphCell, name: str, last: str, trial: Trial) -> Iterator[Source]:
    """The values that a recurrence makes and that are its layer's outputs, or the last of them.

    Parameters
    ----------
    cell : GraphCell
    name : str
        Of its layer in the network.
    last : str
        Of the network's node that picks the last output.
    trial : Trial
    """
    outputs = outputs_of(cell, trial)
    backward = cell.recurrence.backward
    pick = outputs[:, 0 if backward else -1]
    for key in cell.recurrence.results:
        try:
            value = trial.value(key)
        except EvaluationError:
            continue
        if isinstance(value, list) or np.asarray(value).dtype.kind != "f":
            continue
        for order in (slice(None), slice(None, None, -1)):
            if _is(value, outputs[:, order].swapaxes(0, 1)):
                yield _steps(key, name, order, time_first=True)
                break
            if _is(value, outputs[:, order]):
                yield _steps(key, name, order, time_first=False)
                break
        else:
            if _is(value, pick):
                yield _last(key, last, np.shape(value)[1:])


def last_step(cell: GraphCell) -> LastStep:
    """What takes the last output of a cell's layer."""
    return LastStep(cell.recurrence.backward, masked=bool(cell.lengths))


def _is(value: Array, ours: Array) -> bool:
    """Whether a value of the graph has the axes and the numbers of another."""
    same = np.shape(value)[:2] == ours.shape[:2] and np.size(value) == ours.size
    return same and difference(np.reshape(value, ours.shape), ours) <= limit_of(ours)


def _last(key: str, last: str, shape: tuple[int, ...]) -> Source:
    def laid(arrays: tuple[Array, ...]) -> Array:
        made: Array = arrays[0].reshape(-1, *shape)
        return made

    return Source(key, (last,), laid, lambda array: (array.reshape(len(array), -1),))


def _steps(key: str, name: str, order: slice, *, time_first: bool) -> Source:
    def laid(arrays: tuple[Array, ...]) -> Array:
        made = arrays[0][:, order]
        return made.swapaxes(0, 1) if time_first else made

    def taken(array: Array) -> tuple[Array, ...]:
        made = array.swapaxes(0, 1) if time_first else array
        return (made[:, order],)

    return Source(key, (name,), laid, taken)
