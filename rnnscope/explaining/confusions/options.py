"""Options of cells: forget bias, activations, clips, and what varies between kinds of GRU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rnnscope.explaining.computing.setup import DrivenLayer, Setup
from rnnscope.explaining.confusions.changes import (
    LEAST,
    ChangeSetup,
    capitalised,
    every_layer,
    number_words,
)
from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.readings.deviations import Deviation, Unknown

ACTIVATIONS = ("tanh", "relu", "linear", "softsign", "sigmoid")
GATE_ACTIVATIONS = ("sigmoid", "hard_sigmoid", "hard_sigmoid_keras3", "linear", "tanh")

FORMULAS = {
    "hard_sigmoid": "clip(0.2 z + 0.5, 0, 1)",
    "hard_sigmoid_keras3": "clip(z / 6 + 0.5, 0, 1)",
    "sigmoid": "1 / (1 + exp(-z))",
}

FORGET_BIASES = (0.0, 1.0, 2.0)
LARGEST_FORGET_BIAS = 10.0

GATE_CLIPS = (1.0, 0.4, 0.1, 3.0)
"""Where to look for the bound of what enters the activations."""


def _has(driven: DrivenLayer, option: str) -> bool:
    return driven.stackable and hasattr(driven.cell.options, option)


def _values(facts: Facts, option: str) -> list[Any]:
    return [getattr(one.cell.options, option).value for one in facts.layers if _has(one, option)]


def _set(**values: Any) -> ChangeSetup:
    """Options of every layer that has them; None where all have these values."""

    def change(driven: DrivenLayer) -> DrivenLayer | None:
        known = {name: value for name, value in values.items() if _has(driven, name)}
        options = driven.cell.options
        if all(getattr(options, name).value == value for name, value in known.items()):
            return None
        return driven.with_options(**known)

    return every_layer(change)


def _number(option: str) -> Callable[[Setup, Sequence[float]], Setup | None]:
    """A change of one option to one number, whatever it is now."""

    def change(setup: Setup, numbers: Sequence[float]) -> Setup | None:
        number = float(numbers[0])
        return every_layer(
            lambda driven: driven.with_options(**{option: number}) if _has(driven, option) else None
        )(setup)

    return change


def _insisting(**options: Any) -> Mapping[str, Any]:
    """Options of a run that replace what a file states."""
    return {**options, "override": True}


def _forget_biases(facts: Facts) -> Iterator[Deviation | Unknown]:
    present = _values(facts, "forget_bias")
    if not present:
        return
    own = float(present[0])
    added = (
        f"{own:g} here: add {own:g} to the forget gate at every step, or to its block of the bias."
        if own
        else "nothing here, where the bias holds it already: add nothing."
    )

    def named(numbers: Sequence[float]) -> Deviation:
        value = number_words(numbers[0])
        return Deviation(
            "forget-bias",
            value,
            _set(forget_bias=float(numbers[0])),
            advice=f"{value} is added to the forget gate there, and {added}",
            options=_insisting(forget_bias=float(value)),
        )

    def solved(setup: Setup, numbers: Sequence[float]) -> Setup | None:
        if abs(numbers[0]) > LARGEST_FORGET_BIAS:
            return None  # the gate is shut or open: no forget bias is meant to do that
        return _number("forget_bias")(setup, numbers)

    for value in dict.fromkeys((*FORGET_BIASES, 2 * own)):
        if value != own:
            yield named((value,))
    yield Unknown("forget-bias", ((own + 0.5,), (own - 0.5,)), solved, named)


def _activations(facts: Facts) -> Iterator[Deviation]:
    own = next(iter(_values(facts, "activation")), None)
    if own is None:
        return
    for name in ACTIVATIONS:
        advice = f"The activation is {{}} there, and {own} in the file: use that."
        yield Deviation(
            "activation",
            name,
            _set(activation=name, output_activation=name),
            advice=advice.format(name),
            options=_insisting(activation=name),
        )
        if _values(facts, "output_activation"):
            value = f"{name} (candidate alone)"
            change = _set(activation=name)
            yield Deviation("activation", value, change, advice=advice.format(value), usual=False)


def _recurrent_activations(facts: Facts) -> Iterator[Deviation]:
    own = next(iter(_values(facts, "recurrent_activation")), None)
    if own is None:
        return

    def told(name: str) -> str:
        return f"{name}, {FORMULAS[name]}" if name in FORMULAS else name

    for name in GATE_ACTIVATIONS:
        # A run takes the plain name for the one that the file's framework means.
        meant = {"hard_sigmoid": facts.subject.planned.checkpoint.hard_sigmoid}.get(name, name)
        yield Deviation(
            "recurrent-activation",
            name,
            _set(recurrent_activation=name),
            advice=f"The activation of the gates is {told(name)} there; the file means "
            f"{told(own)}: use that.",
            options=_insisting(recurrent_activation=name) if meant == name else None,
        )


def _output_activations(facts: Facts) -> Iterator[Deviation]:
    own = next(iter(_values(facts, "output_activation")), None)
    if own is None:
        return
    for name in ACTIVATIONS:
        yield Deviation(
            "output-activation",
            name,
            _set(output_activation=name),
            advice=f"The activation of c on its way to m is {name} there, and {own} in the file: "
            "use that.",
        )


def _cell_clips(facts: Facts) -> Iterator[Deviation | Unknown]:
    starts = _bounds(facts, ("c", "final/c"))
    yield from _clips(facts, "cell-clip", "c is clipped", starts, of_run="cell_clip")


def _proj_clips(facts: Facts) -> Iterator[Deviation | Unknown]:
    if any(one.cell.num_proj is not None for one in facts.layers):
        starts = _bounds(facts, ("m", "outputs", "final/m"))
        yield from _clips(
            facts, "proj-clip", "the projected m is clipped", starts, of_run="proj_clip"
        )


def _gate_clips(facts: Facts) -> Iterator[Deviation | Unknown]:
    what = "what enters the activations is clipped"
    yield from _clips(facts, "gate-clip", what, GATE_CLIPS)


def _clips(
    facts: Facts, id_: str, what: str, starts: Sequence[float], of_run: str = ""
) -> Iterator[Deviation | Unknown]:
    option = id_.replace("-", "_")
    present = _values(facts, option)
    if not present:
        return
    own = "none" if present[0] is None else f"{present[0]}"

    def named(numbers: Sequence[float]) -> Deviation:
        bound = float(numbers[0]) if numbers else None
        value = "none" if bound is None else number_words(bound)
        return Deviation(
            id_,
            value,
            _set(**{option: bound}),
            advice=f"{capitalised(what)} to {value} there, and to {own} in the file.",
            options=_insisting(**{of_run: value}) if of_run else None,
        )

    def bounded(setup: Setup, numbers: Sequence[float]) -> Setup | None:
        return _number(option)(setup, numbers) if numbers[0] > LEAST else None

    if any(value is not None for value in present):
        yield named(())
    if starts:
        yield Unknown(id_, tuple((start,) for start in starts), bounded, named)


def _bounds(facts: Facts, keys: Sequence[str]) -> list[float]:
    """Where to look for a bound.

    A largest value that the reference has several times; else parts of the largest that is
    computed without a bound.
    """
    repeated = []
    for array in facts.reference_arrays(*keys):
        values = np.abs(array[np.isfinite(array)])
        if values.size and np.count_nonzero(values >= values.max() * (1 - 1e-6)) > 1:
            repeated.append(float(values.max()))
    if repeated:
        return list(dict.fromkeys(repeated))[:2]
    largest = [
        float(np.abs(results[key]).max(initial=0.0))
        for results in facts.subject.results.values()
        for key in keys
        if key in results
    ]
    top = max((value for value in largest if np.isfinite(value)), default=0.0)
    return [top * part for part in (0.8, 0.5, 0.25, 0.1)] if top else []


def _reset_after(facts: Facts) -> Iterator[Deviation]:
    for own in dict.fromkeys(_values(facts, "reset_after")):
        value = str(not own).lower()
        right = "the product of m" if own else "m before the product"
        yield Deviation(
            "reset-after",
            value,
            _set(reset_after=not own),
            advice=f"reset_after is {value} there, and the file was made with the other: r "
            f"multiplies {right}.",
        )


def _update_gates(facts: Facts) -> Iterator[Deviation]:
    if facts.some("gru"):
        yield Deviation(
            "update-gate",
            "1 - z",
            every_layer(_update_gate_turned, "gru"),
            advice="The update gate keeps the old m here: m = z * m_prev + (1 - z) * n; it is used "
            "as 1 - z there.",
        )


def _update_gate_turned(driven: DrivenLayer) -> DrivenLayer | None:
    """1 - z for z: a sigmoid of -x is one minus that of x, and so are both hard ones."""
    if "sigmoid" not in driven.cell.options.recurrent_activation.value:
        return None
    units, weights = driven.cell.num_units, driven.cell.weights
    sign = np.repeat([1.0, -1.0, 1.0], units)
    arrays = {
        name: getattr(weights, name) * sign
        for name in ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
        if getattr(weights, name) is not None
    }
    return driven.with_weights(**arrays)


CONFUSIONS = (
    Confusion("forget-bias", _forget_biases),
    Confusion("activation", _activations),
    Confusion("recurrent-activation", _recurrent_activations),
    Confusion("output-activation", _output_activations),
    Confusion("cell-clip", _cell_clips),
    Confusion("proj-clip", _proj_clips),
    Confusion("gate-clip", _gate_clips),
    Confusion("reset-after", _reset_after),
    Confusion("update-gate", _update_gates),
)
