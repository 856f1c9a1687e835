"""What an engine may have computed instead: each a change of the case whose truth is tried.

Where a wrong answer is the right answer to a changed case, that change is the cause: an engine that
ignores lengths gives what the case without lengths gives, to the last rounding. Nothing is said of
answers that fit no reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from rnnscope.conforming.case import Answer, Case
from rnnscope.conforming.expected import expected
from rnnscope.conforming.judging import judge
from rnnscope.model.cell import Array, Option
from rnnscope.model.recurrent_layer import RecurrentLayer

Change = Callable[[Case], "Case | None"]
Made = Callable[[Case], "Answer | None"]


@dataclass(frozen=True)
class Reading:
    """A way to compute a case wrong.

    Attributes
    ----------
    words : str
        What the engine did, in the past tense.
    change : callable or None
        ``change(case) -> Case | None``: the case that it computed; None where it changes nothing
        in such a case.
    answer : callable or None
        ``answer(case) -> Answer | None``, where it is not the right answer to any case.
    """

    words: str
    change: Change | None = None
    answer: Made | None = None

    def gives(self, case: Case) -> Answer | None:
        """What the reading makes of a case, in float64; None where it changes nothing in it."""
        if self.answer is not None:
            return self.answer(case)
        assert self.change is not None
        changed = self.change(case)
        return None if changed is None else expected(changed)


def cause(case: Case, answer: Answer) -> str:
    """Which reading, or pair of readings, gives an answer, in words; empty where none does."""

    def fits(instead: Answer | None) -> bool:
        return instead is not None and judge(case, instead, answer).first is None

    for reading in READINGS:
        if fits(reading.gives(case)):
            return reading.words
    changing = [reading for reading in READINGS if reading.change is not None]
    for one, other in combinations(changing, 2):
        changed = one.change(case) if one.change is not None else None
        if changed is not None and fits(other.gives(changed)):
            return f"{one.words}, and {other.words}"
    return ""


def _layers(case: Case, change: Callable[[RecurrentLayer], RecurrentLayer]) -> Case:
    return replace(case, layers=tuple(change(layer) for layer in case.layers))


def _with_options(**values: object) -> Callable[[RecurrentLayer], RecurrentLayer]:
    def change(layer: RecurrentLayer) -> RecurrentLayer:
        options = layer.cell.options
        known = {
            name: Option(value, "guess") for name, value in values.items() if hasattr(options, name)
        }
        return replace(layer, cell=replace(layer.cell, options=replace(options, **known)))

    return change


def _with_weights(
    change: Callable[[Mapping[str, Array]], Mapping[str, Array | None]],
) -> Callable[[RecurrentLayer], RecurrentLayer]:
    def changed(layer: RecurrentLayer) -> RecurrentLayer:
        weights = layer.cell.weights
        return replace(
            layer, cell=replace(layer.cell, weights=replace(weights, **change(vars(weights))))
        )

    return changed


DEFAULTS = {"activation": "tanh", "recurrent_activation": "sigmoid", "output_activation": "tanh"}


def _ignoring(name: str, otherwise: object) -> Change:
    """The case with one option at its default."""

    def answer(case: Case) -> Case | None:
        if case.option(name, otherwise) == otherwise:
            return None
        return _layers(case, _with_options(**{name: otherwise}))

    return answer


def _default_activations(case: Case) -> Case | None:
    if all(case.option(name, default) == default for name, default in DEFAULTS.items()):
        return None
    return _layers(case, _with_options(**DEFAULTS))


def _no_lengths(case: Case) -> Case | None:
    return None if case.lengths is None else replace(case, lengths=None)


def _start_lost_at_length_0(case: Case) -> Answer | None:
    if case.lengths is None or case.initial is None or case.lengths.all():
        return None
    truth = expected(case)
    empty = case.lengths == 0
    return tuple(
        {
            name: np.where(empty.reshape(-1, *(1,) * (array.ndim - 1)), 0, array)
            for name, array in one.items()
        }
        for one in truth
    )


def _clip_not_of_c(case: Case) -> Answer | None:
    if case.cell != "lstm" or not case.option("gate_clip"):
        return None
    return expected(case, clip_reaches_c=False)


def _no_initial(case: Case) -> Case | None:
    return None if case.initial is None else replace(case, initial=None)


def _no_peepholes(case: Case) -> Case | None:
    if not case.layers[0].cell.peepholes:
        return None
    none = {f"peephole_{gate}": None for gate in "ifo"}
    return _layers(case, _with_weights(lambda _: none))


def _half_of_the_bias(case: Case) -> Case | None:
    # Each of two biases is half of the whole, where they are one.
    if not case.biased or (case.cell == "gru" and case.option("reset_after")):
        return None
    return _layers(case, _with_weights(lambda held: {"bias": held["bias"] / 2}))


def _no_bias(case: Case) -> Case | None:
    if not case.biased:
        return None
    names = ("bias", "recurrent_bias")

    def without(held: Mapping[str, Array]) -> dict[str, Array]:
        return {name: np.zeros_like(held[name]) for name in names if held.get(name) is not None}

    return _layers(case, _with_weights(without))


def _forward_alone(case: Case) -> Case | None:
    if not any(layer.backward.value for layer in case.layers):
        return None
    return _layers(
        case, lambda layer: replace(layer, backward=replace(layer.backward, value=False))
    )


def _first_weights_twice(case: Case) -> Case | None:
    if len(case.layers) < 2:
        return None
    first, second = case.layers
    return replace(case, layers=(first, replace(second, cell=first.cell)))


def _first_direction_twice(case: Case) -> Case | None:
    changed = _first_weights_twice(case)
    if changed is None or case.initial is None:
        return None
    return replace(changed, initial=(case.initial[0], case.initial[0]))


def _padding_reversed_too(case: Case) -> Answer | None:
    """The whole axis is turned, and the first steps of that are taken for the valid ones."""
    if case.lengths is None or not any(layer.backward.value for layer in case.layers):
        return None
    turned = expected(replace(_forward_alone(case) or case, x=case.x[:, ::-1]))
    return tuple(
        {name: array[:, ::-1] if name in ("outputs", "c") else array for name, array in one.items()}
        if layer.backward.value
        else right
        for layer, one, right in zip(case.layers, turned, expected(case), strict=True)
    )


def _other_reset(case: Case) -> Case | None:
    if case.cell != "gru":
        return None
    other = not case.option("reset_after")
    return _layers(case, _with_options(reset_after=other))


def _units_beyond(block: int) -> Made:
    """Units beyond a block of threads are never written: every step hands on zeros for them."""

    def answer(case: Case) -> Answer | None:
        if case.units <= block or case.layers[0].cell.num_proj is not None:
            return None
        kept = np.arange(case.units) < block

        def masked(states: Answer) -> Answer:
            return tuple({name: array * kept for name, array in one.items()} for one in states)

        cut = _layers(case, _with_weights(_cut(kept)))
        if case.lengths is not None or len(case.layers) > 1 or case.layers[0].backward.value:
            return masked(expected(cut))
        # What is given before the first step is read whole: only what is written is cut off.
        first = masked(expected(replace(case, x=case.x[:, :1])))
        start = {name: first[0][f"final_{name}"] for name in case.states}
        rest = masked(expected(replace(cut, x=case.x[:, 1:], initial=(start,))))
        return (
            {
                name: np.concatenate([first[0][name], array], axis=1) if array.ndim == 3 else array
                for name, array in rest[0].items()
            },
        )

    return answer


def _cut(kept: Array) -> Callable[[Mapping[str, Array]], Mapping[str, Array]]:
    return lambda held: {
        "recurrent_kernel": (held["recurrent_kernel"] * kept[:, None]).astype(held["kernel"].dtype)
    }


def _one_long_sequence(case: Case) -> Answer | None:
    """A packed batch run as one sequence: the valid steps of all sequences, step by step."""
    if case.lengths is None or len(case.x) < 2:
        return None
    valid = case.mask
    assert valid is not None
    steps, rows = np.nonzero(valid.T)
    if not len(rows):
        return None
    packed = replace(case, x=case.x[rows, steps][None], lengths=None, initial=None)
    answer = []
    for one in expected(packed):
        outputs = np.zeros((*case.x.shape[:2], one["outputs"].shape[-1]))
        outputs[rows, steps] = one["outputs"][0]
        answer.append({"outputs": outputs})
    return tuple(answer)


READINGS: tuple[Reading, ...] = (
    Reading("it ignored the lengths", _no_lengths),
    Reading("it lost the initial state of sequences of length 0", answer=_start_lost_at_length_0),
    Reading("its clip did not reach the c that enters h", answer=_clip_not_of_c),
    Reading("it ignored the clip", _ignoring("gate_clip", None)),
    Reading("it ignored the clip of c", _ignoring("cell_clip", None)),
    Reading("it ignored the clip of the projected m", _ignoring("proj_clip", None)),
    Reading("it computed tanh and sigmoid whatever the activations", _default_activations),
    Reading("it did not couple the forget gate", _ignoring("coupled", False)),
    Reading("it ignored the forget bias", _ignoring("forget_bias", 0.0)),
    Reading("it ignored the peepholes", _no_peepholes),
    Reading("it ignored the initial states", _no_initial),
    Reading("it added one of two biases", _half_of_the_bias),
    Reading("it added no bias", _no_bias),
    Reading("it ran forward in every direction", _forward_alone),
    Reading("it ran both directions with the weights of the first", _first_weights_twice),
    Reading(
        "it ran both directions with the weights and initial states of the first",
        _first_direction_twice,
    ),
    Reading("it reversed the padding with the sequence", answer=_padding_reversed_too),
    Reading("it put the reset gate on the other side of the product", _other_reset),
    Reading("it left out the units beyond 128", answer=_units_beyond(128)),
    Reading("it ran the packed batch as one sequence", answer=_one_long_sequence),
)
"""In the order in which they are tried; the first that fits is the cause."""


def readings() -> Iterator[str]:
    """What can be recognised, in words."""
    return (reading.words for reading in READINGS)
