"""Layouts of the libraries on JAX: Flax (linen and nnx), Haiku and Equinox; and of MLX.

References
----------
flax/linen/recurrent.py and flax/nnx/nn/recurrent.py: ``LSTMCell`` and ``OptimizedLSTMCell`` (one
Dense a gate, ``ii … ho``, of which ``h`` have biases; nnx's ``OptimizedLSTMCell``: ``dense_i`` and
``dense_h`` in the order i f g o), ``GRUCell`` (r z n; ``hn`` has a bias of its own, as cuDNN's),
``SimpleCell``. haiku/_src/recurrent.py: ``LSTM`` (one Linear of x and h side by side, order i g f
o, 1 added to f at run time), ``GRU`` (order z r a; z weighs the candidate, r is applied before the
product), ``VanillaRNN`` (relu). equinox/nn/_rnn.py: ``LSTMCell`` (i f g o, one bias), ``GRUCell``
(r z n, ``bias_n`` beside). mlx/nn/layers/recurrent.py: ``LSTM`` (Wx, Wh, bias in the order i f g
o), ``GRU`` (Wx, Wh, b in the order r z n, bhn beside), ``RNN`` (Wxh, Whh, bias; tanh unless another
nonlinearity is given).
"""

from __future__ import annotations

import re

from rnnscope.checkpoints.module_layouts.interface import (
    LSTM_ORDER,
    ModuleLayout,
    Part,
    Role,
    Side,
    split_last,
)

FLAX_GATE = re.compile(r"(?P<side>[ih])(?P<gate>[ifgorzn])_?")
FLAX_SIDES: dict[str, Side] = {"dense_i": "x", "dense_h": "m", "i": "x", "h": "m"}


def _flax(name: str) -> Part | None:
    path, last = split_last(name)
    if last not in ("kernel", "bias"):
        return None
    role: Role = "kernel" if last == "kernel" else "bias"
    module, dense = split_last(path)
    found = FLAX_GATE.fullmatch(dense)
    if found is not None:
        side: Side = "x" if found["side"] == "i" else "m"
        return Part(module, role, side, found["gate"], linear=False)
    if dense in FLAX_SIDES:
        return Part(module, role, FLAX_SIDES[dense], linear=False)
    return None


FLAX = ModuleLayout(
    name="flax",
    title="Flax",
    example="lstm/hi/kernel, lstm/hi/bias and lstm/ii/kernel, a pair for each gate",
    part=_flax,
    classes={"lstm": "flax LSTMCell", "gru": "flax GRUCell", "simple_rnn": "flax SimpleCell"},
    state_format="tuple (c, h)",
)

HAIKU_LSTM = re.compile(
    r"(?P<module>(?:.*\.)?(?:[^.]*_)?lstm(?:_cell|_core)?(?:_\d+)?)\.linear\.(?P<role>w|b)",
    re.IGNORECASE,
)
HAIKU_RNN = re.compile(
    r"(?P<module>(?:.*\.)?[^.]*rnn[^.]*)\.(?P<side>linear|linear_1)\.(?P<role>w|b)", re.IGNORECASE
)


def _haiku(name: str) -> Part | None:
    found = HAIKU_LSTM.fullmatch(name)
    if found is not None:
        if found["role"] == "b":
            return Part(found["module"], "bias", "any", linear=False)
        return Part(found["module"], "kernel", "xm", linear=False)
    return None


HAIKU = ModuleLayout(
    name="haiku",
    title="Haiku",
    example="lstm/linear/w and lstm/linear/b",
    part=_haiku,
    classes={"lstm": "haiku LSTM"},
    orders={4: ("i", "g", "f", "o")},
    forget_bias=1.0,
)


def _haiku_gru(name: str) -> Part | None:
    module, last = split_last(name)
    if "gru" not in module.lower():
        return None
    sides: dict[str, Side] = {"w_i": "x", "w_h": "m", "b": "any"}
    if last not in sides:
        return None
    return Part(module, "bias" if last == "b" else "kernel", sides[last], linear=False)


HAIKU_GRU_LAYOUT = ModuleLayout(
    name="haiku",
    title="Haiku",
    example="gru/w_i, gru/w_h and gru/b",
    part=_haiku_gru,
    classes={"gru": "haiku GRU"},
    orders={3: ("z", "r", "n")},
    reset_after=False,
    negated=("z",),
)


def _haiku_rnn(name: str) -> Part | None:
    found = HAIKU_RNN.fullmatch(name)
    if found is None:
        return None
    side: Side = "x" if found["side"] == "linear" else "m"
    return Part(found["module"], "kernel" if found["role"] == "w" else "bias", side, linear=False)


HAIKU_RNN_LAYOUT = ModuleLayout(
    name="haiku",
    title="Haiku",
    example="vanilla_rnn/linear/w and vanilla_rnn/linear_1/w",
    part=_haiku_rnn,
    classes={"simple_rnn": "haiku VanillaRNN"},
    orders={1: ("n",)},
    nonlinearity="relu",
)

EQUINOX_PARTS: dict[str, Part] = {
    "weight_ih": Part("", "kernel", "x", linear=True),
    "weight_hh": Part("", "kernel", "m", linear=True),
    "bias": Part("", "bias", "any"),
    "bias_n": Part("", "bias", "m", "n"),
}
MLX_PARTS: dict[str, Part] = {
    "Wx": Part("", "kernel", "x", linear=True),
    "Wh": Part("", "kernel", "m", linear=True),
    "Wxh": Part("", "kernel", "x", linear=True),
    "Whh": Part("", "kernel", "m", linear=True),
    "bias": Part("", "bias", "any"),
    "b": Part("", "bias", "any"),
    "bhn": Part("", "bias", "m", "n"),
}


def _equinox(name: str) -> Part | None:
    return _last_part(name, EQUINOX_PARTS)


def _mlx(name: str) -> Part | None:
    return _last_part(name, MLX_PARTS)


def _last_part(name: str, parts: dict[str, Part]) -> Part | None:
    module, last = split_last(name)
    found = parts.get(last)
    return (
        None
        if found is None
        else Part(module, found.role, found.side, found.gate, linear=found.linear)
    )


EQUINOX = ModuleLayout(
    name="equinox",
    title="Equinox",
    example="cell.weight_ih, cell.weight_hh and cell.bias",
    part=_equinox,
    classes={"lstm": "equinox LSTMCell", "gru": "equinox GRUCell"},
)

MLX = ModuleLayout(
    name="mlx",
    title="MLX",
    example="lstm.Wx, lstm.Wh and lstm.bias",
    part=_mlx,
    classes={"lstm": "mlx LSTM", "gru": "mlx GRU", "simple_rnn": "mlx RNN"},
    orders={4: LSTM_ORDER, 3: ("r", "z", "n"), 1: ("n",)},
)
