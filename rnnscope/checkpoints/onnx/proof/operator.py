"""Whether the layers of a recurrent node give the states that its operator is defined to give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.every_operation import EVERY_OPERATION
from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.network.recurrent import FIRST_STATE_INPUT, LENGTHS_INPUT, STATES
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.ops import EvaluationError
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.states import LayerStates

LIMITS = {"f4": 1e-5, "f8": 1e-12}
"""How far values may be apart, relative to the largest (at least 1): rounding."""

MADE_UP = (3, 3)
"""Timesteps and sequences of an X that is made up."""


def limit_of(array: Array) -> float:
    """How far values of an array's dtype may be apart."""
    return LIMITS.get(np.asarray(array).dtype.str[1:], LIMITS["f4"])


def difference(ours: Array, theirs: Array) -> float:
    """The largest difference, relative to the largest value; infinite where shapes differ."""
    if np.shape(ours) != np.shape(theirs) or not np.isfinite(theirs).all():
        return float("inf")
    size = max(1.0, float(np.abs(theirs).max(initial=0)))
    worst = float(np.abs(np.asarray(ours, np.float64) - theirs).max(initial=0)) / size
    return float("inf") if np.isnan(worst) else worst


def in_order(node: OnnxNode, x: Any) -> Array:
    """The X of a node as (sequence, timestep, input)."""
    if np.ndim(x) != 3:
        raise EvaluationError(f"X of {node.op} '{node.name}' has {np.ndim(x)} axes")
    made: Array = x if node.integer("layout") else x.swapaxes(0, 1)
    return made


def made_up(node: OnnxNode, number: int, cell: CellSpec, directions: int) -> Array:
    """A random value for an input of a node: X, sequence_lens, or an initial state."""
    rng = np.random.default_rng(number)
    steps, batch = MADE_UP
    if number == LENGTHS_INPUT:
        return rng.integers(1, steps + 1, batch)
    shape = (steps, batch, cell.input_size) if not number else (directions, batch, cell.num_units)
    value = rng.normal(size=shape).astype(cell.dtype)
    return value.swapaxes(0, 1) if node.integer("layout") else value


def gap(
    node: OnnxNode,
    values: Sequence[Any],
    layers: Sequence[RecurrentLayer],
    returned: tuple[Array, ...] | None = None,
) -> tuple[float, list[LayerStates]]:
    """How far the states of layers are from what a node makes of its inputs; and these states.

    Parameters
    ----------
    node : OnnxNode
    values : sequence of ndarray or None
        Of all its inputs: X, W, R, B, sequence_lens, initial states, P.
    layers : sequence of RecurrentLayer
        One for each direction.
    returned : tuple of ndarray, optional
        What the node makes of these values, where it was computed before.

    Raises
    ------
    EvaluationError
        The operator cannot be evaluated on them.
    """
    y, *ends = _outputs(node, values) if returned is None else returned
    batch_first = bool(node.integer("layout"))
    x = np.ascontiguousarray(in_order(node, values[0]))
    lengths = values[LENGTHS_INPUT]
    mask = None if lengths is None else np.arange(x.shape[1]) < np.ravel(lengths)[:, None]
    worst, states = 0.0, []
    for number, layer in enumerate(layers):
        start = {
            state: _of_direction(value, number, batch_first)
            for state, value in zip(STATES[node.op], values[FIRST_STATE_INPUT:], strict=False)
            if value is not None
        }
        try:
            made = run_layer(layer, x.astype(layer.cell.dtype, copy=False), mask, start)
        except ValueError as error:
            raise EvaluationError(f"its inputs do not fit each other: {error}") from error
        outputs = y[:, :, number] if batch_first else y[:, number].swapaxes(0, 1)
        true = [outputs, *(_of_direction(end, number, batch_first) for end in ends)]
        ours = [made.outputs, *(made.final[state] for state in STATES[node.op])]
        worst = max(worst, *map(difference, ours, true))
        states.append(made)
    return worst, states


def _outputs(node: OnnxNode, values: Sequence[Any]) -> tuple[Array, ...]:
    try:
        with np.errstate(all="ignore"):
            made: tuple[Array, ...] = EVERY_OPERATION[node.op](node, list(values))
    except (ValueError, IndexError, TypeError) as error:
        raise EvaluationError(str(error)) from error
    return made


def _of_direction(value: Array, number: int, batch_first: bool) -> Array:
    return value[:, number] if batch_first else value[number]
