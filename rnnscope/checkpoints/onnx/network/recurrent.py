"""Recurrent nodes of an ONNX graph in the network: directions, lengths and initial states."""

from __future__ import annotations

from dataclasses import field

import numpy as np

from rnnscope.checkpoints.onnx.graph.constants import OnnxConstants
from rnnscope.checkpoints.onnx.graph.nodes import OnnxGraph, OnnxNode
from rnnscope.checkpoints.onnx.network.cells import NotBuilt, read_cells
from rnnscope.checkpoints.onnx.network.sorting import sorting_nodes
from rnnscope.checkpoints.onnx.stepwise import STEPWISE
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, CellSpec, Option
from rnnscope.model.initial_state import InitialState, OutsideState, StoredState
from rnnscope.model.lengths_source import LENGTHS_UNUSED, LengthsSource
from rnnscope.model.recurrent_layer import PaddingRule, RecurrentLayer

RECURRENT = ("LSTM", "GRU", "RNN", *STEPWISE)
STATES = {"GRU": ("m",), "RNN": ("m",), **dict.fromkeys(("LSTM", *STEPWISE), ("m", "c"))}
"""The states in the order of the inputs initial_h, initial_c and of the outputs Y_h, Y_c."""

FIRST_STATE_INPUT, LENGTHS_INPUT = 5, 4


@dataclass(frozen=True, eq=False)
class Start:
    """The state before the first step, of all directions of a node.

    Attributes
    ----------
    words : str
    keys : dict of str to str
        The inputs that give the states, by state name.
    values : dict of str to ndarray (direction, width) or (direction, sequence, width)
        By state name; what the graph holds.
    outside : dict of str to OutsideState
        By state name; what the graph does not hold.
    after : OnnxNode or None
        The recurrent node whose final state it is.
    """

    words: str
    keys: dict[str, str] = field(default_factory=dict)
    values: dict[str, Array] = field(default_factory=dict)
    outside: dict[str, OutsideState] = field(default_factory=dict)
    after: OnnxNode | None = None

    def of_direction(self, number: int, followed: tuple[str, ...]) -> InitialState:
        """The state of one direction; `followed` are the layers of the node that it is after."""
        if self.after is not None:
            return InitialState.handed_over(self.keys, (followed[number],), words=self.words)
        stored = {
            state: StoredState(array[number], f"constant '{self.keys[state]}'")
            for state, array in self.values.items()
        }
        return InitialState({**stored, **self.outside}, self.words)


class RecurrentNodes:
    """Builds the layers of recurrent nodes.

    Attributes
    ----------
    names : dict of OnnxNode to tuple of str
        The layers of each node that was built, by direction.
    """

    def __init__(self, graph: OnnxGraph, constants: OnnxConstants) -> None:
        self._graph = graph
        self._constants = constants
        self.names: dict[OnnxNode, tuple[str, ...]] = {}

    def layers(self, node: OnnxNode, name: str) -> dict[str, RecurrentLayer]:
        """The layers of a node, one for each direction, by name.

        Raises
        ------
        NotBuilt
            It cannot be computed.
        CheckpointError
            A tensor of it is damaged.
        """
        cells = read_cells(node, self._constants)
        direction = node.text("direction", "forward")
        if direction not in ("forward", "reverse", "bidirectional"):
            raise NotBuilt(f"has the direction '{direction}', which ONNX does not define")
        if len(cells) != (2 if direction == "bidirectional" else 1):
            raise NotBuilt(f"has weights of {len(cells)} directions, but is {direction}")
        names = (name,) if len(cells) == 1 else (f"{name}/forward", f"{name}/backward")
        start = self._start(node, cells)
        followed = self.names[start.after] if start.after is not None else ()
        if followed and len(followed) != len(cells):
            raise NotBuilt(f"starts from {start.words}, which has other directions")
        found: dict[str, RecurrentLayer] = {}
        for number, (own, cell) in enumerate(zip(names, cells, strict=True)):
            backward = direction == "reverse" or number == 1
            padding, lengths = self._lengths(node)
            found[own] = RecurrentLayer(
                cell=cell,
                backward=Option(backward, "graph", f"direction {direction}"),
                padding=padding,
                lengths=lengths,
                initial_state=Option(start.of_direction(number, followed), "graph"),
                state_format=Option("outputs " + _output_names(node), "graph"),
                reversal="within length",
            )
        self.names[node] = names
        return found

    def _lengths(self, node: OnnxNode) -> tuple[Option[PaddingRule], Option[LengthsSource]]:
        key = node.input(LENGTHS_INPUT)
        if not key:
            unused = "no sequence_lens: every step is computed"
            return Option("none", "graph", unused), Option(LENGTHS_UNUSED, "graph")
        rule: Option[PaddingRule] = Option("zeros", "graph", "sequence_lens")
        stored = self._constants.array(key)
        if stored is not None:
            words = f"constant sequence_lens '{key}'"
            return rule, Option(LengthsSource("stored", words, stored.ravel()), "graph")
        source = self._source(key)
        words = f"sequence_length from {_source_words(key, source)}"
        if source.kind == "op":
            return rule, Option(LengthsSource("computed", words), "graph")
        return rule, Option(LengthsSource("input", words, input=source.name), "graph")

    def _start(self, node: OnnxNode, cells: list[CellSpec]) -> Start:
        keys = {
            state: node.input(FIRST_STATE_INPUT + number)
            for number, state in enumerate(STATES[node.op])
        }
        given = {state: key for state, key in keys.items() if key}
        values = {state: self._constant_start(node, key, cells) for state, key in given.items()}
        known = {state: value for state, value in values.items() if value is not None}
        open_keys = {state: key for state, key in given.items() if values[state] is None}
        if not open_keys:
            stored = {state: value for state, value in known.items() if value.any()}
            words = (
                f"constants {', '.join(given[state] for state in stored)}" if stored else "zeros"
            )
            return Start(words, given, stored)
        after = self._final_state_of(node, keys)
        if after is not None:
            return Start(f"the final state of '{after.name}'", keys, after=after)
        outside = {state: self._source(key) for state, key in open_keys.items()}
        words = ", ".join(_source_words(open_keys[state], outside[state]) for state in outside)
        return Start(words, given, known, outside)

    def _constant_start(self, node: OnnxNode, key: str, cells: list[CellSpec]) -> Array | None:
        """A constant initial state, (direction, width) or (direction, sequence, width)."""
        units = cells[0].num_units
        array = self._constants.before_expansion(key)
        if array is None or array.size < len(cells) * units:
            fill = self._constants.fill(key)
            if fill is None:
                return None
            return np.full((len(cells), units), fill, cells[0].dtype)
        if array.ndim == 3 and node.integer("layout"):
            array = array.swapaxes(0, 1)
        if array.ndim != 3 or (array.shape[0], array.shape[2]) != (len(cells), units):
            raise NotBuilt(f"has an initial state '{key}' of shape {array.shape}")
        alike = bool((array == array[:, :1]).all())
        return array[:, 0] if alike else array

    def _final_state_of(self, node: OnnxNode, keys: dict[str, str]) -> OnnxNode | None:
        """The recurrent node whose Y_h and Y_c are handed on as they are."""
        found: set[OnnxNode | None] = set()
        for number, key in enumerate(keys.values()):
            first = self._graph.behind(key, ("Identity",)) if key else ""
            producer = self._graph.producers.get(first)
            if producer is None or producer.op != node.op or producer.output(1 + number) != first:
                return None
            found.add(producer)
        (after,) = found if len(found) == 1 else (None,)
        return after if after in self.names else None

    def _source(self, key: str) -> OutsideState:
        """Where a value comes from: a graph input is what users can give."""
        first = self._graph.behind(key, MOVING)
        sorting = self._graph.producers.get(first)
        if sorting is not None and sorting in sorting_nodes(self._graph):
            first = self._graph.behind(sorting.input(0), MOVING)
        if first in self._graph.inputs:
            return OutsideState("placeholder", first)
        producer = self._graph.producers.get(first)
        return OutsideState("op", key, producer.op if producer is not None else "unknown")


def _source_words(key: str, source: OutsideState) -> str:
    if source.kind == "op":
        return f"'{key}', made by op {source.op}"
    return f"{source} (graph input)"


MOVING = {
    "Cast", "Concat", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose",
    "Unsqueeze",
}  # fmt: skip
"""Operators between a model's input and an initial state that may be given for it."""


def _output_names(node: OnnxNode) -> str:
    return "(Y_h, Y_c)" if "c" in STATES[node.op] else "Y_h"
