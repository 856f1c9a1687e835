"""The SimpleRNN of a Keras file."""

from __future__ import annotations

from rnnscope.checkpoints.keras.cells.options import activation_option
from rnnscope.checkpoints.keras.layer_steps import StoredLayer
from rnnscope.checkpoints.keras.weights import LayerWeights, require_shape, take_cell
from rnnscope.files.messages.json_config import ConfigView
from rnnscope.model.cell import CellSpec
from rnnscope.model.cells.simple_rnn import SimpleRNNOptions, SimpleRNNWeights


def simple_rnn_cell(stored: StoredLayer, config: ConfigView, weights: LayerWeights) -> CellSpec:
    """The cell of a SimpleRNN; the parameters are those of `lstm_cell`.

    Raises
    ------
    CheckpointError
        Weights are missing or do not fit the configuration; it names the layer.
    """
    units = config.get("units", int, config.raw("output_dim"))
    kernel, recurrent, bias = take_cell(weights, stored.name, config)
    require_shape(kernel, (None, units), f"{weights.where}: kernel")
    require_shape(recurrent, (units, units), f"{weights.where}: recurrent_kernel")
    require_shape(bias, (units,), f"{weights.where}: bias")
    return CellSpec(
        kind="simple_rnn",
        source_class="keras SimpleRNN",
        weights=SimpleRNNWeights(kernel, recurrent, bias),
        options=SimpleRNNOptions(activation_option(stored, config, "activation", "tanh")),
        variables=tuple(variable.name for variable in weights.variables()),
        stored_gate_order="none",
        from_keras=True,
    )
