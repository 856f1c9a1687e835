"""``rnnscope diff``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from rnnscope.cli.options.cluster import cluster_options, given_cluster
from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.report_format import format_option
from rnnscope.cli.options.run import parse_run_set, run_set_option
from rnnscope.cli.spelling import command_line
from rnnscope.cli.terminal.printing import print_result
from rnnscope.states import READ_FORMAT_NAMES


@click.command("diff")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--input",
    metavar="INPUT",
    help="A and B are checkpoints: run both over INPUT and compare their states.",
)
@click.option(
    "--weights",
    is_flag=True,
    help="A and B are checkpoints: compare their recurrent weights and options.",
)
@click.option("--model-input", is_flag=True, help="With --input: INPUT is the models' own input.")
@run_set_option
@click.option("--a-format", type=click.Choice(READ_FORMAT_NAMES), help="How A keeps its states.")
@click.option("--b-format", type=click.Choice(READ_FORMAT_NAMES), help="How B keeps its states.")
@click.option(
    "--num-units", metavar="N[,N…]", help="Width of c in a concatenated state, one for each layer."
)
@click.option("--time-major-a", is_flag=True, help="A is (timestep, sequence, unit).")
@click.option("--time-major-b", is_flag=True, help="B is (timestep, sequence, unit).")
@click.option(
    "--atol",
    multiple=True,
    metavar="[ARRAY:]X",
    help="Absolute difference allowed; ARRAY, such as c or 'final/*', may be a pattern.",
)
@click.option(
    "--rtol",
    multiple=True,
    metavar="[ARRAY:]X",
    help="Relative difference allowed, of the larger of both values.",
)
@click.option("--exact", is_flag=True, help="Allow no difference.")
@click.option(
    "--ulp",
    type=click.IntRange(min=0),
    metavar="N",
    help="Allow N representable numbers between the two values.",
)
@click.option("--equal-nan", is_flag=True, help="NaN beside NaN is no difference.")
@click.option("--padding", is_flag=True, help="Compare steps past the length, too.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first difference of each array.")
@click.option(
    "--reduce",
    metavar="CASE.npz",
    help="Where they differ, write the smallest case of it, to attach to an issue: one sequence, "
    "few steps, one unit, and the weights and inputs of these.",
)
@click.option("-f", "--force", is_flag=True, help="With --reduce: replace an existing CASE.npz.")
@cluster_options
@click.option("-q", "--quiet", is_flag=True, help="Print nothing: the exit code says it.")
@limit_options
@format_option("diff")
def command(**given: Any) -> int:
    """Compare the states in A and B, whatever formats they are in, and say where they part.

    A and B are traces, .npy, .npz, folders of .npy, HDF5 of other tools, .safetensors, small
    .json, or FILE::NAME for one array or group: trace.h5::encoder/m. Formats are told by names,
    shapes and numbers, and the report says how.

    \b
    rnnscope diff a.h5 b.h5
    rnnscope diff trace.h5 keras_states.npz --b-format keras --atol c:1e-6
    rnnscope diff old.ckpt new.keras --input x.npz
    rnnscope diff --weights old.ckpt new.keras
    rnnscope diff trace.h5 port.npz --reduce case.npz

    For --reduce one side is a trace with its recipe, or both are checkpoints with --input; it is
    computed again with less and less. CASE holds weights and inputs of what is left: look at it
    before you send it to others.

    Exits with 0 if they are the same, 1 if they differ, 2 if they cannot be compared. Arrays that
    one of them lacks, or that were not read, are no difference: the first line names them.
    """
    from rnnscope.api.diff import diff

    given_cluster(given)
    quiet, report_format = given.pop("quiet"), given.pop("report_format")
    options = parse_run_set(given.pop("run"))
    if given.pop("model_input"):
        options["model_input"] = True
    for side in ("time_major_a", "time_major_b"):
        given[side] = given[side] or None  # a flag cannot say that an axis is not first
    result = replace(diff(given.pop("a"), given.pop("b"), **given, **options),
                     command=command_line())  # fmt: skip
    if not quiet:
        print_result(result, report_format)
    return 0 if result.verdict == "same" else 1
