"""The blocks of the gates read in another order than they are stored in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import permutations

import numpy as np

from rnnscope.explaining.computing.setup import DrivenLayer
from rnnscope.explaining.confusions.changes import ChangeLayer, every_layer
from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.readings.deviations import Deviation
from rnnscope.model.cell import GATE_ORDER, Array
from rnnscope.model.cells.gru import GRU_GATE_ORDER

GATES = {"lstm": GATE_ORDER, "gru": GRU_GATE_ORDER}

GATE_WORDS = {
    "i": "input gate",
    "f": "forget gate",
    "g": "candidate",
    "o": "output gate",
    "r": "reset gate",
    "z": "update gate",
    "n": "candidate",
}

PARTS = {
    "": ("kernel", "recurrent_kernel", "bias", "recurrent_bias", "added_bias"),
    "kernels only": ("kernel", "recurrent_kernel"),
    "bias only": ("bias", "recurrent_bias", "added_bias"),
    "input kernel only": ("kernel",),
    "recurrent kernel only": ("recurrent_kernel",),
}
"""What may be read in another order, alone or together; in words, and fields of the weights."""

USUAL_ORDERS = ("i f g o", "i g f o", "i o f g", "f i g o", "i f o g", "f i o g", "i g o f")
"""Orders that frameworks have: torch and Keras, TensorFlow 1, ONNX, others; for parts alone."""


def stored_order(driven: DrivenLayer) -> tuple[str, ...]:
    """The order in which the file has the gates, in the words of the cell."""
    own = GATES[driven.cell.kind]
    stored = tuple(driven.cell.stored_gate_order.split())
    return stored if sorted(stored) == sorted(own) else own


def block_columns(driven: DrivenLayer, order: Sequence[str]) -> Array:
    """The columns of the weights in another order of blocks."""
    return _columns(GATES[driven.cell.kind], driven.cell.num_units, tuple(order))


@cache
def _columns(own: tuple[str, ...], units: int, order: tuple[str, ...]) -> Array:
    starts = {gate: place * units for place, gate in enumerate(own)}
    return np.concatenate([np.arange(starts[gate], starts[gate] + units) for gate in order])


def taken_for(assumed: Sequence[str], parts: Sequence[str]) -> ChangeLayer:
    """Weights whose stored blocks are taken for gates in an assumed order."""

    def change(driven: DrivenLayer) -> DrivenLayer:
        block_of = dict(zip(assumed, stored_order(driven), strict=True))
        columns = block_columns(driven, [block_of[gate] for gate in GATES[driven.cell.kind]])
        weights = driven.cell.weights
        changed = {
            name: array[..., columns]
            for name in parts
            if (array := getattr(weights, name, None)) is not None
        }
        return driven.with_weights(**changed)

    return change


def _gate_orders(facts: Facts) -> Iterator[Deviation]:
    for kind, own in GATES.items():
        layers = facts.some(kind)
        if not layers:
            continue
        stored = stored_order(layers[0])
        usual = [tuple(order.split()) for order in USUAL_ORDERS]
        swaps = [_swapped(stored, *pair) for pair in permutations(range(len(own)), 2)]
        for part, names in PARTS.items():
            likely = set(permutations(own)) if not part or kind == "gru" else {*usual, *swaps}
            for order in permutations(own):
                if order == stored:
                    continue
                yield Deviation(
                    "gate-order",
                    " ".join(order) + (f" ({part})" if part else ""),
                    every_layer(taken_for(order, names), kind),
                    advice=_advice(layers[0], order, part),
                    usual=not part and (kind == "gru" or order in usual or order in swaps),
                    alone=order not in likely,
                )


def _swapped(order: Sequence[str], one: int, other: int) -> tuple[str, ...]:
    found = list(order)
    found[one], found[other] = found[other], found[one]
    return tuple(found)


def _advice(driven: DrivenLayer, assumed: Sequence[str], part: str) -> str:
    stored = stored_order(driven)
    moved = [place for place, gate in enumerate(stored) if assumed[place] != gate]
    blocks = "; ".join(
        f"block {place + 1} is the {GATE_WORDS[stored[place]]} ({stored[place]}) and is used as "
        f"the {GATE_WORDS[assumed[place]]} ({assumed[place]})"
        for place in moved
    )
    names = _names(driven, part)
    if len(moved) == 2:
        change = f"swap blocks {moved[0] + 1} and {moved[1] + 1} of {names}"
    else:
        change = f"read the blocks of {names} as {' '.join(stored)}"
    orders = f"{' '.join(stored)} and read as {' '.join(assumed)}"
    return f"The gates are stored as {orders}: {blocks}. So {change}."


def _names(driven: DrivenLayer, part: str) -> str:
    """The weights to reorder, as the file calls them, as far as their names tell."""
    variables = [
        name.rpartition("/")[2].rpartition(".")[2] or name for name in driven.cell.variables
    ]
    of_bias = [name for name in variables if "bias" in name.lower()]
    of_m = [name for name in variables if "hh" in name or "recurrent" in name]
    chosen = {
        "": variables,
        "bias only": of_bias,
        "kernels only": [name for name in variables if name not in of_bias],
        "input kernel only": [name for name in variables if name not in (*of_bias, *of_m)],
        "recurrent kernel only": [name for name in of_m if name not in of_bias],
    }[part]
    words = {
        "": "the kernels and the bias",
        "bias only": "the bias",
        "kernels only": "the kernels",
        "input kernel only": "the kernel of x",
        "recurrent kernel only": "the kernel of m",
    }[part]
    return " and ".join([name for name in dict.fromkeys(chosen) if name][:4]) or words


CONFUSIONS = (Confusion("gate-order", _gate_orders),)
