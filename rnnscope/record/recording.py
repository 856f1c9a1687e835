"""The one way from a recipe to a trace: plan, run, check on the way, keep the states."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, spell
from rnnscope.inputs import InputSource
from rnnscope.model.cell import Array
from rnnscope.model.verification import Verifier
from rnnscope.options.kinds import bytes_of
from rnnscope.record.planning import PlannedRun, plan_recipe
from rnnscope.record.recipes.recipe import Recipe
from rnnscope.record.reporting import bytes_of_states, planned_report, run_report
from rnnscope.record.results.run_report import RunReport
from rnnscope.record.run_checks import RunChecks
from rnnscope.record.run_digests import read_digests
from rnnscope.record.targets import PartOfRun, Target
from rnnscope.record.trace_headers import fingerprint, run_digest, storable_recipe, trace_header
from rnnscope.running import run_plan
from rnnscope.running.background import background_call
from rnnscope.running.interface import Progress
from rnnscope.running.part_of_run import is_alike_in_any_slice
from rnnscope.running.prepared import Prepared
from rnnscope.running.runner import RunSettings
from rnnscope.trace import (
    LayerHeader,
    TraceWriter,
    check_target,
    parse_selection,
)
from rnnscope.trace.identity import RunIdentity
from rnnscope.trace.memory import MemoryFile
from rnnscope.trace.parts import PartMark
from rnnscope.trace.parts.kept_pooled import look_ahead, pooled_names, words_on_lost
from rnnscope.trace.target import check_trace_name

if TYPE_CHECKING:
    from rnnscope.trace.reader import Trace


@dataclass(frozen=True, eq=False)
class Recording:
    """A recipe that was run.

    Attributes
    ----------
    report : RunReport
    memory : MemoryFile or None
        Where the trace is, if it is in no file.
    """

    report: RunReport
    memory: MemoryFile | None = None

    def open(self) -> Trace:
        """The trace that was written."""
        if self.memory is not None:
            return self.memory.trace()
        assert self.report.trace is not None
        from rnnscope.trace.reader import Trace

        return Trace.open(self.report.trace)


class Interrupted(KeyboardInterrupt):
    """A run was interrupted, and what it had committed can be taken up.

    Attributes
    ----------
    kept : Path
        The file that was left.
    """

    def __init__(self, kept: Path) -> None:
        super().__init__(str(kept))
        self.kept = kept


def record(
    recipe: Recipe,
    target: Target | None = None,
    *,
    command: str = "",
    workers: int = 0,
    progress: Callable[[PlannedRun], AbstractContextManager[Progress | None]] | None = None,
    adjust: Callable[[InputSource], InputSource] | None = None,
    part: PartOfRun | None = None,
) -> Recording:
    """Run a recipe and keep the states of every timestep in a trace.

    Parameters
    ----------
    recipe : Recipe
    target : Target, optional
        Without one the trace stays in memory.
    command : str
        Kept in the trace and the report: the command line, or the function called.
    workers : int
        Threads that compute at once; 0: as many as the recipe says. It changes no bit.
    progress : callable, optional
        ``progress(planned)`` is entered while the run goes on; what it gives is called with the
        number of sequences done since the last call.
    adjust : callable, optional
        As `plan_recipe` takes it.
    part : PartOfRun, optional
        Only these sequences are run, into a trace that is a part of the whole run's.

    Raises
    ------
    RnnscopeError
        The run could not be done; the target is left as it was.
    Interrupted
        By the user, after something was kept that ``resume`` takes up.
    """
    target = target or Target()
    verifier = _make_verifier(recipe)
    digest = "" if part is None else part.input_sha256
    with plan_recipe(
        recipe, check_target=_guard(target), adjust=adjust, input_sha256=digest
    ) as planned:
        told = part.recipe if part is not None and part.recipe is not None else recipe
        header = replace(trace_header(planned, command), recipe=storable_recipe(told))
        digests = background_call(lambda: read_digests(planned))
        place = None if part is None else part.place(planned.source.sequences)
        settings = replace(run_settings(recipe), workers=workers)
        if part is not None and part.threads:
            settings = replace(settings, threads=part.threads)
        replaced = None if target.resume else target.path
        if replaced is not None:
            look_ahead(replaced)
        lost: list[str] = []
        marks: list[PartMark] = []
        writers: list[TraceWriter] = []
        memory = MemoryFile() if target.path is None else None
        selection = parse_selection(recipe["select"])

        def confirm(whole: bool) -> None:
            if not whole:
                planned.require_unchanged()
                return
            known = digests.result()
            own = planned.source.path == planned.opened.path and not digest
            planned.require_unchanged(known.checkpoint, known.input if own else "")
            if replaced is not None:
                lost.extend(pooled_names(replaced))  # the last moment at which it is there

        def identity(seconds: float | None) -> RunIdentity | None:
            if wait([digests], seconds).not_done:
                return None
            known = digests.result()
            decides = fingerprint(known, told) + "".join(map(repr, marks))
            return RunIdentity(decides, known.attributes)

        def open_writer(
            layers: list[LayerHeader], lengths: Array | None, has_mask: bool, engine: str
        ) -> TraceWriter:
            source = planned.source
            mark = None
            if place is not None:
                alike = is_alike_in_any_slice(planned.plan, engine)
                # A part says of which run it is from the beginning: digests are waited for.
                known = run_digest(digests.result(), header.rnnscope_version, told)
                mark = PartMark(place, known, 0 if alike else settings.used_threads)
                marks.append(mark)
            writers.append(
                TraceWriter(
                    memory or target.path or "",
                    replace(header, engine=engine),
                    layers,
                    source.sequences if place is None else place.count,
                    source.timesteps,
                    has_lengths=lengths is not None,
                    has_mask=has_mask,
                    resets=None if source.resets is None else source.reset_state,
                    force=target.force,
                    inputs=planned.files,
                    resume=target.resume,
                    identity=identity,
                    selection=selection,
                    compress=recipe["compress"],
                    ragged=_ragged_lengths(lengths, source) if recipe["ragged"] else None,
                    part=mark,
                    confirm=confirm,
                )
            )
            return writers[-1]

        checks: list[RunChecks] = []

        def observe(prepared: Prepared) -> RunChecks:
            checks.append(RunChecks(prepared))
            return checks[-1]

        with ExitStack() as shown:
            advance = None if progress is None else shown.enter_context(progress(planned))
            try:
                result = run_plan(
                    planned.plan,
                    planned.source,
                    open_writer,
                    settings,
                    observe=observe,
                    verifier=verifier,
                    progress=advance,
                    rows=None if place is None else place.rows,
                )
            except KeyboardInterrupt as interrupt:
                kept = writers[-1].kept_partial if writers else None
                if kept is None:
                    raise
                raise Interrupted(kept) from interrupt
        where = None if target.path is None else str(target.path)
        report = run_report(planned, result, checks[0], where, command, verifier)
        if lost:
            report = replace(report, notes=(*report.notes, words_on_lost(lost)))
        return Recording(report, memory)


def _guard(target: Target) -> Callable[[tuple[Path, ...]], object] | None:
    if target.path is None:
        return None
    path = target.path
    check_trace_name(path)
    return lambda files: check_target(path, target.force, files)


def _make_verifier(recipe: Recipe) -> Verifier | None:
    if recipe["verify"] is None:
        return None
    from rnnscope.oracles.verifiers import make_verifier

    return make_verifier(recipe["verify"])


def run_settings(recipe: Recipe) -> RunSettings:
    """How a run is done, as its recipe says."""
    return RunSettings(
        gates=recipe["gates"],
        engine=recipe["engine"],
        threads=recipe["threads"],
        memory=bytes_of(recipe["memory"]),
    )


def _ragged_lengths(lengths: Array | None, source: InputSource) -> Array:
    if lengths is None:
        raise OptionError(
            f"{spell('ragged')} leaves out what is past each length, and there are no lengths.",
            where=source.name,
            hint=f"give them with {spell('lengths')}, or leave {spell('ragged')} out",
        )
    return lengths


def plan_only(recipe: Recipe, target: Target | None = None, *, command: str = "") -> RunReport:
    """What a run would do, without doing it: everything is read and planned, nothing computed.

    Parameters
    ----------
    recipe : Recipe
    target : Target, optional
        Where the trace would go; it is refused as a run would refuse it.
    command : str

    Raises
    ------
    RnnscopeError
        The run could not be done.
    """
    target = target or Target()
    with plan_recipe(recipe, check_target=_guard(target)) as planned:
        where = None if target.path is None else str(target.path)
        return replace(
            planned_report(planned, where, command),
            engine=recipe["engine"],
            dry_run=True,
            bytes_of_states=bytes_of_states(planned),
        )
