"""Resets that go with an input: found by name, told apart by convention, turned into one.

``resets`` and ``episode_starts`` mark the first step of an episode, ``dones`` the last one of the
episode before it, which is a step earlier.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, spell
from rnnscope.files.containers.opening import ARCHIVES
from rnnscope.inputs.lengths_masks_states import (
    ArrayReference,
    FlagWords,
    LocatedArray,
    check_mask,
    find_array,
)
from rnnscope.inputs.source import InputSource
from rnnscope.model.cell import Array
from rnnscope.model.resets import ResetState
from rnnscope.wording import plural

ResetAt = Literal["before", "after"]
"""Whether the state returns before the step that is marked, or after it."""

CONVENTIONS: dict[str, ResetAt] = {
    "resets": "before",
    "episode_starts": "before",
    "dones": "after",
}
"""By the name of the array. ``episode_starts`` as Stable-Baselines3's buffers keep it; ``dones`` as
an environment returns it with the last step of an episode. Some write down ``dones`` shifted by a
step, as the flag that came with the observation: then it marks first steps, and nothing but the
user can tell."""


WORDS = FlagWords(
    "Resets do not fit the input.",
    "Resets hold a value other than 0 and 1.",
    "0 (none) or 1 (reset), or booleans",
    "resets",
)


@dataclass(frozen=True)
class ResetOptions:
    """What the user says of resets.

    Attributes
    ----------
    resets : ArrayReference or None
        A key, a file or an array; ``"none"``: none; None: an ``.npz``'s own.
    at : ResetAt or None
        None: as the name of the array tells.
    state : ResetState
    """

    resets: ArrayReference | None = None
    at: ResetAt | None = None
    state: ResetState = "initial"


OWN_RESETS = ResetOptions()
"""Those of the file, as their names tell."""


def with_resets(source: InputSource, options: ResetOptions, *, time_major: bool) -> InputSource:
    """The source with the resets that the user names or its file holds.

    Parameters
    ----------
    source : InputSource
        With its offsets, where it is ragged.
    options : ResetOptions
    time_major : bool
        The axes of what is given are (timestep, sequence).

    Raises
    ------
    InputError
        An array does not fit the input, holds another value than 0 and 1, or contradicts another.
    """
    found = _found(source, options)
    if not found:
        said = [spell("reset_at", options.at)] if options.at else []
        said += [spell("reset_to", options.state)] if options.state != OWN_RESETS.state else []
        if not said or options.resets is not None:
            return source
        note = f"The input holds no resets, of which {' and '.join(said)} could say something."
        return replace(source, notes=(*source.notes, note))
    if source.item_shape is not None:
        raise InputError(
            "Resets are given for an input whose steps are none of a sequence.",
            where=next(iter(found.values())).where,
            expected=f"an input (sequence, timestep, feature), or {spell('resets', 'none')}",
            found=f"shape {source.shape}",
        )
    steps: Array | None = None
    first = ""
    notes = []
    for name, given in found.items():
        at = options.at or CONVENTIONS.get(name, "before")
        marked = _marked(source, given, time_major)
        here = marked if at == "before" else _step_later(marked)
        if steps is not None:
            _require_same(steps, here, first, given.where)
            notes.append(f"{given.where} says the same.")
            continue
        steps, first = here, given.where
        by_name = "as its name tells" if name in CONVENTIONS else "since nothing tells"
        notes.append(_words(given.where, at, here, "as you say" if options.at else by_name))
    if source.initial and options.state == "initial":
        notes.append(
            "Where it is reset, the state returns to the initial states that were given; "
            f"{spell('reset_to', 'zeros')} if it is to return to zeros, as recurrent policies do."
        )
    return replace(
        source,
        resets=steps,
        reset_state=options.state,
        notes=(*source.notes, *notes),
    )


def _found(source: InputSource, options: ResetOptions) -> dict[str, LocatedArray]:
    """The arrays that say so, by the last part of their names."""
    container, spec = source.container, options.resets
    if isinstance(spec, str) and spec == "none":
        return {}
    if spec is not None:
        given = find_array(spec, spell("resets"), container, source.path)
        name = spec.rpartition("::")[2].rpartition("/")[2] if isinstance(spec, str) else ""
        return {name.partition(".")[0]: given}
    if container.kind not in ARCHIVES:
        return {}
    return {
        name: LocatedArray(container.array(name).read(), f"{source.path.name}::{name}")
        for name in CONVENTIONS
        if name in container.names
    }


def _marked(source: InputSource, given: LocatedArray, time_major: bool) -> Array:
    """The marks as bool (sequence, timestep)."""
    offsets = source.offsets
    if offsets is None or given.array.ndim != 1:
        turned = time_major and source.layout == "time major"
        return check_mask(given, source.sequences, source.timesteps, turned, WORDS)
    flat = check_mask(given, 1, int(offsets[-1]), False, WORDS)
    marked = np.zeros((source.sequences, source.timesteps), bool)
    inside = np.arange(source.timesteps) < np.diff(offsets)[:, None]
    marked[inside] = flat[0]
    return marked


def _step_later(marked: Array) -> Array:
    """The steps that follow those that are marked; sequences do not follow one another."""
    later = np.zeros_like(marked)
    later[:, 1:] = marked[:, :-1]
    return later


def _require_same(steps: Array, others: Array, where: str, other: str) -> None:
    """Two arrays must say the same; a first step is an episode's beginning, marked or not."""
    differ = steps != others
    differ[:, 0] = False
    if not differ.any():
        return
    sequence, timestep = (int(i) for i in np.unravel_index(np.argmax(differ), differ.shape))
    says, silent = (where, other) if steps[sequence, timestep] else (other, where)
    raise InputError(
        "Two arrays of resets contradict each other.",
        where=f"sequence {sequence}, before timestep {timestep}",
        expected=f"the same from {where} and {other}",
        found=f"a reset by {says}, and none by {silent}",
        hint=f"name the one that counts with {spell('resets')}; {spell('reset_at')} says whether "
        "it marks first or last steps",
    )


def _words(where: str, at: ResetAt, steps: Array, told: str) -> str:
    other = "" if told == "as you say" else f"; {spell('reset_at')} says otherwise"
    return (
        f"Resets from {where}: the state returns {at} each step that it marks ({told}{other}), "
        f"{plural(int(steps.sum()), 'time')} in {int(steps.any(axis=1).sum())} of "
        f"{plural(len(steps), 'sequence')}."
    )
