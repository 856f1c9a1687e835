"""``rnnscope plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.report_format import format_option
from rnnscope.cli.options.selection import selection_options
from rnnscope.cli.terminal.printing import print_result

KINDS = ("heatmap", "units", "gates", "saturation", "norm", "diff")
"""What `rnnscope.seeing.plots` knows, which a test compares: see RANKINGS in `seeing_options`."""


@click.command("plot")
@click.argument("trace", type=click.Path(path_type=Path))
@click.argument("other", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The picture: .png, .svg or .pdf.",
)
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    help="What to draw [default: heatmap; with OTHER diff].",
)
@selection_options
@click.option("--atol", multiple=True, metavar="[ARRAY:]X", help="With OTHER: as of diff.")
@click.option("--rtol", multiple=True, metavar="[ARRAY:]X", help="With OTHER: as of diff.")
@click.option("--title", metavar="TEXT", help="In place of the one that says what is shown.")
@click.option("--size", metavar="WxH", help="Inches: 6.8x3.6 [default: by kind].")
@click.option(
    "--dpi", type=click.IntRange(min=1), metavar="N", help="Pixels an inch [default: 150]."
)
@click.option("-f", "--force", is_flag=True, help="Replace an existing FILE.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@limit_options
@format_option("plot")
def command(**given: Any) -> None:
    """Draw the states in TRACE, or where TRACE and OTHER part, into a picture for a paper.

    \b
    heatmap     units over time, in colours
    units       some units over time, as lines
    gates       gates, c and m of one unit over time
    saturation  how often the gates of each unit are saturated (Karpathy et al. 2015)
    norm        the norms of c and m over time
    diff        the difference of two traces, the first divergence marked

    Padding is shaded; colours are told apart by the colour-blind. It needs matplotlib: the extra
    'plot'. The same states make the same bytes.

    \b
    rnnscope plot trace.h5 -o states.png
    rnnscope plot trace.h5 -o c.pdf --state c --sequence 1 --labels tokens.txt
    rnnscope plot trace.h5 -o unit17.svg --kind gates --unit 17 --steps 0:80
    rnnscope plot trace.h5 port.h5 -o diff.png --atol 1e-6

    Exits with 0, or with 2 if it could not be drawn; then FILE is left as it was.
    """
    from rnnscope.api.plot import plot

    quiet, report_format = given.pop("quiet"), given.pop("report_format")
    trace, output = given.pop("trace"), given.pop("output")
    kind = given.pop("kind") or ("heatmap" if given["other"] is None else "diff")
    report = plot(trace, output, kind=kind, **given)
    if not quiet:
        print_result(report, report_format)
