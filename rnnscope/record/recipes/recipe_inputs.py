"""The inputs that a recipe names, opened: files, arrays at hand, random numbers, a decoder's."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rnnscope.errors import OptionError, spell
from rnnscope.options.held_array import HeldArray
from rnnscope.record.recipes.recipe import Recipe

if TYPE_CHECKING:
    from rnnscope.checkpoints.interface import Checkpoint
    from rnnscope.inputs import InputSource


def open_source(recipe: Recipe, checkpoint: Checkpoint) -> InputSource:
    """What the run reads, as the checkpoint and the options of the recipe ask for it.

    Raises
    ------
    InputError, OptionError
        There is no input, or it does not fit the checkpoint or an option.
    """
    from rnnscope.inputs import open_input
    from rnnscope.inputs.resets import ResetOptions
    from rnnscope.running.entrances import begins_with_ids, sequence_inputs
    from rnnscope.running.model_inputs import check_rank, is_time_first, names_of_inputs

    model_input = recipe["model_input"]
    names = sequence_inputs(checkpoint.network)
    ranks = {
        len(checkpoint.input_shapes[name]) for name in names if name in checkpoint.input_shapes
    }
    initial = {name: recipe[name] for name in ("initial_c", "initial_m")}
    if recipe.input == "":
        raise OptionError(
            "The run has no input.",
            expected=f"INPUT, or {spell('random', 'N,T')} for a first look",
            found="neither",
        )
    source = open_input(
        _reference(recipe.input, "input"),
        inputs_key=recipe["inputs"],
        lengths=_reference(recipe["lengths"], "lengths"),
        mask=_reference(recipe["mask"], "mask"),
        initial={
            name: _reference(value, name) for name, value in initial.items() if value is not None
        },
        ids=recipe["ids"],
        integers_are_ids=model_input and begins_with_ids(checkpoint.network),
        time_major=recipe["time_major"] or (model_input and is_time_first(checkpoint)),
        offsets=_reference(recipe["offsets"], "offsets"),
        resets=ResetOptions(
            _reference(recipe["resets"], "resets"), recipe["reset_at"], recipe["reset_to"]
        ),
        names=names_of_inputs(checkpoint.network),
        model_names=names,
        model_axes=ranks.pop() if model_input and len(ranks) == 1 else None,
        any_axes=model_input,
    )
    if source.resets is not None and recipe["verify"] is not None:
        refuse_verify(recipe["verify"], source)
    if recipe["allow_nan"]:
        source = replace(source, allow_nan=True)
    if model_input:
        check_rank(checkpoint, source)
    return source


def refuse_verify(engine: str, source: InputSource) -> None:
    """Refuse to hold a run with resets to an engine that knows none.

    Raises
    ------
    OptionError
    """
    raise OptionError(
        "No other engine knows resets: what it computes is another run.",
        where=f"{spell('verify', engine)}, {source.name}",
        expected="an input without resets",
        hint=f"leave {spell('verify')} out, or ignore them: {spell('resets', 'none')}",
    )


def open_decoder_inputs(
    recipe: Recipe, source: InputSource, opened: ExitStack
) -> InputSource | None:
    """What the decoder reads, which `opened` closes; None if the recipe names nothing."""
    from rnnscope.inputs import open_input
    from rnnscope.inputs.resets import ResetOptions

    if recipe["decoder_inputs"] is None:
        return None
    # Lengths, masks and states that lie beside them are those of the encoder's input.
    return opened.enter_context(
        open_input(
            _reference(recipe["decoder_inputs"], "decoder_inputs"),
            lengths="none",
            mask="none",
            resets=ResetOptions("none"),
            ids=True if source.is_ids else recipe["ids"],
            time_major=recipe["time_major"],
            offsets="none",
        )
    )


def as_random(source: InputSource, recipe: Recipe) -> InputSource:
    """The source under the name of what it is, with a note: nobody may take it for data."""
    seed = recipe["seed"]
    note = f"The input is random, between -1 and 1 (seed {seed}): a first look, and no data."
    return replace(source, name=f"random numbers (seed {seed})", notes=(*source.notes, note))


def _reference(value: Any, name: str) -> Any:
    """What `open_input` takes: a text, or the array itself."""
    if isinstance(value, tuple):
        import numpy as np

        # As text they are said again in messages, as the user said them.
        return ",".join(map(str, value)) if value else np.array(value, np.int64)
    if not isinstance(value, HeldArray):
        return value
    if value.array is None:
        raise OptionError(
            "The run was given an array that no file holds.",
            where=name,
            expected=str(value),
            found="its description",
            hint="give it again",
        )
    return value.array
