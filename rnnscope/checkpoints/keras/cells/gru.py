"""The GRU of a Keras file, in every layout that Keras ever stored.

Keras keeps the gates in the order z, r, h. Where the reset gate comes after the matrix product
(``reset_after``: tf.keras, Keras 2.3 and later) the bias has two rows, one for x and one for m.
Keras 1 stored nine arrays, and CuDNNGRU transposed blocks with two biases.
"""

from __future__ import annotations

from rnnscope.checkpoints.keras.cells.cudnn import from_cudnn
from rnnscope.checkpoints.keras.cells.lstm import take_keras1
from rnnscope.checkpoints.keras.cells.options import activation_option, gate_activation
from rnnscope.checkpoints.keras.layer_steps import StoredLayer
from rnnscope.checkpoints.keras.weights import LayerWeights, require_shape, take, take_cell
from rnnscope.files.messages.json_config import ConfigView
from rnnscope.model.cell import Array, CellSpec, Option, only_choice, reorder_gates
from rnnscope.model.cells.gru import GRU_GATE_ORDER, GRUOptions, GRUWeights

STORED_GATES = ("z", "r", "n")
"""The order of the gate blocks; Keras says h for n."""


def gru_cell(
    stored: StoredLayer, config: ConfigView, weights: LayerWeights, *, cudnn: bool = False
) -> CellSpec:
    """The cell of a GRU; the parameters are those of `lstm_cell`.

    Raises
    ------
    CheckpointError
        Weights are missing or do not fit the configuration; it names the layer.
    """
    units = config.get("units", int, config.raw("output_dim"))
    reset_after = _reset_after(stored, config, cudnn=cudnn)
    wide, twice = 3 * units, bool(reset_after.value)
    bias: Array
    if cudnn:
        arrays = take(weights, stored.name, ("kernel", "recurrent_kernel", "bias"))
        kernel, recurrent, bias = arrays.values()
        require_shape(bias, (2 * wide,), f"{weights.where}: bias")
    elif "units" not in config and len(weights.variables()) == 3 * len(STORED_GATES):
        kernel, recurrent, bias = take_keras1(weights, stored.name, units, STORED_GATES)
    else:
        kernel, recurrent, bias = take_cell(weights, stored.name, config, twice=twice)
    require_shape(kernel, (None, wide), f"{weights.where}: kernel")
    require_shape(recurrent, (units, wide), f"{weights.where}: recurrent_kernel")
    if cudnn:
        kernel, recurrent, bias = from_cudnn(kernel, recurrent, bias, len(STORED_GATES))
    require_shape(bias, (2, wide) if twice else (wide,), f"{weights.where}: bias")
    return CellSpec(
        kind="gru",
        source_class="keras CuDNNGRU" if cudnn else "keras GRU",
        weights=gru_weights(kernel, recurrent, bias),
        options=GRUOptions(
            activation=activation_option(stored, config, "activation", "tanh"),
            recurrent_activation=gate_activation(stored, config, cudnn=cudnn),
            reset_after=reset_after,
        ),
        variables=tuple(variable.name for variable in weights.variables()),
        stored_gate_order=" ".join(STORED_GATES),
        from_keras=True,
    )


def gru_weights(kernel: Array, recurrent: Array, bias: Array) -> GRUWeights:
    """Weights as Keras lays them out, in the order of the core.

    Parameters
    ----------
    kernel : ndarray (input, 3·units)
    recurrent : ndarray (units, 3·units)
    bias : ndarray (3·units,) or (2, 3·units)
    """

    def ordered(array: Array) -> Array:
        return reorder_gates(array, STORED_GATES, order=GRU_GATE_ORDER)

    after = bias.ndim == 2
    return GRUWeights(
        kernel=ordered(kernel),
        recurrent_kernel=ordered(recurrent),
        bias=ordered(bias[0] if after else bias),
        recurrent_bias=ordered(bias[1]) if after else None,
    )


def _reset_after(stored: StoredLayer, config: ConfigView, *, cudnn: bool) -> Option[bool]:
    if cudnn:
        return only_choice(True, "cuDNN has no other")
    if "reset_after" in config:
        return Option(config.get("reset_after", bool), "config", "reset_after")
    return Option(stored.dialect.reset_after, "class default", "GRU")
