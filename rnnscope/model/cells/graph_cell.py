"""The graph cell: a recurrent computation that a file holds, evaluated as it stands.

What is no cell of CELLS, but is made of operations of OPS alone, runs through this one. Its
equations are those of the file: `GraphComputation.run` evaluates them, op by op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, CellSpec, Option
from rnnscope.model.cells.interface import Cell
from rnnscope.model.states import LayerStates


@dataclass(frozen=True, eq=False)
class GraphComputation:
    """A recurrent computation that can be evaluated; the ``weights`` of a graph cell.

    Attributes
    ----------
    input_size : int
        Features of x.
    output_size : int
        Width of m and, unless a wrapper changes it, of the outputs.
    widths : mapping of str to int
        The states by name, under the names that the graph gives them; ``m`` is always there, and
        ``c`` where the graph tells which it is. A state with more than one axis is laid flat.
    dtype : numpy.dtype
    run : callable
        ``run(x, lengths, initial) -> LayerStates``. x is (sequence, timestep, input) in the order
        of processing; lengths (sequence,) or None; initial (sequence, width) by state, as far as
        it is given. What comes back is in the order of processing, too. It raises
        `UnsupportedCellError` or `InputError` where the computation cannot take them.
    takes_lengths : bool
        Whether the graph itself takes lengths; where it does not, they change nothing.
    steps : int or None
        How many steps the graph is written out for; None if it takes any number.
    together : bool
        Whether sequences depend on those beside them, so that all are computed at once.
    """

    input_size: int
    output_size: int
    widths: Mapping[str, int]
    dtype: np.dtype[Any]
    run: Callable[[Array, Array | None, Mapping[str, Array]], LayerStates]
    takes_lengths: bool = False
    steps: int | None = None
    together: bool = False

    @property
    def num_units(self) -> int:
        return int(self.widths.get("c", self.widths["m"]))


@dataclass(frozen=True)
class GraphOptions:
    """A graph cell has no options to change: the file holds all of its numbers.

    Attributes
    ----------
    stated : tuple of (str, Option)
        What an operator says of itself, for people.
    """

    stated: tuple[tuple[str, Option[Any]], ...] = ()

    def items(self) -> Iterator[tuple[str, Option[Any]]]:
        """What is stated."""
        return iter(self.stated)


def _run(
    spec: CellSpec, x: Array, lengths: Array | None, initial: Mapping[str, Array]
) -> LayerStates:
    states: LayerStates = spec.weights.run(x, lengths, initial)
    return states


def _no_single_step(*_: Any) -> NoReturn:
    raise NotImplementedError("a graph cell runs whole sequences")


GRAPH_CELL = Cell(
    kind="graph",
    title="what the file's own graph computes, op by op",
    states=("m",),
    gates=(),
    widths=lambda spec: dict(spec.weights.widths),
    project=_no_single_step,
    step=_no_single_step,
    m_bound=lambda _: None,
    run=_run,
)
