"""What ``rnnscope check`` is given: which of it goes together, and what shells complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rnnscope.cli.checking.stream_option import refuse_with_stream

SUITE_NAME = "rnnscope.toml"
"""The suite that is taken where nobody says which."""


def complete_limits(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """What a shell offers for ``--limit``: checks with their own limits."""
    from rnnscope.checks.settings import adjustable

    limits = [f"{name}={limit:g}" for name, limit in adjustable().items()]
    return [limit for limit in limits if limit.startswith(begun)]


def find_suite(given: dict[str, Any]) -> None:
    """Take the suite of this folder where nothing else is to be checked."""
    if given["traces"] or given["suite"] or given["outputs"] or given["stream"] is not None:
        return
    if Path(SUITE_NAME).is_file():
        given["suite"] = Path(SUITE_NAME)
        if not given["quiet"]:
            click.echo(f"no TRACE: the suite is {SUITE_NAME}", err=True)


def refuse_targets(given: dict[str, Any]) -> None:
    """Refuse a file that could not be written, before the work and not after it."""
    from rnnscope.errors import OptionError

    target = given["junit"]
    if target is None:
        return
    folder = target.parent
    if not folder.is_dir() or target.is_dir():
        raise OptionError(
            "The JUnit file cannot be written.",
            where=target,
            expected="the name of a file in a folder that exists",
            found="a folder" if target.is_dir() else "no such folder",
            hint=None if target.is_dir() else f"mkdir -p {folder}",
        )


def refuse_mixtures(given: dict[str, Any]) -> None:
    """Refuse options that say nothing together."""
    if given["stream"] is not None:
        refuse_with_stream(given)
        return
    ways = [name for name in ("traces", "suite", "outputs") if given[name]]
    if len(ways) != 1:
        what = "say what to check: TRACE, --suite FILE or --outputs FILE"
        none = f"{what}; there is no {SUITE_NAME} here"
        raise click.UsageError(f"{what}, one of them" if ways else none)
    if given["outputs"] is None and (given["state"] or given["lengths"] or given["padding"]):
        raise click.UsageError("--state, --lengths and --padding go with --outputs")
    if given["suite"] is None and (given["update_golden"] or given["cases"]):
        raise click.UsageError("--update-golden and --case go with --suite")
    again = any(given[name] for name in ("checkpoint", "inputs", "recompute", "verify"))
    if again and not given["traces"]:
        raise click.UsageError("--recompute, --verify, --checkpoint and --input go with TRACE")
    if not again and any(given[name] for name in ("run", "model_input", "layout")):
        raise click.UsageError("--run, --model-input and --layout go with --recompute or --stream")
    if given["dask"] is not None and (again or not given["traces"]):
        raise click.UsageError(
            "--dask goes with TRACE alone: nothing is recomputed on a cluster, and the cases of a "
            "suite run in processes of their own (-j)"
        )
    if given["jobs"] is not None and given["dask"] is None and given["suite"] is None:
        raise click.UsageError("-j goes with --suite or --dask local")
    if (given["atol"] or given["rtol"]) and not given["golden"]:
        raise click.UsageError("--atol and --rtol go with --golden")
    if given["pictures"] is not None and not (given["golden"] or given["suite"]):
        raise click.UsageError("--pictures goes with --golden or --suite")
    if (given["checkpoint"] or given["golden"]) and len(given["traces"]) != 1:
        raise click.UsageError("--checkpoint and --golden go with one TRACE")
