"""``rnnscope report``."""

from __future__ import annotations

from typing import Any

import click

from rnnscope.cli.options.completion import complete_layers
from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.report_format import format_option
from rnnscope.cli.options.selection import labels_option
from rnnscope.cli.terminal.printing import print_result


@click.command("report")
@click.argument("traces", metavar="[TRACE] [OTHER]…", nargs=-1)
@click.option(
    "-o", "--output", required=True, metavar="FILE", help="The HTML file to write: page.html."
)
@click.option(
    "--weights",
    nargs=2,
    metavar="A B",
    help="Two checkpoints: show how their weights differ, gate by gate.",
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="GLOB",
    shell_complete=complete_layers,
    help="Only layers whose name fits.",
)
@click.option(
    "--sequence",
    "sequences",
    multiple=True,
    type=int,
    metavar="N",
    help="A sequence whose values the page is to hold; may be given several times "
    "[default: as many as there is room for].",
)
@labels_option
@click.option(
    "--budget",
    type=float,
    metavar="MB",
    help="Megabytes that values may take; what is larger is rounded and binned, and the page says "
    "so [default: 2].",
)
@click.option(
    "--pictures",
    metavar="FOLDER",
    help="With OTHER: write a small SVG of where each parts first into FOLDER.",
)
@click.option("--title", default="", help="The page's heading [default: the name of TRACE].")
@click.option("-f", "--force", is_flag=True, help="Replace an existing FILE.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@limit_options
@format_option("page")
def command(**given: Any) -> None:
    """Write a page to look at the states of TRACE, in one HTML file that needs no network.

    It holds what the checks found with their advice, padding, layers and options with their
    origins; a heatmap of every array to hover over, and the values of one unit over time; which
    units are on together over a span of timesteps, and where else; the text, coloured by a unit,
    where there are tokens. OTHER traces stand beside TRACE with their differences, and where they
    part first is marked.

    \b
    rnnscope report trace.h5 -o page.html
    rnnscope report trace.h5 --labels tokens.txt -o page.html
    rnnscope report mine.h5 theirs.h5 -o page.html
    rnnscope report --weights old.ckpt new.keras -o page.html

    The same command makes the same bytes. A trace that is too large for a file: 'rnnscope view'.
    Exits with 0, whatever the checks say, or with 2 if the page cannot be written.
    """
    from rnnscope.api.report import write_report

    quiet, report_format = given.pop("quiet"), given.pop("report_format")
    done = write_report(*given.pop("traces"), **given)
    if not quiet:
        print_result(done, report_format)
