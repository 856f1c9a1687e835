"""What a trace says of the run that it is of, and by what runs are told apart."""

from __future__ import annotations

import numpy as np

from rnnscope import __version__
from rnnscope.errors import called
from rnnscope.record.planning import PlannedRun
from rnnscope.record.recipes.recipe import Recipe
from rnnscope.record.run_digests import RunDigests
from rnnscope.trace import TraceHeader
from rnnscope.trace.partial import fingerprint_of

MAX_RECIPE_BYTES = 32 * 2**10


def fingerprint(digests: RunDigests, recipe: Recipe) -> str:
    """A run by what decides its results: checkpoint, input, options and the files these name."""
    inputs = (digests.input, digests.decoder_input, *digests.named)
    return repr((digests.checkpoint, inputs, recipe.fingerprint()))


def run_digest(digests: RunDigests, version: str, recipe: Recipe) -> str:
    """One text for what decides the numbers of a run; its parts have the same.

    Parameters
    ----------
    digests : RunDigests
    version : str
        Of rnnscope.
    recipe : Recipe
    """
    return fingerprint_of(fingerprint(digests, recipe), version)


def trace_header(planned: PlannedRun, command: str) -> TraceHeader:
    """Where a trace comes from, without the digests of what is read."""
    checkpoint, source, decoder = planned.checkpoint, planned.source, planned.plan.decoder_source
    return TraceHeader(
        command=command,
        recipe=storable_recipe(planned.recipe),
        checkpoint=checkpoint.path.name,
        checkpoint_format=checkpoint.format,
        framework=checkpoint.framework,
        input=source.name,
        decoder_input="" if decoder is None else decoder.name,
        rnnscope_version=__version__,
        notes=tuple(called(note) for note in (*checkpoint.notes, *source.notes)),
    )


def storable_recipe(recipe: Recipe) -> str:
    """The recipe as a trace can hold it: HDF5 keeps no attribute of more than 64 KiB.

    Many lengths are told by their digest alone; the trace has them as an array of its own.
    """
    text = recipe.to_json()
    if len(text) <= MAX_RECIPE_BYTES or not isinstance(recipe["lengths"], tuple):
        return text
    return recipe.with_options(lengths=np.array(recipe["lengths"], np.int64)).to_json()
