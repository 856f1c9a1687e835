"""A recipe whose files lie at addresses, with copies of them in their place for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnnscope.errors import CheckpointError, InputError, RnnscopeError
from rnnscope.files.arrays.reference import split_reference
from rnnscope.files.remote.addresses import is_address
from rnnscope.record.recipes.recipe import REFERENCES, Recipe


@contextmanager
def with_copies(recipe: Recipe) -> Iterator[Recipe]:
    """Fetch what a recipe names by an address.

    Parameters
    ----------
    recipe : Recipe
        Of the user, or allowed by the user: every address in it is asked for.

    Yields
    ------
    Recipe
        With paths of this system, good until the block ends.

    Raises
    ------
    RnnscopeError
        Something is not there, or may not be fetched.
    """
    with ExitStack() as kept:
        checkpoint = _copied(recipe.checkpoint, CheckpointError, "checkpoint", kept)
        given = _copied(recipe.input, InputError, "input", kept)
        options = tuple(
            (name, _copied(value, InputError, name, kept) if name in REFERENCES else value)
            for name, value in recipe.options
        )
        yield replace(recipe, checkpoint=checkpoint, input=given, options=options)


def _copied(value: Any, error: type[RnnscopeError], what: str, kept: ExitStack) -> Any:
    """The path of a copy; what is no address stays as it is."""
    if not is_address(value):
        return value
    from rnnscope.files.remote.fetching import fetched

    path, name = (Path(value), None) if what == "checkpoint" else split_reference(value)
    copy = str(kept.enter_context(fetched(path, error, what)))
    return f"{copy}::{name}" if name else copy
