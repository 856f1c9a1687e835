"""A planned run as something that can be fed in chunks, rightly or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from itertools import pairwise

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.choose import LayerEngine
from rnnscope.engines.compiled import is_compiled
from rnnscope.inputs import InputBatch
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Signal
from rnnscope.model.states import LayerStates
from rnnscope.running.chunked import ChunkedRun
from rnnscope.running.compute import run_plain
from rnnscope.running.prepared import Prepared
from rnnscope.streaming.chunk_states import joined, one_earlier, stacked
from rnnscope.streaming.fault import ZEROS, Facts, Fault, Feed, Handover, States
from rnnscope.streaming.streamable_nodes import reasons_against, upstream_of

RIGHT = Fault("", "", "")
"""A streamer that does everything right."""


def stream_engine(layer: RecurrentLayer, asked: str) -> str:
    """The engine that a layer is streamed with: the one whose bits time does not change, if any."""
    if asked == "auto" and is_compiled(layer.cell) and find_spec("llvmlite") is not None:
        return "compiled"
    return asked


@dataclass(frozen=True, eq=False)
class StreamedModel:
    """The layers of a plan that may be fed in chunks, for some sequences.

    Attributes
    ----------
    prepared : Prepared
    rows : slice
        The sequences.
    batch : InputBatch
        Of these.
    nodes : tuple of Node
        What is run in chunks.
    read : mapping of str to Signal
        What they read from elsewhere, all timesteps: the input, and what layers in front make.
    front : tuple of str
        Layers in front that need all timesteps at once; they were given them.
    reasons : mapping of str to str
        The recurrent layers that cannot be fed in chunks, and why.
    engines : mapping of str to LayerEngine
    """

    prepared: Prepared
    rows: slice
    batch: InputBatch
    nodes: tuple[Node, ...]
    read: Mapping[str, Signal]
    front: tuple[str, ...]
    reasons: Mapping[str, str]
    engines: Mapping[str, LayerEngine]

    @classmethod
    def of(
        cls, prepared: Prepared, rows: slice, engine: str, *, directions: bool = False
    ) -> StreamedModel:
        """Some sequences of a prepared run.

        With `directions` layers that read from the end are among those that are run in chunks: a
        right streamer cannot have them, but others feed them all the same.
        """
        batch = prepared.source.read(rows)
        entry = prepared.entry(batch, rows, slice(None))
        known = dict.fromkeys(prepared.plan.entries, entry)
        front: list[str] = []
        behind: list[Node] = []
        for node in prepared.plan.nodes:
            if node.recurrent or not all(name in known for name in node.reads):
                behind.append(node)
                continue
            reads = [known[name] for name in node.reads]
            known[node.name] = run_plain(prepared, node, node.layer.at(rows), reads)  # type: ignore[union-attr]
            if not node.layer.step_by_step:  # type: ignore[union-attr]
                front.append(node.name)
        reasons = reasons_against(prepared, behind, known, directions=directions)
        nodes = tuple(node for node in behind if node.name not in reasons)
        wanted = {name for node in nodes for name in node.reads}
        engines = {
            node.name: LayerEngine(
                node.recurrent, engine=stream_engine(node.recurrent, engine),
                sequences=rows.stop - rows.start,
            )
            for node in nodes
            if node.recurrent
        }  # fmt: skip
        return cls(
            prepared,
            rows,
            batch,
            nodes,
            {name: signal for name, signal in known.items() if name in wanted},
            tuple(name for name in front if name in upstream_of(prepared, nodes)),
            {node.name: reasons[node.name] for node in behind
             if node.recurrent and node.name in reasons},
            engines,
        )  # fmt: skip

    @property
    def layers(self) -> tuple[Node, ...]:
        """The recurrent layers that are run in chunks."""
        return tuple(node for node in self.nodes if node.recurrent)

    @property
    def timesteps(self) -> int:
        """Of what the layers read."""
        return next((signal.values.shape[1] for signal in self.read.values()), 0)

    @cached_property
    def facts(self) -> Facts:
        """What decides which faults it can have."""
        layers = [(node.name, node.recurrent) for node in self.layers]
        return Facts(
            layers=tuple(name for name, _ in layers),
            widths={name: CELLS[layer.cell.kind].widths(layer.cell)
                    for name, layer in layers if layer},
            backward=tuple(name for name, layer in layers if layer and layer.backward.value),
            sequences=self.rows.stop - self.rows.start,
            timesteps=self.timesteps,
            has_resets=self.batch.resets is not None,
        )  # fmt: skip

    def some(self, rows: slice, timesteps: int | None = None) -> StreamedModel:
        """The first timesteps of some of the sequences, counted among these."""
        stop = timesteps or self.timesteps
        batch = self.batch
        part = replace(
            batch,
            lengths=None if batch.lengths is None else batch.lengths[rows],
            initial={layer: {state: array[rows] for state, array in states.items()}
                     for layer, states in batch.initial.items()},
            resets=None if batch.resets is None else batch.resets[rows, :stop],
        )  # fmt: skip
        read = {
            name: Signal(
                signal.values[rows, :stop],
                None if signal.mask is None else signal.mask[rows, :stop],
            )
            for name, signal in self.read.items()
        }
        first = self.rows.start
        place = slice(first + rows.start, first + rows.stop)
        return replace(self, rows=place, batch=part, read=read)

    def stream(self, starts: Sequence[int], fault: Fault = RIGHT) -> dict[str, LayerStates]:
        """Every layer's states, fed in chunks.

        Parameters
        ----------
        starts : sequence of int
            The first timestep of each chunk but the first.
        fault : Fault
            What the streamer does otherwise.

        Returns
        -------
        dict of str to LayerStates
            By layer, all timesteps; `final` is the state after everything that was fed.
        """
        if not fault.kept:
            return self.stream_from(starts, fault, None)[0]
        parts: list[dict[str, LayerStates]] = []
        before: States | None = None
        for row in range(self.facts.sequences):
            made, before = self.some(slice(row, row + 1)).stream_from(starts, fault, before)
            parts.append(made)
        return {name: stacked([part[name] for part in parts]) for name in parts[0]}

    def stream_from(
        self, starts: Sequence[int], fault: Fault, begin: States | None
    ) -> tuple[dict[str, LayerStates], States]:
        """As `stream`, from a state of another's; also the state at the end."""
        run = ChunkedRun(self.prepared, self.nodes, self.engines, self.batch, self.rows)
        first = {name: self._whole_state(name, dict(one.state))
                 for name, one in run.carried.items()}  # fmt: skip
        for name, state in (begin or {}).items():
            run.carried[name].state = state
        marked = self.batch.resets
        if fault.resets is not None and marked is not None:
            marked = fault.resets(marked)
        parts: dict[str, list[LayerStates]] = {name: [] for name in first}
        kept: list[slice] = []
        first_chunk: States = {}
        for start, stop in self._chunks(starts):
            chunk = min(starts, default=self.timesteps)
            fed = fault.feed(start, stop, chunk, self.timesteps)
            before = {name: self._whole_state(name, dict(one.state))
                      for name, one in run.carried.items()}  # fmt: skip
            ran = run.advance(self._signals(fed), self._marked(marked, fed))
            for name, one in ran.items():
                parts[name].append(one.states)
            kept.append(fed.kept)
            after = {name: dict(one.states.final) for name, one in ran.items()}
            first_chunk = first_chunk or after
            if stop < self.timesteps:
                earlier = {name: one_earlier(one.states, before[name])
                           for name, one in ran.items()}  # fmt: skip
                given = Handover(after, earlier, first, first_chunk)
                self._hand_over(run, fault, given)
        made = {name: joined(every, kept) for name, every in parts.items()}
        return made, {name: states.final for name, states in made.items()}

    def _hand_over(self, run: ChunkedRun, fault: Fault, given: Handover) -> None:
        states = fault.carry(given)
        backward = {*self.facts.backward}
        for name, carried in run.carried.items():
            if name in backward and not fault.backward_carried:
                carried.state = given.first[name]
            else:
                carried.state = states[name]

    def _chunks(self, starts: Sequence[int]) -> Iterator[tuple[int, int]]:
        inside = [start for start in starts if 0 < start < self.timesteps]
        yield from pairwise([0, *inside, self.timesteps])

    def _signals(self, fed: Feed) -> dict[str, Signal]:
        plain = _as_slice(fed.steps)
        found = {}
        for name, signal in self.read.items():
            if plain is not None:
                mask = None if signal.mask is None else signal.mask[:, plain]
                found[name] = Signal(signal.values[:, plain], mask)
                continue
            made_up = fed.steps == ZEROS
            values = signal.values[:, fed.steps]
            values[:, made_up] = 0
            mask = None
            if signal.mask is not None:
                mask = signal.mask[:, fed.steps]
                mask[:, made_up] = True
            found[name] = Signal(values, mask)
        return found

    def _marked(self, marked: Array | None, fed: Feed) -> Array | None:
        if marked is None:
            return None
        found: Array = marked[:, fed.steps] & (fed.steps != ZEROS)
        return found

    def _whole_state(self, name: str, state: dict[str, Array]) -> dict[str, Array]:
        """A state with its zeros spelled out."""
        node = next(node for node in self.layers if node.name == name)
        assert node.recurrent is not None
        cell = node.recurrent.cell
        return {
            key: np.array(np.broadcast_to(state.get(key, np.zeros(width, cell.dtype)),
                                          (self.facts.sequences, width)), cell.dtype)
            for key, width in self.facts.widths[name].items()
        }  # fmt: skip


def _as_slice(steps: Array) -> slice | None:
    """Steps that follow one another, as a slice, which copies nothing."""
    if len(steps) and steps[0] >= 0 and np.array_equal(steps, np.arange(steps[0], steps[-1] + 1)):
        return slice(int(steps[0]), int(steps[-1]) + 1)
    return None
