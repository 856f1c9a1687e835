"""Biases as targets keep them: with the forget bias inside, joined, or in two parts."""

from __future__ import annotations

import numpy as np

from rnnscope.converting.interface import Plan
from rnnscope.model.cell import GATE_ORDER, Array, CellSpec


def folded_bias(cell: CellSpec) -> Array:
    """The bias with what the cell adds to it at run time; (gates·num_units,).

    An LSTM's forget bias is added to the block of f, once, in the dtype of the weights; the sum
    ``(z + b) + forget_bias`` becomes ``z + (b + forget_bias)``, equal within rounding.
    """
    bias: Array = cell.weights.bias
    forget = cell.options.forget_bias.value if cell.kind == "lstm" else 0
    if not forget:
        return bias
    blocks = dict(zip(GATE_ORDER, np.split(bias, len(GATE_ORDER)), strict=True))
    blocks["f"] = blocks["f"] + bias.dtype.type(forget)
    joined: Array = np.concatenate([blocks[gate] for gate in GATE_ORDER])
    return joined


def second_bias(cell: CellSpec) -> Array:
    """The bias of the part of m: that of a GRU whose reset gate comes after, else zeros."""
    bias = getattr(cell.weights, "recurrent_bias", None)
    return np.zeros_like(cell.weights.bias) if bias is None else bias


def folding_words(plan: Plan, *, joined: bool, forget_bias: bool = True) -> tuple[str, ...]:
    """What was put into weights, a sentence for each kind of change.

    Parameters
    ----------
    plan : Plan
    joined : bool
        Whether the target has one bias where the source may have two.
    forget_bias : bool
        Whether the forget bias went into the bias.
    """
    found = []
    forgets = {
        node.name: node.recurrent.cell.options.forget_bias.value
        for node in plan.nodes
        if node.recurrent is not None and node.recurrent.cell.kind == "lstm"
    }
    for value in dict.fromkeys(value for value in forgets.values() if value):
        names = ", ".join(f"'{name}'" for name, own in forgets.items() if own == value)
        if forget_bias:
            found.append(f"forget_bias={value:g} of {names} is in the bias of f.")
    two = [
        f"'{node.name}'"
        for node in plan.nodes
        if node.recurrent is not None
        and getattr(node.recurrent.cell.weights, "added_bias", None) is not None
    ]
    if two:
        rest = "one bias" if joined else "the first; the second is zeros"
        found.append(f"The two biases of {', '.join(two)} are added up into {rest}.")
    return tuple(found)
