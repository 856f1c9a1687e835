"""Layers that act on the last axis, or on nothing at inference; a mask passes through them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import UnsupportedCellError
from rnnscope.model.activations import activation
from rnnscope.model.cell import Array
from rnnscope.model.signal import Layer, Signal


@dataclass(frozen=True)
class PassThrough(Layer):
    """A layer that does nothing at inference: Dropout, GaussianNoise and the like."""

    kind: str
    step_by_step = True

    def __call__(self, *signals: Signal) -> Signal:
        """The first signal, unchanged."""
        return signals[0]


@dataclass(frozen=True)
class Activation(Layer):
    """An activation of `rnnscope.model.activations` on its own."""

    activation: str
    kind: str = "Activation"
    step_by_step = True

    def __call__(self, *signals: Signal) -> Signal:
        """Apply it to every value."""
        function = activation(self.activation, where=self.kind).function
        return replace(signals[0], values=function(signals[0].values))


@dataclass(frozen=True)
class MaskedSoftmax(Layer):
    """Keras' Softmax layer over the last axis, which a mask would change."""

    kind: str = "Softmax"
    step_by_step = True

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, …, feature); no mask may come with them.

        Raises
        ------
        UnsupportedCellError
            A mask does.
        """
        if signals[0].mask is not None:
            raise UnsupportedCellError(
                "A Softmax layer is given a mask, which is not computed.", where=self.kind
            )
        function = activation("softmax", where=self.kind).function
        return Signal(function(signals[0].values))


@dataclass(frozen=True)
class Rescaling(Layer):
    """``x * scale + offset``."""

    scale: float
    offset: float = 0.0
    kind: str = "Rescaling"
    step_by_step = True

    def __call__(self, *signals: Signal) -> Signal:
        """Every value, in the dtype that came in."""
        values = signals[0].values
        number = values.dtype.type
        return replace(signals[0], values=values * number(self.scale) + number(self.offset))


@dataclass(frozen=True)
class ArgMax(Layer):
    """The place of the largest feature, the first of several: an id for an embedding."""

    kind: str = "ArgMax"
    step_by_step = True

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, timestep, feature) to ids (sequence, timestep)."""
        return replace(signals[0], values=np.argmax(signals[0].values, axis=-1))


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """``activation(x @ kernel + bias)`` on the last axis.

    Attributes
    ----------
    kernel : ndarray (feature, unit)
    bias : ndarray (unit,) or None
    activation : str
        A name in `rnnscope.model.activations.ACTIVATIONS`.
    """

    kernel: Array
    bias: Array | None = None
    activation: str = "linear"
    kind: str = "Dense"
    step_by_step = True

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, …, feature) to (sequence, …, unit)."""
        values = signals[0].values
        # The weights follow the input, so that float32 in stays float32 out.
        z = values @ self.kernel.astype(values.dtype, copy=False)
        if self.bias is not None:
            z = z + self.bias.astype(values.dtype, copy=False)
        return replace(signals[0], values=activation(self.activation, where=self.kind).function(z))


@dataclass(frozen=True, eq=False)
class BatchNormalization(Layer):
    """Batch normalization at inference: by the moving mean and variance, on one axis.

    Attributes
    ----------
    moving_mean, moving_variance : ndarray (feature,)
    gamma, beta : ndarray (feature,) or None
        Scale and offset, where the layer has them.
    epsilon : float
    axis : int
        As stored: that of the features, the last one unless they come first.
    """

    moving_mean: Array
    moving_variance: Array
    gamma: Array | None = None
    beta: Array | None = None
    epsilon: float = 1e-3
    axis: int = -1
    name: str = "batch_normalization"
    kind: str = "BatchNormalization"
    step_by_step = True

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, …, feature), normalized."""
        values = signals[0].values
        scale = 1 / np.sqrt(self.moving_variance + self.moving_variance.dtype.type(self.epsilon))
        if self.gamma is not None:
            scale = scale * self.gamma
        offset = -self.moving_mean * scale
        if self.beta is not None:
            offset = offset + self.beta
        if not 0 < abs(self.axis) < values.ndim or values.shape[self.axis] != len(scale):
            raise _other_axis(self.axis, values, self.name)
        along = [1] * values.ndim
        along[self.axis] = len(scale)
        scale, offset = (each.astype(values.dtype).reshape(along) for each in (scale, offset))
        return replace(signals[0], values=values * scale + offset)


def _require_last_axis(axis: int, values: Array, name: str) -> None:
    if axis not in (-1, values.ndim - 1):
        raise _other_axis(axis, values, name)


def _other_axis(axis: int, values: Array, name: str) -> UnsupportedCellError:
    return UnsupportedCellError(
        f"Layer '{name}' normalizes an axis that is not the last, or of another size.",
        where=name,
        expected=f"axis -1 or {values.ndim - 1}",
        found=f"axis {axis} of values {values.shape}",
    )


@dataclass(frozen=True, eq=False)
class LayerNormalization(Layer):
    """Layer normalization over the last axis.

    Attributes
    ----------
    gamma, beta : ndarray (feature,) or None
    epsilon : float
    axis : int
        As stored; it must be the last one.
    """

    gamma: Array | None = None
    beta: Array | None = None
    epsilon: float = 1e-3
    axis: int = -1
    name: str = "layer_normalization"
    kind: str = "LayerNormalization"
    step_by_step = True

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, …, feature), normalized."""
        values = signals[0].values
        _require_last_axis(self.axis, values, self.name)
        mean = values.mean(axis=-1, keepdims=True)
        variance = values.var(axis=-1, keepdims=True)
        result = (values - mean) / np.sqrt(variance + values.dtype.type(self.epsilon))
        if self.gamma is not None:
            result = result * self.gamma.astype(values.dtype, copy=False)
        if self.beta is not None:
            result = result + self.beta.astype(values.dtype, copy=False)
        return replace(signals[0], values=result)


@dataclass(frozen=True)
class TimeDistributed(Layer):
    """One layer applied to every timestep on its own; the mask passes by it."""

    inner: Layer
    kind: str = "TimeDistributed"
    step_by_step = True

    def __call__(self, *signals: Signal) -> Signal:
        """Values (sequence, timestep, …) to (sequence, timestep, what the inner layer returns)."""
        values = signals[0].values
        steps = values.reshape(-1, *values.shape[2:])
        result = self.inner(Signal(steps)).values
        return replace(signals[0], values=result.reshape(*values.shape[:2], *result.shape[1:]))
