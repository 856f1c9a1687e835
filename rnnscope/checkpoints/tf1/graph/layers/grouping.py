"""Which appearances of a cell in a graph are one layer.

Appearances of one kernel whose states feed each other are one layer: the steps of an unrolled
graph. Where an encoder and a decoder share their weights (tied), their steps are one chain, too;
it is cut where the steps of another scope, or of another loop, read another input.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import field
from itertools import pairwise

from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.feeds.sequence_ops import (
    DRESSED,
    INPUT_OPS,
    MAX_STEPS,
    QUEUE_OPS,
)
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import VALUELESS, Chosen, handed_on, origins
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.weights import VARIABLES, GraphWeights
from rnnscope.deferred_dataclass import dataclass

KERNEL_SUFFIX = re.compile(
    r"(/gates|/Gates|/candidate|/Candidate)?(/Linear)?"
    r"/(kernel|recurrent_kernel|weights|W_\d+|W|Matrix)(/part_\d+)?$"
)

MOST_OPS_BETWEEN = 200
"""Ops between two steps of a layer whose state is changed in between."""

NUMBER = re.compile(r"_?\d+$")


@dataclass
class Appearances:
    """All appearances of one layer, in the order of its steps."""

    name: str
    cells: list[FoundCell]
    selects: list[Chosen] = field(default_factory=list)
    lengths: tuple[GraphTensor, ...] = ()
    """Tensors that may hold its lengths, the likeliest first."""


@dataclass
class _CellStep:
    """One appearance, with what was found on the way back from its states."""

    cell: FoundCell
    selects: list[Chosen]
    loops: bool
    """Whether its own new state reaches it: it is all steps of a loop."""


def group(view: GraphView, weights: GraphWeights, cells: Iterable[FoundCell]) -> list[Appearances]:
    """One entry a layer: cells with the same kernel whose m reaches each other's m_prev."""
    by_kernel: dict[tuple[str, ...], list[FoundCell]] = defaultdict(list)
    for cell in cells:
        by_kernel[weights.variables(cell.kernel)].append(cell)
    layers: list[Appearances] = []
    reads = {
        tensor: cell.x for same in by_kernel.values() for cell in same
        for tensor in cell.after.values()
    }  # fmt: skip
    for names, same in by_kernel.items():
        scope = KERNEL_SUFFIX.sub("", names[0])
        taken = {layer.name for layer in layers}
        parts = [part for chain in _chains(view, same) for part in _cut(view, chain, reads)]
        for number, part in enumerate(parts):
            name = _copy_name(part[0].cell, scope, number) if number else scope
            while name in taken:  # one cell object in several layers of a stack
                name = f"{name}_{number}"
            taken.add(name)
            layers.append(
                Appearances(
                    name=name,
                    cells=[step.cell for step in part],
                    selects=[chosen for step in part for chosen in step.selects],
                )
            )
    return layers


def _chains(view: GraphView, cells: Iterable[FoundCell]) -> list[list[_CellStep]]:
    chains: list[list[_CellStep]] = []
    for cell in cells:
        sources: set[GraphTensor] = set()
        selects = [] if cell.mask is None else [Chosen(cell.mask, cell.name)]
        for number, tensor in enumerate(cell.before.values()):
            more, passed = origins(view, tensor)
            sources |= more
            # The Selects of one state tell the lengths; those of the first, c, are taken.
            selects += [] if number else passed
        loops = not sources.isdisjoint(cell.after.values())
        chain = next(
            (
                chain
                for chain in chains
                if any(not sources.isdisjoint(step.cell.after.values()) for step in chain)
            ),
            None,
        )
        if chain is None and not loops:
            chain = _altered(view, sources, chains)
        if chain is None:
            chain = []
            chains.append(chain)
        chain.append(_CellStep(cell, selects, loops))
    return chains


def _altered(
    view: GraphView, sources: set[GraphTensor], chains: list[list[_CellStep]]
) -> list[_CellStep] | None:
    """The chain whose last step's state this step reads changed (decayed, masked, normalised).

    Whether such steps are one layer all the same is for the graph's own computation to say.
    """
    last = {tensor: chain for chain in chains if not chain[-1].loops
            for tensor in chain[-1].cell.after.values()}  # fmt: skip
    stops = {tensor for chain in chains for step in chain for tensor in step.cell.after.values()}
    pending, seen = list(sources), set(sources)
    while pending and len(seen) < MOST_OPS_BETWEEN:
        current = pending.pop()
        if current in last:
            return last[current]
        node = view.node(current)
        if node is None or current in stops or node.op in VALUELESS:
            continue
        for step in data_inputs(view, node, current):
            if step not in seen:
                seen.add(step)
                pending.append(step)
    return None


def _cut(
    view: GraphView, chain: list[_CellStep], reads: Mapping[GraphTensor, GraphTensor]
) -> list[list[_CellStep]]:
    """A chain cut into layers that follow one another with the same weights.

    `reads` is what the cells of the graph read, by the states that they make.
    """
    if len(chain) < 2:
        return [chain]
    if any(step.loops for step in chain) and not all(step.loops for step in chain):
        # A step outside of a loop and the loop that it starts are two layers.
        apart = next(at for at in range(1, len(chain)) if chain[at].loops != chain[at - 1].loops)
        return [*_cut(view, chain[:apart], reads), *_cut(view, chain[apart:], reads)]
    places = _changes(chain)
    own = {tensor for step in chain for tensor in step.cell.after.values()}
    roots: list[frozenset[GraphTensor]] = []
    if places or len(chain) > 2:
        roots = [_roots(view, step.cell.x, own, reads) for step in chain]
        places = sorted({*places, *_other_input(roots)})
    parts, first = list[list[_CellStep]](), 0
    for place in places:
        before = frozenset[GraphTensor]().union(*roots[first:place])
        after = frozenset[GraphTensor]().union(*roots[place:])
        if before and after and before.isdisjoint(after):
            parts.append(chain[first:place])
            first = place
    return [*parts, chain[first:]]


def _changes(chain: list[_CellStep]) -> list[int]:
    """Places in a chain where another loop begins, or steps of another scope."""
    scopes = [step.cell.name.split("/") for step in chain]
    # Steps of one layer differ in the scope of the cell; those of two layers further out.
    depths = [
        next(
            (at for at, pair in enumerate(zip(one, two, strict=False)) if pair[0] != pair[1]),
            min(len(one), len(two)),
        )
        for one, two in pairwise(scopes)
    ]
    deepest = max(depths)
    return [
        place
        for place, depth in enumerate(depths, 1)
        if depth < deepest or (chain[place].loops and chain[place - 1].loops)
    ]


def _other_input(roots: list[frozenset[GraphTensor]]) -> list[int]:
    """The place where steps that all read one input are followed by steps that read another.

    Steps that read their own last output have no input; the one before them, which is given its
    own, begins the decoder.
    """
    fed_back = next((place for place, found in enumerate(roots) if not found), len(roots))
    # One placeholder a step, as legacy_seq2seq takes them: their names differ in numbers.
    known = [{NUMBER.sub("", tensor.node) for tensor in found} for found in roots[:fed_back]]
    places = [place for place in range(1, len(known)) if known[place] != known[place - 1]]
    if len(places) == 1 and (fed_back < len(roots) or len(known) > 2):
        return places
    return [fed_back - 1] if 1 < fed_back < len(roots) else []


def _roots(
    view: GraphView, x: GraphTensor, own: set[GraphTensor], reads: Mapping[GraphTensor, GraphTensor]
) -> frozenset[GraphTensor]:
    """The model's inputs behind a cell's x; none if it is made of an output of the chain.

    Of a cell of another layer, what it reads counts, not the states that it was handed.
    """
    pending, seen, found = [x], {x}, set[GraphTensor]()
    while pending and len(seen) < MAX_STEPS:
        current = pending.pop()
        node = view.node(current)
        if current in own:
            return frozenset()
        if node is None:
            continue
        if node.op in INPUT_OPS or node.op in QUEUE_OPS:
            found.add(current)
            continue
        other = reads.get(current)
        for step in data_inputs(view, node, current) if other is None else (other,):
            if step not in seen:
                seen.add(step)
                pending.append(step)
    return frozenset(found)


def data_inputs(view: GraphView, node: GraphNode, tensor: GraphTensor) -> tuple[GraphTensor, ...]:
    """What the values of a tensor are made of; positions in lists and conditions are left out."""
    if node.op in VARIABLES:
        return ()
    onward = handed_on(view, node, tensor)
    if onward is not None:
        return onward
    if node.op in DRESSED and len(node.inputs) > DRESSED[node.op]:
        return (node.inputs[DRESSED[node.op]],)
    return node.inputs


def _copy_name(cell: FoundCell, scope: str, number: int) -> str:
    """Another layer with the same weights is named by its ops: its variables are taken."""
    ops = cell.name.replace("/while/", "/").rpartition("/")[0]
    return ops if ops and ops != scope else f"{scope}_{number}"
