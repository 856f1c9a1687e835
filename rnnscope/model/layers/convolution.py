"""Convolutions over time or over the axes of an image. No mask comes out of them."""

from __future__ import annotations

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError
from rnnscope.model.activations import activation
from rnnscope.model.cell import Array
from rnnscope.model.layers.windows import Windows
from rnnscope.model.signal import Layer, Signal


@dataclass(frozen=True, eq=False)
class Convolution(Layer):
    """``activation(windows * kernel + bias)``, on groups of features where there are several.

    Attributes
    ----------
    windows : Windows
    kernel : ndarray (*size, feature / groups, filter)
    bias : ndarray (filter,) or None
    activation : str
    groups : int
    kind : str
        What users call it: ``"Conv2D"``.
    """

    windows: Windows
    kernel: Array
    bias: Array | None = None
    activation: str = "linear"
    groups: int = 1
    kind: str = "Conv1D"

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, *axes, feature) to (sequence, *windows, filter)."""
        values = self.windows.channels_last(signals[0].values)
        kernel = self.kernel.astype(values.dtype, copy=False)
        width = self.kernel.shape[-2] * self.groups
        _require_features(self.kind, values, width)
        parts = [
            _correlated(self.windows.of(part), filters)
            for part, filters in zip(
                np.split(values, self.groups, axis=-1),
                np.split(kernel, self.groups, axis=-1),
                strict=True,
            )
        ]
        return Signal(_finished(self, self.windows, np.concatenate(parts, axis=-1)))


@dataclass(frozen=True, eq=False)
class DepthwiseConvolution(Layer):
    """A convolution of every feature on its own, and of all of them at each place behind it.

    Attributes
    ----------
    windows : Windows
    kernel : ndarray (*size, feature, multiplier)
    pointwise : ndarray (feature · multiplier, filter) or None
        Of a separable convolution.
    bias : ndarray or None
    activation : str
    kind : str
    """

    windows: Windows
    kernel: Array
    pointwise: Array | None = None
    bias: Array | None = None
    activation: str = "linear"
    kind: str = "DepthwiseConv2D"

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, *axes, feature) to (sequence, *windows, filter)."""
        values = self.windows.channels_last(signals[0].values)
        kernel = self.kernel.astype(values.dtype, copy=False)
        *size, features, multiplier = kernel.shape
        _require_features(self.kind, values, features)
        seen = self.windows.of(values)
        places = seen.shape[: -len(size)]
        # (…, feature, 1, size) @ (feature, size, multiplier)
        flat = np.ascontiguousarray(seen).reshape(*places, 1, -1)
        each = kernel.reshape(-1, features, multiplier).transpose(1, 0, 2)
        z = (flat @ each).reshape(*places[:-1], features * multiplier)
        if self.pointwise is not None:
            z = z @ self.pointwise.astype(values.dtype, copy=False)
        return Signal(_finished(self, self.windows, z))


def _correlated(seen: Array, kernel: Array) -> Array:
    """Windows (sequence, *places, feature, *size) with kernels (*size, feature, filter)."""
    axes = kernel.ndim - 2
    # The order of the kernel's axes: (*size, feature).
    ordered = np.moveaxis(seen, -axes - 1, -1)
    places = ordered.shape[: -axes - 1]
    flat = np.ascontiguousarray(ordered).reshape(*places, -1)
    made: Array = flat @ kernel.reshape(-1, kernel.shape[-1])
    return made


def _finished(layer: Convolution | DepthwiseConvolution, windows: Windows, z: Array) -> Array:
    """The bias and the activation, and the features where the layer has them."""
    if layer.bias is not None:
        z = z + layer.bias.astype(z.dtype, copy=False)
    if windows.channels_first and layer.activation == "softmax":
        # Over the last axis as it is stored, whichever that is.
        return activation("softmax", where=layer.kind).function(windows.as_stored(z))
    return windows.as_stored(activation(layer.activation, where=layer.kind).function(z))


def _require_features(kind: str, values: Array, features: int) -> None:
    if values.shape[-1] != features:
        raise InputError(
            f"The input does not fit a {kind} of the model.",
            expected=f"{features} features",
            found=f"{values.shape[-1]} features",
        )
