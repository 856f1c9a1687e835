"""A recipe as the command that says the same, for people to copy."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from rnnscope.options.held_array import HeldArray
from rnnscope.options.interface import RunOption
from rnnscope.options.kinds import ALL_LAYERS, ByLayer
from rnnscope.record.recipes.recipe import Recipe


def run_command(recipe: Recipe, output: str = "trace.h5") -> str:
    """The ``rnnscope run`` of a recipe, quoted for a shell.

    Arrays of Python have no name there: they stand as ``input.npy`` and ``OPTION.npy``.
    """
    given = "input.npy" if isinstance(recipe.input, HeldArray) else recipe.input
    flags = [word for option, value in recipe.given() for word in _words(option, value)]
    return shlex.join(["rnnscope", "run", recipe.checkpoint, given, *flags, "-o", output])


def _words(option: RunOption, value: Any) -> Iterator[str]:
    yes, _, no = option.flag_name.partition("/")
    if option.kind.is_switch:
        yield yes if value else no
    elif isinstance(option.kind, ByLayer):
        for layer, one in value:
            yield from (yes, _text(one) if layer == ALL_LAYERS else f"{layer}={_text(one)}")
    elif option.kind.many:
        for one in value:
            yield from (yes, _text(one))
    elif isinstance(value, HeldArray):
        yield from (yes, f"{option.name}.npy")
    elif isinstance(value, tuple):
        yield from (yes, ",".join(map(_text, value)))
    else:
        yield from (yes, _text(value))


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)
