"""Loops that carry states of no cell that was found: layers of their own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from itertools import chain, takewhile

import numpy as np

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.evaluation.proving.cell_record import CellRecord, Obstacle
from rnnscope.checkpoints.tf1.graph.evaluation.proving.computed_lengths import made_lengths
from rnnscope.checkpoints.tf1.graph.evaluation.proving.proof import Proof
from rnnscope.checkpoints.tf1.graph.evaluation.proving.recording import Recorder
from rnnscope.checkpoints.tf1.graph.evaluation.values.evaluator import GraphEvaluator
from rnnscope.checkpoints.tf1.graph.evaluation.values.loops import Loop, Loops
from rnnscope.checkpoints.tf1.graph.feeds.lengths import length_candidates
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import origins
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array

GRADIENTS = re.compile(r"gradients(_\d+)?")
"""The scope that tf.gradients puts its ops under."""

READS = {"TensorArrayRead", "TensorArrayReadV2", "TensorArrayReadV3", "TensorListGetItem"}


@dataclass(frozen=True, eq=False)
class UnknownLoop:
    """States of a loop that belong to no known cell.

    Attributes
    ----------
    loop : Loop
    cell : FoundCell
        The loop as if it were a cell: its states by name, before and after a step.
    record : CellRecord
        On the random inputs of the proof.
    written : GraphTensor or None
        What holds the outputs; None where the loop writes none.
    lengths : tuple of GraphTensor and ndarray of int (sequence,), or None
        What makes the lengths past which its states are held, where the graph computes them, and
        those that it made.
    holds : bool
        Whether its states are held past lengths.
    """

    loop: Loop
    cell: FoundCell
    record: CellRecord
    written: GraphTensor | None
    lengths: tuple[GraphTensor, Array] | None
    holds: bool


def unknown_loops(
    view: GraphView, proof: Proof, known: Mapping[str, list[FoundCell]]
) -> tuple[list[UnknownLoop], dict[str, str]]:
    """The loops with states that no known layer has; and those that cannot be evaluated, with why.

    Parameters
    ----------
    view : GraphView
    proof : Proof
    known : mapping of str to list of FoundCell
        The layers that were found.
    """
    loops = proof.recorder.loops
    found: list[UnknownLoop] = []
    obstacles: dict[str, str] = {}
    # One for all: loops that stand on one another would run those below again and again.
    evaluator = proof.recorder.evaluator([], proof.given)
    cells = defaultdict[str, list[FoundCell]](list)
    for cell in chain.from_iterable(known.values()):
        if (within := loops.around(cell.m)) is not None:
            cells[within.name].append(cell)
    for loop in loops.every.values():
        if _trains(loop) or any(
            loops.around(variable.initial) is not None for variable in loop.variables.values()
        ):
            continue
        claimed = _claimed(loops, loop, cells[loop.name])
        finder = _Finder(view, proof, loop, claimed, evaluator)
        made = finder.find()
        if isinstance(made, str):
            obstacles[loop.name] = made
        elif made is not None:
            found.append(made)
    return found, obstacles


def _trains(loop: Loop) -> bool:
    """Whether a loop is one of a gradient, which runs backwards through another."""
    return any(GRADIENTS.fullmatch(part) for part in loop.name.split("/"))


def _claimed(loops: Loops, loop: Loop, cells: Iterable[FoundCell]) -> frozenset[GraphTensor]:
    """The variables of a loop that are states of the cells in it."""
    states = (before for cell in cells for before in cell.before.values())
    return frozenset(chain.from_iterable(loops.reached(loop, before) for before in states))


class _Finder:
    def __init__(
        self,
        view: GraphView,
        proof: Proof,
        loop: Loop,
        claimed: Collection[GraphTensor],
        evaluator: GraphEvaluator,
    ) -> None:
        self._view = view
        self._proof = proof
        self._loop = loop
        self._claimed = claimed
        self._recorder: Recorder = proof.recorder
        self._evaluator = evaluator

    def find(self) -> UnknownLoop | str | None:
        """The loop's own states; None if it has none; in words why it cannot be told."""
        carried = [
            variable
            for variable in self._loop.variables
            if variable not in self._claimed
            and not self._recorder.loops.is_constant(self._loop, variable)
        ]
        if not carried:
            return None
        states = []
        reason = ""
        for variable in carried:
            first = self._recorder.try_value(
                self._evaluator, self._loop.variables[variable].initial
            )
            if isinstance(first, Obstacle):
                reason = first.words
            elif self._is_state(first):
                states.append(variable)
        if not states:
            return reason or None
        return self._as_cell(states)

    def _is_state(self, value: object) -> bool:
        return (
            isinstance(value, np.ndarray)
            and value.ndim >= 2
            and value.dtype.kind == "f"
            and value.shape[0] == self._proof.sizes.sequences
        )

    def _as_cell(self, states: list[GraphTensor]) -> UnknownLoop | str:
        names = {variable: _own_name(variable) for variable in states}
        first = self._cell({names[one]: one for one in states}, states[0])
        record = self._record(first)
        if isinstance(record, str):
            return record
        written, m = self._returned(record)
        if m is not None:
            names |= _called(m, {names[one]: one for one in states}, record)
        cell = self._cell({names[one]: one for one in states}, written or states[0])
        record = self._record(cell)
        if isinstance(record, str):
            return record
        fed = held_past_lengths(self._proof, record)
        lengths = None if fed else self._computed_lengths(states, record)
        return UnknownLoop(self._loop, cell, record, written, lengths, fed or lengths is not None)

    def _computed_lengths(
        self, states: Iterable[GraphTensor], record: CellRecord
    ) -> tuple[GraphTensor, Array] | None:
        """What steps are compared with where a state is held, if the states are held past it."""
        updates = [self._loop.variables[one].update for one in states]
        selects = list(chain.from_iterable(origins(self._view, one)[1] for one in updates))
        candidates = length_candidates(self._view, selects, None)
        found = made_lengths(
            self._recorder, self._evaluator, candidates, self._proof.sizes.sequences
        )
        return found if found is not None and held_past(found[1], record) else None

    def _record(self, cell: FoundCell) -> CellRecord | str:
        evaluator = self._recorder.evaluator([[cell]], self._proof.given)
        made = self._recorder.attempt(evaluator, [cell])
        return made.words if isinstance(made, Obstacle) else made

    def _cell(self, before: dict[str, GraphTensor], other: GraphTensor) -> FoundCell:
        after = {name: self._loop.variables[one].update for name, one in before.items()}
        after.setdefault("m", other)
        return FoundCell(
            name=self._loop.name,
            kind="graph",
            weights=(),
            gate_order=(),
            x=self._x() or next(iter(before.values())),
            before=before,
            after=after,
            make=_not_made,
        )

    def _x(self) -> GraphTensor | None:
        """What the loop takes from a list in each step."""
        for node in self._view:
            tensor = GraphTensor(node.name)
            if node.op in READS and self._recorder.loops.around(tensor) is self._loop:
                return tensor
        return None

    def _returned(self, record: CellRecord) -> tuple[GraphTensor | None, str | None]:
        """What the loop writes, and the state that this is at the steps that count."""
        for tensor, values in record.written.items():
            for name, array in record.carried.items():
                if array.shape != values.shape:
                    continue
                changed = (array != record.before[name]).reshape(*array.shape[:2], -1)
                rows = np.any(changed, axis=-1)
                if np.array_equal(values[rows], array[rows]):
                    return tensor, name
        # A cell with one state has no other m.
        written = next(iter(record.written), None)
        only = next(iter(record.carried)) if len(record.carried) == 1 else None
        if only is not None and written is not None:
            packed = _holds_columns(record.carried[only], record.written[written])
            only = None if packed else only
        return written, only


def _holds_columns(state: Array, values: Array) -> bool:
    """Whether some columns of a state are what is returned: a state that packs several."""
    if state.ndim != 3 or values.ndim != 3:
        return True
    width = values.shape[-1]
    return any(
        np.array_equal(state[0, :, first : first + width], values[0])
        for first in range(state.shape[-1] - width + 1)
    )


def held_counts(proof: Proof) -> Array | None:
    """The lengths that the graph was fed; None where it takes none, or several."""
    lengths = [proof.given[one.tensor] for one in proof.fed
               if one.is_lengths and not one.has_default]  # fmt: skip
    return np.asarray(lengths[0]) if len(lengths) == 1 else None


def held_past_lengths(proof: Proof, record: CellRecord) -> bool:
    """Whether every state is held past the lengths that the graph was fed."""
    lengths = held_counts(proof)
    return lengths is not None and held_past(lengths, record)


def held_past(lengths: Array, record: CellRecord) -> bool:
    """Whether every state is held past some lengths (sequence,), and there is a step past one."""
    past = np.arange(record.steps)[:, None] >= lengths
    if not past.any() or past.shape[1] != record.x.shape[1]:
        return False
    states = record.states
    return all(
        np.array_equal(array[1:][past[1:]], array[:-1][past[1:]]) for array in states.values()
    )


def _called(
    m: str, states: Mapping[str, GraphTensor], record: CellRecord
) -> dict[GraphTensor, str]:
    """The names m and c, where the graph tells which states they are: m is what is returned."""
    called = {states[m]: "m"}
    others = [name for name in states if name != m]
    alike = [name for name in others if record.before[name].shape == record.before[m].shape]
    if len(others) == 1 and alike:
        called[states[others[0]]] = "c"
    return called


def _own_name(variable: GraphTensor) -> str:
    return variable.node.rpartition("/")[2]


def common_scope(names: Iterable[str]) -> str:
    """The scope that holds every one of some variables; empty if none does."""
    parts = [name.split("/")[:-1] for name in names]
    shared = list(takewhile(lambda same: len({*same}) == 1, zip(*parts, strict=False)))
    return "/".join(part[0] for part in shared)


def _not_made() -> tuple[Array, Array]:
    raise NotImplementedError("a loop has no weights of a known cell")
