"""Leaving out of a graph what its results do not depend on.

Keras computes a cell once outside its loop, for the shape of its outputs. Nothing is returned of
it; it must not be taken for the layer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

SHAPES_ALONE = {"ZerosLike", "OnesLike", "Shape", "Size", "Rank"}
"""Ops that need no value of what they read."""


def prune_functions(graph: Any) -> None:
    """Leave out of functions what their results do not depend on.

    Parameters
    ----------
    graph : GraphDef message
    """
    for function in graph.library.function:
        if any(node.op == "SaveV2" for node in function.node_def):
            continue  # it saves, and its result does not tell
        nodes = {node.name: node for node in function.node_def}
        kept: set[str] = set()
        pending = deque(function.ret.values())
        while pending:
            name = pending.popleft().split(":")[0]
            if name in nodes and name not in kept:
                kept.add(name)
                if nodes[name].op not in SHAPES_ALONE:
                    pending.extend(ref for ref in nodes[name].input if not ref.startswith("^"))
        if len(kept) < len(function.node_def):
            left = type(function)()
            left.node_def.extend(node for node in function.node_def if node.name in kept)
            del function.node_def[:]
            function.node_def.MergeFrom(left.node_def)


FILLED_LIKE = ("OnesLike", "ZerosLike")
"""Ops that need no value of what they read, only its shape."""

_ELEMENT_BY_ELEMENT = {"Add", "AddV2", "Identity", "Mul", "Sub", "Relu", "Sigmoid", "Tanh"}


def prune(graph: Any, results: Iterable[str]) -> None:
    """Leave out what no result depends on, and a cell of which no more than the shape is asked.

    Keras computes a cell once outside its loop, for a start of zeros of its outputs' shape; that of
    the state before the first step is the same.

    Parameters
    ----------
    graph : GraphDef message
    results : iterable of str
        The nodes that the model returns; where none is there, all that nothing reads.
    """
    nodes = {node.name: node for node in graph.node}
    read = {ref.lstrip("^").split(":")[0] for node in graph.node for ref in node.input}
    pending = [name for name in results if name in nodes] or [name for name in nodes
                                                             if name not in read]  # fmt: skip
    kept: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in nodes or name in kept:
            continue
        kept.add(name)
        if nodes[name].op in FILLED_LIKE and nodes[name].input:
            nodes[name].input[0] = _of_that_shape(nodes[name].input[0], nodes)
        pending.extend(ref.lstrip("^").split(":")[0] for ref in nodes[name].input)
    left = [type(node).FromString(node.SerializeToString()) for node in graph.node
            if node.name in kept or node.op == "Placeholder"]  # fmt: skip
    del graph.node[:]
    graph.node.extend(left)


def _of_that_shape(ref: str, nodes: dict[str, Any]) -> str:
    """The state of zeros that a value is made of, element by element; itself where none is."""
    pending, seen = [ref], set[str]()
    while pending:
        name = pending.pop().lstrip("^").split(":")[0]
        node = nodes.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op == "Fill":
            return name
        if node.op in _ELEMENT_BY_ELEMENT:
            pending.extend(node.input)
    return ref
