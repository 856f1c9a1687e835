"""A sequence of a view as a matrix of units by timesteps, binned where it is large.

Nothing is left out silently: a bin keeps the smallest and the largest of its values, and the matrix
says how many units and steps went into each.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, isfinite

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.seeing.state_view import StateView


@dataclass(frozen=True)
class CellBudget:
    """How many cells a heatmap may have.

    Attributes
    ----------
    rows, columns : int or None
        The most along units, and along timesteps; None: as many as there are.
    """

    rows: int | None = None
    columns: int | None = None


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Units by timesteps of one sequence.

    Attributes
    ----------
    layer, array : str
    sequence : int
    low, high : ndarray (row, column)
        In the array's own dtype: the smallest and the largest value of a cell; one and the same
        array where a cell is one value. NaN if any of its values is. Of a column with valid and
        padded steps, the valid ones count.
    units, steps : ndarray of int64
        The numbers of all units and steps that are in it, in order.
    unit_edges, step_edges : ndarray of int64
        Row `r` holds ``units[unit_edges[r]:unit_edges[r + 1]]``; columns likewise.
    valid : ndarray of bool (timestep,)
        Which of `steps` are valid.
    input_steps : ndarray of int64 (timestep,)
        The input's timestep that each of `steps` is about; `steps` itself in all but odd cases.
    is_gate : bool
        Its values lie between 0 and 1.
    backward : bool
        The layer reads the sequence from its end.
    """

    layer: str
    array: str
    sequence: int
    low: Array
    high: Array
    units: Array
    steps: Array
    unit_edges: Array
    step_edges: Array
    valid: Array
    input_steps: Array
    is_gate: bool = False
    backward: bool = False

    @property
    def is_binned(self) -> bool:
        """Whether some cell stands for several values."""
        return self.low.shape != (len(self.units), len(self.steps))

    @property
    def title(self) -> str:
        """Array, layer and sequence in words; the layer's name is as the file has it."""
        way = " (backward)" if self.backward else ""
        array = self.array.replace("gates/", "gate ")
        turned = "" if np.array_equal(self.steps, self.input_steps) else ", as it was processed"
        return f"{array} of {self.layer}{way}, sequence {self.sequence}{turned}"

    @property
    def padding(self) -> Array:
        """True at the columns that hold no valid step, bool (column,)."""
        if not len(self.steps):
            return np.zeros(0, np.bool_)
        return ~np.logical_or.reduceat(self.valid, self.step_edges[:-1])

    @property
    def extreme(self) -> Array:
        """Of each cell the value that is farther from 0, (row, column)."""
        return np.where(np.abs(self.low) > np.abs(self.high), self.low, self.high)

    @property
    def halves(self) -> Array:
        """What is drawn: a row for each unit; of bins two, the largest above the smallest."""
        if not self.is_binned:
            return self.low
        rows, columns = self.low.shape
        return np.stack([self.high, self.low], axis=1).reshape(2 * rows, columns)

    @property
    def limit(self) -> float:
        """Where the colours end on both sides of 0: a round number above every valid value."""
        shown = ~self.padding if not self.padding.all() else slice(None)
        return colour_limit((self.low[:, shown], self.high[:, shown]), is_gate=self.is_gate)

    def rebinned(self, budget: CellBudget) -> Heatmap:
        """The same in fewer cells; bins of bins, each with its smallest and its largest."""
        rows = bin_edges(self.low.shape[0], budget.rows)
        columns = bin_edges(self.low.shape[1], budget.columns)
        if (len(rows) - 1, len(columns) - 1) == self.low.shape or not self.low.size:
            return self
        mixed = _mixed(~self.padding, columns)
        low, high = _reduced(self.low, self.high, rows[:-1], columns[:-1], mixed)
        return replace(
            self, low=low, high=high, unit_edges=self.unit_edges[rows],
            step_edges=self.step_edges[columns],
        )  # fmt: skip

    @property
    def per_cell(self) -> tuple[int, int]:
        """The most units and steps in a cell."""
        widths = (np.diff(edges).max(initial=0) for edges in (self.unit_edges, self.step_edges))
        rows, columns = widths
        return int(rows), int(columns)


def colour_limit(arrays: tuple[Array, ...], *, is_gate: bool = False) -> float:
    """The largest finite absolute value, rounded up to two digits; 1 for gates and for zeros."""
    peak = max((float(np.abs(a[np.isfinite(a)]).max(initial=0)) for a in arrays), default=0.0)
    if (is_gate and peak <= 1) or peak == 0 or not isfinite(peak):
        return 1.0
    unit = 10.0 ** (np.floor(np.log10(peak)) - 1)
    return float(f"{ceil(peak / unit - 1e-9) * unit:.2g}")


def bin_edges(count: int, most: int | None) -> Array:
    """Edges of at most `most` bins over `count` places, as even as can be: int64."""
    bins = count if most is None else min(count, max(1, most))
    return np.arange(bins + 1, dtype=np.int64) * count // max(1, bins)


def read_heatmap(view: StateView, sequence: int, budget: CellBudget | None = None) -> Heatmap:
    """A sequence of a view, read in slices of time: memory does not grow with its length.

    Parameters
    ----------
    view : StateView
    sequence : int
        Negative ones count from the end.
    budget : CellBudget, optional
        Without one every value is a cell.

    Raises
    ------
    OptionError
        There is no such sequence.
    """
    sequence, budget = view.check_sequence(sequence), budget or CellBudget()
    unit_edges = bin_edges(len(view.units), budget.rows)
    step_edges = bin_edges(len(view.steps), budget.columns)
    valid = view.valid(sequence)
    shape = (len(unit_edges) - 1, len(step_edges) - 1)
    single = shape == (len(view.units), len(view.steps))
    dtype = view.array.dtype
    low, high = np.full(shape, np.inf, dtype), np.full(shape, -np.inf, dtype)
    mixed = _mixed(valid, step_edges)
    for part, values in view.blocks(sequence):
        if single:
            low[:, part] = values.T
        elif values.size:
            bins = _bins_touched(step_edges, part)
            starts = np.maximum(step_edges[bins] - part.start, 0)
            found = _reduced(values.T, values.T, unit_edges[:-1], starts, mixed[part])
            low[:, bins] = np.minimum(low[:, bins], found[0])
            high[:, bins] = np.maximum(high[:, bins], found[1])
    return Heatmap(
        layer=view.layer.name,
        array=view.name,
        sequence=sequence,
        low=low,
        high=low if single else high,
        units=view.units,
        steps=view.steps,
        unit_edges=unit_edges,
        step_edges=step_edges,
        valid=valid,
        input_steps=view.input_steps(sequence),
        is_gate=view.is_sigmoid_gate,
        backward=view.layer.known_facts.backward,
    )


def _mixed(valid: Array, edges: Array) -> Array:
    """True at padded steps that share a bin with valid ones: they do not count there."""
    if not len(valid):
        return valid
    some = np.logical_or.reduceat(valid, edges[:-1])
    mixed: Array = ~valid & np.repeat(some, np.diff(edges))
    return mixed


def _bins_touched(edges: Array, part: slice) -> slice:
    first = int(np.searchsorted(edges, part.start, side="right")) - 1
    return slice(first, int(np.searchsorted(edges, part.stop, side="left")))


def _reduced(
    low: Array, high: Array, rows: Array, columns: Array, left_out: Array
) -> tuple[Array, Array]:
    """The smallest of `low` and the largest of `high` in each bin.

    Parameters
    ----------
    low, high : ndarray (unit, timestep)
    rows, columns : ndarray of int
        Where each bin begins.
    left_out : ndarray of bool (timestep,)
        Steps that count in no bin.
    """
    if left_out.any():
        low = np.where(left_out, low.dtype.type(np.inf), low)
        high = np.where(left_out, high.dtype.type(-np.inf), high)
    return (
        _by_bin(np.minimum, _by_bin(np.minimum, low, columns).T, rows).T,
        _by_bin(np.maximum, _by_bin(np.maximum, high, columns).T, rows).T,
    )


def _by_bin(reduce: np.ufunc, values: Array, starts: Array) -> Array:
    """Runs of the second axis put together; bin by bin, which is much quicker than reduceat."""
    if len(starts) == values.shape[1]:
        return values
    stops = [*starts[1:].tolist(), values.shape[1]]
    bins = zip(starts.tolist(), stops, strict=True)
    return np.stack([reduce.reduce(values[:, a:b], axis=1) for a, b in bins], axis=1)
