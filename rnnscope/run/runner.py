"""Running a plan: slices in, states of every timestep out, checked on the way."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial

from rnnscope.checks.interface import Finding
from rnnscope.engines.choose import LayerEngine, one_blas_thread, prefix_lengths
from rnnscope.engines.workspace import Workspace
from rnnscope.errors import OptionError
from rnnscope.inputs import InputBatch, InputSource
from rnnscope.model.cell import Array
from rnnscope.model.verification import Verifier
from rnnscope.run.background import ahead
from rnnscope.run.compute import Computed, Merged, compute_slice
from rnnscope.run.long_time import LongRun
from rnnscope.run.memory import DEFAULT_BYTES, IN_FLIGHT, SliceSize, choose_slices
from rnnscope.run.pipeline import WritingThread
from rnnscope.run.plan import Plan
from rnnscope.run.prepare import Prepared, prepare
from rnnscope.run.run_checks import Looking
from rnnscope.trace import LayerHeader, TraceWriter

Progress = Callable[[int], None]
"""Called with the number of sequences done since the last call."""

OpenWriter = Callable[[list[LayerHeader], Array | None, bool, str], TraceWriter]
"""``open_writer(layer_headers, lengths, has_mask, engine)``."""


@dataclass(frozen=True)
class RunSettings:
    """How a run is done; nothing here changes what is computed.

    Attributes
    ----------
    gates : bool
        Keep the gates, too.
    engine : str
        A key of `rnnscope.engines.choose.ENGINES`.
    threads : int
        0: as many as the process may use.
    memory : int
        Bytes for the arrays of the run.
    """

    gates: bool = False
    engine: str = "auto"
    threads: int = 0
    memory: int = DEFAULT_BYTES

    @property
    def used_threads(self) -> int:
        if self.threads:
            return self.threads
        allowed = getattr(os, "sched_getaffinity", None)
        return len(allowed(0)) if allowed else os.cpu_count() or 1


@dataclass(frozen=True)
class RunResult:
    """What a run found beside the trace.

    Attributes
    ----------
    findings : tuple of Finding
        Merged over all slices, in the order of layers, then CHECKS.
    padding : tuple of (layer, verdict)
    notes : tuple of str
    engine : str
        The engines that ran, by name.
    seconds : float
        Wall-clock time from the first slice read to the last written.
    steps : int
        Timesteps of single sequences, over all layers.
    """

    findings: tuple[Finding, ...]
    padding: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    engine: str
    seconds: float
    steps: int


def run_plan(
    plan: Plan,
    source: InputSource,
    open_writer: OpenWriter,
    settings: RunSettings | None = None,
    *,
    verifier: Verifier | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Run a plan over its input and write the trace.

    Slices of sequences are read, computed and written; writing has a thread of its own, and
    computing splits each slice over threads. Peak memory does not depend on how many there are.

    Parameters
    ----------
    plan : Plan
    source : InputSource
    open_writer : callable
    settings : RunSettings, optional
    verifier : Verifier, optional
    progress : callable, optional

    Returns
    -------
    RunResult

    Raises
    ------
    InputError
        The input, its lengths or initial states do not fit the layers.
    """
    settings = settings or RunSettings()
    prepared = prepare(plan, source)
    size = choose_slices(
        plan,
        prepared.shapes,
        source.sequences,
        source.timesteps,
        source.dtype.itemsize * (source.features or 1),
        gates=settings.gates,
        masked=prepared.masked,
        budget=settings.memory,
    )
    if verifier is not None and size.steps < source.timesteps:
        raise OptionError(
            "--verify needs whole sequences, and one does not fit the memory budget.",
            where=source.name,
            hint="give more memory with --memory, or verify on a shorter input",
        )
    started = time.perf_counter()
    looking = Looking(prepared)
    headers = [prepared.header(node, gates=settings.gates) for node in plan.nodes
               if prepared.kept(node)]  # fmt: skip
    with (
        _engines(prepared, settings) as engines,
        open_writer(headers, prepared.lengths, prepared.has_mask, _names(engines)) as writer,
    ):
        if writer.saved_state is not None:
            looking.restore(writer.saved_state)
            if progress is not None:
                progress(writer.done)
        with WritingThread() as thread:
            run = _Run(prepared, engines, size, writer, thread, looking, verifier)
            # Closed before the input is, also where `progress` is interrupted.
            with closing(run.slices(size.rows_of(source.sequences, writer.done))) as computed:
                for sequences in computed:
                    if progress is not None:
                        progress(sequences.stop - sequences.start)
        writer.set_checks(looking.findings_json())
    return RunResult(
        findings=looking.findings(),
        padding=looking.padding(),
        notes=tuple(prepared.notes),
        engine=_names(engines),
        seconds=time.perf_counter() - started,
        steps=prepared.steps,
    )


@contextmanager
def _engines(prepared: Prepared, settings: RunSettings) -> Iterator[dict[str, LayerEngine]]:
    """An engine for each layer, with threads to share and BLAS kept to them."""
    threads = settings.used_threads
    with ThreadPoolExecutor(threads) as pool, one_blas_thread(threads > 1):
        yield {
            node.name: LayerEngine(
                node.recurrent,
                gates=settings.gates,
                engine=settings.engine,
                threads=threads,
                pool=pool,
                work=prepared.work,
            )
            for node in prepared.plan.layers
            if node.recurrent is not None
        }


def _names(engines: Mapping[str, LayerEngine]) -> str:
    """The engines that run, each once."""
    return ", ".join(dict.fromkeys(engine.name for engine in engines.values()))


class _Run:
    """Hands slices of sequences from reading to computing to writing."""

    def __init__(
        self,
        prepared: Prepared,
        engines: dict[str, LayerEngine],
        size: SliceSize,
        writer: TraceWriter,
        thread: WritingThread,
        looking: Looking,
        verifier: Verifier | None,
    ) -> None:
        self._prepared = prepared
        self._engines = engines
        self._writer = writer
        self._thread = thread
        self._looking = looking
        self._verifier = verifier
        # Results live in as many sets of arrays as may be in flight; a set is free again when it
        # is written.
        self._free: queue.SimpleQueue[dict[str, Workspace]] = queue.SimpleQueue()
        for _ in range(IN_FLIGHT):
            self._free.put({name: Workspace() for name in engines})
        self._long = None
        if size.steps < prepared.source.timesteps:
            self._long = LongRun(prepared, engines, size, writer, thread, looking)

    def slices(self, every: Iterable[slice]) -> Generator[slice, None, None]:
        """Run slices of sequences, each yielded when it is computed."""
        if self._long is None:
            with closing(ahead(every, self._prepared.source.read)) as batches:
                for sequences, batch in batches:
                    self._run_whole(sequences, batch)
                    yield sequences
            return
        for sequences in every:
            self._long.run(sequences)
            state = self._looking.state()
            self._thread.put(partial(self._writer.commit, sequences.stop, state))
            yield sequences

    def _run_whole(self, sequences: slice, batch: InputBatch) -> None:
        prepared = self._prepared
        given = None if prepared.lengths is None else prepared.lengths[sequences]
        common = prepared.entry(batch, sequences, slice(None)).mask
        workspaces = self._free.get()
        made: list[Computed | Merged] = []
        looks: list[Callable[[], None]] = []
        finals: dict[str, Mapping[str, Array]] = {}
        for one in compute_slice(prepared, self._engines, batch, sequences, workspaces):
            made.append(one)
            if isinstance(one, Merged):
                continue
            if common is None and not prepared.plan.decodes(one.node):
                common = one.mask
            lengths = prefix_lengths(one.mask)
            finals[one.node.name] = one.states.final
            handed = prepared.handed_over(one.node, finals)
            looks.append(
                partial(
                    self._looking.look,
                    one.node, one.states, one.mask, lengths, batch.input_steps, sequences, handed,
                )
            )  # fmt: skip
            if self._verifier is not None:
                self._verifier.compare(one.node, one.x, one.mask, one.initial, one.states)
        mask = common if prepared.has_mask else None

        def write() -> None:
            for look in looks:
                look()
            for one in made:
                if isinstance(one, Merged):
                    self._writer.write_outputs(one.node.name, one.outputs, sequences)
                else:
                    self._writer.write_layer(one.node.name, one.states, sequences)
            self._writer.write_common(sequences, given, mask, batch.input_steps)
            self._writer.commit(sequences.stop, self._looking.state())

        self._thread.put(write, after=lambda: self._free.put(workspaces))
