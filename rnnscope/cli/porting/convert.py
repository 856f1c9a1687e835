"""``rnnscope convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.report_format import format_option
from rnnscope.cli.options.run import given_options, layer_options
from rnnscope.cli.terminal.printing import print_result
from rnnscope.converting import WEIGHT_FORMATS


@click.command("convert")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Choice([*WEIGHT_FORMATS]),
    required=True,
    help="The format.",
)
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="The file to write; for tf1 and tfjs a new folder.",
)
@click.option(
    "--layer",
    "--layers",
    "layers",
    multiple=True,
    metavar="GLOB",
    help="Only recurrent layers whose name fits.",
)
@click.option(
    "--as-layout",
    metavar="torch|tf1",
    help="npz: whose names and gate order the arrays have [default: torch].",
)
@click.option(
    "--expose-states", is_flag=True, help="onnx: the graph returns c and m of every step."
)
@click.option("--dry-run", is_flag=True, help="Prove everything and keep nothing.")
@click.option("-f", "--force", is_flag=True, help="Replace an existing file.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@layer_options
@limit_options
@format_option("convert")
def command(
    checkpoint: Path, to: str, target: Path | None, report_format: str, quiet: bool, **given: Any
) -> int:
    """Write the recurrent layers of CHECKPOINT in another format.

    Gate orders, biases and the forget bias are translated where that is exact; what the format
    cannot compute is refused by name, with the formats that could. Before OUT gets its name it is
    read back, and the states of every layer are compared with those of CHECKPOINT.

    \b
    rnnscope convert model.ckpt --to torch -o lstm.pt
    rnnscope convert model.keras --to onnx -o model.onnx --expose-states
    rnnscope convert model.h5 --to tfjs -o web_model
    rnnscope convert model.h5 --to npz -o weights.npz --as-layout tf1

    Exits with 2 if the format cannot hold the layers, or OUT cannot be written.
    """
    from rnnscope.api.convert import convert

    own = ("layers", "as_layout", "expose_states", "dry_run", "force")
    chosen = {name: given.pop(name) for name in own}
    done = convert(checkpoint, to, target, **chosen, **given_options(given))
    if not quiet:
        print_result(done, report_format)
    return 0
