"""References that cannot tell two readings apart: every one is named, and an input that can."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from explaining.asking import as_made, explained, readings_that_fit
from explaining.network_description import ACTIVATIONS
from explaining.rivals import distance, handed_over
from explaining.small_models import (
    LENGTHS,
    SUBJECTS,
    Draw,
    keras_lstm,
    keras_subject,
    tf1_subject,
    torch_subject,
)

SAME, APART = 1e-5, 1e-4
"""Of the largest value; between them nothing is said to be the same or another."""


@dataclass(frozen=True)
class Doubt:
    """What was confused, what was handed over, and which readings give the same.

    Attributes
    ----------
    among : tuple of mapping
        Readings that must be among those that fit.
    ids : set of str
        Of all the readings that fit.
    apart : bool
        Whether another input can tell them apart.
    """

    make: object
    made: dict
    guise: str
    among: tuple
    ids: frozenset
    apart: bool = True


def equal_biases():
    draw = Draw(31)
    cell = draw.cell("ifgo", "torch", 3, 4, two_biases=True)
    return torch_subject(((replace(cell, recurrent_bias=cell.bias),),), draw.x(3), LENGTHS)


def equal_columns():
    draw = Draw(32)
    cell, x = draw.cell("ifgo", "torch", 3, 4, two_biases=True), draw.x(3)
    x[..., 1] = x[..., 0]
    return torch_subject(((cell,),), x)


def positive():
    """Candidates and c are never below zero."""
    draw = Draw(33)
    cell, x = draw.cell("ifgo", "keras", 3, 4), np.abs(draw.x(3))
    parts = {name: np.abs(getattr(cell, name)) for name in ("kernel", "recurrent", "bias")}
    return keras_subject([replace(cell, **parts)], 0.3 * x)


def one_step():
    draw = Draw(34)
    cell = draw.cell("ifgo", "torch", 3, 4, two_biases=True)
    return torch_subject(((cell,),), draw.x(3, steps=1))


def untrained_bias():
    """Keras' unit_forget_bias, never trained: 1 for the forget gate, 0 for the others."""
    draw = Draw(35)
    cell = draw.cell("ifgo", "keras", 3, 4)
    bias = np.repeat(np.float32([0, 1, 0, 0]), 4)
    return keras_subject([replace(cell, bias=bias)], draw.x(3))


def saturated():
    """Gates are wide open or shut, beyond where either hard_sigmoid bends."""
    draw = Draw(36)
    cell = draw.cell("ifgo", "keras", 3, 4)
    # Blocks i f g o: the candidate keeps its weights.
    wide = np.repeat(np.float32([0.1, 0.1, 1, 0.1]), 4)
    bias = np.where(wide == 1, cell.bias, 4 * np.sign(cell.bias)).astype(np.float32)
    parts = {name: wide * getattr(cell, name) for name in ("kernel", "recurrent")}
    return keras_subject([replace(cell, bias=bias, **parts)], draw.x(3))


DOUBTS = {
    "reset before the last step, or before every step": Doubt(
        partial(keras_lstm, 30),
        {"state-carry": "never"},
        "final",
        ({"state-carry": "never"},),
        frozenset({"state-carry"}),
    ),
    "one of two biases that are equal": Doubt(
        equal_biases,
        {"bias": "input bias only"},
        "c and m",
        ({"bias": "input bias only"}, {"bias": "recurrent bias only"}),
        frozenset({"bias"}),
        apart=False,
    ),
    "two columns of the input that are equal": Doubt(
        equal_columns,
        {"input-columns": "2 0 1"},
        "outputs",
        ({"input-columns": "2 0 1"}, {"input-columns": "2 1 0"}),
        frozenset({"input-columns"}),
    ),
    "relu or linear of what is never negative": Doubt(
        positive,
        {"activation": "relu"},
        "c and m",
        ({"activation": "relu"}, {"activation": "linear"}),
        frozenset({"activation"}),
    ),
    "c of one step from zero shows i and g alone": Doubt(
        one_step,
        {"gate-order": "f i g o"},
        "c",
        ({"gate-order": "f i g o"}, {"gate-order": "o i g f"}),
        frozenset({"gate-order"}),
    ),
    "no bias, or no forget bias in an untrained one": Doubt(
        untrained_bias,
        {"bias": "none"},
        "outputs",
        ({"bias": "none"}, {"forget-bias": "-1"}),
        frozenset({"bias", "forget-bias"}),
        apart=False,
    ),
    "either hard_sigmoid where both are saturated": Doubt(
        saturated,
        {"recurrent-activation": "hard_sigmoid"},
        "c and m",
        (
            {"recurrent-activation": "hard_sigmoid"},
            {"recurrent-activation": "hard_sigmoid_keras3"},
        ),
        frozenset({"recurrent-activation"}),
    ),
}


def known(made):
    """Whether the judge's loop can make it."""
    words = [made.get(name) for name in ("activation", "recurrent-activation", "output-activation")]
    return all(word is None or word in ACTIVATIONS for word in words)


@pytest.mark.parametrize("name", DOUBTS)
def test_every_reading_that_fits_is_named(tmp_path, name):
    doubt = DOUBTS[name]
    subject = doubt.make()
    said = explained(subject, doubt.made, doubt.guise, tmp_path)
    readings = [as_made(reading) for reading in readings_that_fit(said)]
    assert said["verdict"] == "several"
    for reading in doubt.among:
        assert reading in readings
    assert {part for reading in readings for part in reading} == doubt.ids
    ours = handed_over(subject, doubt.made, doubt.guise, tmp_path)
    for reading in filter(known, readings):
        assert distance(ours, handed_over(subject, reading, doubt.guise, tmp_path)) < SAME, reading


@pytest.mark.parametrize("name", [name for name, doubt in DOUBTS.items() if doubt.apart])
def test_the_separating_input_tells_all_of_them_apart(tmp_path, name):
    doubt = DOUBTS[name]
    subject, written = doubt.make(), tmp_path / "separating.npy"
    said = explained(subject, doubt.made, doubt.guise, tmp_path, separate=written)
    assert str(said["separating_input"]) == str(written)
    x = np.load(written)
    assert x.size <= 10_000
    other = replace(subject, x=x, lengths=None)
    results = [
        handed_over(other, reading, "c and m", tmp_path)
        for reading in map(as_made, readings_that_fit(said))
        if known(reading)
    ]
    assert len(results) >= len(doubt.among)
    for place, one in enumerate(results):
        for another in results[:place]:
            assert distance(one, another) > APART


@pytest.mark.parametrize("name", [name for name, doubt in DOUBTS.items() if not doubt.apart])
def test_where_no_input_can_tell_none_is_written(tmp_path, name):
    doubt, written = DOUBTS[name], tmp_path / "separating.npy"
    said = explained(doubt.make(), doubt.made, doubt.guise, tmp_path, separate=written)
    assert said["separating_input"] is None
    assert not written.exists()


def test_what_changes_nothing_is_no_explanation(tmp_path):
    """Lengths that are all full, ignored: the gate order alone explains it."""
    subject = replace(SUBJECTS["torch"], lengths=(10, 10, 10))
    made = {"gate-order": "i o f g", "lengths": "ignored"}
    said = explained(subject, made, "everything", tmp_path)
    assert [as_made(reading) for reading in readings_that_fit(said)] == [{"gate-order": "i o f g"}]


@pytest.mark.parametrize("guise", ["everything", "outputs", "final", "npz"])
@pytest.mark.parametrize("name", ["torch", "tf1, everything", "keras, gru", "keras, masked"])
def test_a_right_reference_is_as_rnnscope_reads_it(tmp_path, name, guise):
    said = explained(SUBJECTS[name], {}, guise, tmp_path)
    assert [fit["reading"] for fit in said["fits"]] == [[]]
    assert said["verdict"] == "one"


def test_a_forget_bias_that_one_step_does_not_show(tmp_path):
    """From a zero state the forget gate multiplies nothing: whatever fits, none is ruled out."""
    draw = Draw(37)
    subject = tf1_subject(
        [draw.cell("igfo", "tf1", 3, 4, forget_bias=1.0)], draw.x(3, steps=1), None
    )
    made = {"forget-bias": "0"}
    said = explained(subject, made, "c and m", tmp_path)
    readings = [as_made(reading) for reading in readings_that_fit(said)]
    assert {} in readings
    ours = handed_over(subject, made, "c and m", tmp_path)
    for reading in readings:
        assert distance(ours, handed_over(subject, reading, "c and m", tmp_path)) < SAME, reading
