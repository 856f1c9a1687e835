"""``rnnscope conform``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.report_format import format_option
from rnnscope.cli.terminal.printing import print_result
from rnnscope.cli.terminal.silence import stderr_to_nowhere
from rnnscope.printable import formats_of
from rnnscope.wording import plural

if TYPE_CHECKING:
    from rnnscope.conforming.conform import Progress
    from rnnscope.conforming.result import ConformReport

ENGINES = (
    "torch", "torch:cuda", "torch:mps", "onnxruntime", "onnx-reference", "tensorflow", "keras",
    "rnnscope",
)  # fmt: skip
"""What `rnnscope.conforming` knows, which a test compares."""

COMMAND = "rnnscope.conform.command"


class _BeforeTheCommand(click.Command):
    """Keeps what stands behind ``--`` as it is: the command of the engine."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[COMMAND] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, args)


@click.command(
    "conform",
    cls=_BeforeTheCommand,
    options_metavar="[OPTIONS]",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("engine", required=False, metavar="[ENGINE | -- COMMAND…]")
@click.option(
    "--only",
    default="*",
    metavar="GLOB",
    help="Run only cases whose name, or family, fits: 'lstm/lengths*'.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the cases' numbers; names, sizes and options are those of any seed.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="For each case of a COMMAND.",
)
@click.option("--list", "list_", is_flag=True, help="List the cases and run nothing.")
@click.option(
    "--write-cases",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the cases to FILE, a line of JSON each, and run nothing.",
)
@click.option(
    "--answers",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Judge the answers in FILE, a line of JSON each, instead of running an engine.",
)
@click.option("-f", "--force", is_flag=True, help="Replace the FILE of --write-cases if it exists.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@limit_options
@format_option("conform")
@click.pass_context
def command(
    ctx: click.Context, /, engine: str | None, report_format: str, quiet: bool, **given: Any
) -> int:
    """Run ENGINE over about 240 small LSTM, GRU and RNN cases; judge every state.

    ENGINE is torch, torch:cuda, torch:mps, onnxruntime, onnx-reference, tensorflow, keras or
    rnnscope; or, behind --, a COMMAND that reads cases and writes answers, a line of JSON each
    ('rnnscope help conforming' describes both). A case that an engine cannot express is not
    offered to it, which is neither right nor wrong. Each difference is shown with the first wrong
    value, how far it reaches and, where another reading of the case gives just these numbers, with
    its cause.

    \b
    rnnscope conform onnxruntime
    rnnscope conform --only 'gru/*' -- python my_engine.py
    rnnscope conform --list
    rnnscope conform --write-cases cases.jsonl
    rnnscope conform --answers answers.jsonl --format json

    Exits with 0 if all cases agree, with 1 if some differ or none is offered, with 2 in trouble.
    """
    words = ctx.meta.get(COMMAND)
    _refuse_unread(ctx, _check_one(engine, words, given), report_format)
    seed, only = given["seed"], given["only"]
    if given["list_"]:
        from rnnscope.conforming.conform import listed

        print_result(listed(seed, only), report_format)
        return 0
    if given["write_cases"] is not None:
        count = _write(given["write_cases"], seed, only, force=given["force"])
        if not quiet:
            click.echo(f"wrote {given['write_cases']} ({plural(count, 'case')})")
        return 0
    report = _run(engine, words, given)
    agrees = report.verdict == "agree"
    if not (agrees and quiet):
        print_result(report, report_format)
    return 0 if agrees else 1


def _check_one(engine: str | None, words: tuple[str, ...] | None, given: dict[str, Any]) -> str:
    """What is asked for; refuses what is more than one thing, or none."""
    asked = {
        "ENGINE": engine is not None,
        "-- COMMAND": words is not None,
        "--answers": given["answers"] is not None,
        "--list": given["list_"],
        "--write-cases": given["write_cases"] is not None,
    }
    chosen = [name for name, there in asked.items() if there]
    if len(chosen) != 1:
        found = f"found {' and '.join(chosen)}" if chosen else "found none"
        raise click.UsageError(f"give one of {', '.join(asked)}; {found}")
    if words is not None and not words:
        raise click.UsageError("a COMMAND stands behind --: -- python engine.py")
    if engine is not None and engine not in ENGINES:
        from difflib import get_close_matches

        near = get_close_matches(engine, ENGINES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"a program stands behind --: -- {engine}"
        raise click.UsageError(f"there is no engine '{engine}', only {', '.join(ENGINES)}; {hint}")
    return chosen[0]


def _refuse_unread(ctx: click.Context, chosen: str, report_format: str) -> None:
    """Refuse an option that what is asked for does not read."""
    goes_with = {
        "time_limit": ("--time-limit", ("-- COMMAND",)),
        "force": ("--force", ("--write-cases",)),
        "quiet": ("--quiet", ("ENGINE", "-- COMMAND", "--answers", "--write-cases")),
        "report_format": ("--format", ("ENGINE", "-- COMMAND", "--answers", "--list")),
    }
    for name, (option, readers) in goes_with.items():
        if chosen not in readers and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option} goes with {' or '.join(readers)}; found {chosen}")
    if chosen == "--list" and report_format not in formats_of("cases"):
        raise click.UsageError(f"--list is printed as {' or '.join(formats_of('cases'))}")


def _write(path: Path, seed: int, only: str, *, force: bool) -> int:
    """Write the cases; how many there are."""
    from rnnscope.conforming.conform import case_lines
    from rnnscope.states.saving import save_text

    lines = list(case_lines(seed, only))
    save_text(path, "".join(lines), force=force, what="file of cases", option="write_cases")
    return len(lines)


def _run(engine: str | None, words: tuple[str, ...] | None, given: dict[str, Any]) -> ConformReport:
    from rnnscope.api.conform import conform

    settings = {name: given[name] for name in ("seed", "only", "time_limit")}
    if engine is not None:
        # TensorFlow and others write past Python while they are imported and begin.
        with stderr_to_nowhere():
            return conform(engine, **settings)
    with _progress() as progress:
        return conform(words or given["answers"], **settings, progress=progress)


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """The case that runs, on one line of a terminal, which is empty again at the end."""
    if not sys.stderr.isatty():
        yield None
        return

    def show(case: str, number: int, count: int) -> None:
        click.echo(f"\r\x1b[K{number + 1} of {count}: {case}", nl=False, err=True)

    try:
        yield show
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)
