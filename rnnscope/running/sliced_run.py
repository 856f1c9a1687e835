"""A run in slices of sequences: which is read, computed and written when, and in whose memory."""

from __future__ import annotations

import queue
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from functools import partial

from rnnscope.engines.choose import LayerEngine, prefix_lengths
from rnnscope.engines.workspace import Workspace
from rnnscope.inputs import InputBatch
from rnnscope.model.cell import Array
from rnnscope.model.verification import Verifier
from rnnscope.running.background import prefetch
from rnnscope.running.compute import Computed, Merged, compute_slice
from rnnscope.running.interface import Observer, StateSink
from rnnscope.running.memory import IN_FLIGHT, SliceSize
from rnnscope.running.pipeline import WritingThread
from rnnscope.running.prepared import Prepared
from rnnscope.running.side_by_side import side_by_side


class SlicedRun:
    """Hands slices of sequences from reading to computing to writing.

    Parameters
    ----------
    prepared : Prepared
    engines : dict of str to LayerEngine
        Of each recurrent layer, by its name.
    size : SliceSize
    sink : StateSink
    thread : WritingThread
        What writes, unless `alone`.
    observer : Observer or None
    verifier : Verifier or None
    alone : bool
        Threads take slices of their own, from reading to writing.
    """

    def __init__(
        self,
        prepared: Prepared,
        engines: dict[str, LayerEngine],
        size: SliceSize,
        sink: StateSink,
        thread: WritingThread,
        observer: Observer | None,
        verifier: Verifier | None,
        *,
        alone: bool,
    ) -> None:
        self._prepared = prepared
        self._engines = engines
        self._sink = sink
        self._thread = thread
        self._observer = observer
        self._verifier = verifier
        self._alone = alone
        # Results live in as many sets of arrays as may be in flight; a set is free again when it
        # is written.
        self._free: queue.SimpleQueue[dict[str, Workspace]] = queue.SimpleQueue()
        for _ in range(IN_FLIGHT):
            self._free.put({name: Workspace() for name in engines})
        # As many for the input: one more is computed meanwhile, and one is read.
        self._inputs: queue.SimpleQueue[Workspace] = queue.SimpleQueue()
        for _ in range(IN_FLIGHT + 2):
            self._inputs.put(Workspace())
        self._long = None
        if size.steps < prepared.source.timesteps:
            from rnnscope.running.long_time import LongRun

            self._long = LongRun(prepared, engines, size, sink, thread, observer)

    def slices(self, every: Iterable[slice]) -> Generator[slice, None, None]:
        """Run slices of sequences, each yielded when it is computed."""
        if self._long is None:
            if self._alone:
                with closing(side_by_side(every, IN_FLIGHT, self._read, self._run_alone)) as ended:
                    yield from ended
                return
            with closing(prefetch(every, self._read)) as batches:
                for sequences, read in batches:
                    write, give_back = self._compute(sequences, *read)
                    self._thread.put(write, after=give_back)
                    yield sequences
            return
        for sequences in every:
            self._long.run(sequences)
            self._thread.put(partial(self._sink.commit, sequences.stop, self._saved()))
            yield sequences

    def _read(self, sequences: slice) -> tuple[InputBatch, Workspace]:
        """A slice of the input, and the memory that it is in."""
        source, memory = self._prepared.source, self._inputs.get()
        shape = (sequences.stop - sequences.start, *source.shape[1:])
        return source.read(sequences, out=memory.array("x", shape, source.dtype)), memory

    def _run_alone(
        self, sequences: slice, read: tuple[InputBatch, Workspace]
    ) -> Callable[[], None]:
        """Compute a slice; what is left to be done when its turn has come."""
        write, give_back = self._compute(sequences, *read)

        def end() -> None:
            write()
            give_back()

        return end

    def _compute(
        self, sequences: slice, batch: InputBatch, memory: Workspace
    ) -> tuple[Callable[[], None], Callable[[], None]]:
        """Compute a slice: what writes it, and what gives its memory back."""
        prepared = self._prepared
        given = None if prepared.lengths is None else prepared.lengths[sequences]
        common = prepared.entry(batch, sequences, slice(None)).mask
        workspaces = self._free.get()
        made: list[Computed | Merged] = []
        observations: list[Callable[[], None]] = []
        finals: dict[str, Mapping[str, Array]] = {}
        for one in compute_slice(prepared, self._engines, batch, sequences, workspaces):
            made.append(one)
            if isinstance(one, Merged):
                continue
            if common is None and not prepared.plan.decodes(one.node):
                common = one.mask
            finals[one.node.name] = one.states.final
            if self._observer is not None:
                start = prepared.handed_over(one.node, finals)
                observe = partial(
                    self._observer.see_layer,
                    one.node, one.states, one.mask, prefix_lengths(one.mask), batch.input_steps,
                    sequences, start,
                )  # fmt: skip
                observations.append(observe)
            if self._verifier is not None:
                self._verifier.compare(one.node, one.x, one.mask, one.initial, one.states)
        mask = common if prepared.has_mask else None

        def write() -> None:
            for observe in observations:
                observe()
            for one in made:
                if isinstance(one, Merged):
                    self._sink.write_outputs(one.node.name, one.outputs, sequences)
                else:
                    self._sink.write_layer(one.node.name, one.states, sequences)
            self._sink.write_common(sequences, given, mask, batch.input_steps, batch.resets)
            self._sink.commit(sequences.stop, self._saved())

        def give_back() -> None:
            self._free.put(workspaces)
            self._inputs.put(memory)

        return write, give_back

    def _saved(self) -> str:
        return "" if self._observer is None else self._observer.saved()
