"""A run whose parts are computed by the workers of a cluster, and tied when they are all there."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rnnscope import __version__
from rnnscope.clusters.connecting import open_cluster
from rnnscope.clusters.interface import ClusterAddress
from rnnscope.clusters.pieces import as_done
from rnnscope.errors import OptionError, spell
from rnnscope.files.guarding.limits import limited
from rnnscope.record.parts.folders import (
    folder_for_parts,
    parts_folder,
    refuse_another_number,
    remove_parts,
)
from rnnscope.record.parts.joining import join_parts
from rnnscope.record.parts.one_part import ShowProgress, report_of_parts
from rnnscope.record.parts.refusals import check_joinable, refuse_verifying
from rnnscope.record.parts.shared_files import refuse_unshared, whole_paths_of, with_whole_paths
from rnnscope.record.parts.worker_task import (
    DonePart,
    RunInParts,
    identity_of_input,
    record_part_of,
)
from rnnscope.record.planning import PlannedRun, plan_recipe
from rnnscope.record.recipes.recipe import Recipe
from rnnscope.record.recording import Interrupted, plan_only, run_settings
from rnnscope.record.reporting import bytes_of_states
from rnnscope.record.results.run_report import PartsReport, RunReport
from rnnscope.record.run_digests import read_digests
from rnnscope.record.targets import Target
from rnnscope.record.trace_headers import run_digest
from rnnscope.running.prepare import prepare
from rnnscope.trace.parts import PartPlace
from rnnscope.trace.parts.kept_pooled import pooled_names, words_on_lost
from rnnscope.trace.parts.place import MAX_PARTS, place_of
from rnnscope.wording import plural

PART_BYTES = 256 * 10**6
"""Of states in a part, where nobody says how many parts there are: seconds of work, and a file that
is large enough for any store."""

FEWEST_PARTS, MOST_PARTS = 16, 4096
"""Where nobody says: some for each worker, and no folder that is slow to list."""


def record_on_cluster(
    recipe: Recipe,
    target: Target,
    address: ClusterAddress,
    *,
    parts: int | None = None,
    command: str = "",
    progress: ShowProgress | None = None,
) -> RunReport:
    """Run a recipe in parts on a cluster, and tie them to a trace.

    Parameters
    ----------
    recipe : Recipe
    target : Target
        With a path, on a file system that all workers share. ``resume`` keeps the parts that are
        there and whole, and makes the others; so it mends a trace whose parts are damaged, too.
    address : ClusterAddress
    parts : int, optional
        Into how many parts the sequences are divided; if not given, as those that are continued,
        else by their size.
    command, progress
        As of `rnnscope.record.recording.record`.

    Raises
    ------
    RnnscopeError
        The run could not be done; a trace that was there is as it was.
    Interrupted
        By the user; parts that are done are kept.
    """
    _check(recipe, target)
    assert target.path is not None
    started = time.perf_counter()
    path = target.path.absolute()
    whole_paths = whole_paths_of(recipe)
    located = with_whole_paths(recipe, whole_paths)
    with ExitStack() as opened:
        # Threads of the connection are running: nothing is forked beside them.
        opened.enter_context(limited(probe_always=False))
        planned = opened.enter_context(plan_recipe(located))
        source = planned.source
        if parts is not None:
            require_count(parts, source.sequences)
        digests = read_digests(planned)
        run = run_digest(digests, __version__, recipe)
        # Of an input that Keras has gone through first, each part takes its own digest.
        own = source.path == planned.opened.path
        taken = digests.input if own else ""
        folder, stale, begun = folder_for_parts(path, target, run, planned.files, parts)
        of = begun or _parts_for(planned)
        places = [place_of(number + 1, of, source.sequences) for number in range(of)]
        opened.enter_context(parts_folder(folder))
        shared = RunInParts(
            recipe.to_json(), whole_paths, str(path), str(folder), of,
            run_settings(recipe).used_threads, command, taken, identity_of_input(located),
        )  # fmt: skip
        done, workers = _on_workers(opened, address, planned, shared, places, progress)
        planned.require_unchanged(digests.checkpoint, taken)
        files = [folder / place.file_name for place in places]
        pooled = pooled_names(path)
        join_parts(files, path, force=target.force or target.resume, command=command)
        for one in stale:
            remove_parts(one)
        first = done[0]
        kept = sum(part.kept for part in done)
        notes = [note for part in done for note in part.notes]
        if pooled:
            notes += _notes_on_pooled(of, of - kept, pooled, stayed=bool(pooled_names(path)))
        report = report_of_parts(
            planned, (part.saved for part in done), first.engine, str(target.path), command,
            notes=notes,
        )  # fmt: skip
        seconds = time.perf_counter() - started
        steps = prepare(planned.plan, source).steps
        return replace(
            report,
            checkpoint=replace(report.checkpoint, path=recipe.checkpoint),
            seconds=seconds,
            steps_per_second=steps / seconds if seconds and not kept else None,
            parts=PartsReport(of, kept, workers),
        )


def _notes_on_pooled(of: int, made: int, pooled: list[str], *, stayed: bool) -> list[str]:
    """What became of the pooled arrays of the trace that was there."""
    if not stayed:
        return [words_on_lost(pooled)]
    if not made:
        return []
    were = "was" if made == 1 else "were"
    words = (
        f"{plural(made, 'part')} of {of} {were} made again, and the pooled arrays are those that "
        f"were there: pool again with {spell('force')} what was pooled from damaged parts."
    )
    return [words]


def plan_on_cluster(
    recipe: Recipe, target: Target, *, parts: int | None = None, command: str = ""
) -> RunReport:
    """What `record_on_cluster` would do, without asking a cluster for anything.

    Raises
    ------
    RnnscopeError
        The run could not be done.
    """
    _check(recipe, target)
    if target.resume:
        assert target.path is not None
        refuse_another_number(target.path, parts)
    target = replace(target, force=target.force or target.resume)
    report = plan_only(recipe, target, command=command)
    if parts is not None:
        require_count(parts, report.input.shape[0])
    return report


def _check(recipe: Recipe, target: Target) -> None:
    """Refuse what cannot be run in parts by others."""
    assert target.path is not None
    check_joinable(target.path)
    refuse_verifying(recipe)
    refuse_unshared(recipe)


def _on_workers(
    opened: ExitStack,
    address: ClusterAddress,
    planned: PlannedRun,
    shared: RunInParts,
    places: list[PartPlace],
    progress: ShowProgress | None,
) -> tuple[list[DonePart], int]:
    """What the workers say of every part, in order; and how many there were."""
    done: dict[int, DonePart] = {}
    folder = Path(shared.folder)
    calls = [(place.number,) for place in places]
    try:
        with open_cluster(address) as cluster:
            cluster.require_folder(folder)
            cluster.require_files([file for file in planned.files if file.exists()])
            workers = len(cluster.workers)
            advance = None if progress is None else opened.enter_context(progress(planned))
            for number, found in as_done(cluster, record_part_of, calls, vars(shared)):
                done[number] = found
                if advance is not None:
                    advance(places[number].count)
    except KeyboardInterrupt as interrupt:
        if not done:
            raise
        raise Interrupted(folder) from interrupt
    return [done[number] for number in range(len(places))], workers


def _parts_for(planned: PlannedRun) -> int:
    """As many parts as the run's size asks for: the same for the same run, whoever computes it."""
    wanted = -(-bytes_of_states(planned) // PART_BYTES)
    most = min(MAX_PARTS, max(1, planned.source.sequences))
    return max(1, min(most, MOST_PARTS, max(FEWEST_PARTS, wanted)))


def require_count(parts: int, sequences: int) -> None:
    """Refuse a number of parts into which so many sequences cannot be divided.

    Raises
    ------
    OptionError
    """
    most = min(MAX_PARTS, max(1, sequences))
    if not 1 <= parts <= most:
        raise OptionError(
            "The sequences cannot be divided into so many parts.",
            where=spell("parts", str(parts)),
            expected=f"1 to {most} parts",
            found=f"{parts} parts of {plural(sequences, 'sequence')}",
        )
