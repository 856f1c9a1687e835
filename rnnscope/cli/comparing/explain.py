"""``rnnscope explain``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.report_format import format_option
from rnnscope.cli.options.run import given_options, model_options
from rnnscope.cli.terminal.printing import print_result
from rnnscope.cli.terminal.progress_line import progress_line
from rnnscope.states import READ_FORMAT_NAMES


@click.command("explain")
@click.argument("checkpoint", metavar="CHECKPOINT|TRACE", type=click.Path(path_type=Path))
@click.argument("input_", metavar="[INPUT]")
@click.argument("reference", metavar="REFERENCE", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="REPORT",
    help="Write the report to this file, as JSON or Markdown by its suffix, else as --format says.",
)
@click.option(
    "--budget",
    type=float,
    default=20.0,
    show_default=True,
    metavar="SECONDS",
    help="Time for the search.",
)
@click.option(
    "--separate",
    type=click.Path(path_type=Path),
    metavar="X.NPZ",
    help="Where several readings fit: write an input on which all of them differ.",
)
@click.option(
    "--reference-format",
    type=click.Choice(READ_FORMAT_NAMES),
    help="How REFERENCE keeps its states, where that is not clear.",
)
@model_options
@limit_options
@format_option("explain")
def command(
    checkpoint: Path,
    input_: str,
    reference: str | None,
    output: Path | None,
    report_format: str,
    **given: Any,
) -> int:
    """Say why the numbers in REFERENCE are not those of CHECKPOINT over INPUT.

    REFERENCE is what another program computed over the same INPUT: outputs, states of all steps or
    final ones, of some layers or steps, or a later result whose layers the file holds, in any
    format that 'rnnscope diff' reads. Everything that people confuse is tried: gate order, biases,
    activations, forget bias, lengths, masks, axes, initial and carried states, and pairs and
    triples of these. What fits is said with what the other side has to change. With a TRACE, which
    holds its recipe, INPUT is left out.

    \b
    rnnscope explain model.onnx x.npy theirs.npy
    rnnscope explain trace.h5 theirs.npz
    rnnscope explain model.ckpt in.npz theirs.npz --separate x.npz --format json

    Exits with 0 if exactly one reading fits, with 1 if none or several do, with 2 in trouble.
    """
    from rnnscope.api.explain import explain

    options = given_options(given)
    sources = (checkpoint, input_) if reference is None else (checkpoint, input_, reference)
    with progress_line("trying ") as progress:
        found = explain(
            *sources,
            budget=given["budget"],
            separate=given["separate"],
            reference_format=given["reference_format"],
            progress=progress,
            **options,
        )
    if output is not None:
        from rnnscope.report.files import write_report

        write_report(found, output, report_format)
    print_result(found, report_format)
    return 0 if found.verdict == "one" else 1
