"""Layers of a plan as entries of a Keras 3 configuration, and their weights.

References
----------
keras/src/layers/rnn/{lstm,gru,simple_rnn,bidirectional}.py: kernels (input, gates·units) with gates
i, f, c, o or z, r, h; ``reset_after`` gives the bias two rows. ``get_config`` of every layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnnscope.converting.folding import folded_bias, second_bias
from rnnscope.converting.interface import Abilities, Level
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.activations import ACTIVATIONS
from rnnscope.model.cell import Array, CellSpec, reorder_gates
from rnnscope.model.cells.gru import GRU_GATE_ORDER
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
from rnnscope.model.recurrent_layer import RecurrentLayer

RENAMED = {
    "hard_sigmoid": None,  # Keras 3 means another function by this name
    "hard_sigmoid_keras3": "hard_sigmoid",
    "gelu_tanh": None,
}
KERAS3_NAMES = (
    "tanh", "sigmoid", "relu", "relu6", "linear", "elu", "selu", "softplus", "softsign", "softmax",
    "swish", "gelu", "mish", "exponential",
)  # fmt: skip
Names = Mapping[str, str]
NAMES: Names = {
    **{name: name for name in KERAS3_NAMES if name in ACTIVATIONS},
    **{name: new for name, new in RENAMED.items() if new is not None},
}
"""What Keras 3 calls the activations, by rnnscope's names."""

KERAS = Abilities(
    title="Keras 3's LSTM, GRU and SimpleRNN",
    activation=dict.fromkeys(("lstm", "gru", "simple_rnn"), NAMES),
    recurrent_activation={"lstm": NAMES, "gru": NAMES},
    reset_after=(True, False),
    merges=("concat", "sum", "mul", "ave", "none"),
)

CLASSES = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "SimpleRNN"}
GRU_GATES = ("z", "r", "n")

Weights = dict[str, tuple[Array, ...]]
"""Variables by the group of the object that owns them, below the layer's own."""


@dataclass(frozen=True, eq=False)
class KerasLayer:
    """One layer of a Sequential model.

    Attributes
    ----------
    class_name : str
    config : dict
    weights : dict of str to tuple of ndarray
        By group: ``""``, ``"cell"``, ``"forward_layer/cell"``.
    """

    class_name: str
    config: dict[str, Any]
    weights: Weights

    def entry(self) -> dict[str, Any]:
        """Its entry in a list of layers."""
        return {
            "module": "keras.layers",
            "class_name": self.class_name,
            "config": self.config,
            "registered_name": None,
        }


def recurrent(
    level: Level, name: str, *, sequences: bool, names: Names = NAMES
) -> tuple[KerasLayer, tuple[str, ...]]:
    """A level as an LSTM, GRU or SimpleRNN, or as a Bidirectional of two.

    Parameters
    ----------
    level : Level
    name : str
    sequences : bool
        Whether it returns every step.
    names : mapping of str to str
        What the target calls activations, by rnnscope's names.

    Returns
    -------
    layer : KerasLayer
    suffixes : tuple of str
        What rnnscope's reader puts behind the name for every direction.
    """
    if len(level.nodes) == 1:
        layer, cell = level.layers[0], level.cell
        config = _config(layer, name, names, sequences=sequences)
        return KerasLayer(CLASSES[cell.kind], config, {"cell": variables(cell)}), ("",)
    parts = {}
    weights: Weights = {}
    for key, layer in zip(("forward", "backward"), level.layers, strict=True):
        own_name = f"{key}_{CLASSES[layer.cell.kind].lower()}"
        own = _config(layer, own_name, names, sequences=sequences)
        parts[key] = KerasLayer(CLASSES[layer.cell.kind], own, {}).entry()
        weights[f"{key}_layer/cell"] = variables(layer.cell)
    config = {
        **_plain(name, level.cell.dtype.name),
        "merge_mode": level.merge or "concat",
        "layer": parts["forward"],
        "backward_layer": parts["backward"],
    }
    suffixes = tuple(f"/{parts[key]['config']['name']}" for key in ("forward", "backward"))
    return KerasLayer("Bidirectional", config, weights), suffixes


def _config(layer: RecurrentLayer, name: str, names: Names, *, sequences: bool) -> dict[str, Any]:
    cell = layer.cell
    config = {
        **_plain(name, cell.dtype.name),
        "return_sequences": sequences,
        "return_state": False,
        "go_backwards": bool(layer.backward.value),
        "stateful": False,
        "unroll": False,
        "zero_output_for_mask": layer.padding.value == "zeros",
        "units": cell.num_units,
        "activation": names[cell.options.activation.value],
        "use_bias": True,
    }
    if cell.kind != "simple_rnn":
        config["recurrent_activation"] = names[cell.options.recurrent_activation.value]
    if cell.kind == "gru":
        config["reset_after"] = bool(cell.options.reset_after.value)
    if cell.kind == "lstm":
        config["unit_forget_bias"] = True
    return config


def _plain(name: str, dtype: str) -> dict[str, Any]:
    return {"name": name, "trainable": True, "dtype": dtype}


def variables(cell: CellSpec) -> tuple[Array, ...]:
    """Kernel, recurrent kernel and bias of a cell, as Keras orders them."""
    kernel, recurrent_kernel = cell.weights.kernel, cell.weights.recurrent_kernel
    bias = folded_bias(cell)
    if cell.kind != "gru":
        return kernel, recurrent_kernel, bias

    def ordered(array: Array) -> Array:
        return reorder_gates(array, GRU_GATE_ORDER, order=GRU_GATES)

    second = second_bias(cell)
    after = bool(cell.options.reset_after.value)
    bias = np.stack([ordered(bias), ordered(second)]) if after else ordered(bias + second)
    return ordered(kernel), ordered(recurrent_kernel), bias


def _embedding(layer: Embedding, name: str, names: Names) -> KerasLayer:  # noqa: ARG001
    table = np.asarray(layer.table)
    rows, width = table.shape
    config = {
        **_plain(name, table.dtype.name), "input_dim": rows, "output_dim": width,
        "mask_zero": layer.mask_zero,
    }  # fmt: skip
    return KerasLayer("Embedding", config, {"": (table,)})


def _masking(layer: Masking, name: str, names: Names) -> KerasLayer:  # noqa: ARG001
    return KerasLayer("Masking", {**_plain(name, ""), "mask_value": layer.mask_value}, {})


def _dense(layer: Dense, name: str, names: Names) -> KerasLayer | None:
    if layer.activation not in names:
        return None
    config = {
        **_plain(name, layer.kernel.dtype.name), "units": int(layer.kernel.shape[1]),
        "activation": names[layer.activation], "use_bias": layer.bias is not None,
    }  # fmt: skip
    arrays = (layer.kernel,) if layer.bias is None else (layer.kernel, layer.bias)
    return KerasLayer("Dense", config, {"": arrays})


def _distributed(layer: TimeDistributed, name: str, names: Names) -> KerasLayer | None:
    # On its own a Dense layer acts on the last axis of every step, too.
    return _dense(layer.inner, name, names) if isinstance(layer.inner, Dense) else None


def _activation(layer: Activation, name: str, names: Names) -> KerasLayer | None:
    if layer.activation not in names:
        return None
    config = {**_plain(name, ""), "activation": names[layer.activation]}
    return KerasLayer("Activation", config, {})


def _nothing(layer: PassThrough, name: str, names: Names) -> KerasLayer:  # noqa: ARG001 - as the others
    return KerasLayer("Dropout", {**_plain(name, ""), "rate": 0.0}, {})


def _rescaling(layer: Rescaling, name: str, names: Names) -> KerasLayer:  # noqa: ARG001
    config = {**_plain(name, ""), "scale": layer.scale, "offset": layer.offset}
    return KerasLayer("Rescaling", config, {})


def _batch_norm(layer: BatchNormalization, name: str, names: Names) -> KerasLayer:  # noqa: ARG001
    config = {
        **_plain(name, layer.moving_mean.dtype.name), "axis": layer.axis,
        "epsilon": layer.epsilon, "center": layer.beta is not None,
        "scale": layer.gamma is not None,
    }  # fmt: skip
    arrays = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    kept = tuple(array for array in arrays if array is not None)
    return KerasLayer("BatchNormalization", config, {"": kept})


def _layer_norm(layer: LayerNormalization, name: str, names: Names) -> KerasLayer:  # noqa: ARG001
    config = {
        **_plain(name, ""), "axis": layer.axis, "epsilon": layer.epsilon,
        "center": layer.beta is not None, "scale": layer.gamma is not None,
    }  # fmt: skip
    kept = tuple(array for array in (layer.gamma, layer.beta) if array is not None)
    return KerasLayer("LayerNormalization", config, {"": kept})


PLAIN: dict[type, Callable[[Any, str, Names], KerasLayer | None]] = {
    Embedding: _embedding,
    Masking: _masking,
    Dense: _dense,
    TimeDistributed: _distributed,
    Activation: _activation,
    PassThrough: _nothing,
    Rescaling: _rescaling,
    BatchNormalization: _batch_norm,
    LayerNormalization: _layer_norm,
}
"""Plain layers that are written, each with what makes its entry; None for an activation that Keras
lacks."""
