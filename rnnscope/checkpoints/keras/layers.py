"""Keras' plain layers: a table from class name to what builds the layer from its config."""

from __future__ import annotations

from typing import Any

from rnnscope.checkpoints.interface import LeftOut
from rnnscope.checkpoints.keras.dialect import is_known_activation
from rnnscope.checkpoints.keras.layer_steps import (
    Builder,
    BuiltLayer,
    LayerStep,
    StoredLayer,
    plain,
    unsupported,
)
from rnnscope.checkpoints.keras.weights import require_shape, take
from rnnscope.errors import CheckpointError
from rnnscope.files.json_config import ConfigView
from rnnscope.model.layers import (
    Activation,
    BatchNormalization,
    Dense,
    Embedding,
    Flatten,
    LayerNormalization,
    Masking,
    Merge,
    PassThrough,
    Permute,
    RepeatVector,
    Reshape,
    TimeDistributed,
    Unsupported,
)
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
)


def _leave_out(stored: StoredLayer, reason: str) -> None:
    for variable in stored.weights.variables():
        stored.findings.left_out.append(LeftOut(variable.name, reason, variable.shape))


def _dense(stored: StoredLayer) -> BuiltLayer:
    config = stored.config
    activation = stored.dialect.activation(config.raw("activation"))
    if not is_known_activation(activation):
        return unsupported(stored, f"has the activation '{activation}', which is not computed")
    if config.raw("quantization_config") or config.raw("lora_rank"):
        return unsupported(stored, "is quantized or has LoRA weights, which are not computed")
    # Keras 1 says bias and output_dim where Keras 2 says use_bias and units.
    use_bias = config.get("use_bias", bool, config.get("bias", bool, True))
    units = config.get("units", int, config.raw("output_dim"))
    arrays = take(stored.weights, stored.name, ("kernel", "bias") if use_bias else ("kernel",))
    require_shape(arrays["kernel"], (None, units), f"{stored.weights.where}: kernel")
    if use_bias:
        require_shape(arrays["bias"], (units,), f"{stored.weights.where}: bias")
    _leave_out(stored, "dense layer")
    return plain(Dense(arrays["kernel"], arrays.get("bias"), activation))


def _activation(stored: StoredLayer) -> BuiltLayer:
    name = stored.dialect.activation(stored.config.raw("activation"))
    if not is_known_activation(name):
        return unsupported(stored, f"has the activation '{name}', which is not computed")
    return plain(Activation(name))


def _relu(stored: StoredLayer) -> BuiltLayer:
    if any(stored.config.raw(key) for key in ("max_value", "negative_slope", "threshold")):
        return unsupported(stored, "has options that are not computed")
    return plain(Activation("relu", kind="ReLU"))


def _embedding(stored: StoredLayer) -> BuiltLayer:
    if stored.config.raw("quantization_config") or stored.config.raw("lora_rank"):
        return unsupported(stored, "is quantized or has LoRA weights, which are not computed")
    table = take(stored.weights, stored.name, ("embeddings",))["embeddings"]
    sizes = (stored.config.get("input_dim", int), stored.config.get("output_dim", int))
    require_shape(table, sizes, stored.weights.where)
    _leave_out(stored, "embedding")
    return plain(Embedding(table, stored.config.get("mask_zero", bool, False), stored.name))


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
    if config.raw("mode") or config.raw("renorm"):
        return unsupported(stored, "has a mode that is not computed")
    scale, center = config.get("scale", bool, True), config.get("center", bool, True)
    roles = [role for role, there in (("gamma", scale), ("beta", center)) if there]
    arrays = take(stored.weights, stored.name, [*roles, "moving_mean", "moving_variance"])
    for role, array in arrays.items():
        require_shape(array, arrays["moving_mean"].shape[:1], f"{stored.weights.where}: {role}")
    _leave_out(stored, "not recurrent")
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
    if config.raw("rms_scaling") or _axis(config) == 0:
        return unsupported(stored, "has options that are not computed")
    scale, center = config.get("scale", bool, True), config.get("center", bool, True)
    roles = [role for role, there in (("gamma", scale), ("beta", center)) if there]
    arrays = take(stored.weights, stored.name, roles)
    for role, array in arrays.items():
        require_shape(array, (None,), f"{stored.weights.where}: {role}")
    _leave_out(stored, "not recurrent")
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


def _flatten(_: StoredLayer) -> BuiltLayer:
    return plain(Flatten())


PLAIN_BUILDERS: dict[str, Builder] = {
    "Dense": _dense,
    "TimeDistributedDense": _dense,
    "Activation": _activation,
    "ReLU": _relu,
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
