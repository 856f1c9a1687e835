"""What is to be explained: a planned run as the setup that rnnscope itself computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, UnsupportedCellError, spell, spell_command
from rnnscope.explaining.compared.heads import stored_heads
from rnnscope.explaining.compared.result_places import ResultShape
from rnnscope.explaining.computing.setup import DrivenLayer, Setup
from rnnscope.explaining.computing.simulated import results_of
from rnnscope.model.cell import Array
from rnnscope.model.layers import BidirectionalMerge, Embedding, Masking, PassThrough
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Signal
from rnnscope.record.planning import PlannedRun
from rnnscope.running.compute import run_plain
from rnnscope.running.prepare import prepare
from rnnscope.running.prepared import Prepared

COMPARE = "run it, and compare the traces: {}"

MOST_INPUT_VALUES = 2_000_000
"""Values of the input that are looked at: whole sequences, from the first on."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and an input, ready to be computed in many ways.

    Attributes
    ----------
    planned : PlannedRun
    setup : Setup
        As rnnscope reads it.
    results : mapping of str to mapping of str to ndarray
        What it makes of the input, by node and key.
    sequences : int
        Sequences of the run; `setup` may have fewer.
    embedding : Embedding or None
        What made the input of ids.
    masked_by_file : bool
        The mask is one that the model makes itself, or that has holes: it is no lengths.
    front : str
        What the recurrent layers read beside the input and its embedding: other layers, inputs of
        a decoder. Empty where there is nothing.
    """

    planned: PlannedRun
    setup: Setup
    results: Mapping[str, Mapping[str, Array]]
    sequences: int
    embedding: Embedding | None = None
    masked_by_file: bool = False
    front: str = ""

    @property
    def recurrent(self) -> tuple[str, ...]:
        return tuple(self.setup.layers)

    def shapes(self) -> list[ResultShape]:
        """Every result that a reference may be."""
        found = [
            ResultShape(node, key, array.shape)
            for node, results in self.results.items()
            for key, array in results.items()
            if key != "last"
        ]
        # Where sequences are taken for timesteps, there is a final state for each timestep.
        turned = (self.setup.timesteps,)
        found += [
            ResultShape(shape.node, shape.key, turned + shape.shape[1:], turned=True)
            for shape in found
            if shape.key.startswith("final/") and turned != shape.shape[:1]
        ]
        return found


def subject_of(planned: PlannedRun) -> Subject:
    """A planned run as a subject.

    Raises
    ------
    UnsupportedCellError
        It has a decoder, whose inputs depend on its outputs.
    InputError
        Its input has no sequence.
    """
    plan, source = planned.plan, planned.source
    if plan.loops:
        raise UnsupportedCellError(
            "A decoder that feeds itself cannot be explained yet: what it reads depends on what it "
            "returned.",
            where=", ".join(f"'{node.name}'" for node in plan.layers if plan.decodes(node)),
            expected="layers that read the input, or a decoder with inputs of its own",
            hint=COMPARE.format(spell_command("diff", "A", "B")),
        )
    if not source.sequences or not source.timesteps:
        raise InputError("The input is empty.", where=source.name, found=f"shape {source.shape}")
    if source.resets is not None:
        raise UnsupportedCellError(
            "A run with resets cannot be explained yet: no reading of it knows episodes.",
            where=source.name,
            expected="an input without resets",
            hint=f"cut the episodes apart, or ignore the resets: {spell('resets', 'none')}",
        )
    prepared = prepare(plan, source)
    rows = _rows(source.sequences, source.timesteps * int(np.prod(source.shape_of_step)))
    found = _setup(planned, prepared, rows)
    results = results_of(found.setup)
    return Subject(planned, results=results, sequences=source.sequences, **vars(found))


def _rows(sequences: int, values_each: int) -> int:
    return int(min(sequences, max(1, MOST_INPUT_VALUES // max(values_each, 1))))


@dataclass(frozen=True, eq=False)
class _Found:
    """What the nodes of a plan tell; fields of `Subject`."""

    setup: Setup
    embedding: Embedding | None
    masked_by_file: bool
    front: str


def _setup(planned: PlannedRun, prepared: Prepared, rows: int) -> _Found:
    plan = planned.plan
    every = slice(0, rows)
    batch = planned.source.read(every)
    signals: dict[str, Signal] = dict.fromkeys(
        plan.entries, prepared.entry(batch, every, slice(None))
    )
    given = next(iter(signals.values())).mask
    if plan.decoder_entries:
        signals |= dict.fromkeys(plan.decoder_entries, prepared.decoder_entry(every))
    embedding = None
    behind: list[Node] = []
    for node in plan.nodes:
        if isinstance(node.layer, RecurrentLayer) or not all(
            name in signals for name in node.reads
        ):
            behind.append(node)
            continue
        signals[node.name] = run_plain(
            prepared, node, node.layer.at(every), [signals[name] for name in node.reads]
        )
        if isinstance(node.layer, Embedding):
            embedding = node.layer
    inside = {node.name for node in behind}
    front = {node.name for node in plan.nodes if node.name not in inside}
    read = dict.fromkeys(name for node in behind for name in node.reads if name not in inside)
    inputs = {name: _input(signals[name].values, behind, name) for name in read}
    # The decoder's steps are others than the input's, and so are its masks.
    decoding = frozenset(read) & (plan.decoder_entries | plan.decoding)
    own = [signals[name].mask for name in decoding]
    if any(mask is not None for mask in own):
        raise UnsupportedCellError(
            "A decoder with a mask of its own cannot be explained yet.",
            where=", ".join(f"'{name}'" for name in decoding),
            expected="decoder inputs of which every step counts",
            hint=COMPARE.format(spell_command("diff", "A", "B")),
        )
    shared = [name for name in read if name not in decoding]
    inputs = {name: inputs[name] for name in (*shared, *decoding)}
    mask = _one_mask([signals[name].mask for name in shared], shared)
    behind += nodes_behind(planned, behind, {*inputs, *front}, rows)
    layers = {node.name: _driven(node, prepared, batch, every) for node in behind if node.recurrent}
    by_file = mask is not None and (given is None or not np.array_equal(given, mask))
    setup = Setup(tuple(behind), layers, inputs, mask, of_decoder=decoding)
    by_file = by_file or (mask is not None and setup.lengths is None)
    if embedding is not None and batch.values.ndim == 2:
        setup = replace(setup, ids=np.asarray(batch.values, np.int64))
    computing = [
        node.name
        for node in plan.nodes
        if node.name in front and not isinstance(node.layer, (PassThrough, Embedding, Masking))
    ]
    return _Found(setup, embedding, by_file, ", ".join((*computing, *decoding)))


def _one_mask(masks: Sequence[Array | None], names: Sequence[str]) -> Array | None:
    """The mask that all inputs of the recurrent layers share.

    Raises
    ------
    UnsupportedCellError
        They have different ones.
    """
    for mask in masks[1:]:
        first = masks[0]
        if mask is not first and (mask is None or first is None or (mask != first).any()):
            raise UnsupportedCellError(
                "A model whose layers read inputs with different masks cannot be explained yet.",
                where=", ".join(f"'{name}'" for name in names),
                expected="the same steps to count for all of them",
                hint=COMPARE.format(spell_command("diff", "A", "B")),
            )
    return masks[0] if masks else None


def _input(values: Array, nodes: Sequence[Node], name: str) -> Array:
    """What layers read, in float64, rounded as the first of them rounds it."""
    reader = next((node.recurrent for node in nodes if name in node.reads and node.recurrent), None)
    if reader is not None:
        values = values.astype(reader.cell.dtype, copy=False)
    return np.ascontiguousarray(values, np.float64)


def _driven(node: Node, prepared: Prepared, batch: Any, every: slice) -> DrivenLayer:
    layer = node.recurrent
    assert layer is not None
    initial = prepared.initial(node, batch, every, {})
    start = {name: np.atleast_2d(np.asarray(a, np.float64)) for name, a in initial.items()}
    return DrivenLayer(replace(layer, cell=layer.cell.in_double()), start)


def nodes_behind(
    planned: PlannedRun, nodes: Sequence[Node], before: set[str], rows: int
) -> list[Node]:
    """What the file has behind its recurrent layers, and joins of directions that it leaves out."""
    found: list[Node] = []
    known = {node.name for node in nodes}
    network = planned.checkpoint.network
    for node in network.nodes:
        if node.name in known or node.name in before or isinstance(node.layer, RecurrentLayer):
            continue
        usable = node.layer.computed and node.layer.at(slice(0, rows)) is node.layer
        if node.reads and usable and known.issuperset(node.reads):
            found.append(node)
            known.add(node.name)
    ran = Network((), (*nodes, *found))
    pairs: dict[str, str] = {}
    for node in ran.recurrent:
        other = ran.other_direction(node) or _above(ran, node, pairs)
        layer = node.recurrent
        if other is None or layer is None or layer.backward.value:
            continue
        pairs[node.name] = other.name
        if any({*one.reads} == {node.name, other.name} for one in (*nodes, *found)):
            continue
        name = f"{node.name} + {other.name}"
        found.append(Node(name, BidirectionalMerge("concat"), (node.name, other.name)))
    later = planned.checkpoint.later_results
    handed = known | {name for node in nodes for name in node.reads}
    behind = [one for one in (later() if later else ()) if handed.issuperset(one.reads)]
    return [*found, *(behind or stored_heads(planned.checkpoint, (*nodes, *found)))]


def _above(network: Network, node: Node, pairs: Mapping[str, str]) -> Node | None:
    """What stands on the other direction as a node stands on its own: in stacks side by side."""
    below = pairs.get(node.reads[0])
    found = [one for one in network.recurrent if one.reads[0] == below and one is not node]
    return found[0] if below is not None and len(found) == 1 else None
