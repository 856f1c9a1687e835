"""How much is computed at a time: slices that fit a memory budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cells import CELLS
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.running.plan import Plan

DEFAULT_BYTES = 256 * 10**6
"""The budget when none is given: arrays of a run. The program itself takes some 60 MB more, twice
as much where it compiles."""

IN_FLIGHT = 2
"""Sets of results alive at once: one being computed, one being written."""

SLICE_BYTES = 32 * 2**20
"""A slice larger than this gains nothing, and leaves the writer idle at the start."""

ROWS_FOR_BLAS = 128
"""Sequences that fill a matrix product, as far as the budget allows: 64 for each of two threads."""

ROWS_COMPILED = 64
"""The same for compiled steps and two threads: 32 for each are as fast as more, and what is written
was computed so short a time before that much of it is still in the processor's cache."""

LEAST_ROWS = 32
"""Sequences that the last slices have at least."""

SHRINKING_BYTES = 8 * 2**20
"""Of slices whose writing takes so long that the last ones are made shorter."""

SHORTEST_SLICE = 64
"""Timesteps: where time is cut, no slice is shorter, however small the budget."""

LONG_SLICE = 1024
"""Timesteps below which a slice of time is not cut further to take in more sequences."""


@dataclass(frozen=True)
class SliceSize:
    """How a run is cut.

    Attributes
    ----------
    rows : int
        Sequences computed together.
    steps : int
        Timesteps computed together; less than the input's only if one sequence is too long.
    least_rows : int
        Sequences of the last slices but one, at least: while the last is written nothing is left
        to be computed, so that they grow shorter. 0: they are as the others.
    """

    rows: int
    steps: int
    least_rows: int = 0

    def rows_of(self, sequences: int, first: int = 0) -> Iterator[slice]:
        """Slices of sequences from `first` on; a run taken up at one's end has the others."""
        start = first
        while start < sequences:
            left, rows = sequences - start, self.rows
            if self.least_rows and left <= rows:
                rows = max(self.least_rows, (left + 1) // 2)
            yield slice(start, start := min(start + rows, sequences))

    def side_by_side(self, sequences: int, threads: int) -> SliceSize:
        """The same for threads that take slices in turn, each slice ended in its turn.

        All are alike, and each thread has as many: who has a short one waits for the others.
        """
        turns = -(-sequences // (self.rows * threads))
        return replace(self, rows=max(1, -(-sequences // (turns * threads))), least_rows=0)

    def steps_of(self, timesteps: int, *, backward: bool = False) -> Iterator[slice]:
        """Slices of time, from the first step on or from the last."""
        slices = [
            slice(start, min(start + self.steps, timesteps))
            for start in range(0, timesteps, self.steps)
        ]
        yield from reversed(slices) if backward else slices


def choose_slices(
    plan: Plan,
    shapes: Mapping[str, tuple[int, ...]],
    sequences: int,
    timesteps: int,
    input_bytes: int,
    *,
    gates: bool,
    masked: bool,
    budget: int = DEFAULT_BYTES,
    compiled: bool = False,
    threads: int = 1,
) -> SliceSize:
    """Sequences, and if need be timesteps, that fit the budget.

    Parameters
    ----------
    plan : Plan
    shapes : mapping of str to tuple
        The shape of each node's result, for one sequence.
    sequences, timesteps : int
    input_bytes : int
        Of one timestep of one sequence of the input.
    gates, masked : bool
        Whether gates are kept, and whether outputs differ from m past a length.
    budget : int
        Bytes.
    compiled : bool
        Whether the steps of all layers are compiled.
    threads : int
        Parts of a slice.
    """
    wanted_rows = ROWS_COMPILED if compiled and threads <= 2 else ROWS_FOR_BLAS
    per_step = 2.0 * input_bytes  # the next slice is read while one is computed
    for node in plan.nodes:
        per_step += _bytes_per_step(node, shapes[node.name], timesteps, gates, masked)
    per_sequence = per_step * timesteps
    if any(_runs_together(node) for node in plan.layers):
        return SliceSize(max(1, sequences), timesteps)
    fitting = int(budget // max(per_sequence, 1))
    if fitting >= 1 or any(_runs_whole(node) for node in plan.layers):
        wanted = max(wanted_rows, int(SLICE_BYTES // max(per_sequence, 1)))
        rows = max(1, min(sequences, max(1, fitting), wanted))
        large = rows * per_sequence >= SHRINKING_BYTES and rows >= 2 * LEAST_ROWS
        return SliceSize(rows, timesteps, max(LEAST_ROWS, rows // 4) if large else 0)
    rows = max(1, min(sequences, ROWS_FOR_BLAS, int(budget // (per_step * LONG_SLICE))))
    if masked and any(_turns_within(node) for node in plan.nodes):
        rows = 1  # each sequence ends somewhere else, and its padding is filled at the end
    steps = int(budget // (per_step * rows))
    return SliceSize(rows, max(SHORTEST_SLICE, min(timesteps, steps)))


def _runs_whole(node: Node) -> bool:
    """Whether a layer's cell takes whole sequences alone, whatever the budget says."""
    layer = node.recurrent
    return layer is not None and CELLS[layer.cell.kind].run is not None


def _runs_together(node: Node) -> bool:
    """Whether what a layer computes of a sequence depends on those beside it."""
    layer = node.recurrent
    return layer is not None and _runs_whole(node) and layer.cell.weights.together


def _turns_within(node: Node) -> bool:
    layer = node.recurrent
    return layer is not None and layer.backward.value and layer.reversal == "within length"


def _bytes_per_step(
    node: Node, shape: tuple[int, ...], timesteps: int, gates: bool, masked: bool
) -> float:
    """Bytes of a node's arrays for one of the input's timesteps of one sequence."""
    steps = shape[1] / timesteps if len(shape) > 2 else 1 / timesteps
    layer = node.layer
    if not isinstance(layer, RecurrentLayer):
        return shape[-1] * 8 * steps
    cell = layer.cell
    states = sum(CELLS[cell.kind].widths(cell).values())
    apart = masked or not layer.returns_m or not layer.outputs_in_input_order
    outputs = layer.output_size if apart else 0
    kept = len(CELLS[cell.kind].gates) * cell.num_units if gates else 0
    read = cell.input_size
    return (IN_FLIGHT * (states + outputs + kept) + read) * cell.dtype.itemsize * steps
