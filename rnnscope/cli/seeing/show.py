"""``rnnscope show``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.selection import selection_options
from rnnscope.cli.terminal.printing import print_result
from rnnscope.printable import formats_of


@click.command("show")
@click.argument("trace", type=click.Path(path_type=Path))
@selection_options
@click.option(
    "--cells",
    type=click.IntRange(min=1),
    metavar="N",
    help="With --format numbers or json: the most cells; more values are binned, the smallest and "
    "the largest of each bin kept [default: 1048576].",
)
@click.option(
    "--format",
    "report_format",
    type=click.Choice(formats_of("show")),
    help="text: a picture in colours; numbers: a line for each unit "
    "[default: text on a terminal, else numbers].",
)
@limit_options
def command(**given: Any) -> None:
    """Show the states in TRACE: what it holds, a heatmap of units over time, and its units.

    On a terminal a cell is coloured, blue below 0 and red above; without colours (NO_COLOR,
    TERM=dumb) it is a sign and a digit. In a pipe there are plain numbers, a line for each unit,
    which numpy.loadtxt reads. What does not fit is binned, and said to be.

    \b
    rnnscope show trace.h5
    rnnscope show trace.h5 --state c --sequence 3 --steps 0:80
    rnnscope show trace.h5 --state f --rank saturation
    rnnscope show trace.h5 --unit 17 --labels tokens.txt
    rnnscope show trace.h5 --state c | cut -d ' ' -f 1-4

    Exits with 0, or with 2 if TRACE lacks what was asked for.
    """
    from rnnscope.api.show import show

    report_format = given.pop("report_format")
    if report_format is None:
        report_format = "text" if sys.stdout.isatty() else "numbers"
    print_result(show(given.pop("trace"), **given), report_format)
