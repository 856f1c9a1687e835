"""``rnnscope export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rnnscope.cli.options.completion import complete_layers
from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.report_format import format_option
from rnnscope.cli.terminal.printing import print_result
from rnnscope.states import EXPORT_NAMES, READ_FORMAT_NAMES


@click.command("export")
@click.argument("trace", metavar="TRACE")
@click.option(
    "--to", "to", type=click.Choice(EXPORT_NAMES), required=True, help="The format of the states."
)
@click.option(
    "-o",
    "--output",
    "target",
    required=True,
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="The file to write, or a folder: see below.",
)
@click.option(
    "--steps",
    type=click.Choice(["all", "final"]),
    default="all",
    show_default=True,
    help="States of every timestep, or after the last one.",
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
    "--time-major/--batch-major",
    "time_major",
    default=None,
    help="Axes of arrays over time; ONNX layout 0 or 1 [default: as the format has it].",
)
@click.option(
    "--ids", metavar="FILE", help="LSTMVis: word ids (sequence, timestep), .npy or file.npz::NAME."
)
@click.option(
    "--words",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="LSTMVis: a line for each word: WORD ID.",
)
@click.option(
    "--from",
    "source_format",
    type=click.Choice(READ_FORMAT_NAMES),
    help="The format of TRACE, if it is none.",
)
@click.option("-f", "--force", is_flag=True, help="Replace an existing OUT.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@limit_options
@format_option("export")
def command(**given: Any) -> int:
    """Write the states of TRACE in the format of a framework or tool.

    OUT's suffix says what file holds them: .npz, .h5, .safetensors, .json (small ones), .npy (one
    array); without a suffix it is a folder of .npy. LSTMVis takes a folder of its own, and
    'trace' an .h5 file. 'zarr' and 'hdf5' copy a whole trace into another kind of store, nothing
    left out. TRACE may be a file in any format that 'rnnscope diff' reads.

    \b
    rnnscope export trace.h5 --to keras -o states.npz
    rnnscope export trace.h5 --to torch --steps final -o h_c.safetensors
    rnnscope export trace.h5 --to zarr -o trace.zarr
    rnnscope export trace.h5 --to lstmvis --ids ids.npy --words words.dict -o project

    What the format cannot hold is said on stdout.
    """
    from rnnscope.api.export import export

    quiet, report_format = given.pop("quiet"), given.pop("report_format")
    done = export(given.pop("trace"), given.pop("to"), given.pop("target"), **given)
    if not quiet:
        print_result(done, report_format)
    return 0
