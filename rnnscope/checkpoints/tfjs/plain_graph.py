"""A converted graph in plain ops again: TensorFlow's optimiser fuses ops, and lowers loops.

A weight that a loop reads goes round with its variables there, though no turn changes it; in the
graphs that people wrote for TensorFlow 1 it enters as a constant. Both compute the same.

References
----------
tensorflow/core/grappler/optimizers/remapper.cc: ``_FusedMatMul`` and ``_FusedConv2D`` are the op,
then the ops of ``fused_ops`` in order, the first of which takes the further inputs.
core/common_runtime/lower_while_op.cc: what a While becomes.
"""

from __future__ import annotations

from typing import Any

FUSED = {"_FusedMatMul": "MatMul", "_FusedConv2D": "Conv2D",
         "_FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}  # fmt: skip
"""Fused ops, and the op that each begins with."""

BEHIND = ("Elu", "Relu", "Relu6", "Sigmoid", "Tanh")
"""Ops of one input that may follow."""

_OWN = (
    "fused_ops",
    "num_args",
    "epsilon",
    "leakyrelu_alpha",
    "num_host_args",
    "TArgs",
    "host_args",
)


def unfuse(graph: Any) -> None:
    """Put the ops that a fused one stands for in its place; one that is not known stays."""
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        steps = [one.decode("utf-8", "replace") for one in node.attr["fused_ops"].list.s]
        known = steps[:1] == ["BiasAdd"] and all(one in BEHIND for one in steps[1:])
        if node.op not in FUSED or not known or len(node.input) != 3:
            graph.node.add().CopyFrom(node)
            continue
        name, bias, kind = node.name, node.input[2], node.attr["T"].type
        names = [f"{name}/{one}" for one in steps]
        names[-1] = name
        first = graph.node.add()
        first.CopyFrom(node)
        first.op, first.name = FUSED[node.op], f"{name}/{FUSED[node.op]}"
        del first.input[2:]
        for key in _OWN:
            first.attr.pop(key, None)
        last = first.name
        for number, (op, own) in enumerate(zip(steps, names, strict=True)):
            # What is added need not be a vector: a sum of two products is fused as well.
            made = graph.node.add(name=own, op="AddV2" if number == 0 else op)
            made.input.extend([last, bias] if number == 0 else [last])
            made.attr["T"].type = kind
            last = own


def enter_as_constants(graph: Any) -> None:
    """Let what a loop carries and never changes enter it as a constant."""
    nodes = {node.name: node for node in graph.node}
    gone: set[str] = set()
    instead: dict[str, str] = {}
    for merge in graph.node:
        parts = _unchanged(merge, nodes)
        if parts is None:
            continue
        enter, following, switch = parts
        enter.attr["is_constant"].b = True
        gone |= {merge.name, following.name, switch.name}
        instead[f"{switch.name}:1"] = enter.name
        instead[merge.name] = enter.name
        # Behind the loop it is what entered; the Exit that hands it on becomes an Identity.
        for node in graph.node:
            if node.op == "Exit" and _same(node.input[0], switch.name):
                node.op = "Identity"
                node.input[0] = enter.input[0]
    kept = [type(node).FromString(node.SerializeToString()) for node in graph.node
            if node.name not in gone]  # fmt: skip
    del graph.node[:]
    graph.node.extend(kept)
    for node in graph.node:
        for place, ref in enumerate(node.input):
            node.input[place] = instead.get(ref, ref)


def _same(ref: str, name: str) -> bool:
    return ref in (name, f"{name}:0")


def _unchanged(merge: Any, nodes: dict[str, Any]) -> tuple[Any, Any, Any] | None:
    """The Enter, NextIteration and Switch of a value that every turn hands on as it is."""
    if merge.op != "Merge" or len(merge.input) != 2:
        return None
    ends = [nodes.get(ref.split(":")[0]) for ref in merge.input]
    enter = next((one for one in ends if one is not None and one.op == "Enter"), None)
    following = next((one for one in ends if one is not None and one.op == "NextIteration"), None)
    if enter is None or following is None:
        return None
    ref = following.input[0]
    for _ in nodes:
        name, _, port = ref.partition(":")
        node = nodes.get(name)
        if node is None or not node.input:
            return None
        if node.op == "Switch":
            ours = port == "1" and _same(node.input[0], merge.name)
            return (enter, following, node) if ours else None
        if node.op != "Identity":
            return None
        ref = node.input[0]
    return None
