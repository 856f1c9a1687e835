"""``check --stream``: the run of a model or a trace in chunks, or outputs of other streamers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import field, replace
from numbers import Integral
from pathlib import Path
from typing import Any

from rnnscope.checks.result import Subject
from rnnscope.checks.settings import CheckSettings
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, RnnscopeError, TraceError, UnsupportedCellError, spell
from rnnscope.files.hdf5.safe_hdf5 import has_signature
from rnnscope.options.table import OF_THE_MODEL
from rnnscope.options.unread import refuse_unread
from rnnscope.record.planning import PlannedRun, plan_recipe
from rnnscope.record.recipes.recipe import Recipe, refuse_execution
from rnnscope.record.replaying.recomputation import open_recomputation
from rnnscope.record.replaying.replayed_recipe import Replay
from rnnscope.running.prepare import prepare
from rnnscope.running.prepared import Prepared
from rnnscope.states.operands import Operand
from rnnscope.streaming.judging import judge_outputs
from rnnscope.streaming.proof import prove
from rnnscope.trace import Trace

DEFAULT_LENGTHS = (1, 7, 64)
"""Steps of a chunk, where nobody says which."""

RANDOM_SIZE = (3, 150)
"""Sequences and timesteps of an input of random numbers: more than two chunks of 64."""


FED_IN_CHUNKS = "the run is fed in chunks, and no trace is written"


@dataclass(frozen=True)
class StreamSettings:
    """How a run is fed.

    Attributes
    ----------
    lengths : tuple of int
        Steps of a chunk; empty: `DEFAULT_LENGTHS`, and for outputs whatever they tell.
    outputs : Operand or None
        What somebody streamed.
    checks : CheckSettings
        Which layers are looked at.
    """

    lengths: tuple[int, ...] = ()
    outputs: Operand | None = None
    checks: CheckSettings = field(default_factory=CheckSettings)


def parse_lengths(text: str) -> tuple[int, ...]:
    """``1,7,64`` or ``auto`` as lengths of chunks.

    Raises
    ------
    OptionError
        One is no whole number above 0.
    """
    if text.strip() == "auto":
        return ()
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise OptionError(
            f"{spell('stream')} takes the lengths of chunks.",
            expected="whole numbers above 0, such as 1,7,64; or auto",
            found=text,
        )
    return tuple(dict.fromkeys(int(part) for part in parts))


def accept_lengths(lengths: Iterable[Any]) -> tuple[int, ...]:
    """Lengths of chunks as Python gives them.

    Raises
    ------
    OptionError
        One is no whole number above 0.
    """
    given = list(lengths)
    found = [int(one) for one in given if isinstance(one, Integral) and int(one) > 0]
    if len(found) != len(given):
        raise OptionError(
            f"{spell('stream')} takes the lengths of chunks.",
            expected="whole numbers above 0, such as [1, 7, 64]",
            found=repr(given),
        )
    return tuple(dict.fromkeys(found))


def stream_recipe(recipe: Recipe, settings: StreamSettings, name: str) -> Subject:
    """Feed the run of a recipe in chunks.

    Raises
    ------
    RnnscopeError
        The checkpoint, the input or the outputs cannot be read, or do not fit.
    """
    with plan_recipe(recipe) as planned:
        return _subject(planned, prepare(planned.plan, planned.source), settings, name)


def stream_trace(trace: Trace, replay: Replay, settings: StreamSettings) -> Subject:
    """Feed the run of a trace in chunks, over the input that it was run on.

    Raises
    ------
    RnnscopeError
        As `stream_recipe`; or the run cannot be done again.
    """
    refuse_unread(replay.options, OF_THE_MODEL, FED_IN_CHUNKS, "engine")
    with open_recomputation(trace, replay) as again:
        subject = _subject(again.planned, again.prepared, settings, str(trace.path))
        return replace(subject, notes=(*again.notes, *subject.notes))


def stream_path(
    path: Path, input_: Any, options: dict[str, Any], replay: Replay, settings: StreamSettings
) -> Subject:
    """Feed in chunks what a path is: the run of a trace, or a model over an input.

    Parameters
    ----------
    path : Path
    input_ : str, array or None
        Of a model; random numbers where there is none.
    options : dict
        Of its run.
    replay : Replay
        Of a trace.
    settings : StreamSettings

    Raises
    ------
    RnnscopeError
        As `stream_recipe`.
    """
    from rnnscope.checkpoints import is_checkpoint

    try:
        trace = Trace.open(path)
    except TraceError:
        # Another HDF5 file than a checkpoint is a trace that is damaged, and says so.
        hdf5 = not path.exists() or (path.is_file() and has_signature(path))
        if hdf5 and not is_checkpoint(path):
            raise
    else:
        with trace:
            return stream_trace(trace, replay, settings)
    return stream_recipe(model_recipe(path, input_, options, settings), settings, str(path))


def model_recipe(
    checkpoint: Any, input_: Any, options: dict[str, Any], settings: StreamSettings
) -> Recipe:
    """The run of a model over an input, or over random numbers where there is none.

    Raises
    ------
    OptionError
        Outputs were streamed of some input, and it is not given.
    """
    refuse_unread(options, OF_THE_MODEL, FED_IN_CHUNKS, "engine")
    if input_ is None and settings.outputs is not None and "random" not in options:
        raise OptionError(
            "Outputs of a stream need the input that was streamed.",
            where=checkpoint,
            expected=f"{spell('input')}, or a trace, which knows its own",
            found="a model alone",
        )
    if input_ is None and "random" not in options:
        sequences, timesteps = RANDOM_SIZE
        steps = max(timesteps, 2 * max(settings.lengths, default=0) + 3)
        options = {**options, "random": (sequences, steps)}
    recipe = Recipe.make(checkpoint, "" if input_ is None else input_, **options)
    refuse_execution(recipe, checkpoint)
    return recipe


def _subject(
    planned: PlannedRun, prepared: Prepared, settings: StreamSettings, name: str
) -> Subject:
    started = time.perf_counter()
    _refuse_loops(planned)
    settings.checks.check_layers(node.name for node in planned.plan.layers)
    if settings.outputs is None:
        lengths = settings.lengths or DEFAULT_LENGTHS
        findings, notes = prove(prepared, lengths, planned.recipe["engine"], settings.checks.keeps)
        streamed = None
    else:
        streamed, findings, notes = judge_outputs(
            planned, prepared, settings.outputs, settings.lengths, settings.checks
        )
    return Subject(
        name=name,
        checkpoint=planned.checkpoint.path.name,
        input=planned.source.name,
        findings=findings,
        notes=(*prepared.notes, *planned.source.notes, *notes),
        seconds=time.perf_counter() - started,
        streamed=streamed,
    )


def _refuse_loops(planned: PlannedRun) -> None:
    if planned.plan.loops:
        raise UnsupportedCellError(
            "A decoder that feeds itself goes step by step anyway: there is nothing to cut.",
            where=", ".join(f"'{loop.first.name}'" for loop in planned.plan.loops),
            expected="layers that read the input",
            hint=f"choose others with {spell('layers')}",
        )


@contextmanager
def as_subject(name: str) -> Iterator[list[Subject]]:
    """What cannot be checked is a subject that says so, among others."""
    found: list[Subject] = []
    started = time.perf_counter()
    try:
        yield found
    except RnnscopeError as error:
        found.append(Subject(name, error=error.describe(), seconds=time.perf_counter() - started))
