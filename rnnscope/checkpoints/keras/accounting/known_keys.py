"""Every key of a Keras layer's configuration: used, harmless for a reason, or unknown.

A layer runs only if each of its keys is one of the first two; what is not in these tables refuses
the layer by the key's name. The keys are those that ``get_config`` of Keras 1.0 to 3.15 and of
tf.keras writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field
from typing import Any

from rnnscope.deferred_dataclass import dataclass

ANY_LAYER: Mapping[str, str] = {
    "name": "names the layer",
    "trainable": "says whether training changes the weights",
    "dtype": "checked on its own: `dtype_policies`",
    "batch_input_shape": "a shape to build for; the weights have theirs",
    "batch_shape": "a shape to build for; the weights have theirs",
    "input_dtype": "a dtype to build for; the weights have theirs",
    "dynamic": "says how TensorFlow calls the layer, not what it computes",
    "activity_regularizer": "a term of the loss",
}
"""Keys that any layer may have, and why they change no output."""

TRAINING: Mapping[str, str] = {
    **{
        f"{weight}_{what}": reason
        for weight in (
            "kernel", "recurrent", "bias", "embeddings", "beta", "gamma", "moving_mean",
            "moving_variance", "depthwise", "pointwise", "alpha", "W", "U", "b",
        )
        for what, reason in (
            ("initializer", "values before training"),
            ("regularizer", "a term of the loss"),
            ("constraint", "applied by training"),
        )
    },
    "init": "values before training",
    "inner_init": "values before training",
    "forget_bias_init": "values before training; it is inside the bias",
    "unit_forget_bias": "values before training; it is inside the bias",
    "seed": "of dropout and of values before training",
}  # fmt: skip
"""Keys of training alone."""

DROPOUT: Mapping[str, str] = dict.fromkeys(
    ("dropout", "recurrent_dropout", "dropout_W", "dropout_U", "rate", "p", "noise_shape",
     "stddev", "sigma"),
    "drops at training only; a call with training=True is refused",
)  # fmt: skip

WAYS_TO_COMPUTE: Mapping[str, str] = {
    "implementation": "another order of the same sums",
    "consume_less": "another order of the same sums",
    "unroll": "the same steps, written out",
    "input_dim": "the width of x, which the kernel has",
    "input_length": "a number of timesteps to build for",
    "use_cudnn": "another order of the same sums",
}

CELL_USED = (
    "units", "output_dim", "activation", "recurrent_activation", "inner_activation", "use_bias",
    "reset_after",
)  # fmt: skip
RNN_USED = (
    "return_sequences", "return_state", "go_backwards", "zero_output_for_mask", "stateful",
    "time_major",
)  # fmt: skip


@dataclass(frozen=True)
class KnownKeys:
    """What is known of the configuration of one kind of layer.

    Attributes
    ----------
    used : collection of str
        Keys whose values are computed with, noted or refused by what builds the layer.
    harmless : mapping of str to str
        Keys that change no output, whatever they hold, and why.
    only : mapping of str to tuple
        Keys that change nothing at these values alone; None is one of them everywhere.
    """

    used: Collection[str] = ()
    harmless: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def unaccounted(self, config: Mapping[str, Any]) -> str | None:
        """Why a configuration is not accounted for: the end of a sentence; None if it is."""
        for key, value in config.items():
            if key in ANY_LAYER or key in self.used or key in self.harmless:
                continue
            if key in self.only:
                if value is None or value in self.only[key]:
                    continue
                return f"has {key}={shown(value)}, which is not computed"
            return (
                f"has '{key}' ({shown(value)}) in its configuration, which rnnscope does not know"
            )
        return None


CELL = KnownKeys(CELL_USED, {**TRAINING, **DROPOUT, **WAYS_TO_COMPUTE})
LAYER = KnownKeys(
    (*CELL_USED, *RNN_USED), {**TRAINING, **DROPOUT, **WAYS_TO_COMPUTE}, {"num_constants": (0,)}
)
RNN = KnownKeys((*RNN_USED, "cell"), WAYS_TO_COMPUTE, {"num_constants": (0,)})
WRAPPER = KnownKeys(("layer", "backward_layer", "merge_mode"), {}, {"num_constants": (0,)})
STACK = KnownKeys(("cells",))

_DENSE = KnownKeys(
    ("units", "output_dim", "activation", "use_bias", "bias"),
    {**TRAINING, **WAYS_TO_COMPUTE, "lora_alpha": "without lora_rank there is no LoRA"},
    {"quantization_config": (), "lora_rank": (0,)},
)
_NORMALIZATION = KnownKeys(
    ("axis", "epsilon", "center", "scale"),
    {
        **TRAINING,
        "momentum": "how training moves mean and variance",
        "renorm_clipping": "without renorm it is not used",
        "renorm_momentum": "without renorm it is not used",
        "virtual_batch_size": "of training; inference takes the moving mean and variance",
        "synchronized": "of training on several devices",
    },
    {"mode": (0,), "renorm": (False,), "rms_scaling": (False,)},
)
_CONVOLUTION = KnownKeys(
    ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups",
     "activation", "use_bias", "depth_multiplier"),
    {
        **TRAINING,
        "rank": "the class tells it",
        "lora_alpha": "without lora_rank there is no LoRA",
    },
    {"quantization_config": (), "lora_rank": (0,)},
)  # fmt: skip
_POOLING = KnownKeys(("pool_size", "strides", "padding", "data_format"))
_GLOBAL_POOLING = KnownKeys(("data_format", "keepdims"))
_NOTHING_AT_INFERENCE = KnownKeys(
    (),
    {**TRAINING, **DROPOUT, "l1": "a term of the loss", "l2": "a term of the loss",
     "data_format": "which axes are dropped together, at training"},
)  # fmt: skip

PLAIN: Mapping[str, KnownKeys] = {
    "Dense": _DENSE,
    "TimeDistributedDense": _DENSE,
    "Activation": KnownKeys(("activation",)),
    "ReLU": KnownKeys(("max_value", "negative_slope", "threshold")),
    "LeakyReLU": KnownKeys(("alpha", "negative_slope")),
    "ELU": KnownKeys(("alpha",)),
    "ThresholdedReLU": KnownKeys(("theta",)),
    "Softmax": KnownKeys(("axis",)),
    "Embedding": KnownKeys(
        ("input_dim", "output_dim", "mask_zero", "quantization_config"),
        {**TRAINING, **WAYS_TO_COMPUTE, **DROPOUT,
         "lora_alpha": "without lora_rank there is no LoRA"},
        {"lora_rank": (0,), "sparse": (False,)},
    ),
    "Masking": KnownKeys(("mask_value",)),
    "BatchNormalization": _NORMALIZATION,
    "BatchNormalizationV1": _NORMALIZATION,
    "BatchNormalizationV2": _NORMALIZATION,
    "LayerNormalization": _NORMALIZATION,
    "TimeDistributed": WRAPPER,
    "RepeatVector": KnownKeys(("n",)),
    "Flatten": KnownKeys(("data_format",)),
    "Reshape": KnownKeys(("target_shape",)),
    "Permute": KnownKeys(("dims",)),
    "Concatenate": KnownKeys(("axis",)),
    "Rescaling": KnownKeys(("scale", "offset")),
    **dict.fromkeys(
        ("Conv1D", "Conv2D", "SeparableConv1D", "SeparableConv2D", "DepthwiseConv1D",
         "DepthwiseConv2D"),
        _CONVOLUTION,
    ),
    **dict.fromkeys(
        ("MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"), _POOLING
    ),
    **dict.fromkeys(
        ("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalAveragePooling1D",
         "GlobalAveragePooling2D"),
        _GLOBAL_POOLING,
    ),
    **dict.fromkeys(("ZeroPadding1D", "ZeroPadding2D"), KnownKeys(("padding", "data_format"))),
    **dict.fromkeys(("Cropping1D", "Cropping2D"), KnownKeys(("cropping", "data_format"))),
    **dict.fromkeys(
        ("UpSampling1D", "UpSampling2D"),
        KnownKeys(("size", "data_format"), {}, {"interpolation": ("nearest",)}),
    ),
    **dict.fromkeys(
        ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), KnownKeys()
    ),
    **dict.fromkeys(
        ("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise",
         "Identity", "SpatialDropout1D", "SpatialDropout2D"),
        _NOTHING_AT_INFERENCE,
    ),
}  # fmt: skip
"""The plain layers that are computed, by class."""

ENTRY_KEYS: Mapping[str, str] = {
    "module": "where the class is from; one that is not Keras' own is refused",
    "class_name": "the class",
    "registered_name": "the class by another name; one that is not Keras' own is refused",
    "config": "read key by key",
    "build_config": "shapes to build for; the weights have theirs",
    "compile_config": "training",
    "name": "the name",
    "inbound_nodes": "what it is called on, read argument by argument",
    "shared_object_id": "which objects of the configuration are one",
    "dtype": "checked on its own: `dtype_policies`",
    "weights": "names of weights, where a reader put them",
}
"""Keys of an entry of a model's list of layers."""


def unknown_entry_key(entry: Mapping[str, Any]) -> str | None:
    """Why an entry is not accounted for, or None."""
    for key, value in entry.items():
        if key not in ENTRY_KEYS and value is not None:
            return f"has '{key}' ({shown(value)}) beside its configuration, unknown to rnnscope"
    return None


def shown(value: object) -> str:
    """A value of a configuration in a sentence, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
