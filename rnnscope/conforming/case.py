"""A case: one recurrent layer, in one or two directions, and everything that it runs over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.model.recurrent_layer import RecurrentLayer

CELL_NAMES = {"lstm": "lstm", "gru": "gru", "simple_rnn": "rnn"}
"""A cell of CELLS by its name in cases."""

Layout = Literal["sequence first", "time first"]
"""The first axis of x and of every array that has a timestep."""


@dataclass(frozen=True, eq=False)
class Case:
    """A layer, and what it runs over.

    Attributes
    ----------
    name : str
        ``"cell/family/what is special"``.
    layers : tuple of RecurrentLayer
        One for each direction: the weights, the options, and whether it reads backwards. Outputs
        past a sequence's length are zero, the state is carried; each reverses within the length.
    x : ndarray (sequence, timestep, feature)
        Always in this order here; `layout` says in which an engine is given it.
    lengths : ndarray of int (sequence,) or None
        Valid steps of each sequence; None: all of them, and an engine is given no lengths.
    initial : tuple of dict of str to ndarray (sequence, width), or None
        c and m before the first step, for each direction; None: zeros, and none are given.
    layout : Layout
    biased : bool
        False where all biases are zero and an engine is to be given none.
    """

    name: str
    layers: tuple[RecurrentLayer, ...]
    x: Array
    lengths: Array | None = None
    initial: tuple[Mapping[str, Array], ...] | None = None
    layout: Layout = "sequence first"
    biased: bool = True

    @property
    def family(self) -> str:
        """The cell and what its cases have in common."""
        return self.name.rpartition("/")[0]

    @property
    def cell(self) -> str:
        return CELL_NAMES[self.layers[0].cell.kind]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.layers[0].cell.dtype

    @property
    def units(self) -> int:
        return self.layers[0].cell.num_units

    @property
    def states(self) -> tuple[str, ...]:
        """``("c", "m")``, or ``("m",)``."""
        return CELLS[self.layers[0].cell.kind].states

    @property
    def steps(self) -> int:
        return int(self.x.shape[1])

    @property
    def mask(self) -> Array | None:
        """True at valid steps (sequence, timestep); None where all are."""
        if self.lengths is None:
            return None
        valid: Array = np.arange(self.steps) < self.lengths[:, None]
        return valid

    def option(self, name: str, otherwise: Any = None) -> Any:
        """The value of one of the cell's options, the same in both directions."""
        option = getattr(self.layers[0].cell.options, name, None)
        return otherwise if option is None else option.value

    def start(self, direction: int) -> dict[str, Array]:
        """Where a direction starts: c and m (sequence, width), zeros where none are given."""
        cell = self.layers[direction].cell
        if self.initial is not None:
            return dict(self.initial[direction])
        widths = CELLS[cell.kind].widths(cell)
        return {name: np.zeros((len(self.x), width), cell.dtype) for name, width in widths.items()}


Answer = tuple[Mapping[str, Array], ...]
"""What an engine computed, by direction: some of `ARRAYS`, sequence first."""

ARRAYS = ("outputs", "c", "final_m", "final_c")
"""In the order in which they are judged.

``outputs``: m of every step, zero past the length. ``c``: of every step, carried past the length.
``final_m``, ``final_c``: after the last valid step, or before the first where there is none.
"""


def required(case: Case) -> tuple[str, ...]:
    """What an engine has to give: without final states nothing can go on from where it ended."""
    return ("outputs", *(f"final_{name}" for name in ("m", "c") if name in case.states))


def shapes(case: Case, direction: int) -> dict[str, tuple[int, ...]]:
    """The shape of each array of an answer, sequence first."""
    cell = case.layers[direction].cell
    sequences, steps = case.x.shape[:2]
    found = {
        "outputs": (sequences, steps, cell.output_size),
        "final_m": (sequences, cell.output_size),
    }
    if "c" in case.states:
        found["c"] = (sequences, steps, cell.num_units)
        found["final_c"] = (sequences, cell.num_units)
    return found
