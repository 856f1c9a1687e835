"""Sequences too long for the memory budget: time is cut too, and states are carried over.

Forward layers run from the first slice of time to the last, backward ones from the last to the
first. A layer that reads another of the other direction has to wait until that one is done: the
run makes passes over the sequence, and reads outputs of earlier passes back from the trace.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.choose import LayerEngine, prefix_lengths
from rnnscope.errors import InputError, OptionError, spell
from rnnscope.model.cell import Array
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Signal
from rnnscope.model.states import LayerStates
from rnnscope.running.compute import run_plain
from rnnscope.running.interface import Observer, StateSink
from rnnscope.running.memory import SliceSize
from rnnscope.running.pipeline import WritingThread
from rnnscope.running.plan import Plan
from rnnscope.running.prepared import Prepared
from rnnscope.running.streamable import needs_whole_time


@dataclass(frozen=True)
class Pass:
    """One way through the sequence.

    Attributes
    ----------
    backward : bool
    nodes : tuple of Node
        Recurrent nodes of that direction, and the plain nodes between them.
    """

    backward: bool
    nodes: tuple[Node, ...]


@dataclass
class _Carried:
    """A layer between two slices of time."""

    state: dict[str, Array]
    first: dict[str, Array] = field(default_factory=dict)
    held: Array | None = None
    pending: Array | None = None


def passes(plan: Plan) -> list[Pass]:
    """The ways through the sequence that a plan takes.

    Raises
    ------
    InputError
        A layer needs all timesteps at once.
    """
    whole = needs_whole_time(plan)
    if whole is not None:
        node, reason = whole
        raise InputError(
            "The sequences do not fit the memory budget, and time cannot be cut here.",
            where=f"layer '{node.name}': {reason}",
            hint=f"give more memory with {spell('memory')}, or run single layers with "
            f"{spell('layers')}",
        )
    done: set[str] = set(plan.entries)
    waiting = list(plan.nodes)
    found: list[Pass] = []
    backward = False
    while any(node.recurrent for node in waiting):
        known, taken = set(done), list[Node]()
        for node in plan.nodes:
            layer = node.layer
            ready = known.issuperset(node.reads) and node.name not in done
            if isinstance(layer, RecurrentLayer) and layer.backward.value != backward:
                ready = False
            if ready:
                known.add(node.name)
                taken.append(node)
        recurrent = {node.name for node in taken if node.recurrent}
        if recurrent:
            found.append(Pass(backward, tuple(taken)))
            done |= recurrent
            waiting = [node for node in waiting if node.name not in recurrent]
        backward = not backward
    return found


class LongRun:
    """Runs a plan over slices of time."""

    def __init__(
        self,
        prepared: Prepared,
        engines: Mapping[str, LayerEngine],
        size: SliceSize,
        sink: StateSink,
        thread: WritingThread,
        observer: Observer | None,
    ) -> None:
        self._prepared = prepared
        self._engines = engines
        self._size = size
        self._sink = sink
        self._thread = thread
        self._observer = observer
        self._passes = passes(prepared.plan)
        self._refuse_unkept()

    def _refuse_unkept(self) -> None:
        """A later pass reads outputs back from the trace, which have to be there then."""
        done: set[str] = set()
        for one in self._passes:
            for name in {name for node in one.nodes for name in node.reads} & done:
                if not self._sink.keeps_outputs(name):
                    raise OptionError(
                        f"{spell('select')} leaves out what another layer reads, and the "
                        "sequences do not fit the memory budget.",
                        where=f"outputs of layer '{name}'",
                        hint=f"keep them, or give more memory with {spell('memory')}",
                    )
            done |= {node.name for node in one.nodes if node.recurrent}

    def run(self, sequences: slice) -> None:
        """Compute and write some sequences."""
        prepared = self._prepared
        source = prepared.source
        rows = sequences.stop - sequences.start
        input_steps = np.zeros(rows, np.int64)
        mask_all = np.ones((rows, source.timesteps), bool) if prepared.masked else None
        written: set[str] = set()
        done: set[str] = set()
        for number, one in enumerate(self._passes):
            carried: dict[str, _Carried] = {}
            merges = {
                node.name for node in one.nodes if not node.recurrent and prepared.has_group(node)
            } - written
            for steps in self._slices_of(one, sequences):
                mask = self._run_steps(one, sequences, steps, carried, done, merges, input_steps,
                                       first=number == 0)  # fmt: skip
                if mask_all is not None and mask is not None:
                    mask_all[:, steps] = mask
            written |= merges
            done |= {node.name for node in one.nodes if node.recurrent}
        lengths = prefix_lengths(mask_all)
        observer = self._observer
        for node in prepared.plan.layers if observer is not None else ():
            assert observer is not None
            observer.see_lengths(node, mask_all, lengths, input_steps, sequences, source.timesteps)
        known_lengths = None if prepared.lengths is None else prepared.lengths[sequences]
        kept = mask_all if prepared.has_mask else None
        resets = None if source.resets is None else source.resets[sequences]
        self._thread.put(
            lambda: self._sink.write_common(sequences, known_lengths, kept, input_steps, resets)
        )

    def _slices_of(self, one: Pass, sequences: slice) -> Iterator[slice]:
        """Slices of time in the order of a pass.

        A layer that turns each sequence within its length starts at the length, and what is
        past it comes last: there it holds its final state.
        """
        timesteps = self._prepared.source.timesteps
        within = any(
            node.recurrent is not None and node.recurrent.reversal == "within length"
            for node in one.nodes
        )
        lengths = self._prepared.lengths
        if not (one.backward and within) or lengths is None:
            yield from self._size.steps_of(timesteps, backward=one.backward)
            return
        length = int(lengths[sequences.start])  # these sequences come one at a time
        yield from self._size.steps_of(length, backward=True)
        for part in self._size.steps_of(timesteps - length):
            yield slice(part.start + length, part.stop + length)

    def _run_steps(
        self, one: Pass, sequences: slice, steps: slice, carried: dict[str, _Carried],
        done: set[str], merges: set[str], input_steps: Array, *, first: bool,
    ) -> Array | None:  # fmt: skip
        prepared = self._prepared
        batch = prepared.source.read(sequences, steps)
        if first:
            _note_input_steps(batch.values, steps.start, input_steps)
        entry = prepared.entry(batch, sequences, steps)
        signals = dict.fromkeys(prepared.plan.entries, entry)
        common = entry.mask
        for node in one.nodes:
            reads = [self._read(name, sequences, steps, signals, done, common)
                     for name in node.reads]  # fmt: skip
            if not isinstance(node.layer, RecurrentLayer):
                signals[node.name] = run_plain(prepared, node, node.layer, reads)
                if node.name in merges:
                    self._write_outputs(node.name, signals[node.name].values, sequences, steps)
                continue
            signal = reads[0]
            common = signal.mask if common is None else common
            if node.name not in carried:
                carried[node.name] = _Carried(prepared.initial(node, batch, sequences, {}))
            held = carried[node.name].held
            states = self._run_layer(node, node.layer, signal, carried[node.name], batch.resets)
            signals[node.name] = Signal(states.outputs, signal.mask)
            if self._observer is not None:
                lengths = prefix_lengths(signal.mask)
                self._observer.see_steps(
                    node, states, signal.mask, lengths, sequences, steps.start, held
                )
            # Padding that is filled at the end must not pass for the start of the run.
            kept = replace(states, initial=carried[node.name].first)
            self._write_layer(node.name, kept, sequences, steps)
        return common

    def _run_layer(
        self, node: Node, layer: RecurrentLayer, signal: Signal, carried: _Carried,
        marked: Array | None,
    ) -> LayerStates:  # fmt: skip
        x = np.ascontiguousarray(signal.values, dtype=layer.cell.dtype)
        resets, carried.pending = self._prepared.resets(
            layer, marked, signal.mask, carried.first or carried.state, carried.pending
        )
        states = self._engines[node.name].run(
            x, signal.mask, prefix_lengths(signal.mask), carried.state, carried.held, resets=resets
        )
        if not carried.first:
            carried.first = dict(states.initial)
        carried.state = dict(states.final)
        last = 0 if layer.backward.value and layer.outputs_in_input_order else -1
        carried.held = states.outputs[:, last].copy()
        return states

    def _read(
        self, name: str, sequences: slice, steps: slice, signals: dict[str, Signal],
        done: set[str], mask: Array | None,
    ) -> Signal:  # fmt: skip
        """A node's outputs: of this pass, or written by an earlier one."""
        if name not in signals and name in done:
            self._thread.drain()
            signals[name] = Signal(self._sink.read_outputs(name, sequences, steps), mask)
        return signals[name]

    def _write_layer(self, name: str, states: LayerStates, sequences: slice, steps: slice) -> None:
        self._thread.put(lambda: self._sink.write_layer(name, states, sequences, steps))

    def _write_outputs(self, name: str, values: Array, sequences: slice, steps: slice) -> None:
        self._thread.put(lambda: self._sink.write_outputs(name, values, sequences, steps))


def _note_input_steps(values: Array, first_step: int, input_steps: Array) -> None:
    """Raise `input_steps` to one past the last step of this slice that is not all zero."""
    used = values != 0 if values.ndim == 2 else np.any(values, axis=2)
    last = used.shape[1] - np.argmax(used[:, ::-1], axis=1)
    found = np.where(used.any(axis=1), last + first_step, 0)
    np.maximum(input_steps, found, out=input_steps)
