"""OpenVINO's recurrent layers as ONNX's: gates and biases in another order, axes in another place.

References
----------
OpenVINO operation sets: LSTMSequence-5 and LSTMCell-4 (gates f, i, c, o; ``clip`` bounds what
enters the activations), GRUSequence-5 and GRUCell-3 (z, r, h; with ``linear_before_reset`` a
fourth bias, that of h which r multiplies), RNNSequence-5 and RNNCell-3. X is (sequence, timestep,
input), Y (sequence, direction, timestep, unit), states (sequence, direction, unit).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rnnscope.checkpoints.openvino.cell_steps import write_step
from rnnscope.checkpoints.openvino.interface import IrScope, Operator
from rnnscope.checkpoints.openvino.ir_graph import IrLayer
from rnnscope.checkpoints.openvino.kinds import KINDS, Kind
from rnnscope.checkpoints.translated.messages import NotTranslated
from rnnscope.checkpoints.translated.reading import SourceOperator

OLDER = {"opset1"}
"""Layers of the first operation set have other inputs (peepholes)."""


def reordered(scope: IrScope, key: str, order: tuple[int, ...], name: str, axis: int) -> str:
    """Equal blocks of a constant along an axis in another order."""
    if order == tuple(range(len(order))):
        return key
    parts = scope.made.node("Split", [key], name, len(order), axis=axis, num_outputs=len(order))
    return scope.made.one("Concat", [parts[number] for number in order], name, axis=axis)


def _bias(scope: IrScope, layer: IrLayer, key: str, kind: Kind, axis: int) -> str:
    """B as ONNX has it: that of x, and that of m, which only a GRU keeps apart."""
    made, name = scope.made, f"{layer.name}/B"
    apart = kind.op == "GRU" and layer.true("linear_before_reset")
    if apart:
        z, r, x, m = made.node("Split", [key], name, 4, axis=axis, num_outputs=4)
        none = made.one("Sub", [z, z], name)
        return made.one("Concat", [z, r, x, none, none, m], name, axis=axis)
    ordered = reordered(scope, key, kind.order, name, axis)
    none = made.one("Sub", [ordered, ordered], name)
    return made.one("Concat", [ordered, none], name, axis=axis)


def _attributes(layer: IrLayer, kind: Kind, directions: int) -> dict[str, Any]:
    """What both have, in ONNX's words."""
    stated = layer.texts("activations") or list(kind.activations)
    return {
        "hidden_size": layer.integer("hidden_size"),
        "activations": [_activation(name) for name in stated] * directions,
        "activation_alpha": layer.floats("activations_alpha") * directions or None,
        "activation_beta": layer.floats("activations_beta") * directions or None,
        "clip": (layer.floats("clip") or [0.0])[0] or None,
        "linear_before_reset": int(layer.true("linear_before_reset")) if kind.op == "GRU" else None,
    }


def _activation(name: str) -> str:
    return {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}.get(name.lower(), name)


def _require_known(layer: IrLayer, count: int) -> None:
    if layer.version in OLDER or len(layer.inputs) != count:
        raise NotTranslated(
            f"has {len(layer.inputs)} inputs in version {layer.version}, where {count} are read"
        )


def _sequence(kind: Kind) -> Operator:
    def write(scope: IrScope, layer: IrLayer, inputs: list[str]) -> list[str]:
        _require_known(layer, 5 + kind.states)
        made, name = scope.made, layer.name
        x, *states = inputs[: 1 + kind.states]
        lengths, w, r, b = inputs[1 + kind.states :]
        direction = layer.data.get("direction", "forward").lower()
        directions = 2 if direction == "bidirectional" else 1
        weights = [
            reordered(scope, w, kind.order, f"{name}/W", 1),
            reordered(scope, r, kind.order, f"{name}/R", 1),
            _bias(scope, layer, b, kind, 1),
        ]
        y, *ends = made.node(
            kind.op, [x, *weights, lengths, *states], name, 1 + kind.states,
            layout=1, direction=direction, **_attributes(layer, kind, directions),
        )  # fmt: skip
        scope.sources[y] = SourceOperator(f"OpenVINO {layer.type}", kind.gates, kind.outputs)
        return [made.one("Transpose", [y], f"{name}/Y", perm=[0, 2, 1, 3]), *ends]

    return write


def _cell(kind: Kind) -> Operator:
    """A single step is a sequence of one."""

    def write(scope: IrScope, layer: IrLayer, inputs: list[str]) -> list[str]:
        _require_known(layer, 4 + kind.states)
        x, *states = inputs[: 1 + kind.states]
        if scope.in_body:
            return write_step(scope, layer, kind, inputs)
        step = scope.made.one("Unsqueeze", [x, scope.made.ints([1])], f"{layer.name}/x")
        weights = inputs[1 + kind.states :]
        _, *ends = write_over_time(
            scope, layer.name, kind, layer, step, weights, states, title=f"OpenVINO {layer.type}"
        )
        return ends

    return write


def write_over_time(
    scope: IrScope,
    name: str,
    kind: Kind,
    cell: IrLayer,
    x: str,
    weights: Sequence[str],
    states: Sequence[str],
    *,
    title: str,
    time_first: bool = False,
    backward: bool = False,
) -> list[str]:
    """A cell over the timesteps of x, in one direction.

    Parameters
    ----------
    scope : IrScope
    name : str
    kind : Kind
    cell : IrLayer
        Whose attributes count.
    x : str
        (sequence, timestep, input); timesteps first if `time_first`.
    weights : sequence of str
        W, R and B of the cell.
    states : sequence of str
        (sequence, unit) each.
    title : str
    time_first, backward : bool

    Returns
    -------
    list of str
        All outputs, axes as those of x, and the final states (sequence, unit).
    """
    made = scope.made
    first, states_axis = made.ints([0]), made.ints([0 if time_first else 1])
    ordered = (
        (reordered(scope, weights[0], kind.order, f"{name}/W", 0), "W"),
        (reordered(scope, weights[1], kind.order, f"{name}/R", 0), "R"),
        (_bias(scope, cell, weights[2], kind, 0), "B"),
    )
    given = [made.one("Unsqueeze", [key, first], f"{name}/{role}") for key, role in ordered]
    starts = [made.one("Unsqueeze", [key, states_axis], f"{name}/start") for key in states]
    y, *ends = made.node(
        kind.op, [x, *given, "", *starts], name, 1 + kind.states,
        layout=int(not time_first), direction="reverse" if backward else "forward",
        **_attributes(cell, kind, 1),
    )  # fmt: skip
    scope.sources[y] = SourceOperator(title, kind.gates, kind.outputs)
    outputs = made.one("Squeeze", [y, made.ints([1 if time_first else 2])], f"{name}/Y")
    return [outputs, *(made.one("Squeeze", [key, states_axis], f"{name}/end") for key in ends)]


RECURRENT: dict[str, Operator] = {
    **{f"{name}Sequence": _sequence(kind) for name, kind in KINDS.items()},
    **{f"{name}Cell": _cell(kind) for name, kind in KINDS.items()},
}
"""By type of layer."""
