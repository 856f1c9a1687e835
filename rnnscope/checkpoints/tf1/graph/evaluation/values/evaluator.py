"""Evaluating tensors of a stored graph, on values that are given for some of them.

Lazy: an op is computed when a tensor that was asked for depends on it. Nothing is executed that is
not a pure operation of OPS, a list of tensors, or control flow; whatever else the way leads over
stops the evaluation by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.evaluation.values.fused_ops import FUSED_OPERATIONS
from rnnscope.checkpoints.tf1.graph.evaluation.values.loops import (
    EXITS,
    MERGES,
    SWITCHES,
    Loop,
    Loops,
)
from rnnscope.checkpoints.tf1.graph.evaluation.values.operations import TF_OPERATIONS
from rnnscope.checkpoints.tf1.graph.evaluation.values.shape_only import ShapeOnly, evaluate_shape
from rnnscope.checkpoints.tf1.graph.evaluation.values.tensor_lists import LIST_OPERATIONS
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import ENTERS, RANDOM, dropout_source
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import (
    BRANCHES,
    CALLS,
    LOOPS,
    GraphNode,
    GraphTensor,
    GraphView,
)
from rnnscope.checkpoints.tf1.graph.nodes.weights import VARIABLES, GraphWeights
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import check_time
from rnnscope.files.tensorflow.protos import tensor_to_array
from rnnscope.model.ops import MISFITS, EvaluationError, RandomNumbersError

PLACEHOLDERS = {"Placeholder", "PlaceholderV2"}
MOST_RECORDED = 1 << 33
"""Bytes of all values that are kept of one evaluation."""

DROPS = {"Mul", "Select", "SelectV2"}
OPERATIONS = {**TF_OPERATIONS, **LIST_OPERATIONS, **FUSED_OPERATIONS}


class _Dead:
    """What leaves the side of a Switch that was not taken."""


DEAD = _Dead()


class _Scope:
    """The values of one step of a loop, or of the whole graph outside of all."""

    def __init__(self, values: dict[GraphTensor, Any], outer: _Scope | None) -> None:
        self.values = values
        self.outer = outer


class GraphEvaluator:
    """Computes tensors of a graph.

    Parameters
    ----------
    view : GraphView
    weights : GraphWeights
    loops : Loops
        Those of `view`.
    given : mapping of GraphTensor to value
        Taken as they are, whatever the graph would compute for them.
    watched : iterable of GraphTensor
        Tensors inside of loops whose value in each step is kept, in `recorded`.
    most_ops : int
        How many ops may be computed before the evaluation is given up.

    Attributes
    ----------
    recorded : dict of GraphTensor to list of ndarray
        The values of watched tensors, a step each, once `run_loop` has run their loop.
    """

    def __init__(
        self,
        view: GraphView,
        weights: GraphWeights,
        loops: Loops,
        given: Mapping[GraphTensor, Any],
        watched: Iterable[GraphTensor] = (),
        most_ops: int = 50_000_000,
    ) -> None:
        self._view = view
        self._weights = weights
        self._loops = loops
        self._whole = _Scope(dict(given), None)
        self._given = frozenset(given)
        self._constants: dict[str, Any] = {}
        self._watched: dict[str, list[GraphTensor]] = {}
        for tensor in watched:
            around = loops.around(tensor)
            if around is not None:
                self._watched.setdefault(around.name, []).append(tensor)
        self._ends: dict[str, _Scope] = {}
        self._finals: dict[str, dict[GraphTensor, Any]] = {}
        self._ops_left = most_ops
        self._bytes_left = MOST_RECORDED
        self.recorded: dict[GraphTensor, list[Any]] = {}

    @cached_property
    def _random(self) -> bool:
        """Whether there may be dropout."""
        return any(node.op in RANDOM for node in self._view)

    def value(self, tensor: GraphTensor) -> Any:
        """The value of a tensor outside of loops.

        Raises
        ------
        EvaluationError
            Naming the op, or the placeholder that has no value.
        """
        return self._value(tensor, self._whole)

    def run_loop(self, loop: Loop) -> None:
        """Run a loop for what is watched in it."""
        self._final(loop, None, self._whole)

    def after_loop(self, loop: Loop, tensor: GraphTensor) -> Any:
        """What a tensor within a loop that was run would be in a step after the last."""
        return self._value(tensor, self._ends[loop.name])

    def _value(self, tensor: GraphTensor, scope: _Scope) -> Any:
        """Depth first, with a list in the place of recursion: unrolled graphs are deep."""
        values = scope.values
        pending = [tensor]
        while pending:
            current = pending[-1]
            if current in values:
                pending.pop()
                continue
            node = self._view.condition_node(current)
            if node is None:
                raise EvaluationError(f"the graph holds no node '{current.node}'")
            missing = self._step(node, current, scope)
            if missing:
                if len(pending) > 1_000_000:
                    raise EvaluationError(f"the graph goes round at node '{node.name}'")
                pending.extend(missing)
            else:
                pending.pop()
        return values[tensor]

    def _step(self, node: GraphNode, tensor: GraphTensor, scope: _Scope) -> list[GraphTensor]:
        """Compute a tensor if what it needs is there; else say what is missing."""
        values = scope.values
        op = node.op
        if op in ENTERS:
            if scope.outer is None:
                raise EvaluationError(f"node '{node.name}' enters a loop that is not run")
            values[tensor] = self._value(node.inputs[0], scope.outer)
            return []
        if op in EXITS or op in LOOPS:
            values[tensor] = self._left(node, tensor, scope)
            return []
        if op in SWITCHES:
            return self._switch(node, tensor, scope)
        if op in MERGES:
            return self._merge(node, tensor, scope)
        if op in BRANCHES or op in CALLS:
            return self._call(node, tensor, scope)
        if op == "Const":
            values[tensor] = self._constant(node)
            return []
        if op in VARIABLES:
            values[tensor] = self._variable(node)
            return []
        if op in PLACEHOLDERS:
            raise EvaluationError(f"placeholder '{node.name}' has no value")
        if op in RANDOM:
            raise RandomNumbersError(f"op {op} (node '{node.name}') makes random numbers")
        if op in ("_Arg", "LoopCond"):
            return self._hand_on(node.inputs[0], tensor, scope)
        if op in DROPS and self._random:
            kept = dropout_source(self._view, node)
            if kept is not None:  # dropout is off at inference
                return self._hand_on(kept, tensor, scope)
        missing = [one for one in node.inputs if one not in values]
        if not missing:
            self._compute(node, scope)
            if tensor not in values:
                raise EvaluationError(f"op {op} (node '{node.name}') has no output {tensor.index}")
        return missing

    def _hand_on(
        self, source: GraphTensor, tensor: GraphTensor, scope: _Scope
    ) -> list[GraphTensor]:
        if source not in scope.values:
            return [source]
        scope.values[tensor] = scope.values[source]
        return []

    def _compute(self, node: GraphNode, scope: _Scope) -> None:
        inputs = [scope.values[one] for one in node.inputs]
        self._count_op()
        made: Any
        if any(value is DEAD for value in inputs):
            made = tuple([DEAD] * 16)
        elif any(isinstance(value, ShapeOnly) for value in inputs):
            made = evaluate_shape(node, inputs)
        else:
            operation = OPERATIONS.get(node.op)
            if operation is None:
                raise EvaluationError(f"op {node.op} (node '{node.name}') is not computed")
            try:
                made = operation(node, inputs)
            except MISFITS as error:
                raise EvaluationError(
                    f"op {node.op} (node '{node.name}') cannot be computed: {error}"
                ) from error
            except EvaluationError as error:
                raise EvaluationError(f"op {node.op} (node '{node.name}'): {error}") from error
        if isinstance(made, tuple):
            for index, value in enumerate(made):
                scope.values.setdefault(GraphTensor(node.name, index), value)
        else:
            scope.values[GraphTensor(node.name)] = made

    def _count_op(self) -> None:
        self._ops_left -= 1
        check_time("evaluating the graph", CheckpointError)
        if self._ops_left < 0:
            raise EvaluationError("the graph takes too many steps to be evaluated here")

    def _constant(self, node: GraphNode) -> Any:
        if node.name not in self._constants:
            self._constants[node.name] = tensor_to_array(node.attr["value"].tensor)
        return self._constants[node.name]

    def _variable(self, node: GraphNode) -> Any:
        if node.name not in self._constants:
            if not self._weights.stored(GraphTensor(node.name)):
                raise EvaluationError(f"the file does not hold variable '{node.name}'")
            try:
                self._constants[node.name] = self._weights.read(GraphTensor(node.name))
            except CheckpointError as error:
                raise EvaluationError(str(error)) from error
        return self._constants[node.name]

    def _switch(self, node: GraphNode, tensor: GraphTensor, scope: _Scope) -> list[GraphTensor]:
        data, predicate = node.inputs[:2]
        decides = self._view.node(predicate)
        if decides is not None and decides.op == "LoopCond":
            if tensor.index != 1:
                raise EvaluationError(f"node '{node.name}' leaves a loop that is not run")
            return self._hand_on(data, tensor, scope)
        if predicate not in scope.values:
            return [predicate]
        chosen = scope.values[predicate]
        if chosen is DEAD or int(bool(chosen)) != tensor.index:
            scope.values[tensor] = DEAD
            return []
        return self._hand_on(data, tensor, scope)

    def _merge(self, node: GraphNode, tensor: GraphTensor, scope: _Scope) -> list[GraphTensor]:
        for place, source in enumerate(node.inputs):
            if source not in scope.values:
                return [source]
            if scope.values[source] is not DEAD:
                scope.values[GraphTensor(node.name)] = scope.values[source]
                scope.values[GraphTensor(node.name, 1)] = np.int32(place)
                return []
        scope.values[tensor] = DEAD
        return []

    def _call(self, node: GraphNode, tensor: GraphTensor, scope: _Scope) -> list[GraphTensor]:
        results = self._view.results(tensor)
        place = 0
        if node.op in BRANCHES:
            if node.inputs[0] not in scope.values:
                return [node.inputs[0]]
            place = 0 if np.all(scope.values[node.inputs[0]]) else 1
        if place >= len(results):
            raise EvaluationError(f"what op {node.op} (node '{node.name}') calls is not stored")
        return self._hand_on(results[place], tensor, scope)

    def _left(self, node: GraphNode, tensor: GraphTensor, scope: _Scope) -> Any:
        left = self._loops.left_by(tensor)
        if left is None:
            raise EvaluationError(f"the loop that ends at node '{node.name}' is not understood")
        return self._final(left[0], left[1], scope)

    def _final(self, loop: Loop, variable: GraphTensor | None, scope: _Scope) -> Any:
        """The last value of a loop's variable; the loop is run where it was not."""
        known = self._finals.get(loop.name) if scope is self._whole else None
        if known is None or (variable is not None and variable not in known):
            wanted = {*(known or {})} | ({variable} if variable is not None else set())
            known = self._run(loop, wanted, scope)
            if scope is self._whole:
                self._finals[loop.name] = known
        return None if variable is None else known[variable]

    def _run(self, loop: Loop, wanted: set[GraphTensor], scope: _Scope) -> dict[GraphTensor, Any]:
        if loop.condition is None:
            raise EvaluationError(f"the file does not hold the condition of loop '{loop.name}'")
        watched = self._watched.get(loop.name, []) if scope is self._whole else []
        needed = self._loops.needed(loop, [*wanted, *watched])
        current = {one: self._value(loop.variables[one].initial, scope) for one in needed}
        kept: dict[GraphTensor, list[Any]] = {tensor: [] for tensor in watched}
        given = {one: scope.values[one] for one in self._given if one in scope.values}
        while True:
            self._count_op()
            inner = _Scope(given | current, scope)
            for mine, theirs in loop.arguments.items():
                if theirs in current:
                    inner.values[mine] = current[theirs]
            if not np.all(self._value(loop.condition, inner)):
                self._ends[loop.name] = inner
                break
            for tensor, steps in kept.items():
                value = self._value(tensor, inner)
                steps.append(value)
                self._bytes_left -= getattr(value, "nbytes", 0)
            if self._bytes_left < 0:
                raise EvaluationError("the states of all steps take too much memory")
            current = {one: self._value(loop.variables[one].update, inner) for one in needed}
        self.recorded.update(kept)
        return current
