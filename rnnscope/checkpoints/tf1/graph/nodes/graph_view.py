"""A TensorFlow graph as data: nodes, tensors and constants, with function bodies laid open.

Nothing is executed. Graphs written with control flow v2 keep the body of a loop in a function of
the library; `GraphView` copies such bodies into the node list, so that what follows sees one flat
graph whichever TensorFlow wrote it:

* ``Enter → Merge ← NextIteration`` (control flow v1) stays as it is;
* ``While`` and ``StatelessWhile`` become ``_LoopVariable`` nodes, one an argument of the body,
  with two inputs: the value before the loop and the value at the end of the body;
* ``If``, ``PartitionedCall`` and their kind become ``_Arg`` nodes with one input, and their
  outputs pass on to the results of their bodies.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.nodes.least_inputs import LEAST_INPUTS
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import check_time
from rnnscope.files.tensorflow.protos import tensor_to_array
from rnnscope.model.cell import Array

LOOPS = {"While", "StatelessWhile"}
BRANCHES = {"If": ("then_branch", "else_branch"), "StatelessIf": ("then_branch", "else_branch")}
CALLS = {"PartitionedCall": ("f",), "StatefulPartitionedCall": ("f",)}
MAX_NODES = 200_000
"""Nodes of all graphs and functions together: a function that calls another twice, which calls
another twice, doubles them each time."""

MAX_DIGITS = 9
"""Of the number of an output."""

MAX_DEPTH = 16
"""Functions inside functions deeper than this are left closed: no real model nests so far."""

# The order of named outputs of ops with several, for references inside function bodies, where an
# output is "node:name:index". Ops not listed have one output or one list of outputs.
OUTPUT_NAMES = {
    "LSTMBlockCell": ("i", "cs", "f", "o", "ci", "co", "h"),
    "BlockLSTM": ("i", "cs", "f", "o", "ci", "co", "h"),
    "BlockLSTMV2": ("i", "cs", "f", "o", "ci", "co", "h"),
    "GRUBlockCell": ("r", "u", "c", "h"),
    "Switch": ("output_false", "output_true"),
    "Merge": ("output", "value_index"),
    "TensorArrayV3": ("handle", "flow"),
    "TensorListPopBack": ("output_handle", "tensor"),
    "TopK": ("values", "indices"),
    "TopKV2": ("values", "indices"),
    **dict.fromkeys(
        ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"),
        ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"),
    ),
}


@dataclasses.dataclass(frozen=True, order=True)  # ordered, which the deferred one is not
class GraphTensor:
    """One output of one node."""

    node: str
    index: int = 0

    def __str__(self) -> str:
        return self.node if self.index == 0 else f"{self.node}:{self.index}"


@dataclass(frozen=True, eq=False)
class GraphNode:
    """A node: its op, its data inputs (control inputs left out) and its attributes."""

    name: str
    op: str
    inputs: tuple[GraphTensor, ...]
    attr: Any = field(default_factory=dict)

    def integer(self, key: str, default: int = 0) -> int:
        return int(self.attr[key].i) if key in self.attr else default

    def number(self, key: str, default: float) -> float:
        return float(self.attr[key].f) if key in self.attr else default

    def flag(self, key: str) -> bool:
        return bool(self.attr[key].b) if key in self.attr else False


@dataclass(frozen=True)
class Condition:
    """The condition of a While node: its arguments, one a loop variable, and its result."""

    arguments: tuple[GraphTensor, ...]
    result: GraphTensor


class GraphView:
    """A flat, read-only view of a GraphDef.

    Parameters
    ----------
    graph_def : GraphDef message
    """

    def __init__(self, graph_def: Any) -> None:
        self._functions = {fn.signature.name: fn for fn in graph_def.library.function}
        self.nodes: dict[str, GraphNode] = {}
        self._results: dict[str, list[tuple[GraphTensor, ...]]] = {}
        self._conditions: dict[str, Condition] = {}
        self._of_conditions: dict[str, GraphNode] = {}
        self._added = 0
        for node in graph_def.node:
            inputs = tuple(_tensor(ref) for ref in node.input if not ref.startswith("^"))
            self._add(GraphNode(node.name, node.op, inputs, node.attr), depth=0)
        self._consumers: dict[GraphTensor, list[GraphNode]] = defaultdict(list)
        for view in self.nodes.values():
            for tensor in dict.fromkeys(view.inputs):
                self._consumers[tensor].append(view)

    def __iter__(self) -> Iterator[GraphNode]:
        return iter(self.nodes.values())

    def add(self, node: GraphNode) -> None:
        """Put in a node, or another one in its place."""
        old = self.nodes.get(node.name)
        for tensor in dict.fromkeys(() if old is None else old.inputs):
            self._consumers[tensor] = [n for n in self._consumers[tensor] if n.name != node.name]
        self.nodes[node.name] = node
        for tensor in dict.fromkeys(node.inputs):
            self._consumers[tensor].append(node)

    def node(self, tensor: GraphTensor) -> GraphNode | None:
        """The node that makes a tensor; None for one the graph does not hold."""
        return self.nodes.get(tensor.node)

    def op(self, tensor: GraphTensor) -> str:
        """The op that makes a tensor; empty for one the graph does not hold."""
        node = self.node(tensor)
        return "" if node is None else node.op

    def condition(self, loop: str) -> Condition | None:
        """What decides whether a While node takes another step; None where it is not stored.

        Its ops are no part of the flow of states, so that they are not among the view's nodes:
        `condition_node` finds them.
        """
        return self._conditions.get(loop)

    def condition_node(self, tensor: GraphTensor) -> GraphNode | None:
        """As `node`, among the ops of conditions, too."""
        return self.nodes.get(tensor.node) or self._of_conditions.get(tensor.node)

    def consumers(self, tensor: GraphTensor) -> list[GraphNode]:
        return self._consumers.get(tensor, [])

    def results(self, tensor: GraphTensor) -> tuple[GraphTensor, ...]:
        """What an output of a While, If or call node is inside its bodies: one tensor a body."""
        bodies = self._results.get(tensor.node, [])
        return tuple(body[tensor.index] for body in bodies if tensor.index < len(body))

    def constant(self, tensor: GraphTensor) -> Array | None:
        """The value of a Const node, through identities; None if it is none."""
        node = self.node(tensor)
        seen = 0
        while node is not None and node.op in ("Identity", "Enter", "Switch") and seen < 32:
            node, seen = self.node(node.inputs[0]), seen + 1
        if node is None or node.op != "Const":
            return None
        return tensor_to_array(node.attr["value"].tensor)

    def scalar(self, tensor: GraphTensor) -> float | None:
        """The value of a constant with one element."""
        value = self.constant(tensor)
        if value is None or value.size != 1 or value.dtype.kind not in "fiu":
            return None
        return float(value.reshape(()))

    def _add(self, node: GraphNode, depth: int, *, hidden: bool = False) -> None:
        _require_inputs(node)
        self._added += 1
        check_time(f"node '{node.name}'", CheckpointError)
        if self._added > MAX_NODES:
            raise CheckpointError(
                "The graph's functions hold more nodes than any model has.",
                where=f"node '{node.name}'",
                expected=f"at most {MAX_NODES} nodes, each function laid open where it is called",
                found="more",
                hint="the file is damaged, or made to take up time and memory",
            )
        (self._of_conditions if hidden else self.nodes)[node.name] = node
        if depth >= MAX_DEPTH or hidden:
            return
        if node.op in LOOPS:
            self._open(node, "body", node.inputs, depth, loop=True)
            self._open(node, "cond", node.inputs, depth, hidden=True)
        for key in BRANCHES.get(node.op, ()):
            self._open(node, key, node.inputs[1:], depth)
        for key in CALLS.get(node.op, ()):
            self._open(node, key, node.inputs, depth)

    def _open(
        self,
        caller: GraphNode,
        key: str,
        given: Iterable[GraphTensor],
        depth: int,
        loop: bool = False,
        hidden: bool = False,
    ) -> None:
        """Copy the body of a function into the graph, under the caller's name.

        `hidden`: as the condition of a loop, apart from the view's nodes.
        """
        body = self._functions.get(caller.attr[key].func.name)
        if body is None:
            return
        scope = f"{caller.name}/{key}"
        arguments = [argument.name for argument in body.signature.input_arg]
        ops = {node.name: node.op for node in body.node_def}
        known = set(arguments)

        def inside(ref: str) -> GraphTensor:
            name, *rest = ref.split(":")
            if name in known or not rest:
                return GraphTensor(f"{scope}/{name}")
            names = OUTPUT_NAMES.get(ops.get(name, ""), ())
            first = names.index(rest[0]) if rest[0] in names else 0
            number = _number(rest[1], ref) if len(rest) > 1 else 0
            return GraphTensor(f"{scope}/{name}", first + number)

        returned = tuple(
            inside(body.ret[result.name])
            for result in body.signature.output_arg
            if result.name in body.ret
        )
        if hidden and not returned:
            return
        if hidden:
            taken = tuple(GraphTensor(f"{scope}/{name}") for name in arguments)
            self._conditions[caller.name] = Condition(taken, returned[0])
        else:
            self._results.setdefault(caller.name, []).append(returned)
        for position, (name, value) in enumerate(zip(arguments, given, strict=False)):
            inputs = (value, returned[position]) if loop and position < len(returned) else (value,)
            op = "_LoopVariable" if loop else "_Arg"
            self._add(GraphNode(f"{scope}/{name}", op, inputs), depth + 1, hidden=hidden)
        for node in body.node_def:
            refs = tuple(inside(ref) for ref in node.input if not ref.startswith("^"))
            inner = GraphNode(f"{scope}/{node.name}", node.op, refs, node.attr)
            self._add(inner, depth + 1, hidden=hidden)


def _tensor(ref: str) -> GraphTensor:
    name, _, index = ref.partition(":")
    return GraphTensor(name, _number(index, ref) if index else 0)


def _number(text: str, ref: str) -> int:
    """The number of an output; references are text, and text may say anything."""
    if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS:
        return int(text)
    raise CheckpointError(
        "A node of the graph has an input that is no reference to another node.",
        where=f"input '{ref}'",
        expected="NODE, or NODE:NUMBER",
        found=ref,
        hint="the file is damaged; write it again",
    )


def _require_inputs(node: GraphNode) -> None:
    least = LEAST_INPUTS.get(node.op, 0)
    if len(node.inputs) < least:
        raise CheckpointError(
            "A node of the graph has fewer inputs than its op takes.",
            where=f"node '{node.name}', op {node.op}",
            expected=f"at least {least}",
            found=len(node.inputs),
            hint="the file is damaged; write it again",
        )


def is_zero(view: GraphView, tensor: GraphTensor) -> bool:
    """Whether a tensor is a constant of zeros, or a Fill or broadcast of one, or zeros_like."""
    node = view.node(tensor)
    if node is None:
        return False
    if node.op == "ZerosLike":
        return True
    if node.op in ("Fill", "BroadcastTo", "Tile"):
        source = node.inputs[1] if node.op == "Fill" else node.inputs[0]
        return is_zero(view, source)
    value = view.constant(tensor)
    return value is not None and value.dtype.kind in "fiu" and not np.any(value)
