"""``rnnscope view``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rnnscope.cli.options.completion import complete_layers
from rnnscope.cli.options.limits import limit_options
from rnnscope.cli.options.selection import labels_option


@click.command("view")
@click.argument("trace", type=click.Path(path_type=Path))
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="GLOB",
    shell_complete=complete_layers,
    help="Only layers whose name fits.",
)
@labels_option
@click.option("--title", default="", help="The page's heading [default: the name of TRACE].")
@click.option("--no-browser", is_flag=True, help="Print the address, and open no browser.")
@limit_options
def command(trace: Path, *, no_browser: bool, **given: Any) -> None:
    """Explore the states of TRACE in the browser, however large it is, until Ctrl-C.

    The page is that of 'rnnscope report', but values are read from TRACE as they are looked at.
    It is served to this machine alone, at an address with a random port and a token in it: who has
    the address can read the trace.

    \b
    rnnscope view trace.h5
    rnnscope view trace.h5 --layer 'encoder/*' --no-browser

    Exits with 0 on Ctrl-C, or with 2 if TRACE cannot be read.
    """
    from rnnscope.api.view import view

    with view(trace, **given) as page:
        # From here on Ctrl-C is how it ends, even before it waits.
        try:
            click.echo(f"{page.address}\nCtrl-C stops it.")
            if not no_browser and not page.open_browser():
                click.echo("No browser was found: open the address in one.", err=True)
            page.wait()
        except KeyboardInterrupt:
            click.echo("\nstopped")
