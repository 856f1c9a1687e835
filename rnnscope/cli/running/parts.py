"""``rnnscope run --part`` and ``--dask``: a run in parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from rnnscope.cli.spelling import command_line
from rnnscope.errors import OptionError, spell

if TYPE_CHECKING:
    from rnnscope.clusters.interface import ClusterAddress
    from rnnscope.record.planning import PlannedRun
    from rnnscope.record.recipes.recipe import Recipe
    from rnnscope.record.results.run_report import RunReport
    from rnnscope.record.targets import Target
    from rnnscope.running.interface import Progress

ShowProgress = Callable[["PlannedRun"], AbstractContextManager["Progress | None"]]


def refuse_mixed_parts(given: Mapping[str, Any], *, is_several: bool) -> None:
    """Refuse what does not go with a run in parts.

    Raises
    ------
    OptionError
    """
    from rnnscope.record.parts.refusals import refuse_parts_alone

    named = [name for name in ("part", "dask") if given[name] is not None]
    if len(named) > 1:
        raise OptionError(
            f"{spell('part')} and {spell('dask')} are two ways to run in parts.",
            expected="one of both",
            found=f"{spell('part', given['part'])} {spell('dask', given['dask'])}",
            hint=f"{spell('dask')} records all parts, {spell('part')} one without a scheduler",
        )
    refuse_parts_alone(given["parts"], given["dask"])
    if named and is_several:
        raise OptionError(
            "A run in parts has one input.",
            where=spell(named[0], str(given[named[0]])),
            expected="one INPUT",
            found="several",
            hint="run them one after the other",
        )


def run_on_cluster(
    recipe: Recipe,
    target: Target,
    cluster: ClusterAddress,
    parts: int | None,
    progress: ShowProgress | None,
) -> RunReport:
    """Run in parts on a cluster."""
    from rnnscope.record.parts.on_cluster import record_on_cluster

    return record_on_cluster(
        recipe, target, cluster, parts=parts, command=command_line(), progress=progress
    )


def plan_parts(recipe: Recipe, target: Target, part: str | None, parts: int | None) -> RunReport:
    """What a run in parts would do, without doing it."""
    from rnnscope.record.parts.on_cluster import plan_on_cluster
    from rnnscope.record.parts.one_part import plan_part
    from rnnscope.record.targets import PartOfRun
    from rnnscope.trace.parts import parse_part

    if part is None:
        return plan_on_cluster(recipe, target, parts=parts, command=command_line())
    assert target.path is not None
    return plan_part(
        recipe,
        target.path,
        PartOfRun(*parse_part(part)),
        force=target.force,
        resume=target.resume,
        command=command_line(),
    )


def run_part(recipe: Recipe, target: Target, part: str, progress: ShowProgress | None) -> RunReport:
    """Record one part."""
    from rnnscope.record.parts.one_part import record_part
    from rnnscope.record.targets import PartOfRun
    from rnnscope.trace.parts import parse_part

    assert target.path is not None
    return record_part(
        recipe,
        target.path,
        PartOfRun(*parse_part(part)),
        force=target.force,
        resume=target.resume,
        command=command_line(),
        progress=progress,
    )
