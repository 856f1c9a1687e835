"""The recipe that a replay runs: the trace's own, with its files where they are now."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, spell, spell_command
from rnnscope.files.arrays.reference import split_reference
from rnnscope.files.remote.addresses import url_of
from rnnscope.record.planning import BY_LAYER
from rnnscope.record.recipes.recipe import Recipe, refuse_addresses
from rnnscope.trace import Trace


@dataclass(frozen=True)
class Replay:
    """How the run of a trace is done again where it is not as its recipe says.

    Attributes
    ----------
    checkpoint : Path or None
        In place of the recipe's.
    inputs : str or None
        What `open_input` takes, in place of the recipe's.
    options : mapping of str to object
        Options of a run by name, in place of the recipe's.
    recipe : Recipe or None
        In place of the trace's own text of it, which holds no arrays.
    verify : str or None
        A key of `rnnscope.oracles.verifiers.VERIFIERS`.
    """

    checkpoint: Path | None = None
    inputs: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    verify: str | None = None
    recipe: Recipe | None = None


def recipe_of(trace: Trace) -> Recipe:
    """The recipe of a trace's run.

    Traces of schema 1 hold none: what flags gave to their layers is read from the layers, and
    checkpoint and input have to be named again.

    Raises
    ------
    TraceError
        It is damaged, or of a later version.
    """
    if trace.header.recipe:
        return Recipe.from_json(trace.header.recipe, where=trace.path)
    given: dict[str, Any] = {}
    for header in trace.layers:
        for name, (value, origin) in header.options.items():
            if origin != "flag" or name not in BY_LAYER:
                continue
            given.setdefault(name, []).append((glob.escape(header.name), value))
    backward = any(header.options.get("backward", ("", ""))[1] == "flag" for header in trace.layers)
    return Recipe.make(
        trace.header.checkpoint,
        trace.header.input,
        layers=[glob.escape(header.name) for header in trace.layers],
        override=True if given or backward else None,
        go_backwards=True if backward else None,
        **given,
    )


def replayed(trace: Trace, replay: Replay) -> Recipe:
    """The recipe that a replay runs.

    Raises
    ------
    OptionError
        The trace is of schema 1 and checkpoint or input are not named.
    """
    if trace.part is not None:
        place = trace.part.place
        raise OptionError(
            "A part of a run is not run again by itself.",
            where=f"{trace.path}: {place}",
            expected="a whole trace",
            found="a part: its recipe is that of all parts",
            hint=f"{spell_command('join')} ties the parts; "
            f"{spell('part', f'{place.number}/{place.of}')} records this one again",
        )
    recipe = replay.recipe or recipe_of(trace)
    if not trace.header.recipe and (replay.checkpoint is None or replay.inputs is None):
        raise OptionError(
            "The trace holds no recipe of its run: an older rnnscope wrote it.",
            where=trace.path,
            expected=f"{spell('checkpoint')} and {spell('input')}",
            hint="name what it was run on",
        )
    changed = {name for name, value in (("checkpoint", replay.checkpoint), ("input", replay.inputs))
               if value is not None}  # fmt: skip
    if replay.recipe is None:
        refuse_addresses(recipe, trace.path, {*changed, *replay.options})
        recipe = _located(recipe, replay, trace.path)
    recipe = recipe.reading(replay.checkpoint, replay.inputs)
    return recipe.with_options(**replay.options) if replay.options else recipe


def _located(recipe: Recipe, replay: Replay, trace: Path) -> Recipe:
    """The recipe with checkpoint and input where they are: as named, or beside the trace.

    Raises
    ------
    OptionError
        One is at neither place, and no other is named.
    """
    found: dict[str, str] = {}
    wanted = {"checkpoint": recipe.checkpoint} if replay.checkpoint is None else {}
    if replay.inputs is None and isinstance(recipe.input, str) and recipe.input:
        wanted["input"] = recipe.input
    for name, path in wanted.items():
        places = (path, str(trace.parent / path))
        place = next((one for one in places if _is_there(one)), None)
        if place is None:
            raise OptionError(
                f"The {name} of the run is not there any more.",
                where=trace,
                expected=path,
                found="nothing of that name, here or beside the trace",
                hint=f"say where it is now: {spell(name)}",
            )
        found[name] = place
    return recipe.reading(found.get("checkpoint"), found.get("input"))


def _is_there(path: str) -> bool:
    """Whether a file, a folder, ``FILE::KEY`` or the prefix of a TensorFlow checkpoint exists."""
    file, _ = split_reference(path)
    if url_of(file) is not None:
        return True  # it is asked for when it is fetched
    return file.exists() or any(file.parent.glob(f"{glob.escape(file.name)}.*"))
