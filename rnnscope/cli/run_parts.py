"""``rnnscope run --part`` and ``--dask``: a run in parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from rnnscope.cli.options import command_line
from rnnscope.errors import OptionError, spell

if TYPE_CHECKING:
    from rnnscope.record.planning import PlannedRun
    from rnnscope.record.recipe import Recipe
    from rnnscope.record.recording import Target
    from rnnscope.record.results import RunReport
    from rnnscope.running.interface import Progress

ShowProgress = Callable[["PlannedRun"], AbstractContextManager["Progress | None"]]


def refuse_mixed_parts(given: Mapping[str, Any], *, is_several: bool) -> None:
    """Refuse what does not go with a run in parts.

    Raises
    ------
    OptionError
    """
    named = [name for name in ("part",) if given[name] is not None]
    if named and is_several:
        raise OptionError(
            "A run in parts has one input.",
            where=spell(named[0], str(given[named[0]])),
            expected="one INPUT",
            found="several",
            hint="run them one after the other",
        )


def run_part(
    recipe: Recipe, target: Target, part: str, progress: ShowProgress | None
) -> RunReport:
    """Record one part."""
    from rnnscope.record.parts import record_part
    from rnnscope.record.recording import PartOfRun
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
