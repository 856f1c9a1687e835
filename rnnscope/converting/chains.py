"""Models that are written whole: a chain of layers, each reading the one before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from rnnscope.converting.interface import Level, Plan
from rnnscope.errors import UnsupportedCellError, spell
from rnnscope.model.layers import Dense
from rnnscope.model.layers.elementwise import Arithmetic
from rnnscope.model.network import Node

Step = Level | Node


def chain(
    plan: Plan,
    target: str,
    known: Callable[[Node], bool],
    kinds: Collection[type],
    *,
    in_order: bool,
) -> tuple[tuple[Step, ...], tuple[Node, ...]]:
    """The steps of a plan as a chain that a target can hold, and what is left out in front of it.

    In front of the first recurrent layer a layer that the target lacks, or that has several inputs,
    is left out with all before it: the model that is written begins with what comes next.

    Parameters
    ----------
    plan : Plan
    target : str
        Of the format, for messages.
    known : callable
        ``known(node) -> bool``: whether the target has a plain layer.
    kinds : collection of type
        The plain layers that it may have, for messages.
    in_order : bool
        Whether the target returns the outputs of a lone backward layer in the order of the input.

    Raises
    ------
    UnsupportedCellError
        From the first recurrent layer on it is no chain, or holds a layer that the target lacks; it
        names the layer.
    """
    steps = _with_biases(plan.steps)
    first = next(number for number, step in enumerate(steps) if isinstance(step, Level))
    front, rest = steps[:first], steps[first:]
    for before, step in pairwise(rest):
        _require_reads(before, step, target, in_order=in_order)
        if isinstance(step, Node) and not known(step):
            raise _not_between(step, target, kinds)
    chained: list[Step] = []
    wanted = rest[0].reads
    for step in reversed(front):
        if step.name != wanted:
            continue
        assert isinstance(step, Node)
        if len(step.reads) != 1 or not known(step):
            break
        chained.insert(0, step)
        wanted = step.reads[0]
    left = tuple(step for step in front if isinstance(step, Node) and step not in chained)
    return (*chained, *rest), left


def tree(
    plan: Plan,
    target: str,
    known: Callable[[Node], bool],
    kinds: Collection[type],
    *,
    in_order: bool,
) -> tuple[tuple[Step, ...], tuple[Node, ...]]:
    """The steps of a plan as a tree from one input, and what is left out in front of it.

    Parameters as of `chain`. Every step reads one other; several may read the same.

    Raises
    ------
    UnsupportedCellError
        A layer reads two others, recurrent layers read different inputs, or a layer between them is
        one that the target lacks; it names the layer.
    """
    steps = _with_biases(plan.steps)
    by_name = {step.name: step for step in steps}
    behind = _behind_recurrent(steps)
    kept: set[str] = set()
    origins: dict[str, str] = {}
    for level in (step for step in steps if isinstance(step, Level)):
        reader: Step = level
        while reader.name not in kept:
            kept.add(reader.name)
            reads = (reader.reads,) if isinstance(reader, Level) else reader.reads
            before = by_name.get(reads[0]) if reads else None
            written = before is not None and (
                isinstance(before, Level) or (len(before.reads) == 1 and known(before))
            )
            if before is not None and before.name in behind and not written:
                raise _not_between(before, target, kinds)
            if before is None or not written:
                origins.setdefault(reads[0] if reads else "", level.name)
                break
            if isinstance(before, Level):
                _require_reads(before, reader, target, in_order=in_order)
            reader = before
    if len(origins) > 1:
        raise UnsupportedCellError(
            f"Recurrent layers that read different inputs are not written for {target} together.",
            where=", ".join(origins.values()),
            expected="one input for all",
            found=", ".join(map(repr, origins)),
            hint=_or_else(),
        )
    front = steps[: next(n for n, step in enumerate(steps) if isinstance(step, Level))]
    left = tuple(step for step in front if isinstance(step, Node) and step.name not in kept)
    return tuple(step for step in steps if step.name in kept), left


def _behind_recurrent(steps: Iterable[Step]) -> set[str]:
    """The steps that values of recurrent layers reach, and these layers."""
    found: set[str] = set()
    for step in steps:
        reads = (step.reads,) if isinstance(step, Level) else step.reads
        if isinstance(step, Level) or found & {*reads}:
            found.add(step.name)
    return found


def _not_between(step: Step, target: str, kinds: Collection[type]) -> UnsupportedCellError:
    layer = step.layer if isinstance(step, Node) else step
    return UnsupportedCellError(
        f"A layer between recurrent ones is not written for {target}.",
        where=step.name,
        expected=", ".join(kind.__name__ for kind in kinds),
        found=getattr(layer, "kind", type(layer).__name__),
        hint=_or_else(),
    )


def _with_biases(steps: Iterable[Step]) -> list[Step]:
    """The steps with a product and the addition of a constant behind it as one dense layer."""
    found: list[Step] = []
    for step in steps:
        before = found[-1] if found else None
        if isinstance(step, Node) and isinstance(before, Node) and step.reads == (before.name,):
            dense, addition = before.layer, step.layer
            if (
                isinstance(dense, Dense)
                and isinstance(addition, Arithmetic)
                and (dense.bias, dense.activation, addition.kind) == (None, "linear", "Add")
            ):
                bias = np.broadcast_to(addition.constant, dense.kernel.shape[1:])
                joined = replace(dense, bias=np.ascontiguousarray(bias))
                found[-1] = Node(step.name, joined, before.reads, before.wiring)
                continue
        found.append(step)
    return found


def _require_reads(before: Step, step: Step, target: str, *, in_order: bool) -> None:
    reads = (step.reads,) if isinstance(step, Level) else step.reads
    expected = f"a layer that reads '{before.name}'"
    if reads != (before.name,):
        found = f"one that reads {', '.join(map(repr, reads)) or 'nothing that is known'}"
    elif isinstance(before, Level) and not all(one.return_sequences for one in before.layers):
        expected, found = f"every step of '{before.name}'", "its last output alone"
    elif isinstance(before, Level) and not in_the_order(before, in_order):
        told = ("the order of processing", "the order of the input")
        expected, found = f"outputs of '{before.name}' in {told[in_order]}", told[not in_order]
    else:
        return
    raise UnsupportedCellError(
        f"Only a chain of layers is written for {target}, each reading the one before.",
        where=step.name,
        expected=expected,
        found=found,
        hint=_or_else(),
    )


def in_the_order(level: Level, in_order: bool) -> bool:
    """Whether a level returns its outputs in the order of the input, or of processing, as asked.

    Both are the same unless it is one layer that reads from the end.
    """
    layer = level.layers[0]
    turned = len(level.nodes) == 1 and bool(layer.backward.value)
    return not turned or layer.outputs_in_input_order is in_order


def _or_else() -> str:
    weights = f"{spell('to', 'torch')} or {spell('to', 'npz')}"
    return f"choose layers with {spell('layers')}, or write the weights alone: {weights}"


def front_words(nodes: tuple[Node, ...]) -> tuple[str, ...]:
    """That layers in front of the first recurrent one are not written."""
    if not nodes:
        return ()
    names = ", ".join(f"'{node.name}'" for node in nodes)
    return (f"What stands in front: {names}. The model begins with what the next layer reads.",)


def join_words(plan: Plan) -> tuple[str, ...]:
    """That both directions of a level stand side by side where nothing joins them in the source."""
    names = ", ".join(
        f"'{level.name}'" for level in plan.levels if len(level.nodes) == 2 and not level.merge
    )
    return (f"Nothing joins the directions of {names}: they stand side by side.",) if names else ()


def input_width(steps: Iterable[Step]) -> int:
    """Features of what a chain reads: the first kernel tells, since layers before it keep them."""
    for step in steps:
        if isinstance(step, Level):
            return step.cell.input_size
        kernel = getattr(getattr(step.layer, "inner", step.layer), "kernel", None)
        if kernel is not None:
            return int(kernel.shape[0])
    raise AssertionError("a chain has a recurrent layer")


def output_width(step: Step, width: int | None) -> int | None:
    """Features of what a step returns for so many; None stands for ids."""
    if isinstance(step, Level):
        sizes = [layer.output_size for layer in step.layers]
        return sum(sizes) if (step.merge or "concat") == "concat" else sizes[0]
    inner = getattr(step.layer, "inner", step.layer)
    kernel = getattr(inner, "table", getattr(inner, "kernel", None))
    return width if kernel is None else int(np.shape(kernel)[-1])
