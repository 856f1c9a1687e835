"""What shells offer where an option takes a name out of a file or a table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

NAMED_FILES = ("checkpoint", "trace", "traces", "path", "a", "first")
"""Arguments of commands that name a file with layers."""


def complete_layers(ctx: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """The layers of the checkpoint or trace that the line names so far."""
    return [name for name in _layers(ctx) if name.startswith(begun)]


def complete_checks(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """The checks, behind those that stand there with a comma."""
    from rnnscope.checks import CHECKS
    from rnnscope.checks.weights import WEIGHT_CHECKS

    before, comma, last = begun.rpartition(",")
    given = before.split(",")
    return [f"{before}{comma}{name}" for name in (*CHECKS, *WEIGHT_CHECKS)
            if name.startswith(last) and name not in given]  # fmt: skip


def complete_values(names: Iterable[str], ctx: click.Context, begun: str) -> list[str]:
    """``[LAYER=]VALUE``: values, and layers as long as none stands there."""
    layer, equals, value = begun.rpartition("=")
    values = [f"{layer}{equals}{name}" for name in names if name.startswith(value)]
    layers = [] if equals else [f"{name}=" for name in _layers(ctx) if name.startswith(begun)]
    return [*values, *layers]


def _layers(ctx: click.Context) -> list[str]:
    """The names of the layers in the first file that the line names; none if it is not read."""
    from rnnscope.errors import RnnscopeError

    named: list[Any] = []
    for name in NAMED_FILES:
        given = ctx.params.get(name)
        named += given if isinstance(given, tuple) else [given]
    # What stands before an option that still lacks its value has not been given to arguments.
    named += [word for word in ctx.args if not word.startswith("-")]
    first = next((one for one in named if one), None)
    try:
        return [] if first is None else _layers_of(Path(first))
    except (RnnscopeError, OSError):
        return []


def _layers_of(path: Path) -> list[str]:
    from rnnscope.checkpoints import is_checkpoint, read_checkpoint
    from rnnscope.trace import Trace

    if is_checkpoint(path):
        return [node.name for node in read_checkpoint(path).network.recurrent]
    with Trace.open(path) as trace:
        return [header.name for header in trace.layers]
