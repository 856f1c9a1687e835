"""The comparison of two sets of states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from rnnscope.comparing.align import LayerOfSet, align, length_differences
from rnnscope.comparing.array_measure import ArrayMeasure
from rnnscope.comparing.arrays import diff_arrays
from rnnscope.comparing.gates import gate_of
from rnnscope.comparing.hints import layer_hints
from rnnscope.comparing.length_hints import length_hints, short_sequence_hints
from rnnscope.comparing.matching import MatchedLayers, match_layers
from rnnscope.comparing.result import (
    ArrayDiff,
    DiffResult,
    LayerDiff,
    OneSided,
    OperandReport,
    SideName,
)
from rnnscope.comparing.tolerance import DiffSettings
from rnnscope.errors import InputError, spell
from rnnscope.files.arrays.array_views import StepOf
from rnnscope.model.cells import CELLS
from rnnscope.states.recognise import Recognised
from rnnscope.states.state_set import GATES, StateLayer, StateSet, layer_with_final, with_final

ORDER = ("c", "m", "outputs", "array", "gates/i", "gates/f", "gates/g", "gates/o", "inputs",
         "final/c", "final/m", "initial/c", "initial/m")  # fmt: skip


Measures = dict[tuple[str, str], ArrayMeasure]
"""What was measured, by the layer's name in A and the array's name."""


def diff_states(
    a: Recognised,
    b: Recognised,
    settings: DiffSettings | None = None,
    command: str = "",
    *,
    measured: Measures | None = None,
) -> DiffResult:
    """Compare two sets of states.

    Parameters
    ----------
    a, b : Recognised
        From `rnnscope.states.recognise.recognise`.
    settings : DiffSettings, optional
    command : str
        For the report.
    measured : dict, optional
        What `measure_states` gave, of all sequences: the values are not read again.

    Returns
    -------
    DiffResult

    Raises
    ------
    InputError
        The two have no array in common.
    OptionError
        A tolerance is for an array that there is not.
    """
    settings = settings or DiffSettings()
    set_a, set_b = (with_final(states) for states in _same_lengths(a.states, b.states))
    pairs, rest_a, rest_b = match_layers(set_a.layers, set_b.layers)
    together = _together(set_a, set_b, pairs)
    both_traces = a.states.format == b.states.format == "trace"
    alone_a, alone_b = ([], []) if both_traces else map(_outputs_alone, (rest_a, rest_b))
    rest_a = [layer for layer in rest_a if layer not in alone_a]
    rest_b = [layer for layer in rest_b if layer not in alone_b]
    settings.tolerances.check_arrays(_arrays_by_layer(pairs, rest_a, alone_a), state_names())
    differences, notes = length_differences(a.states, b.states)
    layers = tuple(
        _diff_layer(one, other, how, settings, measured or {}) for one, other, how in together
    )
    if not any(layer.arrays for layer in layers):
        raise InputError(
            "The two hold no array in common.",
            where=f"{set_a.name} and {set_b.name}",
            expected="layers with c, m or outputs in both",
            found=f"A: {_described(set_a)}; B: {_described(set_b)}",
            hint=f"say how they are to be read: {spell('a_format')}, {spell('b_format')}",
        )
    result = DiffResult(
        a=_operand(a),
        b=_operand(b),
        tolerance=settings.tolerances.words(),
        layers=layers,
        only_a=_names(rest_a),
        only_b=_names(rest_b),
        outputs_alone_a=_names(alone_a),
        outputs_alone_b=_names(alone_b),
        differences=tuple(differences),
        notes=tuple(notes),
        command=command,
    )
    if differences and settings.hints:
        extra = length_hints(set_a, set_b, result)
        result = replace(result, notes=(*result.notes, *extra))
    return result


def aligned_layers(a: Recognised, b: Recognised) -> list[tuple[LayerOfSet, LayerOfSet, str]]:
    """The layers of two sets that are compared with each other, as they are compared; and why."""
    set_a, set_b = (with_final(states) for states in _same_lengths(a.states, b.states))
    return _together(set_a, set_b, match_layers(set_a.layers, set_b.layers)[0])


def _together(
    a: StateSet, b: StateSet, pairs: Iterable[MatchedLayers]
) -> list[tuple[LayerOfSet, LayerOfSet, str]]:
    return [
        (
            _directed(LayerOfSet(a, pair.a), pair.b),
            _directed(LayerOfSet(b, pair.b), pair.a),
            pair.how,
        )
        for pair in pairs
    ]


def measure_states(a: Recognised, b: Recognised, settings: DiffSettings, rows: slice) -> Measures:
    """Measure the blocks of two sets of states that begin in some sequences.

    Parameters
    ----------
    a, b : Recognised
    settings : DiffSettings
    rows : slice
        Places on the axis of sequences that both have in common.
    """
    found: Measures = {}
    for one, other, _ in aligned_layers(a, b):
        for key in shared_keys(one.layer, other.layer):
            aligned, _ = align(one, other, key, padding=settings.padding)
            if aligned is not None:
                dtypes = one.layer.arrays[key].dtype, other.layer.arrays[key].dtype
                tolerance = settings.tolerances.of(one.layer.name, key, dtypes)
                equal_nan = settings.tolerances.equal_nan
                measure = ArrayMeasure(aligned, tolerance, equal_nan=equal_nan)
                found[one.layer.name, key] = measure.see(aligned, rows=rows)
    return found


def _same_lengths(a: StateSet, b: StateSet) -> tuple[StateSet, StateSet]:
    """Both with lengths and mask if only one has them and its sequences are as many."""

    def with_lengths_of(states: StateSet, other: StateSet) -> StateSet:
        silent = states.lengths is None and states.mask is None
        if not silent or states.sequences != other.sequences:
            return states
        fits = other.mask is None or other.timesteps == states.timesteps
        mask = other.mask if fits else None
        return replace(states, lengths=other.valid_steps(), mask=mask)

    return with_lengths_of(a, b), with_lengths_of(b, a)


def _directed(side: LayerOfSet, other: StateLayer) -> LayerOfSet:
    """A layer that only has a number reads time in the direction of its partner."""
    layer = side.layer
    if layer.named or not other.backward or layer.backward:
        return side
    turned = replace(layer, facts=other.facts)
    return LayerOfSet(side.states, layer_with_final(turned, side.states))


def _operand(side: Recognised) -> OperandReport:
    reading = side.reading
    return OperandReport(
        side.states.name,
        reading.format,
        reading.words,
        side.reason,
        side.states.notes,
        side.states.not_read,
    )


def _described(states: StateSet) -> str:
    parts = [
        f"{layer.name or 'a layer'} with {', '.join(f'{key} {array.shape}' for key, array in layer.arrays.items())}"  # noqa: E501
        for layer in states.layers[:4]
    ]
    return "; ".join(parts) or "no layers"


def _names(layers: Iterable[StateLayer]) -> tuple[str, ...]:
    return tuple(layer.name or "its only layer" for layer in layers)


def _outputs_alone(layers: list[StateLayer]) -> list[StateLayer]:
    """The layers that have outputs and no states, as merges have, which only a trace keeps."""
    return [layer for layer in layers if not layer.has_states]


def _arrays_by_layer(
    pairs: Iterable[MatchedLayers], *others: Iterable[StateLayer]
) -> dict[str, list[str]]:
    """Names of all arrays, by the layer's name in A."""
    names = {pair.a.name: _sorted({*pair.a.arrays, *pair.b.arrays}) for pair in pairs}
    return names | {layer.name: _sorted({*layer.arrays}) for rest in others for layer in rest}


def state_names() -> list[str]:
    """What the arrays of a layer can be called, whatever the layer."""
    gates = dict.fromkeys(gate for cell in CELLS.values() for gate in cell.gates)
    return list(dict.fromkeys([*ORDER, *(f"{GATES}{gate}" for gate in gates)]))


def _diff_layer(
    a: LayerOfSet, b: LayerOfSet, how: str, settings: DiffSettings, measured: Measures
) -> LayerDiff:
    arrays = [_diff_array(a, b, key, settings, measured) for key in shared_keys(a.layer, b.layer)]
    hints: tuple[str, ...] = ()
    if settings.hints and any(array.verdict == "differ" for array in arrays):
        hints = layer_hints(a, b, settings) or short_sequence_hints(a, b, arrays, settings)
    one_sided = (*_one_sided("A", a, b), *_one_sided("B", b, a))
    return LayerDiff(
        a.layer.name, b.layer.name, how, tuple(arrays), one_sided=one_sided, hints=hints
    )


def _one_sided(name: SideName, side: LayerOfSet, other: LayerOfSet) -> Iterator[OneSided]:
    """The arrays of a layer that the other's lacks; it may be in the other's file, and not read."""
    unread = {array.key: array.label for array in other.states.not_read if array.key}
    for key in _sorted(side.layer.arrays.keys() - other.layer.arrays.keys()):
        yield OneSided(key, name, unread.get(key, ""))


def shared_keys(a: StateLayer, b: StateLayer) -> list[str]:
    """Names of the arrays that both have, but not what follows from others on both sides.

    That are outputs which are m, and final states which were taken out of the steps.
    """
    shared = {
        key
        for key in set(a.arrays) & set(b.arrays)
        if not all(isinstance(layer.arrays[key], StepOf) for layer in (a, b))
    }
    if "outputs" in shared and all(
        layer.arrays.get("m") is layer.arrays["outputs"] for layer in (a, b)
    ):
        shared.discard("outputs")
    return _sorted(shared)


def _sorted(keys: set[str]) -> list[str]:
    return sorted(keys, key=lambda key: (ORDER.index(key) if key in ORDER else len(ORDER), key))


def _diff_array(
    a: LayerOfSet, b: LayerOfSet, key: str, settings: DiffSettings, measured: Measures
) -> ArrayDiff:
    first, second = a.layer.arrays[key], b.layer.arrays[key]
    pair, problems = align(a, b, key, padding=settings.padding)
    tolerance = settings.tolerances.of(a.layer.name, key, (first.dtype, second.dtype))
    if pair is None:
        return ArrayDiff(
            name=key,
            verdict="differ",
            axes=(),
            shape_a=first.shape,
            shape_b=second.shape,
            dtype_a=str(first.dtype),
            dtype_b=str(second.dtype),
            tolerance=str(tolerance),
            problems=problems,
        )
    result = diff_arrays(
        key,
        pair,
        tolerance,
        equal_nan=settings.tolerances.equal_nan,
        fail_fast=settings.fail_fast,
        problems=problems,
        shapes=(first.shape, second.shape),
        measured=measured.get((a.layer.name, key)),
    )
    if result.first is None or len(pair.a.shape) != 3:
        return result
    place = tuple(
        int((names == at).argmax())
        for names, at in zip(pair.coordinates, result.first.place, strict=True)
    )
    gate = gate_of(a, b, key, place, settings.tolerances)
    return replace(result, first=replace(result.first, gate=gate))
