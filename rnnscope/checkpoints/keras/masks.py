"""Masks that Keras 3 spells out as operations.

In a Functional model Keras 3 stores how a Masking layer or an Embedding computes its mask as
operations of their own (NotEqual, Any, …) and hands the result to each RNN by keyword. The
layers here make and hand on the same masks by themselves, so these operations are recognised and
dropped. A mask that somebody computed otherwise is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rnnscope.checkpoints.keras.calls.inbound_nodes import MAX_DEPTH, Call, TensorRef
from rnnscope.model.layers.merges import MaskRule

SOURCE = "NotEqual"

MASK_OPERATIONS: dict[MaskRule, tuple[str, ...]] = {
    "any": (SOURCE, "Any", "LogicalOr", "ExpandDims", "ZerosLike", "OnesLike", "Concatenate"),
    "all": (SOURCE, "Any", "All", "ExpandDims", "OnesLike", "Concatenate"),
}
"""What the masks of Masking, Embedding and the merge layers are made of, by Keras' rule."""

LIKE = ("ZerosLike", "OnesLike")
"""These read a tensor for its shape only."""

MaskRoot = tuple[str, float]
"""A tensor, by the node that makes it, and the value that marks its padding."""


def mask_roots(
    ref: TensorRef,
    operation: Callable[[str], tuple[str, Sequence[Call], Any] | None],
    node_of: Callable[[TensorRef], str | None],
    rule: MaskRule,
    known: dict[TensorRef, frozenset[MaskRoot] | None] | None = None,
    depth: int = 0,
) -> frozenset[MaskRoot] | None:
    """What a mask compares with what, or None if it is not a mask that layers make.

    Parameters
    ----------
    ref : TensorRef
        The mask.
    operation : callable
        By name: the class, the calls and the raw ``inbound_nodes`` of an operation; None for
        anything that is not one.
    node_of : callable
        The network's node that makes a tensor.
    rule : MaskRule
    known : dict, optional
        What was found before: operations that read one another twice have ever more ways to them.
    """
    known = {} if known is None else known
    if ref not in known:
        known[ref] = _roots(ref, operation, node_of, rule, known, depth)
    return known[ref]


def _roots(
    ref: TensorRef,
    operation: Callable[[str], tuple[str, Sequence[Call], Any] | None],
    node_of: Callable[[TensorRef], str | None],
    rule: MaskRule,
    known: dict[TensorRef, frozenset[MaskRoot] | None],
    depth: int,
) -> frozenset[MaskRoot] | None:
    found = operation(ref.layer)
    if found is None or depth > MAX_DEPTH or ref.call >= len(found[1]):
        return None
    class_name, calls, raw = found
    if class_name not in MASK_OPERATIONS[rule]:
        return None
    call = calls[ref.call]
    if class_name == SOURCE:
        return _source_root(call, raw[ref.call], node_of)
    roots: frozenset[MaskRoot] = frozenset()
    for inner in call.inputs if class_name not in LIKE else ():
        below = mask_roots(inner, operation, node_of, rule, known, depth + 1)
        if below is None:
            return None
        roots |= below
    return roots


def _source_root(
    call: Call, raw: Any, node_of: Callable[[TensorRef], str | None]
) -> frozenset[MaskRoot] | None:
    values = raw.get("args", []) if isinstance(raw, dict) else []
    constants = [value for value in values if isinstance(value, (int, float))]
    node = node_of(call.inputs[0]) if len(call.inputs) == 1 else None
    if node is None or len(constants) != 1:
        return None
    return frozenset({(node, float(constants[0]))})


def only_for_masks(
    candidates: Iterable[str], readers: Callable[[str], Iterable[str]]
) -> frozenset[str]:
    """Of some operations, those that nothing but masks and each other read.

    `readers` gives by name who reads an operation's result as an ordinary input.
    """
    kept = set(candidates)
    reads: dict[str, list[str]] = {}
    for name in kept:
        for reader in readers(name):
            reads.setdefault(reader, []).append(name)
    needed = [name for reader, names in reads.items() if reader not in kept for name in names]
    while needed:
        name = needed.pop()
        if name in kept:
            kept.remove(name)
            needed += reads.get(name, ())
    return frozenset(kept)
