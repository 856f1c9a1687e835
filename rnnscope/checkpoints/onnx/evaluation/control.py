"""ONNX's loops: Loop and Scan, turn by turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.nodes import Body, OnnxNode
from rnnscope.model.ops import EvaluationError, check_size

Turn = Callable[[list[Any]], list[Any]]
"""What a body returns, of values for its inputs."""

MAX_TURNS = 100_000


def _stacked(parts: list[Any], axis: int = 0) -> Any:
    if not parts:
        raise EvaluationError("a loop of no turns makes nothing that could be stacked")
    check_size((sum(np.size(part) for part in parts),), np.asarray(parts[0]).dtype)
    return np.stack(parts, axis=axis)


def _loop(node: OnnxNode, inputs: list[Any], body: Body, turn: Turn) -> tuple[Any, ...]:
    """Repeat the body as often as it is told, or until its condition does not hold."""
    limit, condition, *state = inputs
    turns = MAX_TURNS + 1 if limit is None else int(np.ravel(limit)[0])
    goes_on = True if condition is None else bool(np.ravel(condition)[0])
    carried = list(state)
    scanned: list[list[Any]] = [[] for _ in body.outputs[1 + len(carried) :]]
    for number in range(turns):
        if not goes_on:
            break
        if number >= MAX_TURNS:
            raise EvaluationError(f"a loop of more than {MAX_TURNS} turns")
        handed = [np.array(number, np.int64), np.array(goes_on), *carried]
        made = turn(handed)
        goes_on = bool(np.ravel(made[0])[0])
        carried = made[1 : 1 + len(carried)]
        for parts, value in zip(scanned, made[1 + len(carried) :], strict=True):
            parts.append(value)
    wanted = node.outputs[len(carried) :]
    pairs = zip(scanned, wanted, strict=False)
    return (*carried, *(_stacked(parts) if key else None for parts, key in pairs))


def _scan(node: OnnxNode, inputs: list[Any], body: Body, turn: Turn) -> tuple[Any, ...]:
    """Run the body over the slices of some inputs along their scan axes."""
    if node.opset < 9:
        raise EvaluationError("Scan before operator set 9 runs sequences apart")
    count = node.integer("num_scan_inputs")
    carried, read = list(inputs[: len(inputs) - count]), inputs[len(inputs) - count :]
    axes = node.ints("scan_input_axes") or (0,) * count
    back = node.ints("scan_input_directions") or (0,) * count
    steps = [np.moveaxis(x, axis, 0)[:: -1 if turned else 1]
             for x, axis, turned in zip(read, axes, back, strict=True)]  # fmt: skip
    turns = {len(x) for x in steps}
    if len(turns) != 1:
        raise EvaluationError(f"scans inputs of {sorted(turns)} steps at once")
    scanned: list[list[Any]] = [[] for _ in body.outputs[len(carried) :]]
    for number in range(turns.pop()):
        made = turn([*carried, *(x[number] for x in steps)])
        carried = made[: len(carried)]
        for parts, value in zip(scanned, made[len(carried) :], strict=True):
            parts.append(value)
    out_axes = node.ints("scan_output_axes") or (0,) * len(scanned)
    turned = node.ints("scan_output_directions") or (0,) * len(scanned)
    whole = [
        _stacked(parts[:: -1 if back_to_front else 1], axis)
        for parts, axis, back_to_front in zip(scanned, out_axes, turned, strict=True)
    ]
    return (*carried, *whole)


CONTROL: dict[str, Callable[[OnnxNode, list[Any], Body, Turn], tuple[Any, ...]]] = {
    "Loop": _loop,
    "Scan": _scan,
}
"""By operator: ``run(node, inputs, body, turn) -> values``."""
