"""Initial states that are no constants of the file: inputs of the model, or computed ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.trial import Trial
from rnnscope.checkpoints.onnx.network.recurrent import FIRST_STATE_INPUT, STATES
from rnnscope.checkpoints.onnx.network.wiring import BuiltNode, OnnxWiring
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError
from rnnscope.model.cell import Array
from rnnscope.model.initial_state import (
    InitialState,
    OutsideState,
    StatePart,
    StoredState,
    UncomputedState,
)
from rnnscope.model.layers import Unsupported
from rnnscope.model.network import Node
from rnnscope.model.ops import EvaluationError
from rnnscope.model.recurrent_layer import RecurrentLayer


@dataclass(frozen=True, eq=False)
class TakenState:
    """The state of one direction of a node, of an array given for an input of the model.

    Attributes
    ----------
    program : OnnxProgram
    key : str
        The node's input: the state of all directions.
    input : str
        The model's input that it is made of.
    direction, directions : int
    units : int
    batch_first : bool
    """

    program: OnnxProgram
    key: str
    input: str
    direction: int
    directions: int
    units: int
    batch_first: bool

    def __call__(self, array: Array) -> Array:
        """The state (sequence, unit) of an array in the layout that the file has for it."""
        try:
            value = np.asarray(self.program.evaluation({self.input: array}).value(self.key))
        except EvaluationError as error:
            raise self._misfit(array, str(error)) from error
        laid = value.swapaxes(0, 1) if self.batch_first and value.ndim == 3 else value
        if laid.ndim != 3 or (laid.shape[0], laid.shape[2]) != (self.directions, self.units):
            raise self._misfit(array, f"it makes a state of shape {value.shape}")
        made: Array = laid[self.direction]
        return made

    def _misfit(self, array: Array, reason: str) -> InputError:
        tensor = self.program.graph.inputs[self.input].type.tensor_type
        sizes = [str(d.dim_value or d.dim_param or "any") for d in tensor.shape.dim]
        return InputError(
            "An initial state does not fit the model's input of that name.",
            where=self.input,
            expected=" x ".join(sizes) or "what the model takes",
            found=f"shape {array.shape}: {reason}",
        )


def settle_start(
    wiring: OnnxWiring,
    program: OnnxProgram,
    built: BuiltNode,
    trials: tuple[Trial, Callable[[], Trial]],
) -> None:
    """Say of each initial state that the file does not hold how it is made, or refuse it.

    Parameters
    ----------
    wiring : OnnxWiring
        Its nodes are changed.
    program : OnnxProgram
    built : BuiltNode
    trials : (Trial, callable)
        One, and what makes another with other inputs.
    """
    keys = dict(zip(STATES[built.node.op], built.node.inputs[FIRST_STATE_INPUT:], strict=False))
    for direction, name in enumerate(built.layers):
        node = wiring.nodes[name]
        layer = node.layer
        assert isinstance(layer, RecurrentLayer)
        before = layer.initial_state.value
        parts = dict(before.parts)
        for state, part in before.outside().items():
            parts[state] = _settled(
                wiring, program, built, (direction, keys[state], state), part, trials
            )
        start = InitialState(parts, _words(before, parts), before.listed)
        changed = replace(layer.initial_state, value=start)
        wiring.nodes[name] = replace(node, layer=replace(layer, initial_state=changed))


def _words(before: InitialState, parts: dict[str, StatePart]) -> str:
    outside = {state for state, part in parts.items() if isinstance(part, OutsideState)}
    return before.words if outside == before.outside().keys() else ""


def _settled(
    wiring: OnnxWiring,
    program: OnnxProgram,
    built: BuiltNode,
    place: tuple[int, str, str],
    part: OutsideState,
    trials: tuple[Trial, Callable[[], Trial]],
) -> StatePart:
    direction, key, state = place
    layer = wiring.nodes[built.layers[direction]].layer
    assert isinstance(layer, RecurrentLayer)
    batch_first = bool(built.node.integer("layout"))
    shape = (len(built.layers), layer.cell.num_units)
    if part.kind == "placeholder":
        taken = TakenState(program, key, part.name, direction, shape[0], shape[1], batch_first)
        try:
            taken(trials[0].bound[part.name])
        except (InputError, KeyError):
            reason = f"makes its initial {state} of more than the model's input '{part.name}'"
        else:
            return replace(part, taken=taken)
    else:
        values = _if_constant(key, batch_first, trials)
        if values is not None and values.shape == shape:
            return StoredState(values[direction], f"op {part.op} '{part.name}'")
        reason = f"makes the initial {state} of '{built.name}', which is not computed"
    name = wiring.unique(f"{built.name}/initial_{state}")
    wiring.nodes[name] = Node(name, Unsupported(part.op or "initial state", name, reason), ())
    return UncomputedState(name)


def _if_constant(
    key: str, batch_first: bool, trials: tuple[Trial, Callable[[], Trial]]
) -> Array | None:
    """A state (direction, unit) that is the same whatever the model reads; None if it is not."""
    try:
        first, second = trials[0].value(key), trials[1]().value(key)
    except EvaluationError:
        return None
    if np.ndim(first) != 3 or np.ndim(second) != 3:
        return None
    rows: list[Any] = [one.swapaxes(0, 1) if batch_first else one for one in (first, second)]
    if rows[0].shape[::2] != rows[1].shape[::2]:
        return None
    alike = all(bool((one == rows[0][:, :1]).all()) for one in rows)
    values: Array = rows[0][:, 0]
    return values if alike else None
