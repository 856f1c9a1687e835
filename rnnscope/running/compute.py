"""Computing one slice of sequences, all timesteps: node after node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.choose import LayerEngine, prefix_lengths
from rnnscope.engines.workspace import Workspace
from rnnscope.inputs import InputBatch
from rnnscope.model.cell import Array
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Layer, Signal
from rnnscope.model.states import LayerStates, joined
from rnnscope.running.loops import Loop
from rnnscope.running.prepared import Prepared


@dataclass(frozen=True, eq=False)
class Computed:
    """What a recurrent node made of a slice.

    Attributes
    ----------
    node : Node
    x : ndarray (sequence, timestep, input)
    mask : ndarray of bool (sequence, timestep) or None
    initial : dict of str to ndarray
        As far as it was not zero.
    states : LayerStates
    """

    node: Node
    x: Array
    mask: Array | None
    initial: Mapping[str, Array]
    states: LayerStates


@dataclass(frozen=True, eq=False)
class Merged:
    """The joined outputs of two directions, (sequence, timestep, output)."""

    node: Node
    outputs: Array


def compute_slice(
    prepared: Prepared,
    engines: Mapping[str, LayerEngine],
    batch: InputBatch,
    sequences: slice,
    workspaces: Mapping[str, Workspace],
) -> Iterator[Computed | Merged]:
    """Run every node of the plan on some sequences.

    Parameters
    ----------
    prepared : Prepared
    engines : mapping of str to LayerEngine
        By recurrent node.
    batch : InputBatch
        All timesteps of `sequences`.
    sequences : slice
    workspaces : mapping of str to Workspace
        By recurrent node: where its results live until they are written.

    Yields
    ------
    Computed or Merged
        For each node that the trace keeps.
    """
    plan = prepared.plan
    signals = dict.fromkeys(plan.entries, prepared.entry(batch, sequences, slice(None)))
    if plan.decoder_entries:
        signals |= dict.fromkeys(plan.decoder_entries, prepared.decoder_entry(sequences))
    final: dict[str, Mapping[str, Array]] = {}
    looped = {node.name: loop for loop in plan.loops for node in loop.nodes}
    for node in plan.nodes:
        if node.name in looped:
            loop = looped[node.name]
            if node is loop.first:
                yield from _loop(prepared, engines, loop, batch, sequences, signals, final)
            continue
        reads = [signals[name] for name in node.reads]
        if not isinstance(node.layer, RecurrentLayer):
            signals[node.name] = run_plain(prepared, node, node.layer.at(sequences), reads)
            if prepared.has_group(node):
                yield Merged(node, signals[node.name].values)
            continue
        signal = reads[0]
        x = np.ascontiguousarray(signal.values, dtype=node.layer.cell.dtype)
        initial = prepared.initial(node, batch, sequences, final)
        resets, _ = prepared.resets(node.layer, batch.resets, signal.mask, initial)
        states = engines[node.name].run(
            x,
            signal.mask,
            prefix_lengths(signal.mask),
            initial,
            workspace=workspaces[node.name],
            resets=resets,
        )
        final[node.name] = states.final
        signals[node.name] = handed_on(node.layer, states, signal.mask)
        yield Computed(node, x, signal.mask, initial, states)


def _loop(
    prepared: Prepared,
    engines: Mapping[str, LayerEngine],
    loop: Loop,
    batch: InputBatch,
    sequences: slice,
    signals: dict[str, Signal],
    final: dict[str, Mapping[str, Array]],
) -> Iterator[Computed | Merged]:
    """Run a decoder step by step; each step's x is made of the output before."""
    initial = {
        node.name: prepared.initial(node, batch, sequences, final)
        for node in loop.nodes
        if node.recurrent
    }
    state = dict(initial)
    ran: dict[str, list[LayerStates]] = {name: [] for name in initial}
    read: dict[str, list[Array]] = {name: [] for name in initial}
    outputs: dict[str, list[Array]] = {node.name: [] for node in loop.nodes}
    first = loop.first
    read_first = first.reads[0]
    x, feedback = signals[read_first].values[:, :1], loop.feedback
    for _ in range(prepared.decoder_steps):
        # What reads the decoder's input beside it reads the x of this step, too.
        here = {read_first: Signal(x)}
        for node in loop.nodes:
            inner = [here[name] for name in node.reads]
            if not isinstance(node.layer, RecurrentLayer):
                here[node.name] = run_plain(prepared, node, node.layer, inner)
            else:
                taken = np.ascontiguousarray(inner[0].values, dtype=node.layer.cell.dtype)
                states = engines[node.name].run(taken, None, None, state[node.name])
                state[node.name] = dict(states.final)
                here[node.name] = Signal(states.outputs)
                ran[node.name].append(states)
                read[node.name].append(taken)
            outputs[node.name].append(here[node.name].values)
        last = ran[feedback.source][-1]
        x = feedback(last.m if feedback.of_m else last.outputs)
    for node in loop.nodes:
        signals[node.name] = Signal(np.concatenate(outputs[node.name], axis=1))
        if node.recurrent:
            inputs = np.concatenate(read[node.name], axis=1)
            states = joined(ran[node.name], inputs if node is first else None)
            final[node.name] = states.final
            yield Computed(node, inputs, None, initial[node.name], states)
        elif prepared.has_group(node):
            yield Merged(node, signals[node.name].values)


def run_plain(prepared: Prepared, node: Node, layer: Layer, reads: list[Signal]) -> Signal:
    """A layer without a state, on floats; what it does with masks is said where it matters."""
    if not layer.takes_ids:
        reads = [Signal(_as_floats(prepared, signal.values), signal.mask) for signal in reads]
    result, mask = layer(*reads), reads[0].mask
    if not layer.makes_mask or mask is None:
        return result
    if result.mask is None:
        return Signal(result.values, mask)
    if not np.array_equal(result.mask, mask):
        prepared.notes.setdefault(
            f"The file's layer '{node.name}' makes its own mask; the lengths or mask given differ "
            "from it and were not used."
        )
    return result


def handed_on(layer: RecurrentLayer, states: LayerStates, mask: Array | None) -> Signal:
    """What the next layer receives: every output with the mask, or the last output without."""
    if layer.return_sequences:
        return Signal(states.outputs, mask)
    return Signal(states.final["m"])


def _as_floats(prepared: Prepared, values: Array) -> Array:
    """Integers and half floats in the dtype of the first layer's weights."""
    if values.dtype in (np.float32, np.float64):
        return values
    first = prepared.plan.layers[0].recurrent
    assert first is not None
    return values.astype(first.cell.dtype)
