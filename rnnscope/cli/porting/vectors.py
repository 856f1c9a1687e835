"""``rnnscope vectors``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.report_format import format_option
from rnnscope.cli.options.run import as_click_option, given_options, layer_options
from rnnscope.cli.terminal.printing import print_result
from rnnscope.cli.terminal.progress_line import progress_line
from rnnscope.options import RUN_OPTIONS

LAYERS = next(option for option in RUN_OPTIONS if option.name == "layers")


@click.command("vectors")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="The folder to write.",
)
@click.option(
    "--steps",
    type=int,
    default=20,
    show_default=True,
    metavar="N",
    help="Timesteps of the inputs that are searched.",
)
@click.option(
    "--sequences",
    type=int,
    default=3,
    show_default=True,
    metavar="N",
    help="Sequences of the inputs that are searched.",
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Of the inputs.")
@click.option(
    "--weights",
    is_flag=True,
    help="Write the weights as well, their blocks in the order of the gates.",
)
@click.option(
    "--header/--no-header",
    default=None,
    help="Write vectors.h and runner.c [default: if they have 8 MB at most].",
)
@click.option("-f", "--force", is_flag=True, help="Replace a folder of vectors.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@as_click_option(LAYERS)
@layer_options
@limit_options
@format_option("vectors")
def command(checkpoint: Path, target: Path, report_format: str, quiet: bool, **given: Any) -> int:
    """Write test vectors of CHECKPOINT for an implementation in any language.

    DIR gets small inputs on which every misreading that 'rnnscope explain' knows gives other
    numbers, with lengths, states before the first step, and the gates, c, m and outputs of every
    step: as JSON, .npz, .safetensors and a C header, with a runner in C and one in JavaScript that
    call your function. What no input tells apart is listed with the reason.

    \b
    rnnscope vectors model.h5 -o vectors
    rnnscope vectors model.ckpt -o vectors --weights --layer 'encoder/*'
    rnnscope vectors model.onnx -o vectors --steps 8 --sequences 2 --force

    Then 'rnnscope check --vectors DIR THEIRS' says what is first wrong in what you computed.
    Exits with 2 if no layer can have vectors, or DIR cannot be written.
    """
    from rnnscope.api.vectors import write_vectors

    own = ("steps", "sequences", "seed", "weights", "header", "force")
    chosen = {name: given.pop(name) for name in own}
    with progress_line() as progress:
        done = write_vectors(
            checkpoint, target, **chosen, progress=progress, **given_options(given)
        )
    if not quiet:
        print_result(done, report_format)
    return 0
