"""Running a plan: slices in, states of every timestep out, checked on the way."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.choose import LayerEngine, choose, one_blas_thread
from rnnscope.errors import OptionError, spell
from rnnscope.inputs import InputSource
from rnnscope.model.verification import Verifier
from rnnscope.running.interface import MakeObserver, OpenSink, Progress, StateSink
from rnnscope.running.memory import (
    DEFAULT_BYTES,
    IN_FLIGHT,
    LEAST_ROWS,
    SliceSize,
    choose_slices,
)
from rnnscope.running.part_of_run import PartObserver, PartSink, common_rows, slices_of_part
from rnnscope.running.pipeline import WritingThread
from rnnscope.running.plan import Plan
from rnnscope.running.prepare import prepare
from rnnscope.running.prepared import Prepared
from rnnscope.running.sliced_run import SlicedRun


@dataclass(frozen=True)
class RunSettings:
    """How a run is done; nothing here changes more than the rounding of what is computed.

    Attributes
    ----------
    gates : bool
        Keep the gates, too.
    engine : str
        A key of `rnnscope.engines.choose.ENGINES`.
    threads : int
        Parts of the batch. 0: as many as the process has threads.
    workers : int
        Parts that are computed at once; 0: all. It changes no bit: a part stays what it was.
    memory : int
        Bytes for the arrays of the run.
    """

    gates: bool = False
    engine: str = "auto"
    threads: int = 0
    workers: int = 0
    memory: int = DEFAULT_BYTES

    @property
    def used_threads(self) -> int:
        return self.threads or processors()


def processors() -> int:
    """How many this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


@dataclass(frozen=True)
class RunResult:
    """What there is to say of a run beside its states.

    Attributes
    ----------
    prepared : Prepared
        What was run.
    notes : tuple of str
    engine : str
        The engines that ran, by name.
    seconds : float
        Wall-clock time from the first slice read to the last written.
    steps : int
        Timesteps of single sequences, over all layers.
    """

    prepared: Prepared
    notes: tuple[str, ...]
    engine: str
    seconds: float
    steps: int


def run_plan(
    plan: Plan,
    source: InputSource,
    open_sink: OpenSink,
    settings: RunSettings | None = None,
    *,
    observe: MakeObserver | None = None,
    verifier: Verifier | None = None,
    progress: Progress | None = None,
    rows: slice | None = None,
) -> RunResult:
    """Run a plan over its input and hand the states to a sink.

    Slices of sequences are read, computed and written; writing has a thread of its own, and
    computing splits each slice over threads. Where that would be more threads than processors,
    each takes whole slices. Peak memory does not depend on how many slices there are.

    Parameters
    ----------
    plan : Plan
    source : InputSource
    open_sink : callable
    settings : RunSettings, optional
    observe : callable, optional
        Makes who sees the states while they are at hand: the checks of a run.
    verifier : Verifier, optional
    progress : callable, optional
    rows : slice, optional
        Of a part of the run: these sequences alone. Everything is decided as for the whole input,
        and the sink is given the sequences of the part, numbered from 0.

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
    compiled = all(
        choose(node.recurrent, settings.engine, prepared.work) == "compiled"
        for node in plan.layers
        if node.recurrent is not None
    )
    blas = verifier is not None or multiplies_in_blas(plan, compiled)
    size = choose_slices(
        plan,
        prepared.shapes,
        source.sequences,
        source.timesteps,
        source.dtype.itemsize * math.prod(source.shape_of_step),
        gates=settings.gates,
        masked=prepared.masked,
        budget=settings.memory,
        compiled=compiled,
        threads=settings.used_threads,
    )
    if verifier is not None and size.steps < source.timesteps:
        raise OptionError(
            f"{spell('verify')} needs whole sequences, and one does not fit the memory budget.",
            where=source.name,
            hint=f"give more memory with {spell('memory')}, or verify on a shorter input",
        )
    alone = compiled and verifier is None and _threads_take_slices(prepared, settings, size)
    if alone:
        size = size.side_by_side(source.sequences, IN_FLIGHT)
    started = time.perf_counter()
    observer = None if observe is None else observe(prepared)
    wanted = slice(0, source.sequences) if rows is None else rows
    headers = [prepared.header(node, gates=settings.gates) for node in plan.nodes
               if prepared.has_group(node)]  # fmt: skip
    with (
        one_blas_thread(blas and settings.used_threads > 1),
        _engines(prepared, settings, threads=1 if alone else settings.used_threads) as engines,
        open_sink(headers, prepared.lengths, prepared.has_mask, _names(engines)) as sink,
    ):
        if sink.saved_state is not None:
            if observer is not None:
                observer.restore(sink.saved_state)
            if progress is not None:
                progress(sink.done)
        slices = size.rows_of(source.sequences, sink.done)
        into: StateSink = sink
        seen = observer
        if rows is not None:
            slices = slices_of_part(prepared, _names(engines), size, rows, sink.done)
            into, seen = PartSink(sink, rows), observer and PartObserver(observer, rows)
        with WritingThread() as thread:
            run = SlicedRun(prepared, engines, size, into, thread, seen, verifier, alone=alone)
            # Closed before the input is, also where `progress` is interrupted.
            with closing(run.slices(slices)) as computed:
                for sequences in computed:
                    if progress is not None:
                        progress(common_rows(sequences, wanted))
        if observer is not None:
            sink.set_checks(observer.summary())
    return RunResult(
        prepared=prepared,
        notes=tuple(prepared.notes),
        engine=_names(engines),
        seconds=time.perf_counter() - started,
        steps=prepared.steps * (wanted.stop - wanted.start) // max(1, source.sequences),
    )


def _threads_take_slices(prepared: Prepared, settings: RunSettings, size: SliceSize) -> bool:
    """Whether each thread takes slices of its own, from reading to writing, for compiled steps.

    It does where two threads have two processors: a third one that writes takes one of them from
    two that share steps, and then the other waits. With more processors it takes nothing.
    """
    threads, source = settings.used_threads, prepared.source
    return (
        threads == IN_FLIGHT
        and settings.workers in (0, threads)
        and processors() <= threads
        and size.steps >= source.timesteps
        # A slice of few sequences reads all weights for them: two threads read half of them each.
        and LEAST_ROWS <= size.rows <= source.sequences // threads
        and not prepared.plan.decoder_entries  # whose input is read while steps are computed
    )


def multiplies_in_blas(plan: Plan, compiled: bool) -> bool:
    """Whether numpy multiplies matrices in a run; to look for its BLAS takes milliseconds."""
    return not compiled or any(node.recurrent is None for node in plan.nodes)


@contextmanager
def _engines(
    prepared: Prepared, settings: RunSettings, threads: int
) -> Iterator[dict[str, LayerEngine]]:
    """An engine for each layer, with threads to share."""
    with ThreadPoolExecutor(settings.workers or settings.used_threads) as pool:
        yield {
            node.name: LayerEngine(
                node.recurrent,
                gates=settings.gates,
                engine=settings.engine,
                threads=threads,
                pool=pool,
                work=prepared.work,
                sequences=prepared.source.sequences,
            )
            for node in prepared.plan.layers
            if node.recurrent is not None
        }


def _names(engines: Mapping[str, LayerEngine]) -> str:
    """The engines that run, each once."""
    return ", ".join(dict.fromkeys(engine.name for engine in engines.values()))
