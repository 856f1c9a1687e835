"""From a network to what is written: levels, the plain layers between them, and what stays out."""

from __future__ import annotations

from fnmatch import fnmatchcase

from rnnscope.converting.interface import Level, Plan
from rnnscope.errors import OptionError, UnsupportedCellError, spell
from rnnscope.model.layers import BidirectionalMerge, Merge
from rnnscope.model.network import Network, Node

MERGES = {"Concatenate": "concat", "Add": "sum", "Multiply": "mul", "Average": "ave"}
"""Joins of two layers as Keras' Bidirectional calls them."""


def plan_levels(network: Network, patterns: tuple[str, ...], where: object) -> Plan:
    """What of a network is to be written.

    Parameters
    ----------
    network : Network
    patterns : tuple of str
        Of names of recurrent layers; empty for all.
    where : object
        The file, for messages.

    Raises
    ------
    OptionError
        A pattern fits no recurrent layer.
    UnsupportedCellError
        There is no recurrent layer.
    """
    names = [node.name for node in network.recurrent]
    if not names:
        raise UnsupportedCellError("No recurrent layer of the file is computed.", where=where)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise OptionError(
                f"{spell('layers')} fits no layer.",
                expected=f"one of {', '.join(names)}",
                found=pattern,
            )
    chosen = {
        name
        for name in names
        if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
    }
    ordered = network.in_order(name for name in names if name in chosen)
    steps: list[Level | Node] = []
    levels: list[Level] = []
    placed: set[str] = set()
    for node in ordered.nodes:
        if node.name in placed:
            continue
        if node.recurrent is None:
            steps.append(node)
            continue
        if node.name not in chosen:
            continue
        level = _level(network, node, chosen)
        placed |= {part.name for part in level.nodes} | {level.name}
        levels.append(level)
        steps.append(level)
    joins = {level.name for level in levels}
    steps = [step for step in steps if isinstance(step, Level) or step.name not in joins]
    return Plan(tuple(levels), _around(steps, levels))


def _level(network: Network, node: Node, chosen: set[str]) -> Level:
    other = network.other_direction(node)
    reads = node.reads[0] if node.reads else ""
    if other is None or other.name not in chosen or not _alike(node, other):
        return Level(node.name, (node,), None, reads)
    assert node.recurrent is not None
    pair = (other, node) if node.recurrent.backward.value else (node, other)
    for join in network.nodes:
        if join.recurrent is None and set(join.reads) == {node.name, other.name}:
            mode = merge_mode(join, pair)
            if mode is not None:
                return Level(join.name, pair, mode, reads)
    return Level(shared_name(pair), pair, None, reads)


def merge_mode(join: Node, pair: tuple[Node, ...]) -> str | None:
    """How a node joins a forward and a backward layer; None where it is no such join."""
    layer = join.layer
    in_order = join.reads == tuple(node.name for node in pair)
    if isinstance(layer, BidirectionalMerge) and not layer.flip_second:
        mode: str | None = layer.mode
    elif isinstance(layer, Merge) and layer.axis in (-1, 2):
        mode = MERGES.get(layer.kind)
    else:
        return None
    return mode if in_order or mode != "concat" else None


def shared_name(nodes: tuple[Node, ...]) -> str:
    """What the names of nodes begin with, up to a slash; the first name if there is nothing."""
    parts = [node.name.split("/") for node in nodes]
    shared = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return "/".join(shared) or nodes[0].name


def _alike(one: Node, other: Node) -> bool:
    a, b = one.recurrent, other.recurrent
    if a is None or b is None:
        return False
    same = (a.cell.kind, a.cell.num_units, a.cell.output_size, a.cell.dtype)
    return same == (b.cell.kind, b.cell.num_units, b.cell.output_size, b.cell.dtype)


def _around(steps: list[Level | Node], levels: list[Level]) -> tuple[Level | Node, ...]:
    """The steps that a chosen level needs; nodes behind the last are not among them."""
    by_name = {step.name: step for step in steps}
    needed: set[str] = set()
    pending = [level.name for level in levels]
    while pending:
        name = pending.pop()
        step = by_name.get(name)
        if step is None or name in needed:
            continue
        needed.add(name)
        pending.extend([step.reads] if isinstance(step, Level) else step.reads)
    return tuple(step for step in steps if step.name in needed)
