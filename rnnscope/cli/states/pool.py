"""``rnnscope pool``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rnnscope.cli.options.cluster import cluster_options, given_cluster, opened_cluster
from rnnscope.cli.options.completion import complete_layers
from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.report_format import format_option
from rnnscope.cli.spelling import command_line
from rnnscope.cli.terminal.printing import print_result

STATES = ("m", "c", "outputs")
METHODS = ("sum", "mean", "max", "argmax", "last", "first")
DIRECTIONS = ("forward", "backward", "concat", "sum")
EDGES = ("input", "final")
"""What `rnnscope.pooling` knows, which a test compares: see FORMATS in `rnnscope.cli.options`."""

ALL = "all"


@click.command("pool")
@click.argument("trace", type=click.Path(path_type=Path))
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES),
    default=("m",),
    show_default=True,
    help="What to pool; may be given several times.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=click.Choice([*METHODS, ALL]),
    default=("mean",),
    show_default=True,
    help="How to pool; may be given several times. all: every method.",
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="GLOB",
    shell_complete=complete_layers,
    help="Pool only layers whose name fits.",
)
@click.option(
    "--direction",
    type=click.Choice(DIRECTIONS),
    help="What to take of bidirectional layers: one direction, or both joined "
    "[default: each as a layer of its own].",
)
@click.option(
    "--edge",
    type=click.Choice(EDGES),
    default="input",
    show_default=True,
    help="Where last and first are: at the edges of the input, or at the ends of each "
    "direction's own way through it.",
)
@click.option(
    "--naive",
    is_flag=True,
    help="Show what ignoring the padding would give, and by how much it differs.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write an .npy or .npz instead of writing into TRACE.",
)
@cluster_options
@click.option("-f", "--force", is_flag=True, help="Replace pooled arrays, or FILE, if they exist.")
@limit_options
@format_option("pool")
def command(**given: Any) -> None:
    """Pool the states of TRACE: one value a unit instead of one a timestep.

    Only valid steps count: those within the lengths, or of the mask, that the run was given,
    whatever the layer's padding rule made of the others. A sequence without valid steps gets NaN
    (argmax -1, sum 0). Sums are taken in float64 and stored in the dtype of the trace.

    The arrays are added to TRACE as /pooled/LAYER/STATE/METHOD, in a copy that replaces it when
    it is whole; or written to FILE.

    \b
    rnnscope pool trace.h5 --method mean
    rnnscope pool trace.h5 --state m --state c --method last --method max --naive
    rnnscope pool trace.h5 --direction concat --method last --edge final
    rnnscope pool trace.h5 --layer 'encoder/*' --method all -o pooled.npz

    Exits with 0, or with 2 if it could not be done; then TRACE is left as it was.
    """
    from rnnscope.pooling.pool_states import PoolRequest, PoolTarget, pool_states
    from rnnscope.trace import Trace

    request = PoolRequest.make(
        given["states"],
        given["methods"],
        layers=given["layers"],
        direction=given["direction"],
        edge=given["edge"],
        naive=given["naive"],
    )
    output = given["output"]
    target = PoolTarget(output, store=output is None, force=given["force"])
    given_cluster(given)  # an address that is none is refused before anything is opened
    with Trace.open(given["trace"]) as trace, opened_cluster(given) as cluster:
        report, _ = pool_states(trace, request, target, command_line(), cluster)
    print_result(report, given["report_format"])
