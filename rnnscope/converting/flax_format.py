"""Flax: the parameters of linen's cells in msgpack, as ``flax.serialization`` writes them.

References
----------
flax/linen/recurrent.py: LSTMCell and OptimizedLSTMCell have a Dense for every gate, ``ii``,
``if``, ``ig``, ``io`` without a bias and ``hi``, … with one; GRUCell ``ir``, ``iz``, ``in`` with,
``hr`` and ``hz`` without and ``hn`` with one; SimpleCell ``i`` with and ``h`` without one. Kernels
are (input, units). flax/serialization.py: an array is the extension type 1, which holds shape,
dtype and bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.checkpoints.torch.guesses import says_backward
from rnnscope.converting.folding import folded_bias, folding_words, second_bias
from rnnscope.converting.interface import (
    Abilities,
    FormatOptions,
    Level,
    Plan,
    WeightFormat,
    Written,
)
from rnnscope.converting.left_out_words import wiring_words
from rnnscope.converting.names import clean_names
from rnnscope.model.cell import GATE_ORDER, Array, CellSpec
from rnnscope.model.cells.gru import GRU_GATE_ORDER

FLAX = Abilities(
    title="Flax's OptimizedLSTMCell, GRUCell and SimpleCell",
    activation={kind: {"tanh": "tanh"} for kind in ("lstm", "gru", "simple_rnn")},
    recurrent_activation={"lstm": {"sigmoid": "sigmoid"}, "gru": {"sigmoid": "sigmoid"}},
)
CLASSES = {"lstm": "OptimizedLSTMCell", "gru": "GRUCell", "simple_rnn": "SimpleCell"}
ARRAY_TYPE = 1

Tree = dict[str, dict[str, Array]]


def _abilities(options: FormatOptions) -> Abilities:  # noqa: ARG001 - the same for all
    return FLAX


def _write(plan: Plan, options: FormatOptions) -> Written:  # noqa: ARG001
    named = clean_names((level.name for level in plan.levels), misread=says_backward)
    modules: dict[str, Tree] = {}
    names: dict[str, str] = {}
    lines = []
    for level in plan.levels:
        for node, layer, end in zip(level.nodes, level.layers, _ends(level), strict=True):
            own = f"{named[level.name]}{end}"
            names[node.name] = own
            modules[own] = parameters(layer.cell)
            turned = ", reverse=True, keep_order=True" if layer.backward.value else ""
            cell = f"nn.{CLASSES[layer.cell.kind]}({layer.cell.num_units})"
            given = f'{{"params": {{"cell": params["{own}"]}}}}'
            lines.append(f"nn.RNN({cell}{turned}).apply({given}, x, seq_lengths=n)")
    restore = 'flax.serialization.msgpack_restore(open("{target}", "rb").read())["params"]'
    return Written(
        save=partial(_save, modules=modules),
        names=names,
        load=(f"params = {restore}", *lines),
        folded=folding_words(plan, joined=True),
        left_out=wiring_words(plan, "a tree of parameters"),
    )


def _ends(level: Level) -> tuple[str, ...]:
    if len(level.nodes) == 2:
        return ("_forward", "_backward")
    return ("_backward",) if level.layers[0].backward.value else ("",)


def parameters(cell: CellSpec) -> Tree:
    """The Dense layers of a cell by name, each with ``kernel`` and perhaps ``bias``."""
    weights: Any = cell.weights
    kernel, recurrent = weights.kernel, weights.recurrent_kernel
    bias, second = folded_bias(cell), second_bias(cell)
    if cell.kind == "simple_rnn":
        return {"i": {"kernel": kernel, "bias": bias + second}, "h": {"kernel": recurrent}}
    gates = GATE_ORDER if cell.kind == "lstm" else GRU_GATE_ORDER
    found: Tree = {}
    parts = (np.split(array, len(gates), axis=-1) for array in (kernel, recurrent, bias, second))
    for gate, x_part, m_part, own, added in zip(gates, *parts, strict=True):
        found[f"i{gate}"], found[f"h{gate}"] = {"kernel": x_part}, {"kernel": m_part}
        if cell.kind == "lstm":
            found[f"h{gate}"]["bias"] = own
        elif gate == "n":  # r multiplies the second bias, too
            found["in"]["bias"], found["hn"]["bias"] = own, added
        else:
            found[f"i{gate}"]["bias"] = own + added
    return found


def _save(path: Path, modules: Mapping[str, Tree]) -> None:
    import msgpack

    def packed(array: Array) -> Any:
        own = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        inside = (array.shape, array.dtype.name, own.tobytes())
        return msgpack.ExtType(ARRAY_TYPE, msgpack.packb(inside, use_bin_type=True))

    tree = {
        name: {
            dense: {role: packed(array) for role, array in arrays.items()}
            for dense, arrays in module.items()
        }
        for name, module in modules.items()
    }
    with path.open("xb") as file:
        file.write(msgpack.packb({"params": tree}))


WEIGHT_FORMAT = WeightFormat(
    name="flax",
    title="Flax parameters (.msgpack)",
    holds="OptimizedLSTMCell (or LSTMCell), GRUCell and SimpleCell of linen, by layer",
    framework="Flax",
    suffixes=(".msgpack",),
    abilities=_abilities,
    write=_write,
)
