"""``rnnscope run``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rnnscope.cli.ending import code_of_interrupt
from rnnscope.cli.options.cluster import cluster_options, given_cluster
from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.report_format import format_option
from rnnscope.cli.options.run import given_options, run_options
from rnnscope.cli.running.progress_bar import progress_bar
from rnnscope.cli.spelling import command_line
from rnnscope.cli.terminal.printing import print_result
from rnnscope.cli.terminal.silence import stderr_to_nowhere


@click.command("run")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("inputs_", metavar="INPUT...", nargs=-1)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="TRACE",
    help="The trace to write: NAME.h5, or NAME.zarr, also at s3://… [default: beside INPUT, "
    "x.trace.h5 for x.npz].",
)
@run_options
@click.option(
    "--resume",
    is_flag=True,
    help="Continue a run of the same TRACE that was interrupted, if there is one.",
)
@click.option(
    "--part",
    metavar="K/N",
    help="Record part K of N alone, in the folder TRACE.parts; 'rnnscope join' ties the parts.",
)
@cluster_options
@click.option(
    "--parts",
    type=click.IntRange(min=1),
    metavar="N",
    help="With --dask: divide the sequences into N parts [default: by their size; with --resume as "
    "they are].",
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
    inputs_: tuple[str, ...],
    output: Path | None,
    report_format: str,
    quiet: bool,
    **given: Any,
) -> int:
    """Run CHECKPOINT over INPUT step by step; write c and m of every timestep to a trace.

    CHECKPOINT is what 'rnnscope inspect' reads. INPUT is an .npy, .npz, .csv, .mat or .parquet
    file, file.h5::/dataset, or - for an .npy on stdin, with axes (sequence, timestep, feature):
    what the first recurrent layer receives. In an .npz or .mat the arrays inputs (or x, or ids),
    lengths, mask, initial_c and initial_m are taken by name. Several INPUTs, or a folder of them,
    are run one after the other, each with a trace of its own, in the folder that -o names or
    beside it.

    \b
    rnnscope run model.ckpt inputs.npz -o trace.h5
    rnnscope run model.ckpt x.npy --lengths 10,6 -o trace.h5 --gates
    rnnscope run model.ckpt --random 2,10 -o first_look.h5
    rnnscope run s3://models/model.ckpt s3://data/x.npz -o s3://traces/states.zarr
    rnnscope run model.keras data.h5::/x --mask data.h5::/mask -o trace.h5
    rnnscope run model.ckpt x.npy --forget-bias 0.5 --override -o trace.h5
    rnnscope run model.ckpt x.npy --part 3/64 -o trace.h5
    rnnscope run model.ckpt x.npy --dask local -j 4 -o trace.h5
    rnnscope run model.ckpt in.npz --inputs enc --decoder-inputs in.npz::dec -o trace.h5

    Exits with 1 if a check fails, with 2 if the run could not be done; then TRACE is left as it
    was.
    """
    from rnnscope.cli.running.inputs import given_inputs
    from rnnscope.cli.running.parts import (
        plan_parts,
        refuse_mixed_parts,
        run_on_cluster,
        run_part,
    )
    from rnnscope.record.recipes.recipe import Recipe
    from rnnscope.record.recording import Interrupted, plan_only, record
    from rnnscope.record.results.run_report import RunReport
    from rnnscope.record.several_runs import record_several, traces_of
    from rnnscope.record.targets import Target
    from rnnscope.trace.target import trace_beside

    options = given_options(given)
    found = given_inputs(inputs_, is_random="random" in options)
    recipes = [Recipe.make(checkpoint, one, **options) for one in found]
    is_several = len(found) > 1 or (bool(inputs_) and isinstance(found[0], str)
                                    and found[0] != inputs_[0])  # fmt: skip
    traces = [output]
    if is_several:
        traces = [*traces_of(found, output)]
    elif output is None:
        traces = [trace_beside("random" if not inputs_ else inputs_[0])]
        if not quiet:
            click.echo(f"no -o: the trace is {traces[0]}", err=True)
    if recipes[0]["verify"]:
        from rnnscope.oracles.verifiers import make_verifier

        with stderr_to_nowhere():
            make_verifier(recipes[0]["verify"])  # imported once, with all that it has to say

    refuse_mixed_parts(given, is_several=is_several)
    cluster = given_cluster(given)

    def run(recipe: Recipe, target: Target) -> RunReport:
        if given["dry_run"] and (given["part"] or given["dask"]):
            return plan_parts(recipe, target, given["part"], given["parts"])
        if given["dry_run"]:
            return plan_only(recipe, target, command=command_line())
        progress = None if quiet else progress_bar
        if given["part"] is not None:
            return run_part(recipe, target, given["part"], progress)
        if cluster is not None:
            return run_on_cluster(recipe, target, cluster, given["parts"], progress)
        return record(recipe, target, command=command_line(), progress=progress).report

    targets = [Target(trace, given["force"], given["resume"]) for trace in traces]
    try:
        if is_several:
            report: Any = record_several(recipes, targets, run, command=command_line())
        else:
            report = run(recipes[0], targets[0])
    except Interrupted as stop:
        click.echo("interrupted: the same command with --resume goes on from here", err=True)
        return code_of_interrupt(stop)
    code = {"fail": 1, "error": 2}.get(report.status, 0)
    if code or not quiet:
        print_result(report, report_format)
    return code
