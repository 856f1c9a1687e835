"""Running layers by evaluating the graph itself, from one of the model's own inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.evaluation.proving.cell_record import CellRecord
from rnnscope.checkpoints.tf1.graph.evaluation.proving.random_inputs import ChosenSizes, FedTensor
from rnnscope.checkpoints.tf1.graph.evaluation.proving.recording import Recorder
from rnnscope.checkpoints.tf1.graph.evaluation.values.shape_only import ShapeOnly
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, UnsupportedCellError
from rnnscope.model.cell import Array
from rnnscope.model.ops import EvaluationError

GivenStates = Mapping[GraphTensor, Array]
"""Initial states (sequence, width) by the placeholder that takes them."""


@dataclass(frozen=True, eq=False)
class ModelInput:
    """The one input of a model that some layers are computed from.

    Attributes
    ----------
    fed : FedTensor
    sizes : ChosenSizes
        Which axis is time, and the sizes that the graph fixes.
    others : tuple of FedTensor
        What else the graph is fed.
    states : frozenset of GraphTensor
        Those of the others that take initial states: zeros where none is given.
    """

    fed: FedTensor
    sizes: ChosenSizes
    others: tuple[FedTensor, ...]
    states: frozenset[GraphTensor] = frozenset()

    @property
    def name(self) -> str:
        return str(self.fed.tensor)

    @property
    def is_ids(self) -> bool:
        ids = self.fed.cast_to_ids or self.fed.dtype.kind in "iu"
        return ids and (self.fed.shape is None or len(self.fed.shape) == 2)

    @property
    def features(self) -> int | None:
        """Features of a step; None for ids and where the graph does not say."""
        shape = self.fed.shape
        return shape[2] if shape is not None and len(shape) == 3 and shape[2] > 0 else None

    def fixed(self, axis: int) -> int | None:
        """The size of an axis (0 sequences, 1 steps), where the graph fixes it."""
        shape = self.fed.shape
        if shape is None:
            return None
        place = 1 - axis if self.sizes.time_major else axis
        return shape[place] if shape[place] > 0 else None

    def values(
        self, x: Array, lengths: Array | None, states: GivenStates
    ) -> dict[GraphTensor, Any]:
        """What the graph is given.

        Parameters
        ----------
        x : ndarray (sequence, timestep, …)
        lengths : ndarray (sequence,) or None
        states : mapping of GraphTensor to ndarray (sequence, width)
            Those that are not there are zeros.
        """
        value = x.swapaxes(0, 1) if self.sizes.time_major else x
        given: dict[GraphTensor, Any] = {self.fed.tensor: value.astype(self.fed.dtype)}
        sequences, steps = x.shape[:2]
        counts = np.full(sequences, steps) if lengths is None else np.asarray(lengths)
        for one in self.others:
            if one.tensor in states:
                given[one.tensor] = states[one.tensor].astype(one.dtype)
            elif one.is_lengths and not one.has_default:
                given[one.tensor] = counts.astype(one.dtype)
            elif not one.has_default:
                self._stand_in(one, sequences, steps, given)
        return given

    def _stand_in(
        self, one: FedTensor, sequences: int, steps: int, given: dict[GraphTensor, Any]
    ) -> None:
        """For what is not given: a state of zeros, else what tells no more than sizes."""
        value = stand_in(one, self.sizes, sequences, steps)
        if value is None:
            return
        if one.tensor in self.states and isinstance(value, ShapeOnly):
            value = np.zeros(value.shape, one.dtype)
        given[one.tensor] = value


def stand_in(one: FedTensor, sizes: ChosenSizes, sequences: int, steps: int) -> Any:
    """A value for what is not given: the batch's size, "not training", else its shape alone.

    None for a single number, which may be anything.
    """
    shape = () if one.shape is None else one.shape
    if not shape and one.shape is not None:
        if one.dtype.kind == "b":
            return np.zeros((), one.dtype)
        return np.array(sequences, one.dtype) if one.dtype.kind in "iu" else None
    leading = (steps, sequences) if sizes.time_major else (sequences, steps)
    axes = leading if one.is_sequence else leading[:1]
    if not one.is_sequence and sizes.time_major:
        axes = (sequences,)
    filled = tuple(
        size if size > 0 else axes[place] if place < len(axes) else 1
        for place, size in enumerate(shape)
    )
    return ShapeOnly(filled, str(one.tensor))


class GraphRun:
    """Evaluates a graph for some of its layers, together.

    Parameters
    ----------
    recorder : Recorder
    model_input : ModelInput
    cells : dict of str to list of FoundCell
        The layers whose record is kept.
    """

    def __init__(
        self, recorder: Recorder, model_input: ModelInput, cells: dict[str, list[FoundCell]]
    ) -> None:
        self._recorder = recorder
        self.model_input = model_input
        self.cells = cells
        self._last: tuple[bytes, dict[str, CellRecord]] | None = None

    @property
    def recorder(self) -> Recorder:
        return self._recorder

    def records(
        self, x: Array, lengths: Array | None = None, states: GivenStates | None = None
    ) -> dict[str, CellRecord]:
        """What the graph computes for its layers; asked again for the same, it answers at once.

        Raises
        ------
        InputError
            The input has another number of steps than the graph is written for.
        UnsupportedCellError
            The graph needs something that is not given or not computed, named.
        """
        states = states or {}
        key = _digest(x, lengths, states)
        if self._last is None or self._last[0] != key:
            self._last = (key, self._in_batches(x, lengths, states))
        return self._last[1]

    def lengths(self, tensor: GraphTensor, x: Array) -> Array:
        """What the graph computes as the lengths (sequence,) of its input.

        Raises
        ------
        InputError
            The input has another number of steps than the graph is written for.
        EvaluationError
            Naming what cannot be computed.
        """
        self._require_steps(x)
        found = [
            self._recorder.evaluator((), self.model_input.values(x[rows], None, {})).value(tensor)
            for rows in self._batches(x.shape[0])
        ]
        return np.concatenate(found)[: x.shape[0]].astype(np.int64)

    def _in_batches(
        self, x: Array, lengths: Array | None, states: GivenStates
    ) -> dict[str, CellRecord]:
        """As many sequences at a time as the graph is written for, where it says how many."""
        self._require_steps(x)
        batches = self._batches(x.shape[0])
        parts = []
        for rows in batches:
            counts = None if lengths is None else lengths[rows]
            some = {one: value[rows] for one, value in states.items()}
            parts.append(self._evaluate(x[rows], counts, some))
        if isinstance(batches[0], slice):
            return parts[0]
        return {name: _beside([part[name] for part in parts], x.shape[0]) for name in self.cells}

    def _require_steps(self, x: Array) -> None:
        steps = self.model_input.fixed(1)
        if steps is not None and x.shape[1] != steps:
            raise InputError(
                "The graph is written out for another number of steps.",
                where=self.model_input.name,
                expected=f"{steps} steps",
                found=f"{x.shape[1]} steps",
                hint="pad the input to that many and give its lengths",
            )

    def _batches(self, sequences: int) -> list[slice] | list[Array]:
        """The rows of each evaluation: all, or as many as the graph is written for.

        Where fewer are left, the last one fills up.
        """
        batch = self.model_input.fixed(0)
        if batch is None or sequences in (0, batch):
            return [slice(None)]
        starts = range(0, sequences, batch)
        return [np.minimum(np.arange(start, start + batch), sequences - 1) for start in starts]

    def _evaluate(
        self, x: Array, lengths: Array | None, states: GivenStates
    ) -> dict[str, CellRecord]:
        given = self.model_input.values(x, lengths, states)
        evaluator = self._recorder.evaluator(self.cells.values(), given)
        try:
            with np.errstate(all="ignore"):
                return {
                    name: self._recorder.record(evaluator, cells)
                    for name, cells in self.cells.items()
                }
        except EvaluationError as error:
            raise UnsupportedCellError(
                "The graph cannot be evaluated on this input.",
                where=", ".join(self.cells),
                found=str(error),
            ) from error


def _beside(parts: list[CellRecord], sequences: int) -> CellRecord:
    """Records of one batch after another as one, without what filled the last one up."""

    def joined(arrays: list[Array]) -> Array:
        return np.concatenate(arrays, axis=1)[:, :sequences]

    def over(pick: Callable[[CellRecord], Mapping[Any, Array]]) -> dict[Any, Array]:
        return {name: joined([pick(part)[name] for part in parts]) for name in pick(parts[0])}

    return CellRecord(
        joined([part.x for part in parts]),
        over(lambda part: part.before),
        over(lambda part: part.after),
        over(lambda part: part.carried),
        over(lambda part: part.written),
        over(lambda part: part.variables),
    )


def _digest(x: Array, lengths: Array | None, states: GivenStates) -> bytes:
    found = hashlib.blake2b(np.ascontiguousarray(x).tobytes())
    found.update(str((x.shape, x.dtype.str)).encode())
    if lengths is not None:
        found.update(np.asarray(lengths, np.int64).tobytes())
    for tensor, value in sorted(states.items()):
        found.update(str(tensor).encode() + np.ascontiguousarray(value).tobytes())
    return found.digest()
