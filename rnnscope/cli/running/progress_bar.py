"""A bar on stderr while a run is computed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from rnnscope.cli.terminal.capabilities import is_dumb

if TYPE_CHECKING:
    from rnnscope.record.planning import PlannedRun
    from rnnscope.running.interface import Progress


PROGRESS_AFTER = 2_000_000
"""Cell-steps (sequence x timestep x unit) from which a terminal is shown a progress bar."""


@contextmanager
def progress_bar(planned: PlannedRun) -> Iterator[Progress | None]:
    """A bar on stderr for long runs on a terminal; else nothing."""
    layers = (node.recurrent for node in planned.plan.layers)
    units = sum(layer.cell.num_units for layer in layers if layer)
    source = planned.source
    long = source.sequences * source.timesteps * units >= PROGRESS_AFTER
    if not long or not sys.stderr.isatty() or is_dumb():
        yield None
        return
    with click.progressbar(length=source.sequences, label="sequences", file=sys.stderr) as shown:
        yield shown.update
