"""Following values backward through a graph, past the ops that only hand them on.

Loops, conditionals, `dynamic_rnn`'s Select past the length, state tuples packed into one tensor
and dropout (off at inference) all stand between the place where a cell computes its state and
the place where the next step reads it. `origins` walks through them.
"""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphTensor, GraphView
from rnnscope.deferred_dataclass import dataclass

HANDS_ON_FIRST = {
    "Identity", "Enter", "RefEnter", "Exit", "RefExit", "Switch", "RefSwitch", "NextIteration",
    "RefNextIteration", "LoopCond", "StopGradient", "PreventGradient", "CheckNumerics", "Snapshot",
    "EnsureShape", "ReadVariableOp", "Cast", "RefIdentity",
}  # fmt: skip
HANDS_ON_ALL = {"Merge", "RefMerge", "_LoopVariable", "_Arg"}
SELECTS = {"Select", "SelectV2"}
CALLERS = {
    "While", "StatelessWhile", "If", "StatelessIf", "PartitionedCall", "StatefulPartitionedCall",
}  # fmt: skip
ADDS = {"Add", "AddV2"}
RANDOM = {"RandomUniform", "RandomStandardNormal", "TruncatedNormal", "StatelessRandomUniform",
          "StatelessRandomUniformV2"}  # fmt: skip
WRITES = {"TensorArrayWrite": 2, "TensorArrayWriteV2": 2, "TensorArrayWriteV3": 2,
          "TensorListSetItem": 2, "TensorListPushBack": 1}  # fmt: skip
"""Ops that put a step's value into a list, and the position of the value."""

VALUELESS = {"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike", "Fill"}
"""Ops that take no values from what they read: a batch size is no state that is handed over."""

ENTERS = {"Enter", "RefEnter"}
COMES_BACK = {"NextIteration", "RefNextIteration"}
"""Where a loop of control flow v1 begins, and where it hands round what a step left."""

DROPOUT_DEPTH = 10
"""From the product in dropout to its random numbers: at most seven ops in any TensorFlow."""


@dataclass(frozen=True)
class Chosen:
    """A Select that was passed on the way: its condition decides which steps count."""

    condition: GraphTensor
    name: str


def handed_on(
    view: GraphView, node: GraphNode, tensor: GraphTensor
) -> tuple[GraphTensor, ...] | None:
    """The tensors that one output of a node may hold unchanged; None if the node computes."""
    if node.op in HANDS_ON_FIRST and node.inputs:
        return node.inputs[:1]
    if node.op in HANDS_ON_ALL:
        return node.inputs
    if node.op in CALLERS:
        return view.results(tensor) or None
    if node.op in SELECTS:
        dropped = dropout_source(view, node) or _wrapped_index(view, node)
        return (dropped,) if dropped else node.inputs[1:3]
    if node.op == "Mul":
        dropped = dropout_source(view, node)
        return (dropped,) if dropped else None
    return None


def _wrapped_index(view: GraphView, node: GraphNode) -> GraphTensor | None:
    """The ids of ``where(ids < 0, ids + size, ids)``, as Keras 3 looks up embeddings."""
    below = view.node(node.inputs[0])
    wrapped = view.node(node.inputs[1])
    if below is None or below.op != "Less" or wrapped is None or wrapped.op not in ADDS:
        return None
    same = view.scalar(below.inputs[1]) == 0 and node.inputs[2] in wrapped.inputs
    return node.inputs[2] if same else None


def peel(view: GraphView, tensor: GraphTensor) -> GraphTensor:
    """The tensor behind identities, loop entries and reads: one straight line backward."""
    for _ in range(64):
        node = view.node(tensor)
        if node is None or node.op not in HANDS_ON_FIRST or not node.inputs:
            if node is not None and node.op == "_Arg":
                tensor = node.inputs[0]
                continue
            if node is not None and node.op == "_LoopVariable" and _invariant(view, node):
                tensor = node.inputs[0]
                continue
            break
        tensor = node.inputs[0]
    return tensor


def _invariant(view: GraphView, node: GraphNode) -> bool:
    """Whether a loop hands a variable on unchanged: its update is the variable itself."""
    if len(node.inputs) < 2:
        return True
    update: GraphTensor = node.inputs[1]
    for _ in range(16):
        if update.node == node.name:
            return True
        source = view.node(update)
        if source is None or source.op not in HANDS_ON_FIRST or not source.inputs:
            return False
        update = source.inputs[0]
    return False


def walk(
    view: GraphView, tensor: GraphTensor, *, packed: bool = False
) -> Iterator[tuple[GraphTensor, GraphNode | None]]:
    """Every tensor on the way back from `tensor` through the ops that hand on; ends included.

    With `packed`, states packed into one tensor are opened too: Concat, Split and Slice hand on.
    """
    pending, seen = [tensor], set()
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        node = view.node(current)
        yield current, node
        if node is None:
            continue
        onward = handed_on(view, node, current)
        if onward is None and packed:
            onward = _unpacked(node)
        pending.extend(onward or ())


def _unpacked(node: GraphNode) -> tuple[GraphTensor, ...] | None:
    if node.op == "ConcatV2":
        return node.inputs[:-1]
    if node.op in ("Concat", "Split"):
        return node.inputs[1:]
    if node.op in ("Slice", "StridedSlice", "SplitV", "Unpack", "GatherV2"):
        return node.inputs[:1]
    if node.op == "Pack":
        return node.inputs
    return None


def origins(view: GraphView, tensor: GraphTensor) -> tuple[set[GraphTensor], list[Chosen]]:
    """Where a state comes from, and the Selects passed on the way.

    Returns
    -------
    sources : set of GraphTensor
        Tensors that are computed, not handed on: the cell's new state, zeros, a placeholder.
    selects : list of Chosen
    """
    sources: set[GraphTensor] = set()
    selects: list[Chosen] = []
    for current, node in walk(view, tensor, packed=True):
        if node is None:
            sources.add(current)
            continue
        if node.op in SELECTS and dropout_source(view, node) is None:
            selects.append(Chosen(node.inputs[0], node.name))
        if handed_on(view, node, current) is None and _unpacked(node) is None:
            sources.add(current)
    return sources, selects


def dropout_source(view: GraphView, node: GraphNode) -> GraphTensor | None:
    """The tensor that a dropout drops from, if `node` is the last op of one; else None.

    TensorFlow before 1.13 computes ``(x / keep) * floor(keep + random)``, then
    ``(x * scale) * cast(random >= rate)``, and since 2.10 ``select(random >= rate, x * scale, 0)``.
    """
    if node.op in SELECTS and _is_random(view, node.inputs[0]):
        return _unscaled(view, node.inputs[1])
    if node.op != "Mul":
        return None
    for noise, kept in ((node.inputs[1], node.inputs[0]), (node.inputs[0], node.inputs[1])):
        # What is kept may be the outcome of another dropout; the mask alone is rounded or cast.
        rounded = view.node(noise)
        if rounded is not None and rounded.op in ("Floor", "Cast") and _is_random(view, noise):
            return _unscaled(view, kept)
    return None


def _unscaled(view: GraphView, tensor: GraphTensor) -> GraphTensor:
    node = view.node(tensor)
    if node is None or node.op not in ("Mul", "RealDiv", "Div"):
        return tensor
    if node.op != "Mul":
        return node.inputs[0]
    # x * scale, in either order: the scale is a constant or computed from the rate alone.
    left, right = node.inputs
    return right if _is_scalar_expression(view, left) else left


def _is_scalar_expression(view: GraphView, tensor: GraphTensor) -> bool:
    value = view.constant(tensor)
    if value is not None:
        return value.size == 1
    node = view.node(tensor)
    return node is not None and node.op in ("RealDiv", "Div", "Sub", "Reciprocal")


def _is_random(view: GraphView, tensor: GraphTensor) -> bool:
    """Whether a tensor is arithmetic on random numbers, as dropout's mask is."""
    arithmetic = {"Floor", "Add", "AddV2", "Mul", "Sub", "Cast", "GreaterEqual", "Identity"}
    front = {tensor}
    for _ in range(DROPOUT_DEPTH):
        onward: set[GraphTensor] = set()
        for current in front:
            node = view.node(current)
            if node is None:
                continue
            if node.op in RANDOM:
                return True
            if node.op in arithmetic:
                onward.update(node.inputs)
        front = onward
    return False
