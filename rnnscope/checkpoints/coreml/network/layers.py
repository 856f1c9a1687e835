"""LAYERS: the layers of a neural network by type, each written in ONNX's operators.

References
----------
coremltools, mlmodel/format/NeuralNetwork.proto: what each layer computes. Of the layers of the
first versions channels are axis -3; ND layers count axes as numpy does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from rnnscope.checkpoints.coreml.network.interface import NetworkScope, Writer
from rnnscope.checkpoints.coreml.network.recurrent import RECURRENT
from rnnscope.checkpoints.translated.messages import NotTranslated

CHANNELS = -3


def _same(kind: str, scope: NetworkScope, layer: Any, _: Any) -> Sequence[str]:
    return [scope.made.one(kind, scope.inputs(layer), layer.name)]


def _several(kind: str, scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    """A sum or product of several inputs, or of one and a constant."""
    keys = scope.inputs(layer)
    if len(keys) == 1:
        raise NotTranslated(f"computes with the constant {params.alpha}")
    made = keys[0]
    for key in keys[1:]:
        made = scope.made.one(kind, [made, key], layer.name)
    return [made]


def _activation(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    kind = params.WhichOneof("NonlinearityType")
    plain = {"ReLU": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "softsign": "Softsign",
             "softplus": "Softplus"}  # fmt: skip
    sloped = {"leakyReLU": "LeakyRelu", "ELU": "Elu", "thresholdedReLU": "ThresholdedRelu"}
    if kind in plain:
        return _same(plain[kind], scope, layer, params)
    if kind in sloped:
        alpha = float(getattr(params, kind).alpha)
        return [scope.made.one(sloped[kind], scope.inputs(layer), layer.name, alpha=alpha)]
    if kind == "sigmoidHard":
        alpha, beta = params.sigmoidHard.alpha or 0.2, params.sigmoidHard.beta or 0.5
        return [
            scope.made.one(
                "HardSigmoid", scope.inputs(layer), layer.name, alpha=float(alpha),
                beta=float(beta),
            )
        ]  # fmt: skip
    raise NotTranslated(f"has the activation {kind}")


def _inner_product(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    """``W x + b`` over the last axis, or over the channels of five axes."""
    if params.int8DynamicQuantize:
        raise NotTranslated("quantises what it reads")
    made, name = scope.made, layer.name
    weights = scope.store(
        layer, "weights", params.weights, (params.outputChannels, params.inputChannels)
    )
    (x,) = scope.inputs(layer)
    five = _has_five_axes(scope, layer)
    if five:
        x = made.one("Squeeze", [x, made.ints([3, 4])], f"{name}/x")
    turned = made.one("Transpose", [weights], f"{name}/turned", perm=[1, 0])
    y = made.one("MatMul", [x, turned], f"{name}/product")
    if params.hasBias:
        bias = scope.store(layer, "bias", params.bias, (params.outputChannels,))
        y = made.one("Add", [y, bias], f"{name}/sum")
    if five:
        return [made.one("Unsqueeze", [y, made.ints([3, 4])], name)]
    return [made.one("Identity", [y], name)]


def _has_five_axes(scope: NetworkScope, layer: Any) -> bool:
    """Whether a layer reads (timestep, sequence, channel, height, width)."""
    if layer.inputTensor:
        return bool(layer.inputTensor[0].rank == 5)
    return scope.five_axes


def _embedding(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    """Rows of a table, by ids on an axis of size 1, which becomes that of features."""
    made, name = scope.made, layer.name
    nd = layer.WhichOneof("layer") == "embeddingND"
    width = params.embeddingSize if nd else params.outputChannels
    rows = params.vocabSize if nd else params.inputDim
    table = scope.store(layer, "weights", params.weights, (width, rows))
    table = made.one("Transpose", [table], f"{name}/table", perm=[1, 0])
    if params.hasBias:
        bias = scope.store(layer, "bias", params.bias, (width,))
        table = made.one("Add", [table, bias], f"{name}/table")
    (ids,) = scope.inputs(layer)
    flat = made.one("Squeeze", [ids, made.ints([-1] if nd else [2, 3, 4])], f"{name}/ids")
    wide = made.one("Cast", [flat], f"{name}/ids", to=7)
    if nd:
        return [made.one("Gather", [table, wide], name, axis=0)]
    found = made.one("Gather", [table, wide], f"{name}/rows", axis=0)
    return [made.one("Unsqueeze", [found, made.ints([3, 4])], name)]


def _axes(kind: str, scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    keys = scope.inputs(layer)
    if not (kind == "Squeeze" and params.squeezeAll):
        keys.append(scope.made.ints(list(params.axes)))
    return [scope.made.one(kind, keys, layer.name)]


def _transpose(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    perm = list(params.axes)
    return [scope.made.one("Transpose", scope.inputs(layer), layer.name, perm=perm)]


def _permute(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    """Axes of (timestep, channel, height, width); sequences, the second of five, stay."""
    places = {0: 0, 1: 2, 2: 3, 3: 4}
    perm = [places[axis] for axis in params.axis]
    if sorted(perm) != [0, 2, 3, 4]:
        raise NotTranslated(f"reorders the axes {list(params.axis)}")
    perm.insert(1, 1)
    return [scope.made.one("Transpose", scope.inputs(layer), layer.name, perm=perm)]


def _reshape(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    keys = [*scope.inputs(layer), scope.made.ints(list(params.targetShape))]
    return [scope.made.one("Reshape", keys, layer.name)]


def _concat(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    """Channels side by side; or timesteps, the first of five axes."""
    axis = 0 if params.sequenceConcat else CHANNELS
    return [scope.made.one("Concat", scope.inputs(layer), layer.name, axis=axis)]


def _concat_nd(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    if params.interleave:
        raise NotTranslated("interleaves what it joins")
    return [scope.made.one("Concat", scope.inputs(layer), layer.name, axis=params.axis)]


def _split(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    count = int(params.nOutputs)
    return scope.made.node(
        "Split", scope.inputs(layer), layer.name, count, axis=CHANNELS, num_outputs=count
    )


def _split_nd(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    count, keys = len(layer.output), scope.inputs(layer)
    if params.splitSizes:
        keys.append(scope.made.ints(list(params.splitSizes)))
        return scope.made.node("Split", keys, layer.name, count, axis=params.axis)
    return scope.made.node("Split", keys, layer.name, count, axis=params.axis, num_outputs=count)


def _constant(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    return [scope.store(layer, "data", params.data, [int(size) for size in params.shape])]


def _softmax(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    nd = layer.WhichOneof("layer") == "softmaxND"
    axis = int(params.axis) if nd else CHANNELS
    return [scope.made.one("Softmax", scope.inputs(layer), layer.name, axis=axis)]


def _batched_matmul(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    """A product with weights of the layer, which it keeps column by column."""
    keys = scope.inputs(layer)
    if len(keys) != 1 or params.int8DynamicQuantize:
        raise NotTranslated("multiplies two inputs, or quantises what it reads")
    made, name = scope.made, layer.name
    shape = (params.weightMatrixSecondDimension, params.weightMatrixFirstDimension)
    weights = scope.store(layer, "weights", params.weights, shape)
    turned = made.one("Transpose", [weights], f"{name}/turned", perm=[1, 0])
    y = made.one("MatMul", [keys[0], turned], f"{name}/product")
    if not params.hasBias:
        return [y]
    bias = scope.store(layer, "bias", params.bias, shape[:1])
    return [made.one("Add", [y, bias], name)]


def _reverse(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    axes = [axis for axis, turned in enumerate(params.reverseDim) if turned]
    parts = [[-1] * len(axes), [-(2**31)] * len(axes), axes, [-1] * len(axes)]
    keys = [*scope.inputs(layer), *(scope.made.ints(part) for part in parts)]
    return [scope.made.one("Slice", keys, layer.name)]


def _slice(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    count, end = len(params.beginIds), 2**31 - 1
    squeezed = [*params.squeezeMasks, *[False] * count][:count]
    bounds = []
    for axis in range(count):
        first, last = params.beginIds[axis], params.endIds[axis]
        step = params.strides[axis]
        if squeezed[axis]:
            bounds.append((first, first + 1 if first != -1 else end, axis, 1))
            continue
        if params.beginMasks[axis]:
            first = 0 if step > 0 else end
        if params.endMasks[axis]:
            last = end if step > 0 else -end
        bounds.append((first, last, axis, step))
    made = scope.made
    parts = [made.ints([one[number] for one in bounds]) for number in range(4)]
    sliced = made.one("Slice", [*scope.inputs(layer), *parts], f"{layer.name}/slice")
    gone = [axis for axis in range(count) if squeezed[axis]]
    if not gone:
        return [sliced]
    return [made.one("Squeeze", [sliced, made.ints(gone)], layer.name)]


def _convolution(scope: NetworkScope, layer: Any, params: Any) -> Sequence[str]:
    """Over the last two axes of four, or of five."""
    if params.isDeconvolution:
        raise NotTranslated("is a convolution turned round")
    size = [int(one) for one in params.kernelSize] or [3, 3]
    weights = scope.store(
        layer, "weights", params.weights, (params.outputChannels, params.kernelChannels, *size)
    )
    made, name = scope.made, layer.name
    (x,) = scope.inputs(layer)
    five = _has_five_axes(scope, layer)
    if five:
        x = made.one("Squeeze", [x, made.ints([0])], f"{name}/x")
    keys = [x, weights]
    if params.hasBias:
        keys.append(scope.store(layer, "bias", params.bias, (params.outputChannels,)))
    pads: list[int] = []
    auto = "SAME_UPPER"
    if params.WhichOneof("ConvolutionPaddingType") == "same":
        auto = "SAME_LOWER" if params.same.asymmetryMode else "SAME_UPPER"
    else:
        amounts = params.valid.paddingAmounts.borderAmounts
        pads = [int(one.startEdgeSize) for one in amounts] + [
            int(one.endEdgeSize) for one in amounts
        ]
        auto = "NOTSET"
    y = made.one(
        "Conv", keys, f"{name}/conv" if five else name, group=max(1, int(params.nGroups)),
        strides=[int(one) for one in params.stride] or None,
        dilations=[int(one) for one in params.dilationFactor] or None,
        auto_pad=auto, pads=pads or None,
    )  # fmt: skip
    return [made.one("Unsqueeze", [y, made.ints([0])], name)] if five else [y]


LAYERS: dict[str, Writer] = {
    **RECURRENT,
    "copy": partial(_same, "Identity"),
    "tanh": partial(_same, "Tanh"),
    "addBroadcastable": partial(_same, "Add"),
    "subtractBroadcastable": partial(_same, "Sub"),
    "multiplyBroadcastable": partial(_same, "Mul"),
    "divideBroadcastable": partial(_same, "Div"),
    "add": partial(_several, "Add"),
    "multiply": partial(_several, "Mul"),
    "activation": _activation,
    "innerProduct": _inner_product,
    "embedding": _embedding,
    "embeddingND": _embedding,
    "expandDims": partial(_axes, "Unsqueeze"),
    "squeeze": partial(_axes, "Squeeze"),
    "transpose": _transpose,
    "permute": _permute,
    "reshapeStatic": _reshape,
    "rankPreservingReshape": _reshape,
    "concat": _concat,
    "concatND": _concat_nd,
    "split": _split,
    "splitND": _split_nd,
    "loadConstantND": _constant,
    "softmax": _softmax,
    "softmaxND": _softmax,
    "batchedMatmul": _batched_matmul,
    "reverse": _reverse,
    "sliceStatic": _slice,
    "convolution": _convolution,
}
"""By type."""
