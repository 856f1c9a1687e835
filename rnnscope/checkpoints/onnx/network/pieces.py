"""Pieces of an ONNX graph as plain layers, evaluated op by op where no layer is known for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.control import CONTROL
from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.every_operation import EVERY_OPERATION
from rnnscope.checkpoints.onnx.evaluation.trial import ModelInputs, Trial
from rnnscope.checkpoints.onnx.graph.cone import Cone, first_not_computed
from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.network.recurrent import RECURRENT
from rnnscope.checkpoints.onnx.network.sources import (
    Source,
    ends_source,
    input_source,
    outputs_source,
)
from rnnscope.checkpoints.onnx.network.wiring import BuiltNode
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.ops import EvaluationError

COMPUTED = {*EVERY_OPERATION, *CONTROL, "Constant", "ConstantOfShape", "If"}

TOLERANCE = 1e-5
"""How much of a sequence may differ that is computed alone, or beside others: rounding."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A value of the graph as a function of what the network knows.

    Attributes
    ----------
    program : OnnxProgram
    key : str
        The value.
    cone : Cone
    sources : tuple of Source
    lengths : tuple of str
        Inputs of the model that take the lengths.
    time : int or None
        The axis of timesteps of the first array that it reads; None if not known.
    laid : callable
        ``laid(value) -> (sequence, …)``.
    group : int or None
        How many sequences the graph takes at once; None if any number.
    """

    program: OnnxProgram
    key: str
    cone: Cone
    sources: tuple[Source, ...]
    lengths: tuple[str, ...]
    time: int | None
    laid: Callable[[Array], Array]
    group: int | None

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(name for source in self.sources for name in source.reads)

    def __call__(self, arrays: tuple[Array, ...], lengths: Array | None = None) -> Array:
        """The value, (sequence, …), of arrays (sequence, …).

        Raises
        ------
        EvaluationError
        """
        count = len(arrays[0])
        if self.group is None or self.group == count:
            return self._together(arrays, lengths)
        made = [
            self._together(*_rows(arrays, lengths, at, self.group))[: count - at]
            for at in range(0, count, self.group)
        ]
        return np.concatenate(made)

    def _together(self, arrays: tuple[Array, ...], lengths: Array | None) -> Array:
        bound: dict[str, Any] = {}
        rest = list(arrays)
        for source in self.sources:
            mine, rest = rest[: len(source.reads)], rest[len(source.reads) :]
            bound[source.key] = source.laid(tuple(mine))
        if self.lengths and lengths is None:
            if self.time is None:
                raise EvaluationError(f"it takes lengths as '{self.lengths[0]}'")
            lengths = np.full(len(arrays[0]), arrays[0].shape[self.time])
        for name in self.lengths:
            tensor = self.program.graph.inputs[name].type.tensor_type
            bound[name] = np.asarray(lengths, np.int32 if tensor.elem_type == 6 else np.int64)
        return self.laid(self.program.evaluation(bound).value(self.key))


def _rows(
    arrays: tuple[Array, ...], lengths: Array | None, at: int, group: int
) -> tuple[tuple[Array, ...], Array | None]:
    """Some sequences, made up to a whole group by repeating the last one."""
    index = np.minimum(np.arange(at, at + group), len(arrays[0]) - 1)
    return tuple(array[index] for array in arrays), None if lengths is None else lengths[index]


class Pieces:
    """Makes pieces of a graph.

    Parameters
    ----------
    program : OnnxProgram
    inputs : ModelInputs
    trial : Trial
    built : list of BuiltNode
        The recurrent nodes that are computed.
    """

    def __init__(
        self, program: OnnxProgram, inputs: ModelInputs, trial: Trial, built: list[BuiltNode]
    ) -> None:
        self._program = program
        self._inputs = inputs
        self._trial = trial
        self._sources: dict[str, Source] = {}
        for one in built:
            self._sources[one.node.output(0)] = outputs_source(one)
            self._sources[one.node.output(1)] = ends_source(one)
        self._sources.pop("", None)
        self._recurrent: dict[str, OnnxNode] = {
            key: one.node for one in built for key in one.node.outputs
        }
        self.batch_axes: dict[str, int | None] = {
            name: roles.index("batch") if "batch" in roles else None
            for name, roles in inputs.roles.items()
            if "batch" in roles or (roles and "" not in roles)
        }

    def stop_at(self, source: Source, node: OnnxNode) -> None:
        """Begin at a value that a layer found later hands over."""
        self._sources[source.key] = source
        self._recurrent[source.key] = node

    def of(self, key: str, laid: Callable[[Array], Array]) -> Piece:
        """A value as a function of the model's inputs and of recurrent layers before it.

        Parameters
        ----------
        key : str
        laid : callable
            ``laid(value) -> (sequence, …)``.

        Raises
        ------
        EvaluationError
            It is made of what the network does not have, or sequences are no longer apart.
        """
        graph = self._program.graph
        cone = Cone.of(key, graph, self._program.stored, self._recurrent)
        missing = first_not_computed(cone, COMPUTED.difference(RECURRENT))
        if missing:
            raise EvaluationError(missing)
        for name in cone.made:
            if name not in self._sources:
                node = self._recurrent[name]
                raise EvaluationError(f"it reads the final c of {node.op} '{node.name}'")
        lengths = tuple(name for name in cone.inputs if name in self._inputs.lengths)
        fed = [name for name in cone.inputs if name not in lengths]
        for name in fed:
            if name in self._inputs.states or self._trial.bound[name].ndim < 2:
                raise EvaluationError(f"it depends on the model's input '{name}'")
        value = laid(self._trial.value(key))
        sources = [self._input(name, key, laid) for name in fed]
        sources += [self._sources[name] for name in cone.made]
        if not sources:
            raise EvaluationError("it reads no input of the model")
        alone = any(self.batch_axes[name] is None for name in fed)
        piece = Piece(
            self._program, key, cone, tuple(sources), lengths, self._time(fed), laid,
            1 if alone else self._group(),
        )  # fmt: skip
        self._require_apart(piece, value)
        return piece

    def _group(self) -> int | None:
        """How many sequences the model takes at once, where the file says so."""
        for name, axis in self.batch_axes.items():
            dims = self._inputs.dims(name)
            if axis is not None and dims is not None and isinstance(dims[axis], int):
                return int(dims[axis])
        return None

    def _time(self, fed: list[str]) -> int | None:
        """The axis of timesteps of the first array that a piece reads."""
        if not fed:
            return 1
        roles = self._inputs.roles.get(fed[0], ())
        if "time" not in roles or "batch" not in roles:
            return None
        rest = [role for role in roles if role != "batch"]
        return 1 + rest.index("time")

    def _input(self, name: str, key: str, laid: Callable[[Array], Array]) -> Source:
        if name not in self.batch_axes:
            self.batch_axes[name] = self._batch_axis(name, key, laid)
        return input_source(name, self.batch_axes[name], self._inputs.dtype(name))

    def _batch_axis(self, name: str, key: str, laid: Callable[[Array], Array]) -> int | None:
        """The axis of an input whose first entry makes the first sequence of a value alone."""
        before = laid(self._trial.value(key))
        given = self._trial.bound[name]
        axes = [axis for axis, size in enumerate(given.shape) if size == len(before)]
        if len(before) == 1:
            return axes[0] if axes else None
        for axis in axes:
            after = laid(self._again(key, name, _altered(given, axis)))
            if after.shape == before.shape and _first_alone(before, after):
                return axis
        raise EvaluationError(f"no axis of input '{name}' is that of sequences")

    def _again(self, key: str, name: str, array: Array) -> Any:
        bound = {**self._trial.bound, name: array}
        return self._program.evaluation(bound).value(key)

    def _require_apart(self, piece: Piece, value: Array) -> None:
        """Refuse a piece whose sequences depend on each other, or that takes no other number."""
        arrays = tuple(
            array for source in piece.sources
            for array in source.taken(self._trial.value(source.key))
        )  # fmt: skip
        lengths = None
        if piece.lengths:
            lengths = np.asarray(self._trial.bound[piece.lengths[0]]).ravel()
        if not _alike(piece(arrays, lengths), value):
            raise EvaluationError("it cannot be computed apart")
        if len(value) == 1:
            return
        # A model for several sequences at once is given the first one that often.
        alone = piece(
            tuple(array[:1] for array in arrays), None if lengths is None else lengths[:1]
        )
        if not _alike(alone, value[:1]):
            raise EvaluationError("its sequences depend on each other")


def _altered(array: Array, axis: int) -> Array:
    made = np.array(array)
    index = (slice(None),) * axis + (0,)
    if array.dtype.kind == "f":
        made[index] = made[index] * 1.5 + 0.25
    elif array.dtype.kind == "b":
        made[index] = ~made[index]
    else:
        made[index] = np.where(made[index] > 0, made[index] - 1, np.minimum(made.max(), 1))
    return made


def _first_alone(before: Array, after: Array) -> bool:
    rows = tuple(range(1, before.ndim))
    changed = np.abs(before - after) > TOLERANCE * max(1.0, float(np.abs(before).max(initial=0)))
    where = changed.any(axis=rows) if rows else changed
    return bool(where[0]) and not where[1:].any()


def _alike(ours: Array, theirs: Array) -> bool:
    if np.shape(ours) != np.shape(theirs):
        return False
    size = max(1.0, float(np.abs(theirs).max(initial=0)))
    return not float(np.abs(ours - theirs).max(initial=0)) > TOLERANCE * size
