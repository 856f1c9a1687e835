"""The files of a recipe as workers elsewhere see them: by whole paths, and all of them shared."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from rnnscope.errors import OptionError, spell
from rnnscope.files.arrays.reference import split_reference
from rnnscope.files.remote.addresses import is_address
from rnnscope.options.held_array import HeldArray
from rnnscope.record.recipes.recipe import REFERENCES, Recipe


def refuse_unshared(recipe: Recipe) -> None:
    """Refuse what workers do not see: what only this process holds, or would fetch.

    Raises
    ------
    OptionError
    """
    given = {"checkpoint": recipe.checkpoint, "input": recipe.input, **dict(recipe.options)}
    fetched = [name for name in ("checkpoint", "input", *REFERENCES) if is_address(given.get(name))]
    if fetched:
        raise OptionError(
            "A run on a cluster is given an address, of which every part would fetch a copy.",
            where=fetched[0],
            expected="a file that all workers see",
            found=given[fetched[0]],
            hint="copy it to a file system that all share; or record parts with "
            f"{spell('part', 'K/N')}, each of which fetches it",
        )
    held = [name for name, value in given.items() if isinstance(value, HeldArray)]
    if held:
        raise OptionError(
            "A run on a cluster is given an array that no file holds.",
            where=held[0],
            expected="a file that all workers see",
            found="an array in memory, or stdin",
            hint="save it first: numpy.save",
        )


def whole_paths_of(recipe: Recipe) -> dict[str, str]:
    """The files of a recipe by their whole paths: workers have folders of their own."""
    found = {"checkpoint": os.path.abspath(recipe.checkpoint)}  # noqa: PTH100
    if isinstance(recipe.input, str) and recipe.input:
        found["input"] = _absolute(recipe.input)
    for name, value in recipe.options:
        is_named = name in REFERENCES and isinstance(value, str)
        if is_named and split_reference(value)[0].is_file():
            found[name] = _absolute(value)
    return found


def with_whole_paths(recipe: Recipe, places: Mapping[str, str]) -> Recipe:
    """A recipe with its files where they are."""
    options = dict(places)
    found = replace(recipe, checkpoint=options.pop("checkpoint"))
    found = replace(found, input=options.pop("input", found.input))
    return found.with_options(**options) if options else found


def _absolute(reference: str) -> str:
    file, key = split_reference(reference)
    return str(file.absolute()) + ("" if key is None else f"::{key}")
