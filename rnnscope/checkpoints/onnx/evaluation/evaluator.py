"""Computing any value of an ONNX graph from values that are bound to some of its keys.

Each value is computed when it is asked for, and once. Nothing of the file is executed but the
operations of OPS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.control import CONTROL, Turn
from rnnscope.checkpoints.onnx.evaluation.every_operation import EVERY_OPERATION
from rnnscope.checkpoints.onnx.evaluation.work import Work, cost_of
from rnnscope.checkpoints.onnx.graph.nodes import Body, OnnxGraph, OnnxNode
from rnnscope.checkpoints.onnx.graph.stored_values import StoredValues
from rnnscope.checkpoints.onnx.graph.tensors import UnreadTypeError
from rnnscope.checkpoints.onnx.network.sorting import left_in_order
from rnnscope.checkpoints.onnx.operations.recurrent import RECURRENT
from rnnscope.checkpoints.onnx.stepwise import STEPWISE
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import check_time
from rnnscope.model.ops import MISFITS, EvaluationError, check_size


@dataclass(frozen=True, eq=False)
class OnnxProgram:
    """A graph with the values that the file holds: what an evaluation runs.

    Attributes
    ----------
    graph : OnnxGraph
    stored : StoredValues
    unsorted : frozenset of OnnxNode
        Nodes that sort sequences, which are left in order;
        see `rnnscope.checkpoints.onnx.network.sorting`.
    """

    graph: OnnxGraph
    stored: StoredValues
    unsorted: frozenset[OnnxNode] = frozenset()

    def evaluation(
        self, bound: Mapping[str, Any] | None = None, work: Work | None = None
    ) -> Evaluation:
        """An evaluation with values bound to some keys, whatever the graph says of them."""
        return Evaluation(self, dict(bound or {}), work or Work())


class NodeError(EvaluationError):
    """A node that cannot be computed; the message names it."""


class MisfitError(NodeError):
    """Values do not fit an operator that is computed: made-up inputs may be to blame."""


class Evaluation:
    """The values of a graph, by key.

    Parameters
    ----------
    program : OnnxProgram
    bound : dict of str to ndarray
        Values of keys, which are not computed: those of the model's inputs at least.
    work : Work
        What may be spent.
    outer : Evaluation or None
        That of the graph around a loop's body.
    body : Body or None
        The body that this is one turn of.
    """

    def __init__(
        self,
        program: OnnxProgram,
        bound: dict[str, Any],
        work: Work,
        outer: Evaluation | None = None,
        body: Body | None = None,
    ) -> None:
        self.program = program
        self.work = work
        self.watched: dict[OnnxNode, tuple[list[Any], list[list[Any]]]] = {}
        self._starts: dict[OnnxNode, Mapping[int, Any]] = {}
        self.returned: dict[OnnxNode, tuple[Any, ...]] = {}
        self._known = bound
        self._failed: dict[str, tuple[type[EvaluationError], tuple[Any, ...]]] = {}
        self._outer = outer
        self._body = body

    def value(self, key: str) -> Any:
        """The value of a key.

        Raises
        ------
        EvaluationError
            It needs an input that is not bound, or an operator that is not computed, or does not
            fit, or would cost too much; the message names operator and node.
        """
        if key not in self._known:
            self._compute(key)
        return self._known[key]

    def watch(self, node: OnnxNode, starts: Mapping[int, Any]) -> None:
        """Keep what a loop is handed and what every turn of it makes, in `watched`.

        Parameters
        ----------
        node : OnnxNode
        starts : mapping of int to ndarray
            Values for some of its inputs, by number, in the place of the graph's.
        """
        self.watched[node] = ([], [])
        self._starts[node] = starts
        self._failed.clear()

    def known(self, key: str) -> Any:
        """The value of a key that was computed before; None of one that is left out."""
        return self._known[key] if key else None

    def turn(self, body: Body, handed: list[Any]) -> Evaluation:
        """One turn of a loop's body, with values for its inputs."""
        bound = dict(zip(body.inputs, handed, strict=True))
        return Evaluation(self.program, bound, self.work, self, body)

    def _turns(self, node: OnnxNode, body: Body) -> Turn:
        def run(handed: list[Any]) -> list[Any]:
            inside = self.turn(body, handed)
            made = [inside.value(key) for key in body.outputs]
            if node in self.watched:
                self.watched[node][1].append(made)
            return made

        return run

    def _compute(self, wanted: str) -> None:
        """Compute a value after all that it needs: without recursion, since chains are long.

        What failed is not tried again: of a long chain, every value would go back to the same one.
        """
        pending = [wanted]
        asked: dict[str, set[str]] = {}
        try:
            self._compute_all(pending, asked)
        except EvaluationError as error:
            if not self.work.exhausted:  # then it is no matter of the value
                failed = [key for key in (*asked, pending[-1]) if key not in self._known]
                self._failed.update(dict.fromkeys(failed, (type(error), error.args)))
            raise

    def _compute_all(self, pending: list[str], asked: dict[str, set[str]]) -> None:
        """Compute values, the last one first; `asked` is what each was waiting for."""
        while pending:
            check_time("evaluating the graph", CheckpointError)
            key = pending[-1]
            if key in self._known:
                pending.pop()
                continue
            if key in self._failed:
                kind, words = self._failed[key]
                raise kind(*words)
            missing = [name for name in self._needs(key) if name not in self._known]
            if not missing:
                self._known.update(self._made(key))
                pending.pop()
                continue
            before = asked.setdefault(key, set())
            if before.issuperset(missing):
                raise EvaluationError(f"the graph runs in a circle at '{key}'")
            before.update(missing)
            pending.extend(missing)

    def _is_outer(self, key: str) -> bool:
        return self._body is not None and key not in self._body.own

    def _needs(self, key: str) -> Iterator[str]:
        graph = self.program.graph
        node = graph.producers.get(key)
        if node is None or self._is_outer(key) or key in self.program.stored:
            return
        if node.op == "If":
            yield node.inputs[0]
            if node.inputs[0] in self._known:
                branch = graph.bodies[node]["then" if self._taken(node) else "else"]
                yield branch.outputs[node.outputs.index(key)]
            return
        yield from filter(None, graph.own_inputs(node))

    def _taken(self, node: OnnxNode) -> bool:
        return bool(np.ravel(self._known[node.inputs[0]])[0])

    def _made(self, key: str) -> dict[str, Any]:
        """The value of a key whose needs are known, and what is made with it."""
        graph = self.program.graph
        if self._is_outer(key):
            assert self._outer is not None
            return {key: self._outer.value(key)}
        if key in self.program.stored:
            try:
                value = self.program.stored.array(key)
            except UnreadTypeError as error:
                raise EvaluationError(f"the graph {error.reason}") from error
            if value is not None:
                return {key: value}
            raise EvaluationError(f"constant '{key}' holds what is no array of numbers")
        node = graph.producers.get(key)
        if node is None:
            raise EvaluationError(f"input '{key}' is not known")
        if node.op == "If":
            branch = graph.bodies[node]["then" if self._taken(node) else "else"]
            return {key: self._known[branch.outputs[node.outputs.index(key)]]}
        inputs = [self.known(name) for name in graph.own_inputs(node)]
        if node in self.watched:
            for number, value in self._starts[node].items():
                inputs[number] = value
            self.watched[node] = (inputs, [])
        values = self._run(node, inputs)
        made = values if isinstance(values, tuple) else (values,)
        if node.op in RECURRENT or node.op in STEPWISE:
            self.returned[node] = made  # outputs among them that have no name in the graph
        found = {name: value for name, value in zip(node.outputs, made, strict=False)
                 if name and value is not None}  # fmt: skip
        if key not in found:
            raise EvaluationError(f"output '{key}' of op {node.op} is not computed")
        return found

    def _run(self, node: OnnxNode, inputs: list[Any]) -> Any:
        """What a node makes of its inputs."""
        if (
            node.op not in EVERY_OPERATION
            and node.op not in CONTROL
            and node.op != "ConstantOfShape"
        ):
            raise NodeError(f"op {node.op} (node '{node.name}') is not computed")
        self.work.spend(cost_of(node.op, inputs))
        try:
            with np.errstate(all="ignore"):
                if node in self.program.unsorted:
                    made: Any = left_in_order(inputs)
                elif node.op == "ConstantOfShape":
                    made = self._filled(node, inputs[0])
                elif node.op in CONTROL:
                    body = self.program.graph.bodies[node]["body"]
                    made = CONTROL[node.op](node, inputs, body, self._turns(node, body))
                else:
                    made = EVERY_OPERATION[node.op](node, inputs)
        except NodeError:  # a node of a loop's body
            raise
        except EvaluationError as error:
            raise NodeError(_failure(node, error)) from error
        except MISFITS as error:
            raise MisfitError(_failure(node, error)) from error
        values = made if isinstance(made, tuple) else (made,)
        arrays = tuple(
            one if one is None or isinstance(one, list) else np.asarray(one) for one in values
        )
        self.work.spend(sum(one.size for one in arrays if isinstance(one, np.ndarray)))
        return arrays

    def _filled(self, node: OnnxNode, shape: Any) -> Any:
        value = self.program.stored.fill_value(node)
        return np.full(check_size(np.ravel(shape), value.dtype), value, value.dtype)


def _failure(node: OnnxNode, error: Exception) -> str:
    words = str(error).partition("\n")[0] or type(error).__name__
    return f"op {node.op} (node '{node.name}'): {words}"
