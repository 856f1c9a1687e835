"""Keras' convolutions and pooling layers, from their configuration and weights."""

from __future__ import annotations

from typing import Any

from rnnscope.checkpoints.keras.dialect import is_known_activation
from rnnscope.checkpoints.keras.layer_steps import (
    Builder,
    BuiltLayer,
    StoredLayer,
    leave_out,
    plain,
    unsupported,
)
from rnnscope.checkpoints.keras.weights import require_shape, take
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.json_config import ConfigView
from rnnscope.model.layers.convolution import Convolution, DepthwiseConvolution
from rnnscope.model.layers.pooling import Borders, GlobalPooling, Pooling
from rnnscope.model.layers.windows import Windows

PADDINGS = ("valid", "same", "causal")


def _axes(stored: StoredLayer) -> int:
    """How many axes a layer works on, which ends its class."""
    return 2 if stored.class_name.endswith("2D") else 1


def _whole_numbers(config: ConfigView, key: str, axes: int, default: Any = None) -> tuple[int, ...]:
    """A number for every axis, stored as one for all or as a list."""
    value = config.raw(key)
    value = default if value is None else value
    sizes = [value] * axes if isinstance(value, int) else value
    sound = isinstance(sizes, (list, tuple)) and len(sizes) == axes
    if not sound or not all(type(size) is int and size > 0 for size in sizes):
        raise _unusable(config, key, f"{axes} whole numbers of 1 or more")
    return tuple(sizes)


def _unusable(config: ConfigView, key: str, expected: str) -> CheckpointError:
    return CheckpointError(
        f"The model's configuration has no usable '{key}'.",
        where=config.where,
        expected=expected,
        found=str(config.raw(key))[:80],
        hint="The file is damaged or was edited; save the model again.",
    )


def _channels_first(config: ConfigView) -> bool:
    stored = config.raw("data_format")
    if stored not in (None, "channels_last", "channels_first"):
        raise _unusable(config, "data_format", "channels_last or channels_first")
    return bool(stored == "channels_first")


def _windows(stored: StoredLayer, size_key: str, stride: Any = 1) -> Windows:
    config, axes = stored.config, _axes(stored)
    padding = config.get("padding", str, "valid").lower()
    if padding not in PADDINGS or (padding == "causal" and axes > 1):
        raise _unusable(config, "padding", " or ".join(PADDINGS))
    size = _whole_numbers(config, size_key, axes)
    return Windows(
        size=size,
        strides=_whole_numbers(config, "strides", axes, list(size) if stride is None else stride),
        dilation=_whole_numbers(config, "dilation_rate", axes, 1),
        padding=padding,
        channels_first=_channels_first(config),
    )


def _convolution(stored: StoredLayer) -> BuiltLayer:
    config = stored.config
    activation = stored.dialect.activation(config.raw("activation"))
    if not is_known_activation(activation):
        return unsupported(stored, f"has the activation '{activation}', which is not computed")
    windows = _windows(stored, "kernel_size")
    groups = config.get("groups", int, 1)
    use_bias = config.get("use_bias", bool, True)
    roles = ("kernel", "bias") if use_bias else ("kernel",)
    arrays = take(stored.weights, stored.name, roles)
    filters = config.get("filters", int)
    where = stored.weights.where
    require_shape(arrays["kernel"], (*windows.size, None, filters), f"{where}: kernel")
    if groups < 1 or filters % groups:
        raise _unusable(config, "groups", f"a divisor of {filters}")
    if use_bias:
        require_shape(arrays["bias"], (filters,), f"{where}: bias")
    leave_out(stored, "not recurrent")
    return plain(
        Convolution(
            windows, arrays["kernel"], arrays.get("bias"), activation, groups, stored.class_name
        )
    )


def _depthwise(stored: StoredLayer) -> BuiltLayer:
    config = stored.config
    activation = stored.dialect.activation(config.raw("activation"))
    if not is_known_activation(activation):
        return unsupported(stored, f"has the activation '{activation}', which is not computed")
    windows = _windows(stored, "kernel_size")
    if len({*windows.strides}) > 1:
        return unsupported(stored, "has unequal strides, which are not computed")
    separable = stored.class_name.startswith("Separable")
    use_bias = config.get("use_bias", bool, True)
    first = "depthwise_kernel" if separable or stored.dialect.number < (3,) else "kernel"
    roles = [first, *(["pointwise_kernel"] if separable else []), *(["bias"] if use_bias else [])]
    arrays = take(stored.weights, stored.name, roles)
    kernel, where = arrays[first], stored.weights.where
    multiplier = config.get("depth_multiplier", int, 1)
    require_shape(kernel, (*windows.size, None, multiplier), f"{where}: {first}")
    width = kernel.shape[-2] * multiplier
    pointwise = arrays.get("pointwise_kernel")
    if pointwise is not None:
        filters = config.get("filters", int)
        ones = (1,) * _axes(stored)
        require_shape(pointwise, (*ones, width, filters), f"{where}: pointwise_kernel")
        pointwise, width = pointwise.reshape(width, filters), filters
    if use_bias:
        require_shape(arrays["bias"], (width,), f"{where}: bias")
    leave_out(stored, "not recurrent")
    return plain(
        DepthwiseConvolution(
            windows, kernel, pointwise, arrays.get("bias"), activation, stored.class_name
        )
    )


def _pooling(stored: StoredLayer) -> BuiltLayer:
    windows = _windows(stored, "pool_size", None)
    mean = stored.class_name.startswith("Average")
    return plain(Pooling(windows, mean, stored.class_name))


def _global_pooling(stored: StoredLayer) -> BuiltLayer:
    config = stored.config
    return plain(
        GlobalPooling(
            _axes(stored),
            mean="Average" in stored.class_name,
            channels_first=_channels_first(config),
            keepdims=config.get("keepdims", bool, False),
            kind=stored.class_name,
        )
    )


def _pairs(config: ConfigView, key: str, axes: int) -> tuple[tuple[int, int], ...]:
    """How much before and behind each axis: one number, one an axis, or two an axis."""
    value = config.raw(key)
    each = [value] * axes if isinstance(value, int) else value
    # Of one axis the two numbers may stand by themselves.
    if axes == 1 and isinstance(each, list) and all(isinstance(part, int) for part in each):
        each = [each if len(each) == 2 else each * 2]
    if not isinstance(each, list) or len(each) != axes:
        raise _unusable(config, key, f"numbers before and behind {axes} axes")
    pairs = [[part, part] if isinstance(part, int) else part for part in each]
    for pair in pairs:
        sound = isinstance(pair, list) and len(pair) == 2
        if not sound or not all(type(number) is int and number >= 0 for number in pair):
            raise _unusable(config, key, "whole numbers, none of them negative")
    return tuple((before, behind) for before, behind in pairs)


def _borders(stored: StoredLayer) -> BuiltLayer:
    config, axes, name = stored.config, _axes(stored), stored.class_name
    first = _channels_first(config)
    if name.startswith("UpSampling"):
        factors = _whole_numbers(config, "size", axes)
        pairs = tuple((factor, factor) for factor in factors)
        return plain(Borders(pairs, "repeat", first, name))
    how, key = ("pad", "padding") if name.startswith("Zero") else ("crop", "cropping")
    return plain(Borders(_pairs(config, key, axes), how, first, name))


IMAGE_BUILDERS: dict[str, Builder] = {
    f"{name}{axes}D": builder
    for axes in (1, 2)
    for name, builder in {
        "Conv": _convolution,
        "SeparableConv": _depthwise,
        "DepthwiseConv": _depthwise,
        "MaxPooling": _pooling,
        "AveragePooling": _pooling,
        "GlobalMaxPooling": _global_pooling,
        "GlobalAveragePooling": _global_pooling,
        "ZeroPadding": _borders,
        "Cropping": _borders,
        "UpSampling": _borders,
    }.items()
}
"""What builds each class, of one axis and of two."""
