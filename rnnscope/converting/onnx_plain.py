"""Plain layers as ONNX operators on values whose last axis holds the features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any

import numpy as np

from rnnscope.converting.onnx_messages import node
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Embedding,
    LayerNormalization,
    Masking,
    PassThrough,
    Rescaling,
    TimeDistributed,
)
from rnnscope.model.layers.elementwise import Arithmetic

ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "relu": ("Relu", {}),
    "elu": ("Elu", {"alpha": 1.0}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "exponential": ("Exp", {}),
    "softmax": ("Softmax", {"axis": -1}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
    "hard_sigmoid_keras3": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
}
"""Operators by rnnscope's names."""


@dataclass
class Building:
    """Nodes and constants of a graph that grows.

    Attributes
    ----------
    nodes : list of NodeProto
    arrays : dict of str to ndarray
    """

    nodes: list[Any] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node of one output, and return its name."""
        self.nodes.append(node(op, inputs, [output], **attributes))
        return output

    def constant(self, name: str, array: Array) -> str:
        """Add a constant, and return its name."""
        self.arrays[name] = array
        return name


def _activated(building: Building, key: str, activation: str, output: str) -> str | None:
    if activation == "linear":
        return key
    if activation not in ACTIVATIONS:
        return None
    op, attributes = ACTIVATIONS[activation]
    return building.add(op, [key], output, **attributes)


def _embedding(layer: Embedding, building: Building, key: str, name: str) -> str:
    table = building.constant(f"{name}.table", np.asarray(layer.table))
    return building.add("Gather", [table, key], name, axis=0)


def _dense(layer: Dense, building: Building, key: str, name: str) -> str | None:
    kernel = building.constant(f"{name}.kernel", layer.kernel)
    made = building.add("MatMul", [key, kernel], f"{name}.product")
    if layer.bias is not None:
        bias = building.constant(f"{name}.bias", layer.bias)
        made = building.add("Add", [made, bias], f"{name}.sum")
    return _activated(building, made, layer.activation, name)


def _distributed(layer: TimeDistributed, building: Building, key: str, name: str) -> str | None:
    if not isinstance(layer.inner, Dense):
        return None
    return _dense(layer.inner, building, key, name)


def _activation(layer: Activation, building: Building, key: str, name: str) -> str | None:
    return _activated(building, key, layer.activation, name)


def _nothing(layer: Any, building: Building, key: str, name: str) -> str:  # noqa: ARG001
    return key


def _scaled(building: Building, key: str, name: str, scale: Array, offset: Array) -> str:
    scaled = building.add("Mul", [key, building.constant(f"{name}.scale", scale)], f"{name}.scaled")
    return building.add("Add", [scaled, building.constant(f"{name}.offset", offset)], name)


def _rescaling(layer: Rescaling, building: Building, key: str, name: str) -> str | None:
    scale, offset = (np.array(one, np.float32) for one in (layer.scale, layer.offset))
    return _scaled(building, key, name, scale, offset)


def _arithmetic(layer: Arithmetic, building: Building, key: str, name: str) -> str:
    pair = [key, building.constant(f"{name}.constant", layer.constant)]
    return building.add(layer.kind, pair[::-1] if layer.constant_first else pair, name)


def _batch_norm(layer: BatchNormalization, building: Building, key: str, name: str) -> str | None:
    if layer.axis not in (-1, 2):
        return None
    epsilon = layer.moving_variance.dtype.type(layer.epsilon)
    scale = 1 / np.sqrt(layer.moving_variance + epsilon)
    if layer.gamma is not None:
        scale = scale * layer.gamma
    offset = -layer.moving_mean * scale
    if layer.beta is not None:
        offset = offset + layer.beta
    return _scaled(building, key, name, scale, offset)


def _layer_norm(layer: LayerNormalization, building: Building, key: str, name: str) -> str | None:
    given = layer.gamma if layer.gamma is not None else layer.beta
    if layer.axis not in (-1, 2) or given is None:
        return None
    gamma = np.ones_like(given) if layer.gamma is None else layer.gamma
    inputs = [key, building.constant(f"{name}.gamma", gamma)]
    if layer.beta is not None:
        inputs.append(building.constant(f"{name}.beta", layer.beta))
    return building.add("LayerNormalization", inputs, name, axis=-1, epsilon=float(layer.epsilon))


PLAIN: dict[type, Callable[[Any, Building, str, str], str | None]] = {
    Embedding: _embedding,
    Masking: _nothing,
    Dense: _dense,
    TimeDistributed: _distributed,
    Activation: _activation,
    PassThrough: _nothing,
    Rescaling: _rescaling,
    Arithmetic: _arithmetic,
    BatchNormalization: _batch_norm,
    LayerNormalization: _layer_norm,
}
"""Plain layers that are written: each returns the name of its result, None for what ONNX lacks.

A mask is no value of a graph: it is given as lengths."""
