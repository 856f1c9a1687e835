"""What a layout of arrays is: how a library names the weights of its cells, and what it computes.

A layout tells from an array's name which module it belongs to and which blocks of which weight it
holds; `rnnscope.checkpoints.module_layouts.assembly` makes cells of that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Literal

from rnnscope.deferred_dataclass import dataclass

Role = Literal["kernel", "bias"]
Side = Literal["x", "m", "xm", "any"]
"""What a weight is applied to: x, the previous m, both side by side; ``any``: a bias of both."""

LSTM_ORDER = ("i", "f", "g", "o")
GRU_ORDER = ("r", "z", "n")


@dataclass(frozen=True)
class Part:
    """What an array's name says of it.

    Attributes
    ----------
    module : str
    role : Role
        ``"kernel"`` or ``"bias"``.
    side : Side
    gate : str
        The one gate that it holds; empty where it holds all of them side by side.
    linear : bool or None
        True where rows are outputs (torch's Linear), False where columns are (Dense of Flax); None
        where shapes have to tell.
    """

    module: str
    role: Role
    side: Side
    gate: str = ""
    linear: bool | None = None


@dataclass(frozen=True)
class ModuleLayout:
    """How a library, or a habit of people, names and lays out the weights of recurrent cells.

    Attributes
    ----------
    name : str
        As ``layout`` takes it.
    title : str
        Who has it: ``"Flax"``.
    example : str
        Names, for messages.
    part : callable
        ``part(name) -> Part or None``.
    orders : mapping of int to tuple of str
        The order of gates that lie side by side, by their number.
    classes : mapping of str to str
        What the cells of a kind are called; kinds that are not named are refused.
    forget_bias : float
        What the cell adds to the forget gate at run time.
    reset_after : bool
        Of a GRU.
    negated : tuple of str
        Gates of a GRU that stand for 1 minus ours.
    nonlinearity : str
        Of a simple cell.
    guess : str
        What is only a guess; empty where names leave no doubt.
    state_format : str
        How the library hands over a state of c and m.
    """

    name: str
    title: str
    example: str
    part: Callable[[str], Part | None]
    classes: Mapping[str, str]
    orders: Mapping[int, tuple[str, ...]] = field(
        default_factory=lambda: {4: LSTM_ORDER, 3: GRU_ORDER, 1: ("n",)}
    )
    forget_bias: float = 0.0
    reset_after: bool = True
    negated: tuple[str, ...] = ()
    nonlinearity: str = "tanh"
    guess: str = ""
    state_format: str = "tuple (h, c)"


_KEYS = re.compile(r"\['([^']*)'\]|\[(\d+)\]|\[?FlattenedIndexKey\((\d+)\)\]?")
_VALUE = re.compile(r"[./](value|raw_value)$")


def plain_name(name: str) -> str:
    """A name with dots between its parts, as different tools join them.

    ``['params']['lstm']`` and ``.cell.weight_ih`` are what ``jax.tree_util.keystr`` writes;
    ``/value`` is the array inside a variable of Flax's nnx.
    """
    joined = _KEYS.sub(lambda found: f".{next(part for part in found.groups() if part)}", name)
    return _VALUE.sub("", joined.replace("/", ".").replace(":", ".")).strip(".")


def split_last(name: str) -> tuple[str, str]:
    """A name's parts but the last, joined, and the last."""
    module, _, last = name.rpartition(".")
    return module, last
