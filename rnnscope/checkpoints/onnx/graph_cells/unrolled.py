"""A cell whose steps are written out one after another, found by what the steps have in common.

What is written at the end, one value a step, is m. A step and the one before are the same operators
on other values: where walking back through both at once comes to a value of the step before, there
is a state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.work import Work
from rnnscope.checkpoints.onnx.graph.cone import Cone
from rnnscope.checkpoints.onnx.graph.nodes import OnnxGraph, OnnxNode
from rnnscope.checkpoints.onnx.graph_cells.recurrence import Record, c_of, stored_floats
from rnnscope.checkpoints.onnx.proof.operator import difference, limit_of
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.ops import EvaluationError

UNROLLED = "unrolled cell"

MIN_STEPS = 3
"""Fewer steps show no recurrence."""

MAX_BLOCK = 500
"""How many values one step may be made of."""


@dataclass(frozen=True, eq=False)
class UnrolledRecurrence:
    """Steps that are written out.

    Attributes
    ----------
    name : str
        Of the node that joins what they write.
    candidates : tuple of str
        The model's inputs.
    backward : bool
    keys : mapping of str to tuple of str
        Each state after each step, in the order of processing.
    first : mapping of str to str
        Each state before the first step; empty where that step was simplified for a start of
        zeros, so that no value of the graph is that state.
    results : tuple of str
        The join of what they write, and the last of it.
    """

    name: str
    candidates: Sequence[str]
    backward: bool
    keys: Mapping[str, tuple[str, ...]]
    first: Mapping[str, str]
    results: Sequence[str] = ()
    op: str = UNROLLED

    def read(self, *, backward: bool) -> UnrolledRecurrence:
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
        if initial and not self.first:
            raise EvaluationError("its first step is written for a start of zeros alone")
        starts = {self.first[name]: value for name, value in initial.items()}
        if len(starts) < len(initial):
            raise EvaluationError("two states start from one value of the graph")
        evaluation = program.evaluation({**bound, **starts}, work)
        after = {name: [evaluation.value(key) for key in keys] for name, keys in self.keys.items()}
        before = {name: evaluation.value(key) for name, key in self.first.items()}
        if not self.first:
            before = {name: np.zeros_like(parts[0]) for name, parts in after.items()}
        return Record(before=before, after=after, written=None)

    def starts_from_zeros(self, program: OnnxProgram, key: str, x: Array, time: int) -> bool:
        """Whether the first step does what the second one does after a state of zeros.

        Parameters
        ----------
        program : OnnxProgram
        key : str
            Of x in the graph.
        x : ndarray
            What the graph has there.
        time : int
            Its axis of timesteps.
        """
        at = [1, 0] if not self.backward else [-2, -1]
        moved = np.array(x)
        steps = np.moveaxis(moved, time, 0)
        steps[at[0]] = steps[at[1]]
        true = program.evaluation({key: x})
        firsts = {keys[0]: true.value(keys[0]) for keys in self.keys.values()}
        zeros = {name: np.zeros_like(value) for name, value in firsts.items()}
        again = program.evaluation({key: moved, **zeros})
        return all(
            difference(again.value(keys[1]), firsts[keys[0]]) <= limit_of(x)
            for keys in self.keys.values()
        )

    def stored_names(self, graph: OnnxGraph) -> tuple[str, ...]:
        """See `Recurrence`."""
        own = [
            node for key in self.keys["m"][1:2] for node in _block(graph, key, self.keys["m"][0])
        ]
        return stored_floats(graph, own)


def _block(graph: OnnxGraph, key: str, before: str) -> list[OnnxNode]:
    found: dict[OnnxNode, None] = {}
    pending = [key]
    while pending and len(found) < MAX_BLOCK:
        node = graph.producers.get(pending.pop())
        if node is not None and node not in found:
            found[node] = None
            pending.extend(one for one in node.inputs if one and one != before)
    return list(found)


def find_unrolled(program: OnnxProgram) -> tuple[list[UnrolledRecurrence], dict[str, str]]:
    """The written-out cells of a graph: joins of one value a step, each made of the one before.

    Returns
    -------
    found : list of UnrolledRecurrence
    unlike : dict of str to str
        Joins of values that are made of one another, but not by steps that are alike, and why.
    """
    found = []
    unlike: dict[str, str] = {}
    for node in program.graph.nodes:
        if node.op not in ("Concat", "SequenceConstruct"):
            continue
        written = [_behind_axis(program.graph, key) for key in program.graph.own_inputs(node)]
        if len(written) < MIN_STEPS or len(set(written)) < len(written):
            continue
        for backward in (False, True):
            keys = written[::-1] if backward else written
            if not _follows(program, keys):
                continue
            try:
                found.append(_recurrence(program, node, tuple(keys), backward))
            except EvaluationError as error:
                unlike[node.name] = str(error)
            break
    return found, unlike


def _behind_axis(graph: OnnxGraph, key: str) -> str:
    """A value before it got an axis of timesteps."""
    return graph.behind(key, ("Identity", "Reshape", "Unsqueeze"))


def _follows(program: OnnxProgram, keys: Sequence[str]) -> bool:
    """Whether each value is made of the one before, and none of the one after."""
    return all(_reaches(program.graph, now, before) for before, now in pairwise(keys))


def _reaches(graph: OnnxGraph, key: str, other: str) -> bool:
    """Whether a value is made of another within one step's reach."""
    pending, seen = [key], set[str]()
    while pending and len(seen) < MAX_BLOCK:
        name = pending.pop(0)
        for read in graph.producers[name].inputs if name in graph.producers else ():
            if read == other:
                return True
            if read and read not in seen:
                seen.add(read)
                pending.append(read)
    return False


def _recurrence(
    program: OnnxProgram, node: OnnxNode, written: tuple[str, ...], backward: bool
) -> UnrolledRecurrence:
    graph = program.graph
    last = _steps_back(graph, written[-1], written[-2])
    # Of each state: its key after the last step, then after the one before, and so on.
    chains = {key: [key, before] for key, before in last.items()}
    initial: dict[str, str] | None = None
    for now, before in zip(written[-2:0:-1], written[-3::-1], strict=True):
        back = _steps_back(graph, now, before)
        ends = [chain[-1] for chain in chains.values()]
        if before == written[0] and not all(end in back for end in ends):
            # The first step may have been simplified, since it begins with zeros.
            back = _before_first(graph, written[2], written[1], ends)
            initial = {}
        for chain in chains.values():
            if chain[-1] not in back:
                raise EvaluationError(f"the steps of '{node.name}' are not alike")
            chain.append(back[chain[-1]])
    if initial is None:
        initial = _before_first(graph, written[1], written[0], [c[-1] for c in chains.values()])
    m = written[-1]
    others = {f"state_{n}": key for n, key in enumerate(chains) if key != m}
    c = c_of(graph, m, others)
    names = {m: "m", **{key: "c" if name == c else name for name, key in others.items()}}
    keys = {names[key]: tuple(reversed(chain)) for key, chain in chains.items()}
    if "m" not in keys:
        raise EvaluationError(f"what '{node.name}' joins is carried to no next step")
    inputs = Cone.of(written[-1], graph, program.stored, ()).inputs
    return UnrolledRecurrence(
        node.name, inputs, backward, keys,
        {names[key]: initial[chain[-1]] for key, chain in chains.items()} if initial else {},
        (*node.outputs, written[-1]),
    )  # fmt: skip


def _steps_back(graph: OnnxGraph, now: str, before: str) -> dict[str, str]:
    """The states that a step hands on: the key after it, and the key after the one before."""
    pairs = {now: before}
    carried: dict[str, str] = {}
    pending = [(now, before)]
    while pending and len(pairs) < MAX_BLOCK:
        left, right = pending.pop(0)
        earlier = {value: key for key, value in pairs.items()}
        if left in earlier and left != now:
            carried[earlier[left]] = left
            continue
        first, second = graph.producers.get(left), graph.producers.get(right)
        if first is None or second is None or first.op != second.op:
            continue
        for mine, other in zip(first.inputs, second.inputs, strict=False):
            if mine and mine != other and (mine not in pairs or mine in earlier):
                pairs.setdefault(mine, other)
                pending.append((mine, other))
    return carried


def _before_first(
    graph: OnnxGraph, second: str, first: str, states: Sequence[str]
) -> dict[str, str]:
    """What stands, before the first step, in the place of each state after it."""
    found: dict[str, str] = {}
    seen = set[str]()
    pending = [(second, first)]
    while pending and len(seen) < MAX_BLOCK:
        left, right = pending.pop(0)
        if left in states:
            found.setdefault(left, right)
            continue
        one, other = graph.producers.get(left), graph.producers.get(right)
        if left in seen or one is None or other is None or one.op != other.op:
            continue
        seen.add(left)
        pending.extend(
            pair for pair in zip(one.inputs, other.inputs, strict=False)
            if pair[0] and pair[0] != pair[1]
        )  # fmt: skip
    if set(states) - found.keys():
        raise EvaluationError("the state before the first step is not found")
    return found
