"""A Loop or Scan node that is known as a recurrence, and what its turns record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.work import Work
from rnnscope.checkpoints.onnx.graph.nodes import Body, OnnxGraph, OnnxNode
from rnnscope.checkpoints.onnx.graph_cells.recurrence import Record, stored_floats
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array


@dataclass(frozen=True, eq=False)
class LoopRecurrence:
    """A Loop or Scan node.

    Attributes
    ----------
    node : OnnxNode
    body : Body
    candidates : tuple of str
    backward : bool
        Whether a Scan begins with the last step.
    states : mapping of str to int
        Which carried value each state is.
    written : int or None
        Which of the values that are stacked is what each step writes out.
    collected : Collected or None
        The carried array that each turn writes a row of, where that is what a step writes out.
    """

    node: OnnxNode
    body: Body
    candidates: Sequence[str]
    backward: bool
    states: Mapping[str, int]
    written: int | None
    collected: Collected | None = None

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def op(self) -> str:
        return self.node.op

    @property
    def results(self) -> Sequence[str]:
        """What the node makes."""
        return tuple(filter(None, self.node.outputs))

    def read(self, *, backward: bool) -> LoopRecurrence:
        """See `Recurrence`."""
        return replace(self, backward=backward)

    def record(
        self,
        program: OnnxProgram,
        bound: Mapping[str, Any],
        initial: Mapping[str, Array],
        work: Work | None = None,
    ) -> Record:
        """See `Recurrence`."""
        evaluation = program.evaluation(bound, work)
        skip, first, carried = carried_offsets(self.node, self.body)
        evaluation.watch(
            self.node, {first + self.states[name]: value for name, value in initial.items()}
        )
        evaluation.value(next(filter(None, self.node.outputs)))
        handed, turns = evaluation.watched[self.node]
        written = None
        if self.written is not None:
            written = [made[skip + carried + self.written] for made in turns]
        elif self.collected is not None:
            written = self.collected.rows([made[skip + self.collected.at] for made in turns])
        return Record(
            before={name: handed[first + at] for name, at in self.states.items()},
            after={name: [made[skip + at] for made in turns] for name, at in self.states.items()},
            written=written,
        )

    def stored_names(self, graph: OnnxGraph) -> tuple[str, ...]:
        """See `Recurrence`."""
        inside = [node for node in graph.nodes if not self.body.own.isdisjoint(node.outputs)]
        return stored_floats(graph, inside)


@dataclass(frozen=True)
class Collected:
    """An array that a loop carries, to write one row of it in every turn.

    Attributes
    ----------
    at : int
        Which carried value it is.
    backward : bool
        Whether the first turn writes the last row.
    """

    at: int
    backward: bool

    def rows(self, arrays: Sequence[Any]) -> list[Array]:
        """What each turn wrote, of the array after it."""
        return [np.asarray(array)[-1 - turn if self.backward else turn]
                for turn, array in enumerate(arrays)]  # fmt: skip

    @classmethod
    def of(cls, at: int, before: Any, arrays: Sequence[Any]) -> Collected | None:
        """The array that is one: each turn changes no more than its own row of it."""
        first = np.asarray(before)
        if first.ndim < 2 or len(first) != len(arrays) or len(first) < 2:
            return None
        every = [first, *(np.asarray(array) for array in arrays)]
        if len({(array.shape, array.dtype) for array in every}) > 1:
            return None
        rows = tuple(range(1, first.ndim))
        changed = np.stack([(now != then).any(axis=rows) for then, now in pairwise(every)])
        turns = np.arange(len(arrays))
        if not changed.any():
            return None
        for backward in (False, True):
            own = turns[:, None] == (turns[::-1] if backward else turns)
            if not (changed & ~own).any():
                return cls(at, backward)
        return None


def carried_offsets(node: OnnxNode, body: Body) -> tuple[int, int, int]:
    """Where carried values begin among the body's outputs, and inputs; how many there are."""
    if node.op == "Loop":
        return 1, 2, len(body.inputs) - 2
    return 0, 0, len(body.inputs) - node.integer("num_scan_inputs")
