"""TensorFlow.js: a layers model (model.json and one shard of weights), written as data.

References
----------
tfjs-layers 4.22: models.ts (loadLayersModel), engine/container.ts (loadWeights: by layer and
variable, in a Bidirectional by ``LAYER/forward_INNER``), layers/recurrent.ts (gates i, f, c, o and
z, r, h; a GRU has its reset gate before the product), layers/wrappers.ts (both directions are
made of one configuration), activations.ts, utils/serialization_utils.ts (every string is turned
into camel case, so that ``gelu_new`` is not found), layers/preprocessing/image_preprocessing.ts
(Rescaling takes no mask).
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.converting.chains import front_words, join_words
from rnnscope.converting.folding import folding_words
from rnnscope.converting.interface import Abilities, FormatOptions, Plan, WeightFormat, Written
from rnnscope.converting.keras_chain import KerasChain, keras_chain, mask_words, order_words
from rnnscope.converting.keras_layers import KerasLayer, Names
from rnnscope.converting.left_out_words import start_words
from rnnscope.errors import UnsupportedCellError, spell
from rnnscope.model.activations import ACTIVATIONS
from rnnscope.model.cell import Array
from rnnscope.model.layers import BatchNormalization, Rescaling
from rnnscope.model.network import Node

MODEL, SHARD = "model.json", "group1-shard1of1.bin"
LIKE = "tfjs-layers 4.22.0"
"""Whose configurations these are."""

TFJS_NAMES = (
    "elu", "selu", "relu", "relu6", "linear", "sigmoid", "hard_sigmoid", "softplus", "softsign",
    "tanh", "softmax", "gelu", "mish", "swish",
)  # fmt: skip
NAMES: Names = {name: name for name in TFJS_NAMES if name in ACTIVATIONS}
"""What TensorFlow.js calls activations, by rnnscope's names: its hard_sigmoid is Keras 2's."""

TFJS = Abilities(
    title="TensorFlow.js' LSTM, GRU and SimpleRNN",
    activation=dict.fromkeys(("lstm", "gru", "simple_rnn"), NAMES),
    recurrent_activation={"lstm": NAMES, "gru": NAMES},
    reset_after=(False,),
    dtypes=("float32",),
    alike_directions=True,
    merges=("concat", "sum", "mul", "ave", "none"),
)

VARIABLES = {
    "LSTM": ("kernel", "recurrent_kernel", "bias"),
    "GRU": ("kernel", "recurrent_kernel", "bias"),
    "SimpleRNN": ("kernel", "recurrent_kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "Embedding": ("embeddings",),
}
"""What the arrays of a layer are called, by its class, in the order of Keras."""


def _abilities(options: FormatOptions) -> Abilities:  # noqa: ARG001 - the same for all
    return TFJS


def _write(plan: Plan, options: FormatOptions) -> Written:  # noqa: ARG001
    made = keras_chain(plan, "tfjs", NAMES, _has)
    _refuse_masked_rescaling(made)
    arrays = {name: array for layer in made.layers for name, array in _variables(layer).items()}
    masks = (
        "put a Masking layer in front; the model computes every step of what it is given, and "
        "predict takes no mask."
    )
    return Written(
        save=partial(save_tfjs, topology=topology(made), arrays=arrays),
        names=made.names,
        load=(
            "// a URL in a browser, file://… with @tensorflow/tfjs-node",
            f"const model = await tf.loadLayersModel('{{target}}/{MODEL}');",
            "const outputs = model.predict(x);",
        ),
        folded=folding_words(plan, joined=True),
        left_out=(*front_words(made.left), *start_words(plan)),
        notes=(
            *mask_words(plan, made, masks),
            *order_words(plan, "TensorFlow.js"),
            *join_words(plan),
        ),
        is_folder=True,
        steps=made.steps,
    )


def _has(step: Node) -> bool:
    """Whether TensorFlow.js has a plain layer with what it is given: numbers, float32 weights."""
    if isinstance(step.layer, Rescaling):
        return all(np.ndim(one) == 0 for one in (step.layer.scale, step.layer.offset))
    if isinstance(step.layer, BatchNormalization):
        return bool(step.layer.moving_mean.dtype == np.float32)
    kernel = getattr(getattr(step.layer, "inner", step.layer), "kernel", None)
    table = getattr(step.layer, "table", kernel)
    return table is None or bool(np.asarray(table[:1]).dtype == np.float32)


def _refuse_masked_rescaling(made: KerasChain) -> None:
    """A Rescaling behind a layer that makes a mask: TensorFlow.js throws there.

    Raises
    ------
    UnsupportedCellError
    """
    if not made.makes_mask:
        return
    for step in made.steps:
        if isinstance(step, Node) and isinstance(step.layer, Rescaling):
            raise UnsupportedCellError(
                "TensorFlow.js' Rescaling takes no mask, and the model has one.",
                where=step.name,
                expected="no Masking layer, nor an Embedding with mask_zero",
                found="a layer that makes a mask",
                hint=f"choose layers with {spell('layers')}, or another format: "
                f"{spell('to', 'keras')}",
            )


def topology(made: KerasChain) -> dict[str, Any]:
    """The configuration of a Sequential model."""
    entries = [_entry(layer) for layer in made.layers]
    entries[0]["config"]["batch_input_shape"] = made.shape
    return {
        "class_name": "Sequential",
        "config": {"name": "converted", "layers": entries},
        "keras_version": LIKE,
        "backend": "tensor_flow.js",
    }


def _entry(layer: KerasLayer) -> dict[str, Any]:
    config = {key: value for key, value in layer.config.items() if key != "backward_layer"}
    if layer.class_name == "Bidirectional":
        inner = dict(config["layer"]["config"])
        inner["name"] = _inner_name(layer)
        config["layer"] = {"class_name": config["layer"]["class_name"], "config": inner}
    return {"class_name": layer.class_name, "config": config}


def _inner_name(layer: KerasLayer) -> str:
    """What both directions are called behind ``forward_`` and ``backward_``."""
    name: str = layer.config["layer"]["config"]["name"]
    return name.removeprefix("forward_")


def _variables(layer: KerasLayer) -> dict[str, Array]:
    """The arrays of a layer by the names under which TensorFlow.js looks for them."""
    name: str = layer.config["name"]
    found: dict[str, Array] = {}
    for owner, arrays in layer.weights.items():
        scope, kind = name, layer.class_name
        if kind == "Bidirectional":
            direction = owner.partition("_")[0]
            kind = layer.config["layer"]["class_name"]
            scope = f"{name}/{direction}_{_inner_name(layer)}"
        found |= {
            f"{scope}/{one}": array for one, array in zip(_names(layer, kind), arrays, strict=False)
        }
    return found


def _names(layer: KerasLayer, kind: str) -> tuple[str, ...]:
    if kind in VARIABLES:
        return VARIABLES[kind]
    # The normalizations: those of both that the layer has.
    scaled = [name for name, key in (("gamma", "scale"), ("beta", "center")) if layer.config[key]]
    return (*scaled, "moving_mean", "moving_variance")


def save_tfjs(path: Path, topology: dict[str, Any], arrays: dict[str, Array]) -> None:
    """Make a folder of ``model.json`` and its weights."""
    path.mkdir()
    weights = [
        {"name": name, "shape": list(map(int, array.shape)), "dtype": "float32"}
        for name, array in arrays.items()
    ]
    model = {
        "format": "layers-model",
        "generatedBy": "rnnscope",
        "convertedBy": None,
        "modelTopology": topology,
        "weightsManifest": [{"paths": [SHARD], "weights": weights}],
    }
    with (path / SHARD).open("xb") as file:
        for array in arrays.values():
            file.write(np.ascontiguousarray(array, "<f4").tobytes())
    (path / MODEL).write_text(json.dumps(model), "utf-8")


WEIGHT_FORMAT = WeightFormat(
    name="tfjs",
    title="TensorFlow.js layers model (a folder)",
    holds="a Sequential model: LSTM, GRU (its reset gate before the product), SimpleRNN, "
    "Bidirectional; in front and between them what keras has",
    framework="TensorFlow.js",
    suffixes=(),
    abilities=_abilities,
    write=_write,
)
