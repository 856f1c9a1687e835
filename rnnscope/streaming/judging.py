"""Outputs that somebody streamed, judged: those of the whole, of a known fault, or of none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rnnscope.checks.interface import Finding, StatePlace
from rnnscope.checks.settings import CheckSettings
from rnnscope.checks.streamed import OUTPUTS_CHECK, StreamedOutputs
from rnnscope.errors import UnsupportedCellError
from rnnscope.explaining.compared.reference import Reference, read_reference
from rnnscope.record.planning import PlannedRun
from rnnscope.running.prepared import Prepared
from rnnscope.states.interface import ReadOptions
from rnnscope.states.operands import Operand
from rnnscope.streaming.proof import mask_of
from rnnscope.streaming.results import plain_nodes, results_of
from rnnscope.streaming.search import FaultSearch, told
from rnnscope.streaming.streamed_model import StreamedModel
from rnnscope.streaming.targets import find_targets

MOST_OUTPUT_VALUES = 20_000_000
MOST_INPUT_VALUES = 2_000_000
"""Values of the input that are searched: whole sequences, from the first on."""

SINGLE, DOUBLE = 1e-5, 1e-10
"""What counts as rounding of outputs, in units of the largest value.

See `explaining.compared.tolerance`.
"""


def judge_outputs(
    planned: PlannedRun,
    prepared: Prepared,
    outputs: Operand,
    lengths: tuple[int, ...],
    checks: CheckSettings,
) -> tuple[StreamedOutputs, tuple[Finding, ...], tuple[str, ...]]:
    """Hold outputs to those of the whole, and name what their streamer does wrong.

    Parameters
    ----------
    planned : PlannedRun
    prepared : Prepared
    outputs : Operand
    lengths : tuple of int
        Of chunks, as far as the user knows.
    checks : CheckSettings
        Which layers the outputs may be of.

    Raises
    ------
    InputError
        The outputs cannot be read, or are no result of the model over time.
    UnsupportedCellError
        No layer can be fed in chunks.
    """
    source = prepared.source
    reference = read_reference(outputs, ReadOptions(), most_values=MOST_OUTPUT_VALUES)
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
             results_of(model, plain, model.stream(())).items() if checks.keeps(place[0])
             or not any(node.name == place[0] for node in model.layers)}  # fmt: skip
    cut = _first_sequences(reference, source.sequences, rows.stop)
    targets = find_targets(cut, whole, mask_of(model), limit)
    search = FaultSearch(model, plain, targets, lengths, limit)
    right = search.whole()
    fits = [] if right.fits else search.run(right)
    faults = tuple(told(fit, lengths) for fit in fits)
    near = search.nearest if not right.fits and not fits else None
    streamed = StreamedOutputs(
        reference=reference.name,
        compared=tuple(target.words for target in targets.all),
        chunk_lengths=lengths,
        verdict="same" if right.fits else "none" if not faults else
        "one" if len(faults) == 1 else "several",
        first_step=right.first_step,
        first_sequence=right.first_sequence,
        difference=right.largest,
        limit=limit,
        faults=faults,
        nearest=None if near is None else told(near, lengths),
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
