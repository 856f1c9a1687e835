"""``rnnscope check --stream``: what it is given, and what it looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rnnscope.cli.options.run import parse_run_set

if TYPE_CHECKING:
    from rnnscope.checks.result import Subject
    from rnnscope.checks.settings import CheckSettings

F = TypeVar("F", bound=Callable[..., Any])

NOT_WITH_STREAM = ("suite", "state", "lengths", "padding", "only", "skip", "limits", "recompute",
                   "verify", "golden", "update_golden", "cases", "pictures", "dask", "jobs", "atol",
                   "rtol")  # fmt: skip
"""Options that say something of other checks."""


def stream_option(function: F) -> F:
    """``--stream``."""
    return click.option(
        "--stream",
        metavar="N,N,…|auto",
        help="Feed the run in chunks of so many steps, the state carried, and compare with the "
        "whole. With --outputs: say what the streamer of these does wrong.",
    )(function)


def refuse_with_stream(given: dict[str, Any]) -> None:
    """Refuse what goes with other checks alone."""
    if not given["traces"]:
        raise click.UsageError("--stream goes with TRACE, or with MODEL and --input")
    for name in NOT_WITH_STREAM:
        if given[name]:
            flag = {"cases": "case", "limits": "limit"}.get(name, name).replace("_", "-")
            raise click.UsageError(f"--{flag} does not go with --stream")
    if len(given["traces"]) > 1 and (given["outputs"] or given["checkpoint"] or given["inputs"]):
        raise click.UsageError("--outputs, --checkpoint and --input go with one TRACE or MODEL")


def streamed_subjects(given: dict[str, Any], settings: CheckSettings) -> list[Subject]:
    """Each TRACE or MODEL, fed in chunks."""
    from rnnscope.record.replaying.replayed_recipe import Replay
    from rnnscope.streaming.check_stream import (
        StreamSettings,
        as_subject,
        parse_lengths,
        stream_path,
    )

    options = {name: given[name] for name in ("model_input", "layout") if given[name]}
    options |= parse_run_set(given["run"])
    how = StreamSettings(parse_lengths(given["stream"]), given["outputs"], settings)
    replay = Replay(given["checkpoint"], given["inputs"], options)
    subjects: list[Subject] = []
    for path in given["traces"]:
        with as_subject(str(path)) as failed:
            subjects.append(stream_path(path, given["inputs"], options, replay, how))
        subjects += failed
    return subjects
