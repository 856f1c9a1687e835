"""Options of cells: forget bias, activations, clips, and what varies between kinds of GRU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from rnnscope.explaining.confusions.interface import Confusion, Facts
from rnnscope.explaining.deviations import Deviation, Unknown
from rnnscope.explaining.setup import DrivenLayer, Setup

ACTIVATIONS = ("tanh", "relu", "linear", "softsign", "sigmoid")
GATE_ACTIVATIONS = ("sigmoid", "hard_sigmoid", "hard_sigmoid_keras3", "linear", "tanh")

FORGET_BIASES = (0.0, 1.0, 2.0)
LARGEST_FORGET_BIAS = 10.0


def words(number: float) -> str:
    """A number as the value of a deviation: short where it is short."""
    for digits in (1, 2, 3, 4, 6):
        if abs(float(f"{number:.{digits}g}") - number) <= 2e-6 * max(abs(number), 1e-3):
            number = float(f"{number:.{digits}g}")
            break
    return f"{number:.6g}"


def _has(driven: DrivenLayer, option: str) -> bool:
    return driven.stackable and hasattr(driven.cell.options, option)


def _set(**values: Any) -> Callable[[Setup], Setup | None]:
    """Options of every layer that has them; None where all have these values."""

    def change(setup: Setup) -> Setup | None:
        def one(driven: DrivenLayer) -> DrivenLayer | None:
            known = {name: value for name, value in values.items() if _has(driven, name)}
            options = driven.cell.options
            if all(getattr(options, name).value == value for name, value in known.items()):
                return None
            return driven.with_options(**known)

        return setup.changed(one)

    return change


def _number(option: str) -> Callable[[Setup, Sequence[float]], Setup | None]:
    """A change of one option to one number, whatever it is now."""

    def change(setup: Setup, numbers: Sequence[float]) -> Setup | None:
        return setup.changed(
            lambda driven: (
                driven.with_options(**{option: float(numbers[0])}) if _has(driven, option) else None
            )
        )

    return change


def _values(facts: Facts, option: str) -> list[Any]:
    return [getattr(one.cell.options, option).value for one in facts.layers if _has(one, option)]


def _forget_biases(facts: Facts) -> Iterator[Deviation | Unknown]:
    present = _values(facts, "forget_bias")
    if not present:
        return
    own = float(present[0])
    for value in dict.fromkeys((*FORGET_BIASES, 2 * own)):
        if value != own:
            yield Deviation("forget-bias", words(value), _set(forget_bias=value))

    def solved(setup: Setup, numbers: Sequence[float]) -> Setup | None:
        if abs(numbers[0]) > LARGEST_FORGET_BIAS:
            return None  # the gate is shut or open: no forget bias is meant to do that
        return _number("forget_bias")(setup, numbers)

    yield Unknown("forget-bias", ((own + 0.5,), (own - 0.5,)), solved, lambda n: words(n[0]))


def _activations(facts: Facts) -> Iterator[Deviation]:
    if not _values(facts, "activation"):
        return
    for name in ACTIVATIONS:
        yield Deviation("activation", name, _set(activation=name, output_activation=name))
        if _values(facts, "output_activation"):
            value = f"{name} (candidate alone)"
            yield Deviation("activation", value, _set(activation=name), usual=False)


def _recurrent_activations(facts: Facts) -> Iterator[Deviation]:
    if _values(facts, "recurrent_activation"):
        for name in GATE_ACTIVATIONS:
            yield Deviation("recurrent-activation", name, _set(recurrent_activation=name))


def _output_activations(facts: Facts) -> Iterator[Deviation]:
    if _values(facts, "output_activation"):
        for name in ACTIVATIONS:
            yield Deviation("output-activation", name, _set(output_activation=name))


def _clips(id_: str, option: str, *keys: str) -> Callable[[Facts], Iterator[Deviation | Unknown]]:
    def deviations(facts: Facts) -> Iterator[Deviation | Unknown]:
        present = _values(facts, option)
        if not present or (option == "proj_clip" and not _projected(facts)):
            return
        if any(value is not None for value in present):
            yield Deviation(id_, "none", _set(**{option: None}))
        starts = tuple((start,) for start in _bounds(facts, keys))
        if starts:
            yield Unknown(id_, starts, _number(option), lambda numbers: words(numbers[0]))

    return deviations


def _projected(facts: Facts) -> bool:
    return any(one.cell.num_proj is not None for one in facts.layers)


def _bounds(facts: Facts, keys: Sequence[str]) -> list[float]:
    """Where to look for a bound.

    First a largest value that the reference has several times, then parts of the largest that is
    computed without one.
    """
    found = []
    for array in facts.reference_arrays(*keys):
        values = np.abs(array[np.isfinite(array)])
        if values.size and np.count_nonzero(values >= values.max() * (1 - 1e-6)) > 1:
            found.append(float(values.max()))
    if found:
        return list(dict.fromkeys(found))[:2]
    largest = [
        float(np.abs(results[key]).max(initial=0.0))
        for results in facts.subject.results.values()
        for key in keys
        if key in results
    ]
    top = max((value for value in largest if np.isfinite(value)), default=0.0)
    if top > 0:
        found += [top * part for part in (0.8, 0.5, 0.25, 0.1)]
    return list(dict.fromkeys(found))[:6]


def _gate_clips(facts: Facts) -> Iterator[Deviation | Unknown]:
    present = _values(facts, "gate_clip")
    if not present:
        return
    if any(value is not None for value in present):
        yield Deviation("gate-clip", "none", _set(gate_clip=None))
    starts = tuple((start,) for start in (1.0, 0.4, 0.1, 3.0))
    yield Unknown("gate-clip", starts, _number("gate_clip"), lambda numbers: words(numbers[0]))


def _reset_after(facts: Facts) -> Iterator[Deviation]:
    for value in dict.fromkeys(_values(facts, "reset_after")):
        other = not value
        yield Deviation("reset-after", str(other).lower(), _set(reset_after=other))


def _update_gates(facts: Facts) -> Iterator[Deviation]:
    """Z for 1 - z: a sigmoid of -x is one minus that of x, and so are both hard ones."""

    def turned(driven: DrivenLayer) -> DrivenLayer | None:
        if driven.cell.kind != "gru" or not driven.stackable:
            return None
        units, weights = driven.cell.num_units, driven.cell.weights
        sign = np.repeat([1.0, -1.0, 1.0], units)
        arrays = {
            name: getattr(weights, name) * sign
            for name in ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
            if getattr(weights, name) is not None
        }
        return driven.with_weights(**arrays)

    if facts.some("gru"):
        yield Deviation("update-gate", "1 - z", lambda setup: setup.changed(turned))


CONFUSIONS = (
    Confusion("forget-bias", _forget_biases),
    Confusion("activation", _activations),
    Confusion("recurrent-activation", _recurrent_activations),
    Confusion("output-activation", _output_activations),
    Confusion("cell-clip", _clips("cell-clip", "cell_clip", "c", "final/c")),
    Confusion("proj-clip", _clips("proj-clip", "proj_clip", "m", "outputs", "final/m")),
    Confusion("gate-clip", _gate_clips),
    Confusion("reset-after", _reset_after),
    Confusion("update-gate", _update_gates),
)
