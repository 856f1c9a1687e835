"""The ONNX operators that become plain layers: products, arithmetic, activations, joins."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from rnnscope.checkpoints.onnx.graph.axes import Axes, Axis, Flow, NoFit, axes_of, place
from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.network.wiring import OnnxWiring, Operator, keep_axes
from rnnscope.model.activations import parametrised
from rnnscope.model.cell import Array
from rnnscope.model.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Embedding,
    LayerNormalization,
    Merge,
)
from rnnscope.model.layers.deferred_table import DeferredTable
from rnnscope.model.layers.elementwise import Arithmetic


def embedding(wiring: OnnxWiring, node: OnnxNode) -> None:
    """A Gather of rows of a constant table."""
    ids = wiring.flow(node.input(1))
    table: Array | DeferredTable | None = wiring.constants.table(node.input(0))
    if table is None and not wiring.constants.holds_whole_numbers(node.input(0)):
        table = _floats(wiring.constants.array(node.input(0)))
    if table is None or node.integer("axis"):
        raise NoFit("looks up something else than rows of a table")
    name = wiring.add(node, Embedding(table, name=node.name), ids)
    axes = None if ids.axes is None else (*ids.axes, Axis("feature", table.shape[1]))
    wiring.flows[node.output(0)] = Flow(name, axes)


def _floats(array: Array | None) -> Array | None:
    """A matrix of floats; None of anything else."""
    return array if array is not None and array.ndim == 2 and array.dtype.kind == "f" else None


def _with_features(flow: Flow, count: int) -> Axes | None:
    """The axes with another number of features on the last."""
    if flow.axes is None:
        return None
    if not flow.axes:
        raise NoFit("reads a single number")
    flow.axes[-1].bind("feature")
    return (*flow.axes[:-1], Axis("feature", count))


def _matmul(wiring: OnnxWiring, node: OnnxNode) -> None:
    flow, kernel = wiring.flow(node.input(0)), wiring.constants.array(node.input(1))
    if kernel is None or kernel.ndim != 2:
        raise NoFit("multiplies by something else than a constant matrix")
    axes = _with_features(flow, kernel.shape[1])
    wiring.flows[node.output(0)] = Flow(wiring.add(node, Dense(kernel), flow), axes)


def _gemm(wiring: OnnxWiring, node: OnnxNode) -> None:
    flow, kernel = wiring.flow(node.input(0)), wiring.constants.array(node.input(1))
    if kernel is None or kernel.ndim != 2 or node.integer("transA"):
        raise NoFit("multiplies by something else than a constant matrix")
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    kernel = (kernel.T if node.integer("transB") else kernel) * kernel.dtype.type(alpha)
    bias = None
    if node.input(2):
        bias = _on_features(wiring.constants.array(node.input(2)))
        bias = np.broadcast_to(bias * bias.dtype.type(beta), kernel.shape[1:])
    axes = _with_features(flow, kernel.shape[1])
    wiring.flows[node.output(0)] = Flow(wiring.add(node, Dense(kernel, bias), flow), axes)


def _on_features(constant: Array | None) -> Array:
    """A constant that differs along features only, (feature,) or a single number."""
    if constant is None or constant.dtype.kind != "f":
        raise NoFit("computes with what is not constant")
    if constant.ndim > 1 and max(constant.shape[:-1]) > 1:
        raise NoFit(f"computes with a constant of shape {constant.shape}")
    return constant.reshape(constant.shape[-1:])


_MERGES = {"Add": "Add", "Sub": "Subtract", "Mul": "Multiply"}


def _arithmetic(wiring: OnnxWiring, node: OnnxNode) -> None:
    first, second = node.input(0), node.input(1)
    if first in wiring.flows and second in wiring.flows:
        if node.op not in _MERGES:
            raise NoFit("divides one signal by another")
        _merge(wiring, node, Merge(_MERGES[node.op]))
        return
    swapped = second in wiring.flows
    flow = wiring.flow(second if swapped else first)
    constant = _on_features(wiring.constants.array(first if swapped else second))
    if flow.axes is not None and constant.size > 1:
        flow.axes[-1].bind("feature")
    keep_axes(wiring, node, flow, Arithmetic(node.op, constant, constant_first=swapped))


def _merge(wiring: OnnxWiring, node: OnnxNode, layer: Merge) -> Axes | None:
    """Join signals of the same axes."""
    flows = [wiring.flow(key) for key in node.inputs]
    known = [flow.axes for flow in flows if flow.axes is not None]
    if len({len(axes) for axes in known}) > 1:
        raise NoFit("joins signals of different numbers of axes")
    for others in known[1:]:
        for mine, other in zip(known[0], others, strict=True):
            mine.join(other)
    axes = known[0] if known else None
    wiring.flows[node.output(0)] = Flow(wiring.add(node, layer, *flows), axes)
    return axes


def _concat(wiring: OnnxWiring, node: OnnxNode) -> None:
    for key in node.inputs:
        axes = wiring.flow(key).axes
        if axes is not None:
            # rnnscope keeps features last, wherever the graph has them.
            axes[place(node.integer("axis"), len(axes))].bind("feature")
    joined = _merge(wiring, node, Merge("Concatenate"))
    if joined is not None:
        number = place(node.integer("axis"), len(joined))
        made = (*joined[:number], Axis("feature"), *joined[number + 1 :])
        wiring.flows[node.output(0)] = replace(wiring.flows[node.output(0)], axes=made)


def _activation(name: str, wiring: OnnxWiring, node: OnnxNode) -> None:
    keep_axes(wiring, node, wiring.flow(node.input(0)), Activation(name, kind=node.op))


def _parametrised(
    name: str, defaults: tuple[float, ...], wiring: OnnxWiring, node: OnnxNode
) -> None:
    pairs = zip(("alpha", "beta"), defaults, strict=False)
    values = [node.number(key, default) for key, default in pairs]
    function = parametrised(name, *(value for value in values if value is not None))
    _activation(function, wiring, node)


def _on_last_axis(name: str, wiring: OnnxWiring, node: OnnxNode) -> None:
    """Softmax: rnnscope knows it along features."""
    flow = wiring.flow(node.input(0))
    axes = axes_of(flow)
    axes[place(node.integer("axis", -1), len(axes))].bind("feature")
    keep_axes(wiring, node, flow, Activation(name, kind=node.op))


def _batch_normalization(wiring: OnnxWiring, node: OnnxNode) -> None:
    flow = wiring.flow(node.input(0))
    gamma, beta, mean, variance = (wiring.constants.array(key) for key in node.inputs[1:5])
    if mean is None or variance is None:
        raise NoFit("normalizes with what is not constant")
    if flow.axes is not None:
        flow.axes[place(1, len(flow.axes))].bind("feature")
    epsilon = node.number("epsilon", 1e-5)
    layer = BatchNormalization(mean, variance, gamma, beta, epsilon or 0.0, name=node.name)
    keep_axes(wiring, node, flow, layer)


def _layer_normalization(wiring: OnnxWiring, node: OnnxNode) -> None:
    flow = wiring.flow(node.input(0))
    axes = axes_of(flow)
    if place(node.integer("axis", -1), len(axes)) != len(axes) - 1 or any(node.outputs[1:]):
        raise NoFit("normalizes more than the last axis")
    axes[-1].bind("feature")
    gamma = wiring.constants.array(node.input(1))
    beta = wiring.constants.array(node.input(2)) if node.input(2) else None
    if gamma is None or (beta is None and node.input(2)):
        raise NoFit("normalizes with what is not constant")
    epsilon = node.number("epsilon", 1e-5)
    layer = LayerNormalization(gamma, beta, epsilon or 0.0, name=node.name)
    keep_axes(wiring, node, flow, layer)


COMPUTED: dict[str, Operator] = {
    "MatMul": _matmul,
    "Gemm": _gemm,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _arithmetic),
    "Concat": _concat,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "Softmax": partial(_on_last_axis, "softmax"),
    **{
        op: partial(_activation, name)
        for op, name in {
            "Exp": "exponential", "Mish": "mish", "Relu": "relu", "Sigmoid": "sigmoid",
            "Softplus": "softplus", "Softsign": "softsign", "Tanh": "tanh",
        }.items()
    },
    **{
        op: partial(_parametrised, name, defaults)
        for op, (name, defaults) in {
            "Elu": ("elu", (1.0,)), "HardSigmoid": ("hard_sigmoid", (0.2, 0.5)),
            "LeakyRelu": ("leaky_relu", (0.01,)),
            "ThresholdedRelu": ("thresholded_relu", (1.0,)),
        }.items()
    },
}  # fmt: skip
"""By operator: what puts it into the network, raising `NoFit` with a reason where it cannot."""
