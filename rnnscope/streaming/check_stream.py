"""``check --stream``: the run of a model or a trace in chunks, or outputs of other streamers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from numbers import Integral
from pathlib import Path
from typing import Any

from rnnscope.checks.interface import Finding, StatePlace
from rnnscope.checks.result import Subject
from rnnscope.checks.settings import CheckSettings
from rnnscope.checks.streamed import OUTPUTS_CHECK, StreamedOutputs
from rnnscope.errors import OptionError, RnnscopeError, TraceError, UnsupportedCellError, spell
from rnnscope.explaining.reference import Reference, read_reference
from rnnscope.files.hdf5.safe_hdf5 import has_signature
from rnnscope.record.planning import PlannedRun, plan_recipe
from rnnscope.record.recipe import Recipe, refuse_execution
from rnnscope.record.replay import Replay, open_recomputation
from rnnscope.running.prepare import Prepared, prepare
from rnnscope.states.interface import ReadOptions
from rnnscope.states.operands import Operand
from rnnscope.streaming.proof import mask_of, prove
from rnnscope.streaming.results import plain_nodes, results_of
from rnnscope.streaming.search import FaultSearch, told
from rnnscope.streaming.streamed_model import StreamedModel
from rnnscope.streaming.targets import find_targets
from rnnscope.trace import Trace

DEFAULT_LENGTHS = (1, 7, 64)
"""Steps of a chunk, where nobody says which."""

RANDOM_SIZE = (3, 150)
"""Sequences and timesteps of an input of random numbers: more than two chunks of 64."""

MOST_OUTPUT_VALUES = 20_000_000
MOST_INPUT_VALUES = 2_000_000
"""Values of the input that are searched: whole sequences, from the first on."""

SINGLE, DOUBLE = 1e-5, 1e-10
"""What counts as rounding of outputs, in units of the largest value; see `explaining.tolerance`."""


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
        streamed, findings, notes = _judge_outputs(planned, prepared, settings)
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


def _judge_outputs(
    planned: PlannedRun, prepared: Prepared, settings: StreamSettings
) -> tuple[StreamedOutputs, tuple[Finding, ...], tuple[str, ...]]:
    source = prepared.source
    reference = read_reference(settings.outputs, ReadOptions(), most_values=MOST_OUTPUT_VALUES)
    values = source.timesteps * max(1, source.features or 1)
    rows = slice(0, min(source.sequences, max(1, MOST_INPUT_VALUES // values)))
    model = StreamedModel.of(prepared, rows, planned.recipe["engine"], directions=True)
    if not model.nodes:
        raise UnsupportedCellError(
            "No layer of the run can be fed in chunks.",
            where="; ".join(f"'{layer}' {why}" for layer, why in model.reasons.items()),
            expected="a recurrent layer that reads the input step by step",
        )
    limit = _limit(model, reference)
    plain = plain_nodes(planned, model)
    whole = {place: array for place, array in
             results_of(model, plain, model.stream(())).items() if settings.checks.keeps(place[0])
             or not any(node.name == place[0] for node in model.layers)}  # fmt: skip
    cut = _first_sequences(reference, source.sequences, rows.stop)
    targets = find_targets(cut, whole, mask_of(model), limit)
    search = FaultSearch(model, plain, targets, settings.lengths, limit)
    right = search.whole()
    fits = [] if right.fits else search.run(right)
    faults = tuple(told(fit, settings.lengths) for fit in fits)
    near = search.nearest if not right.fits and not fits else None
    streamed = StreamedOutputs(
        reference=reference.name,
        compared=tuple(target.words for target in targets.all),
        chunk_lengths=settings.lengths,
        verdict="same" if right.fits else "none" if not faults else
        "one" if len(faults) == 1 else "several",
        first_step=right.first_step,
        first_sequence=right.first_sequence,
        difference=right.largest,
        limit=limit,
        faults=faults,
        nearest=None if near is None else told(near, settings.lengths),
        nearest_until=None if near is None else near.apart.first_step,
        tried=search.tried,
    )  # fmt: skip
    notes = [*targets.notes]
    if rows.stop < source.sequences:
        notes.append(f"the first {rows.stop} of {source.sequences} sequences were compared")
    short = [one.values.shape[1] for one in targets.all if one.over_time]
    if short and max(short) < model.timesteps:
        notes.append(f"there are outputs of {max(short)} of {model.timesteps} timesteps")
    return streamed, (_finding(streamed, targets.all[0].place[0]),), tuple(notes)


def _limit(model: StreamedModel, reference: Reference) -> float:
    """What counts as rounding: of the weights, of the outputs, of what these were rounded to."""
    if reference.precision > 2.0**-24:
        return max(SINGLE, 1.05 * reference.precision)
    layers = [node.recurrent for node in model.layers if node.recurrent]
    double = all(layer.cell.dtype.itemsize == 8 for layer in layers)
    return DOUBLE if double and reference.precision < 1e-12 else SINGLE


def _first_sequences(reference: Reference, sequences: int, kept: int) -> Reference:
    """The reference of those sequences that are computed."""
    if kept >= sequences:
        return reference

    def cut(values: Any) -> Any:
        if values.shape[0] == sequences:
            return values[:kept]
        turned = values.ndim == 3 and values.shape[1] == sequences
        return values[:, :kept] if turned else values

    readings = tuple(
        replace(reading, arrays=tuple(replace(one, values=cut(one.values))
                                      for one in reading.arrays))
        for reading in reference.readings
    )  # fmt: skip
    return replace(reference, readings=readings)


def _finding(found: StreamedOutputs, layer: str) -> Finding:
    place = None
    if found.first_step is not None:
        place = StatePlace(found.first_sequence, found.first_step)
    if found.verdict == "same":
        message = "the streamed outputs are those of the whole sequence"
    elif found.verdict == "none":
        message = "the streamed outputs are not those of the whole, and no known fault gives them"
    else:
        message = "; or ".join(fault.words for fault in found.faults)
    return Finding(OUTPUTS_CHECK, layer, "pass" if found.verdict == "same" else "fail", message,
                   found.difference, found.limit, place)  # fmt: skip


@contextmanager
def as_subject(name: str) -> Iterator[list[Subject]]:
    """What cannot be checked is a subject that says so, among others."""
    found: list[Subject] = []
    started = time.perf_counter()
    try:
        yield found
    except RnnscopeError as error:
        found.append(Subject(name, error=error.describe(), seconds=time.perf_counter() - started))
