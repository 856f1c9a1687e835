"""What is known before the first slice is read: shapes, lengths, initial states, assumptions."""

from __future__ import annotations

import numpy as np

from rnnscope.errors import InputError, spell
from rnnscope.inputs import InputSource
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.model.layers import StoredMask
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Signal
from rnnscope.model.states import LayerFacts
from rnnscope.running.assumptions import mention_assumptions
from rnnscope.running.plan import Plan
from rnnscope.running.prepared import Prepared
from rnnscope.running.streamable import refuse_unresettable


def prepare(plan: Plan, source: InputSource) -> Prepared:
    """Look a plan and its input through.

    Raises
    ------
    InputError
        What a layer would receive does not fit it.
    """
    notes: dict[str, None] = {}
    shapes, masked = _shape_pass(plan, source)
    if source.resets is not None:
        refuse_unresettable(plan, source, shapes)
    lengths = _choose_lengths(plan, source, notes)
    facts = {node.name: layer_facts(node) for node in plan.layers}
    if lengths is not None:
        masked |= {node.name for node in plan.layers if not plan.decodes(node)}
    for node in plan.layers:
        decodes = plan.decodes(node) and plan.decoder_source is not None
        read, valid = (plan.decoder_source, None) if decodes else (source, lengths)
        assert read is not None
        mention_assumptions(node, read, valid, notes)
    return Prepared(plan, source, shapes, frozenset(masked), lengths, facts, notes)


def layer_facts(node: Node) -> LayerFacts:
    """What checks may know of a layer."""
    layer = node.recurrent
    assert layer is not None
    return LayerFacts(
        name=node.name,
        cell=layer.cell.kind,
        backward=layer.backward.value,
        reversal=layer.reversal,
        padding=layer.padding.value,
        m_bound=CELLS[layer.cell.kind].m_bound(layer.cell),
        outputs_in_input_order=layer.outputs_in_input_order,
        outputs_are_m=layer.returns_m,
    )


def _zeros(source: InputSource, timesteps: int) -> Array:
    """One sequence of an input, all zero."""
    return np.zeros(
        (1, timesteps, *source.shape_of_step), source.dtype if source.is_ids else np.float32
    )


def _shape_pass(plan: Plan, source: InputSource) -> tuple[dict[str, tuple[int, ...]], set[str]]:
    """The shape of every node's result, found with one sequence of zeros; who is handed a mask.

    Recurrent layers are not run for it; the plain ones are, on zeros, which costs little.
    """
    mask = None
    if source.lengths is not None or source.mask is not None:
        mask = np.ones((1, source.timesteps), bool)
    signals = dict.fromkeys(plan.entries, Signal(_zeros(source, source.timesteps), mask))
    decoder = plan.decoder_source
    if decoder is not None:
        zeros = Signal(_zeros(decoder, decoder.timesteps))
        signals |= dict.fromkeys(plan.decoder_entries, zeros)
    loops = {loop.first.name for loop in plan.loops}
    shapes: dict[str, tuple[int, ...]] = {}
    masked: set[str] = set()
    for node in plan.nodes:
        reads = [signals[name] for name in node.reads]
        if isinstance(node.layer, StoredMask):
            node.layer.require_fit(source.sequences, reads[0].values.shape[1], node.name)
        if not isinstance(node.layer, RecurrentLayer):
            signals[node.name] = node.layer.at(slice(0, 1))(*reads)
            shapes[node.name] = signals[node.name].values.shape
            continue
        layer, shape = node.layer, reads[0].values.shape
        if node.name in loops and plan.decoder_steps:
            shape = (shape[0], plan.decoder_steps, *shape[2:])
        if len(shape) != 3 or shape[2] != layer.cell.input_size:
            raise InputError(
                "What a layer would receive does not fit it.",
                where=f"layer '{node.name}', which reads {', '.join(node.reads)}",
                expected=f"(sequence, timestep, {layer.cell.input_size})",
                found=f"(sequence, {', '.join(map(str, shape[1:]))})",
                hint="something between the layers is not read; run them one at a time with "
                f"{spell('layers')}, each with its own input",
            )
        if reads[0].mask is not None:
            masked.add(node.name)
        out = (1, shape[1], layer.output_size)
        shapes[node.name] = out
        handed_on = np.zeros(out if layer.return_sequences else (1, out[2]), layer.cell.dtype)
        signals[node.name] = Signal(handed_on, reads[0].mask if layer.return_sequences else None)
    return shapes, masked


def _choose_lengths(plan: Plan, source: InputSource, notes: dict[str, None]) -> Array | None:
    """Lengths as given; else those that are a constant of the stored graph, if they fit."""
    if source.lengths is not None or source.mask is not None:
        return source.lengths
    for node in plan.layers:
        if plan.decodes(node):
            continue
        stored = node.recurrent.lengths.value.values if node.recurrent else None
        if stored is None:
            continue
        if stored.shape == (source.sequences,) and bool(
            np.all((stored >= 0) & (stored <= source.timesteps))
        ):
            notes.setdefault(
                f"Lengths {stored.tolist()} are a constant of the graph and were used."
            )
            return stored.astype(np.int64)
        notes.setdefault(
            f"The graph holds the lengths {stored.tolist()}, which do not fit this input: every "
            f"step was computed. Give others with {spell('lengths')}."
        )
    return None
