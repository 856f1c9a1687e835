"""The loops of a graph, of either control flow, in one form.

Control flow v1 writes ``Enter → Merge → Switch → … → NextIteration → Merge`` for each variable of a
loop, and one LoopCond for all of them; v2 has a While node whose body and condition are functions,
which `GraphView` has laid open.

References
----------
Yu et al. (2018), "Dynamic control flow in large-scale machine learning"; control_flow_ops.py and
while_v2.py of TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import cached_property

from rnnscope.checkpoints.tf1.graph.nodes.dataflow import COMES_BACK, ENTERS
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import LOOPS, GraphNode, GraphTensor, GraphView
from rnnscope.deferred_dataclass import dataclass

MERGES = {"Merge", "RefMerge"}
SWITCHES = {"Switch", "RefSwitch"}
EXITS = {"Exit", "RefExit"}


@dataclass(frozen=True)
class LoopVariable:
    """What a loop carries from step to step: its value before the loop, and after a step."""

    initial: GraphTensor
    update: GraphTensor


@dataclass(frozen=True)
class Loop:
    """One loop.

    Attributes
    ----------
    name : str
        The While node, or the LoopCond.
    variables : dict of GraphTensor to LoopVariable
        By the tensor that holds the value within a step.
    condition : GraphTensor or None
        True where another step is taken; None for a loop that the file does not tell in full.
    arguments : dict of GraphTensor to GraphTensor
        What the condition calls its variables, where it has names of its own.
    frame : str
        The frame of control flow v1.
    """

    name: str
    variables: dict[GraphTensor, LoopVariable]
    condition: GraphTensor | None
    arguments: Mapping[GraphTensor, GraphTensor] = field(default_factory=dict)
    frame: str = ""


class Loops:
    """The loops of a view, and what lies in which.

    Parameters
    ----------
    view : GraphView
    """

    def __init__(self, view: GraphView) -> None:
        self._view = view
        self.every: dict[str, Loop] = {}
        self._of_variable: dict[GraphTensor, Loop] = {}
        self._arguments = self._arguments_of_bodies()
        self._read_merges()
        for node in view:
            if node.op in LOOPS:
                self._read_while(node)
        for loop in self.every.values():
            self._of_variable.update(dict.fromkeys(loop.variables, loop))
        self._of_frame = {loop.frame: loop for loop in self.every.values() if loop.frame}
        self._found: dict[GraphTensor, Loop | None] = {}

    def _arguments_of_bodies(self) -> dict[str, list[GraphNode]]:
        """The variables of loops of control flow v2, in order, by the scope of the body."""
        found: dict[str, list[GraphNode]] = {}
        for node in self._view:
            if node.op == "_LoopVariable" and len(node.inputs) == 2:
                found.setdefault(node.name.rpartition("/")[0], []).append(node)
        return found

    def _read_merges(self) -> None:
        variables: dict[str, dict[GraphTensor, LoopVariable]] = {}
        conditions: dict[str, GraphTensor] = {}
        frames: dict[str, str] = {}
        for node in self._view:
            if node.op not in MERGES:
                continue
            sources = [self._view.node(part) for part in node.inputs]
            enter = next((one for one in sources if one and one.op in ENTERS), None)
            again = next((one for one in sources if one and one.op in COMES_BACK), None)
            decides = self._decides(node)
            if enter is None or again is None or decides is None:
                continue
            merged = GraphTensor(node.name)
            found = LoopVariable(enter.inputs[0], again.inputs[0])
            variables.setdefault(decides.name, {})[merged] = found
            conditions[decides.name] = decides.inputs[0]
            frame = enter.attr["frame_name"].s if "frame_name" in enter.attr else b""
            frames[decides.name] = frame.decode("utf-8", "replace")
        for name, carried in variables.items():
            self.every[name] = Loop(name, carried, conditions[name], frame=frames[name])

    def _decides(self, merge: GraphNode) -> GraphNode | None:
        """The LoopCond of a loop that a Merge belongs to."""
        for consumer in self._view.consumers(GraphTensor(merge.name)):
            if consumer.op in SWITCHES:
                node = self._view.node(consumer.inputs[1])
                if node is not None and node.op == "LoopCond":
                    return node
        return None

    def _read_while(self, node: GraphNode) -> None:
        carried = self._arguments.get(f"{node.name}/body", [])
        variables = {GraphTensor(one.name): LoopVariable(*one.inputs[:2]) for one in carried}
        condition = self._view.condition(node.name)
        arguments: dict[GraphTensor, GraphTensor] = {}
        if condition is not None:
            arguments = dict(zip(condition.arguments, variables, strict=False))
        result = None if condition is None else condition.result
        self.every[node.name] = Loop(node.name, variables, result, arguments)

    def left_by(self, tensor: GraphTensor) -> tuple[Loop, GraphTensor] | None:
        """The loop that a tensor is a result of, and the variable whose last value it is."""
        node = self._view.condition_node(tensor)
        if node is None:
            return None
        if node.op in LOOPS and node.name in self.every:
            loop = self.every[node.name]
            variables = [*loop.variables]
            return (loop, variables[tensor.index]) if tensor.index < len(variables) else None
        if node.op in EXITS:
            switch = self._view.node(node.inputs[0])
            merged = None if switch is None else GraphTensor(switch.inputs[0].node)
            loop_of = None if merged is None else self._of_variable.get(merged)
            if loop_of is not None and merged is not None:
                return loop_of, merged
        return None

    def around(self, tensor: GraphTensor) -> Loop | None:
        """The innermost loop that a tensor is computed in; None outside of all."""
        if tensor not in self._found:
            self._found[tensor] = self._around(tensor)
        return self._found[tensor]

    def _around(self, tensor: GraphTensor) -> Loop | None:
        pending, seen = [tensor], {tensor}
        while pending:
            current = pending.pop()
            if current in self._of_variable:
                return self._of_variable[current]
            node = self._view.node(current)
            if node is None:
                continue
            if node.op in ENTERS:
                frame = node.attr["frame_name"].s if "frame_name" in node.attr else b""
                return self._of_frame.get(frame.decode("utf-8", "replace"))
            left = self.left_by(current)
            onward = node.inputs
            if left is not None:
                onward = tuple(variable.initial for variable in left[0].variables.values())
            for step in onward:
                if step not in seen and self._found.get(step, step) is not None:
                    seen.add(step)
                    pending.append(step)
        # What led to no loop need not be followed again: stacks of loops stand on one another.
        self._found.update(dict.fromkeys(seen))
        return None

    def needed(self, loop: Loop, wanted: Iterable[GraphTensor]) -> frozenset[GraphTensor]:
        """The variables of a loop that its condition and some tensors within a step depend on."""
        found: set[GraphTensor] = set()
        pending = [*wanted]
        if loop.condition is not None:
            pending.append(loop.condition)
        seen = set(pending)
        while pending:
            current = pending.pop()
            current = loop.arguments.get(current, current)
            if current in loop.variables and current not in found:
                found.add(current)
                onward: tuple[GraphTensor, ...] = (loop.variables[current].update,)
            else:
                onward = self._behind(current)
            for step in onward:
                if step not in seen:
                    seen.add(step)
                    pending.append(step)
        return frozenset(found)

    def reached(self, loop: Loop, tensor: GraphTensor) -> frozenset[GraphTensor]:
        """The variables of a loop that a tensor within a step is made of, in that step."""
        found, pending, seen = set[GraphTensor](), [tensor], {tensor}
        while pending:
            current = pending.pop()
            if current in loop.variables:
                if not self.is_constant(loop, current):
                    found.add(current)
                continue
            node = self._view.node(current)
            # What decides whether there is another step is no part of the value.
            switch = node is not None and node.op in SWITCHES
            for step in self._behind(current)[: 1 if switch else None]:
                if step not in seen:
                    seen.add(step)
                    pending.append(step)
        return frozenset(found)

    def is_constant(self, loop: Loop, variable: GraphTensor) -> bool:
        """Whether a loop hands a variable on as it is: weights, and lists that are read."""
        update = loop.variables[variable].update
        for _ in range(16):
            if update == variable:
                return True
            node = self._view.node(update)
            if node is None or node.op not in ("Identity", "Switch") or not node.inputs:
                return False
            update = node.inputs[0]
        return False

    def _behind(self, tensor: GraphTensor) -> tuple[GraphTensor, ...]:
        """What a tensor within a step is made of, in that step."""
        node = self._view.condition_node(tensor)
        if node is None or tensor in self._of_variable:
            return ()
        left = self.left_by(tensor)
        if left is not None:
            inner, variable = left
            wanted = self.needed(inner, [variable])
            return tuple(inner.variables[one].initial for one in wanted) + self._entering(inner)
        if node.op in ENTERS:
            return ()
        results = self._view.results(tensor)
        return (*node.inputs, *results) if results else node.inputs

    def _entering(self, loop: Loop) -> tuple[GraphTensor, ...]:
        """What enters the frame of a loop of control flow v1, and stays what it is in it."""
        return self._constants.get(loop.frame, ()) if loop.frame else ()

    @cached_property
    def _constants(self) -> dict[str, tuple[GraphTensor, ...]]:
        found: dict[str, list[GraphTensor]] = {}
        for node in self._view:
            if node.op in ENTERS and "frame_name" in node.attr:
                frame = node.attr["frame_name"].s.decode("utf-8", "replace")
                found.setdefault(frame, []).append(node.inputs[0])
        return {frame: tuple(tensors) for frame, tensors in found.items()}
