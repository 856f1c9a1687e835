"""The LSTM of a Keras file, in every layout that Keras ever stored.

Keras keeps the gates in the order i, f, c, o, which is `GATE_ORDER`, and the forget bias inside
the bias. Keras 1 stored twelve arrays, and CuDNNLSTM transposed blocks with two biases.
"""

from __future__ import annotations

import numpy as np

from rnnscope.checkpoints.keras.cells.cudnn import from_cudnn
from rnnscope.checkpoints.keras.cells.options import activation_option, gate_activation
from rnnscope.checkpoints.keras.layer_steps import StoredLayer
from rnnscope.checkpoints.keras.weights import LayerWeights, require_shape, take, take_cell
from rnnscope.files.messages.json_config import ConfigView
from rnnscope.model.cell import (
    IN_BIAS,
    NO_CLIP,
    Array,
    CellSpec,
    LSTMOptions,
    LSTMWeights,
    reorder_gates,
)

STORED_GATES = ("i", "f", "g", "o")
"""The order of the gate blocks since Keras 1 with consume_less='gpu'; Keras says c for g."""

KERAS1_GATES = ("i", "g", "f", "o")
"""The order of the twelve arrays of a Keras 1 file."""

Arrays = tuple[Array, Array, Array]
"""kernel, recurrent kernel and bias."""


PEEPHOLES = {gate: f"{name}_gate_peephole_weights"
             for gate, name in {"i": "input", "f": "forget", "o": "output"}.items()}  # fmt: skip
"""The variables of a PeepholeLSTMCell beside those of an LSTMCell, in Keras' order."""


def lstm_cell(
    stored: StoredLayer,
    config: ConfigView,
    weights: LayerWeights,
    *,
    cudnn: bool = False,
    peepholes: bool = False,
) -> CellSpec:
    """The cell of an LSTM.

    Parameters
    ----------
    stored : StoredLayer
        The Keras layer that it belongs to; a Bidirectional has two of these.
    config : ConfigView
        Of the LSTM (or LSTMCell) itself.
    weights : LayerWeights
        Of the cell.
    cudnn : bool
        True for CuDNNLSTM.
    peepholes : bool
        True for PeepholeLSTMCell of tf.keras.experimental and TensorFlow Addons: i and f see the
        c before the step, o the new one.

    Raises
    ------
    CheckpointError
        Weights are missing or do not fit the configuration; it names the layer.
    """
    units = config.get("units", int, config.raw("output_dim"))
    diagonals: list[Array] = []
    added = None
    if cudnn:
        kernel, recurrent, bias, added = _read_cudnn(weights, stored.name, units)
        order = STORED_GATES
    elif "units" not in config and len(weights.variables()) == 3 * len(KERAS1_GATES):
        arrays = take_keras1(weights, stored.name, units, KERAS1_GATES)
        (kernel, recurrent, bias), order = arrays, KERAS1_GATES
    else:
        more = tuple(PEEPHOLES.values()) if peepholes else ()
        kernel, recurrent, bias, *diagonals = take_cell(weights, stored.name, config, more=more)
        order = STORED_GATES
    require_shape(kernel, (None, 4 * units), f"{weights.where}: kernel")
    require_shape(recurrent, (units, 4 * units), f"{weights.where}: recurrent_kernel")
    require_shape(bias, (4 * units,), f"{weights.where}: bias")
    for diagonal in diagonals:
        require_shape(diagonal, (units,), f"{weights.where}: peephole weights")
    activation = activation_option(stored, config, "activation", "tanh")
    name = "CuDNNLSTM" if cudnn else "PeepholeLSTMCell" if peepholes else "LSTM"
    return CellSpec(
        kind="lstm",
        source_class=f"keras {name}",
        weights=LSTMWeights(
            reorder_gates(kernel, order),
            reorder_gates(recurrent, order),
            reorder_gates(bias, order),
            peephole_i=diagonals[0] if diagonals else None,
            peephole_f=diagonals[1] if diagonals else None,
            peephole_o=diagonals[2] if diagonals else None,
            added_bias=None if added is None else reorder_gates(added, order),
        ),
        options=LSTMOptions(
            forget_bias=IN_BIAS,
            activation=activation,
            recurrent_activation=gate_activation(stored, config, cudnn=cudnn),
            output_activation=activation,
            cell_clip=NO_CLIP,
            proj_clip=NO_CLIP,
        ),
        variables=tuple(variable.name for variable in weights.variables()),
        stored_gate_order=" ".join(order),
        from_keras=True,
    )


def take_keras1(weights: LayerWeights, name: str, units: int, gates: tuple[str, ...]) -> Arrays:
    """The arrays of Keras 1, three for each gate: W, U, b, joined in the order of the gates."""
    roles = [f"{part}_{gate}" for gate in gates for part in "WUb"]
    arrays = take(weights, name, roles)
    for role, array in arrays.items():
        shape = {"W": (None, units), "U": (units, units), "b": (units,)}[role[0]]
        require_shape(array, shape, f"{weights.where}: {role}")
    first = arrays[roles[0]]
    for gate in gates:
        require_shape(arrays[f"W_{gate}"], first.shape, f"{weights.where}: W_{gate}")
    kernel, recurrent, bias = (
        np.concatenate([arrays[f"{part}_{gate}"] for gate in gates], axis=-1) for part in "WUb"
    )
    return kernel, recurrent, bias


def _read_cudnn(weights: LayerWeights, name: str, units: int) -> tuple[Array, Array, Array, Array]:
    arrays = take(weights, name, ("kernel", "recurrent_kernel", "bias"))
    kernel, recurrent, bias = arrays.values()
    require_shape(kernel, (None, 4 * units), f"{weights.where}: kernel")
    require_shape(recurrent, (units, 4 * units), f"{weights.where}: recurrent_kernel")
    require_shape(bias, (8 * units,), f"{weights.where}: bias")
    kernel, recurrent, biases = from_cudnn(kernel, recurrent, bias, 4)
    return kernel, recurrent, biases.sum(axis=0), biases[1]
