"""What is constant in an ONNX graph: stored tensors, and what is computed from them alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.every_operation import EVERY_OPERATION
from rnnscope.checkpoints.onnx.evaluation.work import Work
from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.graph.tensors import DOUBLE, FLOAT, FLOATS, INTEGERS
from rnnscope.checkpoints.onnx.operations.interface import cast
from rnnscope.errors import CheckpointError
from rnnscope.model.cell import Array
from rnnscope.model.layers.deferred_table import DeferredTable
from rnnscope.model.ops import MISFITS, EvaluationError

MAX_CHAIN = 100
"""How many nodes may stand between a stored tensor and what is made of it."""

WIDENING = ("Cast", "DequantizeLinear")
"""Operators that make floats of a table in fewer bits."""

MAX_WORK = 1 << 31
"""What may be spent on all constants of a file."""


class OnnxConstants:
    """The constant values of a graph, by key; computed when asked for."""

    def __init__(self, program: OnnxProgram) -> None:
        self._graph = program.graph
        self._stored = program.stored
        self._values = program.evaluation(work=Work(MAX_WORK))
        self._known: dict[str, Array | None] = {}
        self._varying = _varying(program)

    def is_stored(self, key: str) -> bool:
        """Whether a value is an initializer or a Constant, whose shape costs nothing to know."""
        return key in self._stored

    def table(self, key: str) -> DeferredTable | None:
        """See `StoredValues.table`; one that is stored in fewer bits, too."""
        found = self._stored.table(key)
        return self._widened_table(key) if found is None else found

    def holds_whole_numbers(self, key: str) -> bool:
        """Whether a value is stored, and of no floats: it need not be read to know that."""
        tensor = self._graph.initializers.get(key)
        return tensor is not None and tensor.data_type not in FLOATS

    def _widened_table(self, key: str) -> DeferredTable | None:
        """A matrix in the file that an operator makes wider floats of, which is done later."""
        node = self._graph.producers.get(self._graph.behind(key, ("Identity",)))
        if node is None or node.op not in WIDENING or "block_size" in node.attributes:
            return None
        if node.op == "Cast" and node.integer("to") not in (FLOAT, DOUBLE):
            return None
        found = self._stored.matrix_in_file(node.input(0))
        if found is None or not all(name in self._stored for name in node.inputs[1:] if name):
            return None
        others = [self._stored.array(name) if name else None for name in node.inputs[1:]]
        shape, load = found
        return DeferredTable(shape, partial(_widened, node, shape, load, others))

    def array(self, key: str) -> Array | None:
        """The value of a key, or None if it depends on the model's input or is not computed."""
        if key not in self._known:
            self._known[key] = self._array(key)
        return self._known[key]

    def _array(self, key: str) -> Array | None:
        if key in self._stored:
            return self._stored.array(key)
        if key in self._varying or key not in self._graph.producers:
            return None
        try:
            value = self._values.value(key)
        except EvaluationError:
            return None  # it does not fit: whoever needs the value says so
        return None if isinstance(value, list) else value

    def names(self, key: str) -> tuple[str, ...]:
        """The stored floats that a constant is made of, by name; itself where none has one."""
        found: dict[str, None] = {}
        pending = [key]
        seen: set[str] = set()
        while pending and len(seen) < MAX_CHAIN:
            name = pending.pop()
            seen.add(name)
            if name in self._graph.initializers:
                if self._graph.initializers[name].data_type not in INTEGERS:
                    found[name] = None
                continue
            producer = self._graph.producers.get(name)
            reads = producer.inputs if producer is not None else ()
            pending += [read for read in reversed(reads) if read and read not in seen]
        return tuple(found) or (key,)

    def ints(self, node: OnnxNode, attribute: str, number: int) -> tuple[int, ...] | None:
        """Integers that are an attribute in old operator sets and an input in new ones."""
        stated = node.ints(attribute)
        if stated is not None:
            return stated
        array = self.array(node.input(number)) if node.input(number) else None
        return None if array is None else tuple(int(value) for value in array.ravel())

    def fill(self, key: str, depth: int = 0) -> float | None:
        """The one number that a value is made of, however large it is at run time."""
        array = self.array(key)
        if array is not None:
            alike = (
                array.size > 0
                and array.dtype.kind in "fiu"
                and bool((array == array.flat[0]).all())
            )
            return float(array.flat[0]) if alike else None
        node = self._graph.producers.get(key)
        if node is None or depth > MAX_CHAIN:
            return None
        if node.op == "ConstantOfShape":
            return float(self._stored.fill_value(node))
        if node.op == "Cast":
            value = self.fill(node.input(0), depth + 1)
            return None if value is None else _cast(value, node.integer("to"))
        if node.op in _KEEPS_VALUES:
            return self.fill(node.input(0), depth + 1)
        if node.op == "Concat":
            found = {self.fill(name, depth + 1) for name in node.inputs}
            return found.pop() if len(found) == 1 else None
        return None

    def before_expansion(self, key: str) -> Array | None:
        """A constant that the graph only repeats along axes of size 1 (a learned initial state)."""
        return self.array(self._graph.behind(key, ("Expand", "Tile", "Identity")))


def _cast(value: float, to: int) -> float | None:
    try:
        return float(cast(np.float64(value), to))
    except (EvaluationError, OverflowError):
        return None


def _widened(
    node: OnnxNode, shape: tuple[int, ...], load: Callable[[], Array], others: list[Array | None]
) -> Array:
    stored, made, words = load(), None, ""
    try:
        made = np.asarray(EVERY_OPERATION[node.op](node, [stored, *others]))
    except (EvaluationError, *MISFITS) as error:
        words = str(error).partition("\n")[0]
    if made is None or made.shape != shape or made.dtype.kind != "f":
        raise CheckpointError(
            "A stored table does not fit the operator that makes floats of it.",
            where=f"{node.op} '{node.name}'",
            expected=f"floats of shape {shape}",
            found=words if made is None else f"{made.dtype} of shape {made.shape}",
            hint="the model is damaged: export it again",
        )
    return made


def _varying(program: OnnxProgram) -> set[str]:
    """The values that depend on what is given to the model."""
    found = {*program.graph.inputs, *program.graph.inner_inputs}
    for node in program.graph.nodes:
        if not found.isdisjoint(node.inputs) or node.op.startswith("Random"):
            found.update(filter(None, node.outputs))
    return found


_KEEPS_VALUES = (
    "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze",
    "Tile", "Transpose", "Unsqueeze",
)  # fmt: skip
