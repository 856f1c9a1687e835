"""The cells that are drawn: TensorFlow 1.15's own, and cells written here.

`CELLS` maps a kind to how it is drawn, built, and what its state is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from own_cells import TWISTS, Twisted
from tensorflow.contrib.rnn.python.ops import rnn_cell as more_cells

rnn = tf.contrib.rnn
grid_rnn = tf.contrib.grid_rnn
core = tf.nn.rnn_cell

ACTIVATIONS = {
    "tanh": tf.tanh,
    "relu": tf.nn.relu,
    "sigmoid": tf.sigmoid,
    "elu": tf.nn.elu,
    "softsign": tf.nn.softsign,
    "identity": tf.identity,
}


class CellKind(NamedTuple):
    """One kind of cell.

    Attributes
    ----------
    build : callable
        ``build(units, **options)`` gives the cell.
    states : sequence of str
        Names of its state, in the order in which it is flattened.
    draw : callable
        ``draw(random)`` gives the options, as JSON holds them.
    plain : bool
        Whether a reader has to know it, so that a refusal is not as good as the right numbers.
    recorded : bool
        False: it is fused, and takes a whole sequence.
    """

    build: Callable[..., Any]
    states: Sequence[str]
    draw: Callable[[Any], dict] = lambda random: {}
    plain: bool = False
    fused: bool = False
    float64: bool = True


def _some(random, **choices):
    """Each option is given or left to the class, by chance."""
    given = {name: random.choice(values) for name, values in choices.items()}
    return {
        name: value for name, value in given.items() if value is not None and random.random() < 0.6
    }


def _with_activation(build):
    def built(units, **options):
        if "activation" in options:
            options["activation"] = ACTIVATIONS[options["activation"]]
        return build(units, **options)

    return built


def _lstm_options(random):
    options = _some(
        random,
        use_peepholes=[True],
        cell_clip=[0.3, 1.0],
        num_proj=[2, 3],
        forget_bias=[0.0, 0.5, 2.0],
        activation=["relu", "sigmoid", "softsign", "elu"],
    )
    if "num_proj" in options and random.random() < 0.5:
        options["proj_clip"] = 0.4
    return options


def _plain_lstm_options(random):
    return _some(random, forget_bias=[0.0, 0.3, 2.0], activation=["relu", "sigmoid", "softsign"])


def _coupled_options(random):
    options = _lstm_options(random)
    options.pop("cell_clip", None)
    return {**options, **_some(random, layer_norm=[True])} if random.random() < 0.3 else options


BIAS = [0.0, 0.4, 1.7]


def _keras(name):
    return _with_activation(getattr(tf.keras.layers, name))


CELLS = {
    "BasicLSTMCell": CellKind(
        _with_activation(core.BasicLSTMCell), "cm", _plain_lstm_options, plain=True
    ),
    "BasicLSTMCell_concat": CellKind(
        lambda units, **options: core.BasicLSTMCell(units, state_is_tuple=False, **options),
        ["concat"],
        lambda random: _some(random, forget_bias=BIAS),
        plain=True,
    ),
    "LSTMCell": CellKind(_with_activation(core.LSTMCell), "cm", _lstm_options, plain=True),
    "LSTMCell_concat": CellKind(
        _with_activation(
            lambda units, **options: core.LSTMCell(units, state_is_tuple=False, **options)
        ),
        ["concat"],
        _lstm_options,
        plain=True,
    ),
    "LSTMBlockCell": CellKind(
        rnn.LSTMBlockCell,
        "cm",
        lambda random: _some(random, forget_bias=BIAS, cell_clip=[0.4], use_peephole=[True]),
        plain=True,
        float64=False,
    ),
    "LSTMBlockFusedCell": CellKind(
        rnn.LSTMBlockFusedCell,
        "cm",
        lambda random: _some(random, forget_bias=BIAS, cell_clip=[0.4], use_peephole=[True]),
        plain=True,
        fused=True,
        float64=False,
    ),
    "GRUCell": CellKind(
        _with_activation(core.GRUCell),
        "m",
        lambda random: _some(random, activation=["relu", "softsign"]),
        plain=True,
    ),
    "GRUBlockCellV2": CellKind(rnn.GRUBlockCellV2, "m", plain=True, float64=False),
    "GRUBlockCell": CellKind(
        lambda units: rnn.GRUBlockCell(cell_size=units), "m", plain=True, float64=False
    ),
    "BasicRNNCell": CellKind(
        _with_activation(core.BasicRNNCell),
        "m",
        lambda random: _some(random, activation=["relu", "sigmoid"]),
        plain=True,
    ),
    "CoupledInputForgetGate": CellKind(
        _with_activation(rnn.CoupledInputForgetGateLSTMCell), "cm", _coupled_options, plain=True
    ),
    "LayerNormBasicLSTM": CellKind(
        _with_activation(rnn.LayerNormBasicLSTMCell),
        "cm",
        lambda random: _some(
            random, forget_bias=BIAS, layer_norm=[False], norm_gain=[0.7], norm_shift=[0.1]
        ),
        plain=True,
    ),
    "CudnnCompatibleLSTM": CellKind(tf.contrib.cudnn_rnn.CudnnCompatibleLSTMCell, "cm", plain=True),
    "CudnnCompatibleGRU": CellKind(tf.contrib.cudnn_rnn.CudnnCompatibleGRUCell, "m", plain=True),
    "keras_LSTMCell": CellKind(
        _keras("LSTMCell"),
        "mc",
        lambda random: _some(
            random,
            recurrent_activation=["sigmoid"],
            unit_forget_bias=[False],
            activation=["relu"],
            implementation=[2],
            use_bias=[False],
        ),
    ),
    "keras_GRUCell": CellKind(
        _keras("GRUCell"),
        "m",
        lambda random: _some(random, reset_after=[True], recurrent_activation=["sigmoid"]),
    ),
    "keras_SimpleRNNCell": CellKind(_keras("SimpleRNNCell"), "m"),
    "UGRNN": CellKind(rnn.UGRNNCell, "m", lambda random: _some(random, forget_bias=BIAS)),
    "NAS": CellKind(rnn.NASCell, "cm", lambda random: _some(random, num_proj=[2], use_bias=[True])),
    "Intersection": CellKind(
        rnn.IntersectionRNNCell,
        ["state_0"],
        lambda random: (
            {"num_in_proj": None, **_some(random, y_activation=["tanh"])}
            if random.random() < 0.2
            else {"in_proj": True}
        ),
    ),
    "GLSTM": CellKind(
        lambda units, **options: rnn.GLSTMCell(4, number_of_groups=2, **options),
        "cm",
        lambda random: _some(random, num_proj=[2], forget_bias=BIAS),
    ),
    "Phased": CellKind(
        rnn.PhasedLSTMCell,
        "cm",
        lambda random: _some(random, use_peepholes=[True], leak=[0.01], ratio_on=[0.3]),
    ),
    "TimeFreqLSTM": CellKind(
        rnn.TimeFreqLSTMCell,
        ["concat_2"],
        lambda random: {
            "feature_size": None,
            "frequency_skip": 1,
            **_some(random, use_peepholes=[True]),
        },
    ),
    "GridLSTM": CellKind(
        rnn.GridLSTMCell,
        [f"state_{at}" for at in range(8)],
        lambda random: {
            "feature_size": 2,
            "frequency_skip": 2,
            "num_frequency_blocks": [2],
            **_some(random, use_peepholes=[True], share_time_frequency_weights=[True]),
        },
    ),
    "Grid2LSTM": CellKind(
        lambda units, **options: grid_rnn.Grid2LSTMCell(units, output_is_tuple=False, **options),
        [f"state_{at}" for at in range(8)],
        lambda random: _some(random, use_peepholes=[True], tied=[True], forget_bias=BIAS),
    ),
    "Grid2GRU": CellKind(
        lambda units: grid_rnn.Grid2GRUCell(units, output_is_tuple=False),
        [f"state_{at}" for at in range(8)],
    ),
    "SRU": CellKind(rnn.SRUCell, "c"),
    "IndRNN": CellKind(
        _with_activation(rnn.IndRNNCell), "m", lambda random: _some(random, activation=["relu"])
    ),
    "IndyLSTM": CellKind(rnn.IndyLSTMCell, "cm", lambda random: _some(random, forget_bias=BIAS)),
    "IndyGRU": CellKind(rnn.IndyGRUCell, "m"),
    "MinimalRNN": CellKind(more_cells.MinimalRNNCell, "m"),
    "CFN": CellKind(more_cells.CFNCell, "m"),
    "Conv1DLSTM": CellKind(
        lambda units, channels: rnn.Conv1DLSTMCell(
            input_shape=[2, channels], output_channels=units, kernel_shape=[3]
        ),
        "cm",
        lambda random: {"channels": 2},
    ),
    "LayerNormLSTM": CellKind(
        more_cells.LayerNormLSTMCell,
        "cm",
        lambda random: _some(
            random, use_peepholes=[True], num_proj=[2], cell_clip=[0.4], forget_bias=BIAS
        ),
    ),
    "WeightNormLSTM": CellKind(
        more_cells.WeightNormLSTMCell,
        "cm",
        lambda random: _some(random, norm=[False], use_peepholes=[True], num_proj=[2]),
    ),
    **{
        "own_" + twist: CellKind(
            lambda units, twist=twist, **options: Twisted(units, twist, **options),
            "cm",
            lambda random: {"stock_name": True} if random.random() < 0.6 else {},
            plain=twist == "none",
        )
        for twist in TWISTS
    },
}


def build_cell(spec, features):
    """The cell of a description: {"kind", "units", "options"}."""
    kind = CELLS[spec["kind"]]
    options = dict(spec["options"])
    units = spec["units"]
    if spec["kind"] == "Intersection":
        options.pop("num_in_proj", None)
        if options.pop("in_proj", False):
            options["num_in_proj"] = units
    if spec["kind"] == "TimeFreqLSTM":
        options["feature_size"] = features
    if "y_activation" in options:
        options["y_activation"] = ACTIVATIONS[options["y_activation"]]
    return kind.build(units, **options)


def state_names(spec):
    """Names of the flat state, and for one in a single array how wide its parts are."""
    names = list(CELLS[spec["kind"]].states)
    if names == ["concat"]:
        return [(("c", spec["units"]), ("m", spec["options"].get("num_proj", spec["units"])))]
    if names == ["concat_2"]:
        return [(("c", spec["units"]), ("m", spec["units"]))]
    return names
