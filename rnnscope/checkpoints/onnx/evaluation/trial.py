"""Small random inputs of a model, and what its graph computes for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.work import Work
from rnnscope.checkpoints.onnx.graph.nodes import OnnxGraph
from rnnscope.checkpoints.onnx.graph.tensors import BFLOAT16, FLOAT16, STORED
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.ops import EvaluationError

MAX_WORK = 300_000_000
"""Multiplications that one trial may take: some 30 ms."""

MAX_ID = 3
"""Ids are below it, unless a table that is looked up has fewer rows."""


MANY_STEPS = 16
"""Beyond so many timesteps of fixed number a trial is made with fewer first."""


@dataclass(frozen=True)
class Sizes:
    """How large the axes are made that the file leaves open."""

    batch: int
    steps: int
    time_first: bool = False
    """Whether the first axis of an input that nothing is known of has the timesteps."""
    whole: bool = True
    """Whether timesteps are as many as the file says, where it does; else few where many."""


TRIED = (
    Sizes(2, 3, whole=False),
    Sizes(2, 3, time_first=True, whole=False),
    Sizes(2, 3),
    Sizes(1, 2),
    Sizes(2, 16),
    Sizes(2, 16, time_first=True),
    Sizes(2, 64),
)
"""From the usual to what convolutions and pooling in front may need."""


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """What is known of a model's inputs before any of them is made up.

    Attributes
    ----------
    graph : OnnxGraph
    roles : dict of str to tuple of str
        By input, what each axis is, as far as it is known: ``"batch"``, ``"time"``, ``""``. More
        may become known later.
    lengths : frozenset of str
        Inputs that are the lengths of sequences.
    states : frozenset of str
        Inputs that are initial states.
    features : mapping of str to int
        How many features a recurrent or dense layer reads of what it reads as it is.
    """

    graph: OnnxGraph
    roles: dict[str, tuple[str, ...]]
    lengths: frozenset[str]
    states: frozenset[str]
    features: Mapping[str, int] = field(default_factory=dict)

    def dtype(self, name: str) -> np.dtype[Any]:
        """The dtype of an input; 16-bit floats are computed in 32 bits."""
        number = self.graph.inputs[name].type.tensor_type.elem_type
        if number in (0, FLOAT16, BFLOAT16):
            return np.dtype(np.float32)
        if number not in STORED:
            raise EvaluationError(f"input '{name}' is of ONNX data type {number}")
        return np.dtype(STORED[number][0])

    def dims(self, name: str) -> list[int | str] | None:
        """Sizes, or names of those that are open; None where not even their number is known."""
        tensor = self.graph.inputs[name].type.tensor_type
        if not tensor.HasField("shape"):
            return None
        return [dim.dim_value if dim.dim_value > 0 else dim.dim_param for dim in tensor.shape.dim]

    def static_batch(self) -> int | None:
        """How many sequences the model takes at once, where the file says so."""
        for name, roles in self.roles.items():
            dims = self.dims(name)
            if dims is not None and "batch" in roles and len(dims) == len(roles):
                size = dims[roles.index("batch")]
                if isinstance(size, int):
                    return size
        return None


class Trial:
    """A model's graph, evaluated on random inputs.

    Attributes
    ----------
    inputs : ModelInputs
    bound : dict of str to ndarray
        What the inputs were made, by name.
    evaluation : Evaluation
    """

    def __init__(self, program: OnnxProgram, inputs: ModelInputs, sizes: Sizes, seed: int) -> None:
        self.inputs = inputs
        self._sizes = sizes
        self._rng = np.random.default_rng(seed)
        self._named: dict[str, int] = {}
        self._name_axes()
        self.bound = {name: self._made_up(name) for name in inputs.graph.inputs}
        self.evaluation = program.evaluation(self.bound, Work(MAX_WORK))

    def value(self, key: str) -> Any:
        """The value of a key; see `Evaluation.value`."""
        return self.evaluation.value(key)

    def _name_axes(self) -> None:
        """Sizes of open axes that are named, which is the same size wherever the name is."""
        for name, roles in self.inputs.roles.items():
            for size, role in zip(self.inputs.dims(name) or (), roles, strict=False):
                if isinstance(size, str) and size and role in ("batch", "time"):
                    self._named.setdefault(size, self._of_role(role))

    def _of_role(self, role: str) -> int:
        return self._sizes.batch if role == "batch" else self._sizes.steps

    def _shape(self, name: str) -> tuple[int, ...]:
        dims = self.inputs.dims(name)
        roles = self.inputs.roles.get(name, ())
        if dims is None:
            if not roles:
                raise EvaluationError(f"input '{name}' has no shape in the file")
            dims = [""] * len(roles)
        one = name in self.inputs.states or name in self.inputs.lengths
        made = []
        for axis, size in enumerate(dims):
            role = roles[axis] if axis < len(roles) else ""
            if isinstance(size, int):
                long = role == "time" and size > MANY_STEPS and not self._sizes.whole
                made.append(self._sizes.steps if long else size)
                continue
            if role == "feature" and name in self.inputs.features:
                made.append(self.inputs.features[name])
                continue
            if role not in ("batch", "time"):
                first = 1 if self._sizes.time_first and len(dims) > 2 else 0
                role = "batch" if one or axis == first else "time"
            made.append(self._named.setdefault(size or f"{name} {axis}", self._of_role(role)))
        return tuple(made)

    def _made_up(self, name: str) -> Array:
        shape, dtype = self._shape(name), self.inputs.dtype(name)
        if int(np.prod(shape, dtype=np.int64)) > MAX_WORK // 8:
            raise EvaluationError(f"input '{name}' of shape {shape} is too large to try")
        if name in self.inputs.lengths:
            steps = self._steps()
            lengths = self._rng.integers(1, steps + 1, shape)
            lengths.reshape(-1)[:1] = steps
            return lengths.astype(dtype)
        if dtype.kind == "f":
            return self._rng.normal(size=shape).astype(dtype)
        if dtype.kind == "b":
            return np.ones(shape, bool)
        return self._rng.integers(0, self._rows(name), shape).astype(dtype)

    def _steps(self) -> int:
        """Timesteps of the inputs that have lengths."""
        for name, roles in self.inputs.roles.items():
            if "time" in roles:
                return self._shape(name)[roles.index("time")]
        return self._sizes.steps

    def _rows(self, name: str) -> int:
        """How many ids are tried: no more than any table has rows that they are looked up in."""
        found = MAX_ID
        for node in self.inputs.graph.nodes:
            if node.op == "Gather" and node.input(0) in self.inputs.graph.initializers:
                first = self.inputs.graph.behind(node.input(1), ("Cast", "Identity", "Transpose"))
                dims = self.inputs.graph.initializers[node.input(0)].dims
                if first == name and len(dims) > node.integer("axis"):
                    found = min(found, int(dims[node.integer("axis")]))
        return max(1, found)


def first_fitting(
    program: OnnxProgram, inputs: ModelInputs, wanted: Sequence[Callable[[Trial], bool]]
) -> Trial:
    """The first trial that gives all that is wanted; else the one that gives the most.

    Raises
    ------
    EvaluationError
        Not even inputs can be made up.
    """
    best: Trial | None = None
    most, failure = -1, EvaluationError("nothing to compute")
    for sizes in TRIED:
        try:
            trial = Trial(program, inputs, sizes, seed=0)
        except EvaluationError as error:
            failure = error
            continue
        good = sum(gives(trial) for gives in wanted)
        if good > most:
            best, most = trial, good
        if most == len(wanted) or trial.evaluation.work.exhausted:
            break
    if best is None:
        raise failure
    return best
