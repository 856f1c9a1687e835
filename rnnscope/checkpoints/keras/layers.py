"""Keras' plain layers: a table from class name to what builds the layer from its config."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.checkpoints.keras.accounting.dtype_policies import policy_name, unknown_policy
from rnnscope.checkpoints.keras.dialect import is_known_activation
from rnnscope.checkpoints.keras.image_layers import IMAGE_BUILDERS
from rnnscope.checkpoints.keras.layer_steps import (
    Builder,
    BuiltLayer,
    LayerStep,
    StoredLayer,
    leave_out,
    plain,
    unsupported,
)
from rnnscope.checkpoints.keras.weights import require_shape, take, take_table
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.json_config import ConfigView
from rnnscope.model.activations import parametrised
from rnnscope.model.cell import Array
from rnnscope.model.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Embedding,
    Flatten,
    LayerNormalization,
    MaskedSoftmax,
    Masking,
    Merge,
    PassThrough,
    Permute,
    RepeatVector,
    Rescaling,
    Reshape,
    TimeDistributed,
    Unsupported,
)
from rnnscope.model.layers.deferred_table import DeferredTable
from rnnscope.model.layers.merges import MERGES
from rnnscope.model.recurrent_layer import RecurrentLayer

NOTHING_AT_INFERENCE = (
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout1D",
    "SpatialDropout2D",
)


def _dense(stored: StoredLayer) -> BuiltLayer:
    config = stored.config
    activation = stored.dialect.activation(config.raw("activation"))
    if not is_known_activation(activation):
        return unsupported(stored, f"has the activation '{activation}', which is not computed")
    # Keras 1 says bias and output_dim where Keras 2 says use_bias and units.
    use_bias = config.get("use_bias", bool, config.get("bias", bool, True))
    units = config.get("units", int, config.raw("output_dim"))
    arrays = take(stored.weights, stored.name, ("kernel", "bias") if use_bias else ("kernel",))
    require_shape(arrays["kernel"], (None, units), f"{stored.weights.where}: kernel")
    if use_bias:
        require_shape(arrays["bias"], (units,), f"{stored.weights.where}: bias")
    leave_out(stored, "dense layer")
    return plain(Dense(arrays["kernel"], arrays.get("bias"), activation))


def _activation(stored: StoredLayer) -> BuiltLayer:
    name = stored.dialect.activation(stored.config.raw("activation"))
    if not is_known_activation(name):
        return unsupported(stored, f"has the activation '{name}', which is not computed")
    return plain(Activation(name))


def _number(config: ConfigView, *keys: str, default: float) -> float:
    """A number under the first of some keys, which a list or an array may hold."""
    value = next((config.raw(key) for key in keys if config.raw(key) is not None), default)
    if isinstance(value, dict) and isinstance(value.get("value"), (int, float)):
        value = value["value"]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise CheckpointError(
            f"The model's configuration has no usable '{keys[0]}'.",
            where=config.where,
            expected="a number",
            found=str(value)[:80],
        )
    return float(value)


def _relu(stored: StoredLayer) -> BuiltLayer:
    config = stored.config
    slope = _number(config, "negative_slope", default=0.0)
    threshold = _number(config, "threshold", default=0.0)
    largest = config.raw("max_value")
    if threshold or (largest is not None and (slope or largest != 6)):
        return unsupported(stored, "has a threshold or a largest value, which are not computed")
    name = "relu6" if largest is not None else "relu"
    return plain(Activation(parametrised("leaky_relu", slope) if slope else name, kind="ReLU"))


def _leaky_relu(stored: StoredLayer) -> BuiltLayer:
    slope = _number(stored.config, "negative_slope", "alpha", default=0.3)
    return plain(Activation(parametrised("leaky_relu", slope), kind="LeakyReLU"))


def _elu(stored: StoredLayer) -> BuiltLayer:
    alpha = _number(stored.config, "alpha", default=1.0)
    return plain(Activation(parametrised("elu", alpha), kind="ELU"))


def _thresholded_relu(stored: StoredLayer) -> BuiltLayer:
    theta = _number(stored.config, "theta", default=1.0)
    return plain(Activation(parametrised("thresholded_relu", theta), kind="ThresholdedReLU"))


def _softmax(stored: StoredLayer) -> BuiltLayer:
    if _axis(stored.config) != -1:
        return unsupported(stored, "is over an axis that is not the last, which is not computed")
    return plain(MaskedSoftmax())


def _embedding(stored: StoredLayer) -> BuiltLayer:
    policy = policy_name(stored.config.raw("dtype"))
    sizes = (stored.config.get("input_dim", int), stored.config.get("output_dim", int))
    table: Array | DeferredTable | None
    if policy.startswith("int8_from_float"):
        table = _quantized_table(stored, sizes)
        if table is None:
            return unsupported(stored, f"is quantized ({policy}) in a way that is not computed")
    elif stored.config.raw("quantization_config") or unknown_policy(stored.config.raw("dtype")):
        reason = unknown_policy(stored.config.raw("dtype")) or "is quantized, not computed"
        return unsupported(stored, reason)
    else:
        table = take_table(stored.weights, stored.name)
    require_shape(table, sizes, stored.weights.where)
    leave_out(stored, "embedding")
    return plain(Embedding(table, stored.config.get("mask_zero", bool, False), stored.name))


def _quantized_table(stored: StoredLayer, sizes: tuple[int, int]) -> Array | None:
    """The rows of an int8 table, each divided by its scale, as Keras does when it looks one up."""
    variables = stored.weights.variables()
    if [variable.shape for variable in variables] != [sizes, sizes[:1]]:
        return None
    rows, scale = (variable.load() for variable in variables)
    if rows.dtype != np.int8 or scale.dtype.kind != "f":
        return None
    table: Array = rows.astype(scale.dtype) / scale[:, None]
    return table


def _masking(stored: StoredLayer) -> BuiltLayer:
    return plain(Masking(stored.config.get("mask_value", float, 0.0)))


def _axis(config: ConfigView) -> int:
    """One axis, which Keras stores as a number or as a list of one; 0 for anything else."""
    value = config.raw("axis", -1)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, int) else 0


def _batch_normalization(stored: StoredLayer) -> BuiltLayer:
    config = stored.config
    scale, center = config.get("scale", bool, True), config.get("center", bool, True)
    roles = [role for role, there in (("gamma", scale), ("beta", center)) if there]
    arrays = take(stored.weights, stored.name, [*roles, "moving_mean", "moving_variance"])
    for role, array in arrays.items():
        require_shape(array, arrays["moving_mean"].shape[:1], f"{stored.weights.where}: {role}")
    leave_out(stored, "not recurrent")
    return plain(
        BatchNormalization(
            gamma=arrays.get("gamma"),
            beta=arrays.get("beta"),
            moving_mean=arrays["moving_mean"],
            moving_variance=arrays["moving_variance"],
            epsilon=config.get("epsilon", float, 1e-3),
            axis=_axis(config),
            name=stored.name,
        )
    )


def _layer_normalization(stored: StoredLayer) -> BuiltLayer:
    config = stored.config
    if _axis(config) == 0:
        return unsupported(stored, "has options that are not computed")
    scale, center = config.get("scale", bool, True), config.get("center", bool, True)
    roles = [role for role, there in (("gamma", scale), ("beta", center)) if there]
    arrays = take(stored.weights, stored.name, roles)
    for role, array in arrays.items():
        require_shape(array, (None,), f"{stored.weights.where}: {role}")
    leave_out(stored, "not recurrent")
    return plain(
        LayerNormalization(
            gamma=arrays.get("gamma"),
            beta=arrays.get("beta"),
            epsilon=config.get("epsilon", float, 1e-3),
            axis=_axis(config),
            name=stored.name,
        )
    )


def _numbers(config: ConfigView, key: str) -> tuple[int, ...]:
    values: list[Any] = config.get(key, list)
    if not all(isinstance(value, int) for value in values):
        raise CheckpointError(
            f"The model's configuration has no usable '{key}'.",
            where=config.where,
            expected="a list of integers",
            found=str(values)[:80],
        )
    return tuple(values)


def _merge(stored: StoredLayer) -> BuiltLayer:
    axis = stored.config.get("axis", int, -1)
    return plain(Merge(stored.class_name, axis, stored.dialect.mask_rule))


def _pass_through(stored: StoredLayer) -> BuiltLayer:
    return plain(PassThrough(stored.class_name))


def _time_distributed(stored: StoredLayer) -> BuiltLayer:
    inner_config = stored.config.view("layer")
    class_name = inner_config.get("class_name", str)
    builder = PLAIN_BUILDERS.get(class_name)
    if builder is None or class_name in ("Masking", "TimeDistributed"):
        return unsupported(stored, f"wraps a {class_name}, which is not computed")
    (weights,) = stored.weights.parts("layer")
    inner = StoredLayer(
        stored.name,
        class_name,
        inner_config.view("config"),
        weights,
        stored.dialect,
        stored.findings,
    )
    layer = builder(inner).steps[0].layer
    if isinstance(layer, (Unsupported, RecurrentLayer)):
        return BuiltLayer((LayerStep("", layer),))
    return plain(TimeDistributed(layer))


def _flatten(stored: StoredLayer) -> BuiltLayer:
    if stored.config.raw("data_format") not in (None, "channels_last", "channels_first"):
        return unsupported(stored, "has a data_format that rnnscope does not know")
    return plain(Flatten(stored.config.raw("data_format") == "channels_first"))


def _rescaling(stored: StoredLayer) -> BuiltLayer:
    scale, offset = (stored.config.raw(key) for key in ("scale", "offset"))
    if not all(isinstance(number, (int, float)) for number in (scale, offset)):
        return unsupported(stored, "scales by arrays, which is not computed")
    return plain(Rescaling(float(scale), float(offset)))


PLAIN_BUILDERS: dict[str, Builder] = {
    "Dense": _dense,
    "TimeDistributedDense": _dense,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "ThresholdedReLU": _thresholded_relu,
    "Softmax": _softmax,
    "Rescaling": _rescaling,
    **IMAGE_BUILDERS,
    "Embedding": _embedding,
    "Masking": _masking,
    "BatchNormalization": _batch_normalization,
    "BatchNormalizationV1": _batch_normalization,
    "BatchNormalizationV2": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "TimeDistributed": _time_distributed,
    "RepeatVector": lambda stored: plain(RepeatVector(stored.config.get("n", int))),
    "Flatten": _flatten,
    "Reshape": lambda stored: plain(Reshape(_numbers(stored.config, "target_shape"))),
    "Permute": lambda stored: plain(Permute(_numbers(stored.config, "dims"))),
    **dict.fromkeys(("Concatenate", *MERGES), _merge),
    **dict.fromkeys(NOTHING_AT_INFERENCE, _pass_through),
}
"""What builds each Keras class that is computed in numpy."""
