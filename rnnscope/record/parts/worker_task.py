"""What a worker of a cluster does of a run in parts: it records one, or keeps what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError
from rnnscope.files.arrays.reference import split_reference
from rnnscope.record.parts.one_part import record_part
from rnnscope.record.parts.shared_files import with_whole_paths
from rnnscope.record.recipes.recipe import Recipe
from rnnscope.record.targets import PartOfRun
from rnnscope.trace import Trace


@dataclass(frozen=True)
class DonePart:
    """What a worker says of a part.

    Attributes
    ----------
    saved : str
        What the checks found.
    engine : str
    notes : tuple of str
    kept : bool
        It was there already.
    """

    saved: str
    engine: str
    notes: tuple[str, ...]
    kept: bool


@dataclass(frozen=True)
class RunInParts:
    """What the tasks of a run have in common, in texts and numbers: it is sent once.

    Attributes
    ----------
    recipe : str
        As JSON, as the user said it: what the trace tells.
    places : dict of str to str
        Whole paths of the files that it names, by what names them: workers run elsewhere.
    trace, folder : str
        Whole paths: of the trace, and of the folder of its parts.
    of, threads : int
        As `PartOfRun` has them.
    command : str
    input_sha256 : str
        Taken once, by whoever asks.
    input_is : tuple of int
        Size in bytes and time of change (ns) of the input's file; empty where there is none.
    """

    recipe: str
    places: dict[str, str]
    trace: str
    folder: str
    of: int
    threads: int
    command: str
    input_sha256: str
    input_is: tuple[int, ...]


def record_part_of(number: int, **shared: Any) -> DonePart:
    """Record a part on a worker; one that is there, and whole, is kept.

    Parameters
    ----------
    number : int
        Of the part; the first is 1.
    **shared
        The attributes of `RunInParts`.
    """
    run = RunInParts(**shared)
    told = Recipe.from_json(run.recipe)
    recipe = with_whole_paths(told, run.places)
    if identity_of_input(recipe) != run.input_is:
        raise InputError(
            "The input of the run is another file where a worker runs.",
            where=recipe.input,
            expected=f"size and time of change {run.input_is}",
            found=f"{identity_of_input(recipe)}",
            hint="leave the input as it is until the run is done, on a file system that all share",
        )
    part = PartOfRun(number, run.of, told, run.threads, Path(run.folder), run.input_sha256)
    report = record_part(
        recipe,
        Path(run.trace),
        part,
        resume=True,
        command=run.command,
        workers=1,  # a task is one processor's work: workers run several beside each other
    )
    assert report.trace is not None
    assert report.part is not None
    with Trace.open(report.trace) as written:
        assert written.part is not None
        return DonePart(written.part.saved, report.engine, report.notes, report.part.kept)


def identity_of_input(recipe: Recipe) -> tuple[int, ...]:
    """Size and time of change of the input's file."""
    if not isinstance(recipe.input, str) or not recipe.input:
        return ()
    found = split_reference(recipe.input)[0].stat()
    return found.st_size, found.st_mtime_ns
