"""``rnnscope join``."""

from __future__ import annotations

from pathlib import Path

import click

from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.report_format import format_option
from rnnscope.cli.spelling import command_line
from rnnscope.cli.terminal.printing import print_result


@click.command("join")
@click.argument("parts", metavar="PARTS...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="TRACE",
    help="The trace to write, beside the folder of the parts.",
)
@click.option("--copy", is_flag=True, help="Copy all values into TRACE, which then needs no parts.")
@click.option("-f", "--force", is_flag=True, help="Replace an existing TRACE.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@limit_options
@format_option("join")
def command(
    parts: tuple[Path, ...],
    output: Path,
    copy: bool,
    force: bool,
    quiet: bool,
    report_format: str,
) -> None:
    """Tie PARTS, which 'rnnscope run --part K/N' wrote, to one TRACE.

    PARTS are files in any order, or the folder that they are in. TRACE holds no states of its own:
    its arrays are HDF5 virtual datasets that lead to the parts, so that both have to be kept, and
    moved together. Every command of rnnscope, xarray and h5py open it as one.

    \b
    rnnscope join trace.h5.parts -o trace.h5
    rnnscope join trace.h5.parts/*.h5 -o trace.h5 --force
    rnnscope join /scratch/parts -o whole.h5 --copy

    Exits with 0, or with 2 if parts are missing (it says which, with their sequences) or are not of
    one run; then nothing is written.
    """
    from rnnscope.record.parts.joining import join_parts

    report = join_parts(parts, output, force=force, copy=copy, command=command_line())
    if not quiet:
        print_result(report, report_format)
