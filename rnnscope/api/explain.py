"""Explaining from Python why numbers differ."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnscope.explaining.explain import Progress
    from rnnscope.explaining.result import Explanation
    from rnnscope.record.recipes.recipe import Recipe


def explain(
    checkpoint: Any,
    input: Any,  # noqa: A002  # the command's own word
    reference: Any = None,
    /,
    *,
    budget: float = 20.0,
    separate: str | os.PathLike[str] | None = None,
    reference_format: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Explanation:
    """Say why the numbers of a reference differ: which reading of the model gives them.

    Parameters
    ----------
    checkpoint : str, path, Recipe or StateTrace
        What `rnnscope.open_model` opens. With two arguments it is a trace or a recipe, which says
        the input and every option, and the second argument is the reference.
    input : array, str or path
        As of `rnnscope.run`.
    reference : array, mapping or sequence of arrays, str or path
        What another program computed over the same input: outputs, states, final states, or a
        later result that the file holds the layers of, (sequence, timestep, unit) or (sequence,
        unit), in any format that `rnnscope.diff` reads.
    budget : float
        Seconds of search.
    separate : str or path, optional
        An ``.npz`` to write: where several readings fit, an input on which all of them differ.
    reference_format : str, optional
        How the reference keeps its states: a key of `rnnscope.states.STATE_FORMAT_MODULES`.
    progress : callable, optional
        ``progress(words, part)``: what is searched, and how much of it is done, from 0 to 1.
    **options
        Options of the run that say what is computed, as of `rnnscope.run`; those that say how, and
        what is kept in a trace, would change nothing.

    Returns
    -------
    Explanation
        ``.verdict`` is ``"one"``, ``"several"`` or ``"none"``; ``.fits`` has the readings.

    Raises
    ------
    RnnscopeError
        Something cannot be read, or the reference has the shape of no result.

    Examples
    --------
    >>> import rnnscope
    >>> found = rnnscope.explain(
    ...     "sample_data/lstm_float64/model.ckpt",
    ...     "sample_data/lstm_float64/inputs.npz",
    ...     "sample_data/lstm_float64/truth.npz",
    ... )
    >>> found.verdict, found.fits[0].reading
    ('one', ())
    """
    from rnnscope.errors import spell
    from rnnscope.explaining.explain import explain as explain_recipe
    from rnnscope.options.interface import accept
    from rnnscope.options.kinds import Choice
    from rnnscope.options.table import OF_THE_MODEL
    from rnnscope.options.unread import refuse_unread
    from rnnscope.states import READ_FORMAT_NAMES
    from rnnscope.states.interface import ReadOptions

    refuse_unread(options, OF_THE_MODEL, "readings are computed in a way of their own, "
                  "and no trace is written")  # fmt: skip
    if reference is None:
        recipe, reference = _recipe_of(checkpoint, options), input
    else:
        recipe = _recipe(checkpoint, input, options)
    if reference_format is not None:
        called = spell("reference_format")
        reference_format = accept(Choice(names=READ_FORMAT_NAMES), reference_format, called=called)
    return explain_recipe(
        recipe,
        _operand(reference),
        options=ReadOptions(reference_format),
        budget=budget,
        separate_to=None if separate is None else Path(separate),
        progress=progress,
    )


def _recipe(checkpoint: Any, input_: Any, options: dict[str, Any]) -> Recipe:
    from rnnscope.record.recipes.recipe import Recipe

    if isinstance(checkpoint, Recipe):
        return checkpoint.reading(None, input_).with_options(**options)
    return Recipe.make(checkpoint, input_, **options)


def _recipe_of(source: Any, options: dict[str, Any]) -> Recipe:
    """The recipe that a trace holds, or a recipe itself."""
    from rnnscope.api.trace import StateTrace
    from rnnscope.checkpoints import is_checkpoint
    from rnnscope.errors import OptionError, TraceError
    from rnnscope.record.recipes.recipe import Recipe, refuse_addresses
    from rnnscope.record.replaying.replayed_recipe import Replay
    from rnnscope.record.replaying.rerun import recipe_to_rerun

    if isinstance(source, Recipe):
        return source.with_options(**options) if options else source
    if isinstance(source, StateTrace):
        if not source.is_own:
            refuse_addresses(source.recipe, source, options)
        return source.recipe.with_options(**options) if options else source.recipe
    try:
        return recipe_to_rerun(Path(source), Replay(options=options))
    except TraceError:
        if not is_checkpoint(Path(source)):
            raise
    raise OptionError(
        "A model is explained over an input, and none is given.",
        where=source,
        expected="a checkpoint, an input and a reference; or a trace and a reference",
        found="a checkpoint and a reference",
    )


def _operand(reference: Any) -> Any:
    from rnnscope.api.trace import operand_of

    return operand_of(reference)
