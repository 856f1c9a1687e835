"""The recurrent layers of a neural network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnscope.checkpoints.coreml.network.interface import NetworkScope, Writer
from rnnscope.checkpoints.coreml.recurrence import ACTIVATIONS, Direction, Recurrence
from rnnscope.checkpoints.translated.messages import NotTranslated
from rnnscope.checkpoints.translated.reading import SourceOperator

GATE_CLIP = 50.0
"""What enters an activation of a recurrent layer is kept within this."""

DEFAULT_CELL_CLIP = 50.0
"""Of c, where the file says 0."""

# In ONNX's order: i, o, f, c; z, r, h.
LSTM_GATES = ("inputGate", "outputGate", "forgetGate", "blockInput")
PEEPHOLES = ("inputGate", "outputGate", "forgetGate")
GRU_GATES = ("updateGate", "resetGate", "outputGate")

NAMES = {"linear": "linear", "ReLU": "relu", "tanh": "tanh", "scaledTanh": "scaled_tanh",
         "sigmoid": "sigmoid", "sigmoidHard": "sigmoid_hard"}  # fmt: skip
"""Activations of recurrent layers, as `ACTIVATIONS` calls them."""

CLOSE = 0.01
"""The documents give 1.71 and 1.7159 for one constant."""


def _activation(params: Any) -> str:
    kind = params.WhichOneof("NonlinearityType") or "none"
    if kind not in NAMES:
        raise NotTranslated(f"has the activation {kind}")
    fixed = ACTIVATIONS[NAMES[kind]][1]
    stated = getattr(params, kind)
    given = [getattr(stated, role) for role in ("alpha", "beta")][: len(fixed)] if fixed else []
    # coremltools leaves the constants out, which are fixed anyway.
    if any(given) and any(abs(a - b) > CLOSE for a, b in zip(given, fixed, strict=True)):
        raise NotTranslated(f"has the activation {kind} with constants {given}")
    return NAMES[kind]


def _activations(several: Any, count: int) -> tuple[str, ...]:
    found = tuple(_activation(one) for one in several)
    if len(found) != count:
        raise NotTranslated(f"has {len(found)} activations, not {count}")
    return found


def _x(scope: NetworkScope, layer: Any) -> str:
    """(timestep, sequence, feature) of what the layer reads, which has two axes more."""
    return scope.made.one(
        "Squeeze", [scope.inputs(layer)[0], scope.made.ints([3, 4])], f"{layer.name}/x"
    )


def _starts(
    scope: NetworkScope, layer: Any, per_direction: int, directions: int
) -> list[tuple[str, ...]]:
    """The states of each direction, (sequence, unit); none where they start from zeros."""
    names = list(layer.input)[1:]
    if not names or set(names) <= scope.from_zeros:
        if names:
            scope.notes.append(
                f"'{layer.name}' starts from zeros, as it does when nobody gives "
                f"{', '.join(names)}."
            )
        return [()] * directions
    if len(names) != per_direction * directions:
        raise NotTranslated(f"has {len(names)} states to start from")
    keys = [
        scope.made.one("Squeeze", [key, scope.made.ints([0, 3, 4])], f"{layer.name}/start")
        for key in scope.inputs(layer)[1:]
    ]
    return [tuple(keys[n * per_direction : (n + 1) * per_direction]) for n in range(directions)]


def _five_axes(scope: NetworkScope, layer: Any, y: str, ends: Sequence[str]) -> list[str]:
    """Outputs with the axes that Core ML has."""
    made, name = scope.made, f"{layer.name}/out"
    whole = made.one("Unsqueeze", [y, made.ints([3, 4])], name)
    return [whole, *(made.one("Unsqueeze", [key, made.ints([0, 3, 4])], name) for key in ends)]


def _gates(
    scope: NetworkScope, layer: Any, weights: Any, gates: Sequence[str], role: str,
    shape: Sequence[int], suffix: str,
) -> str:  # fmt: skip
    """The blocks of all gates, one below the other."""
    keys = [
        scope.store(layer, f"{gate}{role}{suffix}", getattr(weights, f"{gate}{role}"), shape)
        for gate in gates
    ]
    return scope.made.one("Concat", keys, f"{layer.name}/{role}{suffix}", axis=0)


def _lstm_direction(
    scope: NetworkScope, layer: Any, params: Any, weights: Any, suffix: str, starts: Sequence[str]
) -> Direction:
    width, units = params.inputVectorSize, params.outputVectorSize
    made, flags = scope.made, params.params

    def gates(names: Sequence[str], role: str, shape: Sequence[int]) -> str:
        return _gates(scope, layer, weights, names, role, shape, suffix)

    bias = gates(LSTM_GATES, "BiasVector", (units,)) if flags.hasBiasVectors else ""
    if flags.forgetBias:
        one = made.stored(
            f"{layer.name}/forgetBias{suffix}", np.repeat([0, 0, 1, 0], units).astype(np.float32)
        )
        bias = made.one("Add", [bias, one], f"{layer.name}/bias{suffix}") if bias else one
    peepholes = gates(PEEPHOLES, "PeepholeVector", (units,)) if flags.hasPeepholeVectors else ""
    return Direction(
        gates(LSTM_GATES, "WeightMatrix", (units, width)),
        gates(LSTM_GATES, "RecursionMatrix", (units, units)),
        bias, peepholes, tuple(starts),
    )  # fmt: skip


def lstm_of(
    scope: NetworkScope,
    layer: Any,
    name: str,
    starts: Sequence[Sequence[str]],
    *,
    title: str = "Core ML",
    clipped: bool = True,
) -> Recurrence:
    """An LSTM layer of one or two directions.

    Parameters
    ----------
    scope : NetworkScope
    layer : NeuralNetworkLayer
    name : str
    starts : sequence of sequence of str
        The states of each direction.
    title : str
        Whose layer it is.
    clipped : bool
        Whether gates and c are kept within bounds, as Core ML does.

    Raises
    ------
    NotTranslated
        It is none, or has activations or weights that no such layer has.
    """
    kind = layer.WhichOneof("layer")
    if kind not in ("uniDirectionalLSTM", "biDirectionalLSTM"):
        raise NotTranslated(f"is a {kind}, and no LSTM")
    params = getattr(layer, kind)
    both = kind == "biDirectionalLSTM"
    several = list(params.weightParams) if both else [params.weightParams]
    if len(several) != (2 if both else 1):
        raise NotTranslated(f"has weights of {len(several)} directions")
    listed = [params.activationsForwardLSTM, params.activationsBackwardLSTM] if both else [
        params.activations
    ]  # fmt: skip
    chosen = {_activations(one, 3) for one in listed if len(one)}
    if len(chosen) != 1:
        raise NotTranslated("has other activations in its directions")
    limit = params.params.cellClipThreshold or DEFAULT_CELL_CLIP
    return Recurrence(
        "LSTM", name,
        tuple(_lstm_direction(scope, layer, params, weights, end, starts[n])
              for n, (weights, end) in enumerate(zip(several, ("", "/back"), strict=False))),
        False if both else params.reverseInput, params.params.sequenceOutput, chosen.pop(),
        SourceOperator(f"{title} {kind}", "i o f g", "(h, c)"),
        gate_clip=GATE_CLIP if clipped else 0.0, cell_clip=limit if clipped else 0.0,
        coupled=params.params.coupledInputAndForgetGate, sources=scope.sources,
    )  # fmt: skip


def _lstm(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    both = layer.WhichOneof("layer") == "biDirectionalLSTM"
    starts = _starts(scope, layer, 2, len(params.weightParams) if both else 1)
    recurrence = lstm_of(scope, layer, layer.name, starts)
    y, (h, c) = recurrence.write(scope.made, _x(scope, layer))
    if not both:
        return _five_axes(scope, layer, y, (h, c))
    parts = [
        scope.made.node("Split", [key], f"{layer.name}/ends", 2, axis=1, num_outputs=2)
        for key in (h, c)
    ]
    ends = [parts[state][direction] for direction in range(2) for state in range(2)]
    return _five_axes(scope, layer, y, ends)


def _gru(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    width, units = params.inputVectorSize, params.outputVectorSize

    def gates(role: str, shape: Sequence[int]) -> str:
        return _gates(scope, layer, params, GRU_GATES, role, shape, "")

    (start,) = _starts(scope, layer, 1, 1)
    recurrence = Recurrence(
        "GRU", layer.name,
        (Direction(
            gates("WeightMatrix", (units, width)), gates("RecursionMatrix", (units, units)),
            gates("BiasVector", (units,)) if params.hasBiasVectors else "", starts=start,
        ),),
        params.reverseInput, params.sequenceOutput, _activations(params.activations, 2),
        SourceOperator("Core ML gru", "z r n", "h"), gate_clip=GATE_CLIP, sources=scope.sources,
    )  # fmt: skip
    y, ends = recurrence.write(scope.made, _x(scope, layer))
    return _five_axes(scope, layer, y, ends)


def _simple(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    width, units = params.inputVectorSize, params.outputVectorSize
    (start,) = _starts(scope, layer, 1, 1)
    bias = ""
    if params.hasBiasVector:
        bias = scope.store(layer, "biasVector", params.biasVector, (units,))
    recurrence = Recurrence(
        "RNN", layer.name,
        (Direction(
            scope.store(layer, "weightMatrix", params.weightMatrix, (units, width)),
            scope.store(layer, "recursionMatrix", params.recursionMatrix, (units, units)),
            bias, starts=start,
        ),),
        params.reverseInput, params.sequenceOutput, (_activation(params.activation),),
        SourceOperator("Core ML simpleRecurrent", "n", "h"), gate_clip=GATE_CLIP,
        sources=scope.sources,
    )  # fmt: skip
    y, ends = recurrence.write(scope.made, _x(scope, layer))
    return _five_axes(scope, layer, y, ends)


RECURRENT: dict[str, Writer] = {
    "uniDirectionalLSTM": _lstm,
    "biDirectionalLSTM": _lstm,
    "gru": _gru,
    "simpleRecurrent": _simple,
}
"""By type of layer."""
