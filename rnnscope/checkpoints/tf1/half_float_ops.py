"""Which ops of a TensorFlow graph compute in 16 bits, as rnnscope does not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rnnscope.files.tensorflow.protos import HALF_FLOATS

if TYPE_CHECKING:
    from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView

EXACT = {
    "Abs", "BroadcastTo", "Cast", "Concat", "ConcatV2", "Const", "Enter", "EnsureShape", "Exit",
    "ExpandDims", "Fill", "Gather", "GatherNd", "GatherV2", "Identity", "Max", "MaxPool",
    "Maximum", "Merge", "Min", "Minimum", "MirrorPad", "Neg", "NextIteration", "OnesLike", "Pack",
    "Pad", "PadV2", "Rank", "Relu", "Reshape", "ReverseSequence", "ReverseV2", "Select",
    "SelectV2", "Shape", "Size", "Slice", "Split", "SplitV", "Squeeze", "StopGradient",
    "StridedSlice", "Switch", "TensorArrayWriteV3", "Tile", "Transpose", "Unpack", "ZerosLike",
}  # fmt: skip
"""Ops that make the same numbers in 16 bits as in more."""


def half_float_note(view: GraphView, ends: Iterable[GraphTensor]) -> str:
    """What users should know of ops in front of some tensors; empty where none is in 16 bits.

    Parameters
    ----------
    view : GraphView
    ends : iterable of GraphTensor
        What is computed: the states of cells.
    """
    found: list[str] = []
    pending, seen = list(ends), set[str]()
    while pending:
        node = view.node(pending.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        pending.extend(node.inputs)
        computes = node.op not in EXACT and "T" in node.attr
        if computes and int(node.attr["T"].type) in HALF_FLOATS:
            found.append(f"{node.op} '{node.name}'")
    if not found:
        return ""
    named = ", ".join(sorted(found)[:3]) + (f" and {len(found) - 3} more" if found[3:] else "")
    return (
        f"The graph computes in 16 bits: {named}. rnnscope computes it in float32, and rounds to "
        "16 bits where the graph casts."
    )
