"""``rnnscope run``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnscope.cli.ending import code_of_interrupt
from rnnscope.cli.options import command_line, format_option, limit_options, print_result
from rnnscope.cli.run_options import given_options, run_options
from rnnscope.cli.terminal import is_dumb, stderr_to_nowhere

if TYPE_CHECKING:
    from rnnscope.record.planning import PlannedRun
    from rnnscope.running.interface import Progress

PROGRESS_AFTER = 2_000_000
"""Cell-steps (sequence x timestep x unit) from which a terminal is shown a progress bar."""


@click.command("run")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("input_", metavar="INPUT")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="TRACE",
    help="The HDF5 trace to write [default: beside INPUT, x.trace.h5 for x.npz].",
)
@run_options
@click.option(
    "--resume",
    is_flag=True,
    help="Continue a run of the same TRACE that was interrupted, if there is one.",
)
@click.option("-f", "--force", is_flag=True, help="Replace an existing TRACE.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@click.option(
    "--dry-run", is_flag=True, help="Read and plan everything; compute and write nothing."
)
@limit_options
@format_option("run")
def command(
    checkpoint: Path,
    input_: str,
    output: Path | None,
    report_format: str,
    quiet: bool,
    **given: Any,
) -> int:
    """Run CHECKPOINT over INPUT step by step; write c and m of every timestep to an HDF5 trace.

    CHECKPOINT is what 'rnnscope inspect' reads. INPUT is an .npy, .npz or .csv file or
    file.h5::/dataset, with axes (sequence, timestep, feature): what the first recurrent layer
    receives. In an .npz the arrays inputs (or x, or ids), lengths, mask, initial_c and initial_m
    are taken by name.

    \b
    rnnscope run model.ckpt inputs.npz -o trace.h5
    rnnscope run model.ckpt x.npy --lengths 10,6 -o trace.h5 --gates
    rnnscope run model.keras data.h5::/x --mask data.h5::/mask -o trace.h5
    rnnscope run model.ckpt x.npy --forget-bias 0.5 --override -o trace.h5
    rnnscope run model.ckpt in.npz --inputs enc --decoder-inputs in.npz::dec -o trace.h5

    Exits with 1 if a check fails, with 2 if the run could not be done; then TRACE is left as it
    was.
    """
    from rnnscope.record.recipe import Recipe
    from rnnscope.record.recording import Interrupted, Target, plan_only, record
    from rnnscope.trace.target import trace_beside

    recipe = Recipe.make(checkpoint, input_, **given_options(given))
    if output is None:
        output = trace_beside(input_)
        if not quiet:
            click.echo(f"no -o: the trace is {output}", err=True)
    target = Target(output, given["force"], given["resume"])
    if given["dry_run"]:
        print_result(plan_only(recipe, target, command=command_line()), report_format)
        return 0
    if recipe["verify"]:
        from rnnscope.oracles.verifiers import make_verifier

        with stderr_to_nowhere():
            make_verifier(recipe["verify"])  # imported once, with all that it has to say
    try:
        report = record(
            recipe, target, command=command_line(), progress=None if quiet else progress_bar
        ).report
    except Interrupted as stop:
        click.echo("interrupted: the same command with --resume goes on from here", err=True)
        return code_of_interrupt(stop)
    failed = report.status == "fail"
    if failed or not quiet:
        print_result(report, report_format)
    return 1 if failed else 0


@contextmanager
def progress_bar(planned: PlannedRun) -> Iterator[Progress | None]:
    """A bar on stderr for long runs on a terminal; else nothing."""
    layers = (node.recurrent for node in planned.plan.layers)
    units = sum(layer.cell.num_units for layer in layers if layer)
    source = planned.source
    long = source.sequences * source.timesteps * units >= PROGRESS_AFTER
    if not long or not sys.stderr.isatty() or is_dumb():
        yield None
        return
    with click.progressbar(length=source.sequences, label="sequences", file=sys.stderr) as shown:
        yield shown.update
