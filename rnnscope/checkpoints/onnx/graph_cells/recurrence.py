"""What a recurrence of a graph is, however it is written, and what a run of it records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.work import Work
from rnnscope.checkpoints.onnx.graph.nodes import OnnxGraph, OnnxNode
from rnnscope.checkpoints.onnx.graph.tensors import INTEGERS
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array


@dataclass(frozen=True, eq=False)
class Record:
    """The states of one run, as the graph has them.

    Attributes
    ----------
    before : mapping of str to ndarray
        Before the first step, by state.
    after : mapping of str to sequence of ndarray
        After each step, in the order of processing.
    written : sequence of ndarray or None
        What each step writes out; None where it is a state, or nothing is.
    """

    before: Mapping[str, Array]
    after: Mapping[str, Sequence[Array]]
    written: Sequence[Array] | None


class Recurrence(Protocol):
    """A recurrent computation.

    Attributes
    ----------
    name : str
        Of its node.
    op : str
        What it is written as: ``"Loop"``.
    candidates : sequence of str
        Values that may be what it reads step by step, the likeliest first.
    backward : bool
        Whether it begins with the last step.
    results : sequence of str
        Values that its steps make and that others read.
    """

    @property
    def name(self) -> str: ...

    @property
    def op(self) -> str: ...

    @property
    def candidates(self) -> Sequence[str]: ...

    @property
    def backward(self) -> bool: ...

    @property
    def results(self) -> Sequence[str]: ...

    def read(self, *, backward: bool) -> Recurrence:
        """The same, read from its end or not."""

    def record(
        self,
        program: OnnxProgram,
        bound: Mapping[str, Any],
        initial: Mapping[str, Array],
        work: Work | None = None,
    ) -> Record:
        """Run it with values bound to some keys, and other initial states in the graph's layout."""

    def stored_names(self, graph: OnnxGraph) -> tuple[str, ...]:
        """The stored tensors of floats that its steps read."""


def stored_floats(graph: OnnxGraph, nodes: Iterable[OnnxNode]) -> tuple[str, ...]:
    """The stored tensors of floats that some nodes read, each once."""
    read = dict.fromkeys(key for node in nodes for key in node.inputs)
    return tuple(
        key for key in read
        if key in graph.initializers and graph.initializers[key].data_type not in INTEGERS
    )  # fmt: skip


_SELECTING = ("Add", "Cast", "Clip", "Identity", "Mul", "Where")
"""Operators through which a masked or bounded state goes on its way to the next step."""

MAX_WALK = 500


def c_of(graph: OnnxGraph, m: str, others: Mapping[str, str]) -> str:
    """The state that m is an output gate's share of: ``m = o * tanh(c)``; empty if none is.

    A mask may stand between either of them and what is carried to the next step.

    Parameters
    ----------
    graph : OnnxGraph
    m : str
        The key of m after a step.
    others : mapping of str to str
        The keys of the other states after the step, by name.
    """
    node, number = _maker(graph, m)
    if node is not None and node.op == "LSTM" and number < 2:  # an operator of one step
        for name, key in others.items():
            if _maker(graph, key) == (node, 2):
                return name
    squashed = {
        graph.behind(tanh.input(0), ("Identity",))
        for key in _through(graph, m)
        if (tanh := graph.producers.get(key)) is not None and tanh.op == "Tanh"
    }
    for name, key in others.items():
        if not squashed.isdisjoint(_through(graph, key)):
            return name
    return ""


def _maker(graph: OnnxGraph, key: str) -> tuple[OnnxNode | None, int]:
    """The node that makes a value, whatever its axes are then made, and which output it is."""
    first = graph.behind(key, ("Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"))
    node = graph.producers.get(first)
    return node, -1 if node is None else node.outputs.index(first)


def _through(graph: OnnxGraph, key: str) -> set[str]:
    """The values that one is made of by selecting, adding and multiplying, and itself."""
    pending, seen = [key], {key}
    while pending and len(seen) < MAX_WALK:
        node = graph.producers.get(pending.pop())
        if node is None or node.op not in _SELECTING:
            continue
        new = [one for one in node.inputs if one and one not in seen]
        seen.update(new)
        pending.extend(new)
    return seen
