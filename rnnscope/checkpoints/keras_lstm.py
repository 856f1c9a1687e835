"""The LSTM of a Keras file, in every layout Keras ever stored, as a `RecurrentLayer`.

Keras keeps the gates in the order i, f, c, o, which is `GATE_ORDER`, and the forget bias inside
the bias. Keras 1 stored twelve arrays, and CuDNNLSTM transposed blocks with two biases.
"""

from __future__ import annotations

import numpy as np

from rnnscope.cell import Array, CellSpec, LSTMOptions, LSTMWeights, Option, reorder_gates
from rnnscope.checkpoints.config_view import ConfigView
from rnnscope.checkpoints.keras_built import StoredLayer
from rnnscope.checkpoints.keras_weights import LayerWeights, require_shape, take
from rnnscope.network import PaddingRule, RecurrentLayer

STORED_GATES = ("i", "f", "g", "o")
"""The order of the gate blocks since Keras 1 with consume_less='gpu'; Keras says c for g."""

KERAS1_GATES = ("i", "g", "f", "o")
KERAS1_ROLES = tuple(f"{part}_{gate}" for gate in KERAS1_GATES for part in "WUb")
"""The twelve arrays of a Keras 1 file, in order."""

Arrays = tuple[Array, Array, Array]
"""kernel, recurrent kernel and bias."""


def lstm_layer(
    stored: StoredLayer,
    config: ConfigView,
    weights: LayerWeights,
    *,
    backward: Option[bool],
    padding: Option[PaddingRule],
    cudnn: bool = False,
) -> RecurrentLayer:
    """One direction of an LSTM.

    Parameters
    ----------
    stored : StoredLayer
        The Keras layer that it belongs to; a Bidirectional has two of these.
    config : ConfigView
        Of the LSTM (or LSTMCell) itself.
    weights : LayerWeights
        Of the cell.
    backward : Option[bool]
    padding : Option[PaddingRule]
    cudnn : bool
        True for CuDNNLSTM.

    Raises
    ------
    CheckpointError
        Weights are missing or do not fit the configuration; it names the layer.
    """
    units = config.get("units", int, config.raw("output_dim"))
    if cudnn:
        (kernel, recurrent, bias), order = _read_cudnn(weights, stored.name, units), STORED_GATES
    elif "units" not in config and len(weights.variables()) == len(KERAS1_ROLES):
        (kernel, recurrent, bias), order = _read_keras1(weights, stored.name, units), KERAS1_GATES
    else:
        (kernel, recurrent, bias), order = _read_lstm(config, weights, stored.name), STORED_GATES
    require_shape(kernel, (None, 4 * units), f"{weights.where}: kernel")
    require_shape(recurrent, (units, 4 * units), f"{weights.where}: recurrent_kernel")
    require_shape(bias, (4 * units,), f"{weights.where}: bias")
    cell = CellSpec(
        kind="lstm",
        source_class="keras CuDNNLSTM" if cudnn else "keras LSTM",
        weights=LSTMWeights(*(reorder_gates(array, order) for array in (kernel, recurrent, bias))),
        options=_options(stored, config, cudnn),
        variables=tuple(variable.name for variable in weights.variables()),
        stored_gate_order=" ".join(order),
    )
    return RecurrentLayer(
        cell=cell,
        backward=backward,
        padding=padding,
        lengths=Option("not wired yet", "config"),
        initial_state=Option("zeros", "class default"),
        state_format=Option("list [h, c]", "class default"),
        outputs_in_input_order=not backward.value,
        return_sequences=config.get("return_sequences", bool, False),
    )


def _options(stored: StoredLayer, config: ConfigView, cudnn: bool) -> LSTMOptions:
    """The options; what a CuDNNLSTM cannot choose is not in its configuration."""
    # Keras 1 calls the gates' activation the inner one.
    inner = "recurrent_activation" if "recurrent_activation" in config else "inner_activation"
    activation = _activation(stored, config, "activation", "tanh")
    return LSTMOptions(
        forget_bias=Option(0.0, "class default", "inside the bias"),
        activation=activation,
        recurrent_activation=_activation(stored, config, inner, "sigmoid")
        if cudnn or inner in config
        else _activation(stored, config, inner, "hard_sigmoid"),
        output_activation=activation,
        cell_clip=Option(None, "class default"),
        proj_clip=Option(None, "class default"),
    )


def _activation(stored: StoredLayer, config: ConfigView, key: str, default: str) -> Option[str]:
    if key not in config:
        return Option(stored.dialect.activation(default), "class default")
    name = stored.dialect.activation(config.raw(key))
    if name.startswith("hard_sigmoid"):
        here, there = ("0.2 z + 0.5", "z / 6 + 0.5")
        if name == "hard_sigmoid_keras3":
            here, there = there, here
        stored.findings.note(
            f"hard_sigmoid is clip({here}) as in {stored.dialect.framework}, which wrote this "
            f"file; another Keras generation would compute clip({there})."
        )
    return Option(name, "config", key)


def _read_lstm(config: ConfigView, weights: LayerWeights, name: str) -> Arrays:
    use_bias = config.get("use_bias", bool, True)
    roles = ("kernel", "recurrent_kernel", "bias")
    arrays = take(weights, name, roles if use_bias else roles[:2])
    kernel = arrays["kernel"]
    bias = arrays["bias"] if use_bias else np.zeros(kernel.shape[-1:], kernel.dtype)
    return kernel, arrays["recurrent_kernel"], bias


def _read_keras1(weights: LayerWeights, name: str, units: int) -> Arrays:
    arrays = take(weights, name, KERAS1_ROLES)
    for role, array in arrays.items():
        shape = {"W": (None, units), "U": (units, units), "b": (units,)}[role[0]]
        require_shape(array, shape, f"{weights.where}: {role}")
    kernel, recurrent, bias = (
        np.concatenate([arrays[f"{part}_{gate}"] for gate in KERAS1_GATES], axis=-1)
        for part in "WUb"
    )
    return kernel, recurrent, bias


def _read_cudnn(weights: LayerWeights, name: str, units: int) -> Arrays:
    """Undo cuDNN's layout, as `keras.engine.saving` of Keras 2.2.4 does on loading."""
    arrays = take(weights, name, ("kernel", "recurrent_kernel", "bias"))
    require_shape(arrays["kernel"], (None, 4 * units), f"{weights.where}: kernel")
    require_shape(
        arrays["recurrent_kernel"], (units, 4 * units), f"{weights.where}: recurrent_kernel"
    )
    require_shape(arrays["bias"], (8 * units,), f"{weights.where}: bias")
    kernel = [
        block.T.reshape(block.shape, order="F") for block in np.split(arrays["kernel"], 4, axis=1)
    ]
    recurrent = [block.T for block in np.split(arrays["recurrent_kernel"], 4, axis=1)]
    bias = arrays["bias"][: 4 * units] + arrays["bias"][4 * units :]
    return np.concatenate(kernel, axis=1), np.concatenate(recurrent, axis=1), bias
