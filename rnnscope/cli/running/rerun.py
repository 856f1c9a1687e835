"""``rnnscope rerun``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rnnscope.cli.ending import code_of_interrupt
from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.report_format import format_option
from rnnscope.cli.options.run import parse_run_set, run_set_option
from rnnscope.cli.running.progress_bar import progress_bar
from rnnscope.cli.spelling import command_line
from rnnscope.cli.terminal.printing import print_result


@click.command("rerun")
@click.argument("trace", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="NEW",
    help="The trace to write; without it the new states are only compared with TRACE.",
)
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="CKPT",
    help="Another checkpoint, or where the recipe's is now.",
)
@click.option(
    "--input", "inputs", metavar="INPUT", help="Another input, or where the recipe's is now."
)
@run_set_option
@click.option("-f", "--force", is_flag=True, help="Replace an existing NEW.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@limit_options
@format_option("run")
def command(
    trace: Path, output: Path | None, report_format: str, force: bool, quiet: bool, **given: Any
) -> int:
    """Run the recipe that TRACE holds again: its checkpoint, its input, every option.

    \b
    rnnscope rerun trace.h5
    rnnscope rerun trace.h5 -o new.h5 --checkpoint later.ckpt
    rnnscope rerun trace.h5 -o gates.h5 --run gates --run engine=reference

    Without -o the new states are compared with those of TRACE: exits with 0 if they are the same,
    1 if they differ. With -o as 'rnnscope run'. Exits with 2 if the run could not be done.
    """
    from rnnscope.record.recording import Interrupted
    from rnnscope.record.replaying.replayed_recipe import Replay
    from rnnscope.record.replaying.rerun import rerun, rerun_and_compare
    from rnnscope.record.targets import Target

    replay = Replay(given["checkpoint"], given["inputs"], parse_run_set(given["run"]))
    progress = None if quiet else progress_bar
    if output is None:
        found = rerun_and_compare(trace, replay, command=command_line(), progress=progress)
        differs = found.verdict != "same"
        if differs or not quiet:
            print_result(found, report_format)
        return int(differs)
    target = Target(output, force)
    try:
        report = rerun(trace, target, replay, command=command_line(), progress=progress).report
    except Interrupted as stop:
        click.echo("interrupted: nothing of the new trace is kept", err=True)
        return code_of_interrupt(stop)
    failed = report.status == "fail"
    if failed or not quiet:
        print_result(report, report_format)
    return int(failed)
