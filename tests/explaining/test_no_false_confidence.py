"""Where nothing that people confuse makes the reference, nothing is claimed."""

from __future__ import annotations

import numpy as np
import pytest
from explaining.confused_loop import run
from explaining.references import reference
from explaining.small_models import (
    LENGTHS,
    Draw,
    keras_subject,
    onnx_subject,
    tf1_subject,
    torch_subject,
)

import rnnscope

BUDGET = 0.5
"""Seconds of search; more readings tried are more occasions for a false claim, and 20 is usual."""

QUICK = 3
"""So many of each kind are not slow."""

# How many seeds a test has: as many as there are pairs of a maker and of what the test varies.


def torch_lstm(draw):
    cell = draw.cell("ifgo", "torch", 2, 3, two_biases=True)
    return torch_subject(((cell,),), draw.x(2, 2, 6), (6, 4))


def torch_gru(draw):
    return torch_subject(((draw.cell("rzn", "torch", 2, 3, two_biases=True),),), draw.x(2, 2, 6))


def tf1(draw):
    cell = draw.cell("igfo", "tf1", 2, 4, forget_bias=1.0, peepholes=True)
    return tf1_subject([cell], draw.x(2), LENGTHS)


def keras(draw):
    return keras_subject([draw.cell("ifgo", "keras", 3, 3)], draw.x(3, 2, 6))


def onnx(draw):
    return onnx_subject(draw.cell("iofg", "onnx", 2, 3, two_biases=True), draw.x(2), LENGTHS)


MAKERS = (torch_lstm, torch_gru, tf1, keras, onnx)


def numbered(count, start):
    """So many seeds; all but the first are slow."""
    return [
        pytest.param(seed, marks=[pytest.mark.slow] if seed - start >= QUICK else [])
        for seed in range(start, start + count)
    ]


def claims(subject, given, folder, budget=BUDGET):
    path = subject.write(folder)
    said = rnnscope.explain(path, subject.x, given, budget=budget, **subject.run_options).to_dict()
    return said["verdict"], [fit["reading"] for fit in said["fits"]]


@pytest.mark.parametrize("seed", numbered(20, 1000))
def test_states_of_other_weights(tmp_path, seed):
    make = MAKERS[seed % len(MAKERS)]
    subject, other = make(Draw(seed)), make(Draw(seed + 5000))
    guise = ("everything", "outputs", "c and m", "final")[seed % 4]
    states = run(other.model, subject.x, subject.lengths)
    assert claims(subject, reference(subject, states, guise, tmp_path), tmp_path) == ("none", [])


def perturbed(arrays, subject, rng):
    """One unit of one valid step of one array moved by 1e-2 to 1e-3 of itself."""
    name = rng.choice([name for name in arrays if not name.startswith("final")])
    valid = np.arange(subject.x.shape[1]) < np.reshape(subject.lengths or [99], (-1, 1))
    places = np.argwhere((np.abs(arrays[name]) > 0.1) & valid[..., None])
    place = tuple(rng.choice(places))
    arrays[name][place] *= 1 + rng.choice([-1, 1]) * 10 ** rng.uniform(-3, -2)
    return arrays


@pytest.mark.parametrize("seed", numbered(20, 2000))
def test_one_unit_of_one_step_is_off(tmp_path, seed):
    subject, rng = MAKERS[seed % len(MAKERS)](Draw(seed)), np.random.default_rng(seed)
    guise = ("everything", "c and m")[seed % 2]
    given = reference(subject, run(subject.model, subject.x, subject.lengths), guise, tmp_path)
    assert claims(subject, perturbed(given, subject, rng), tmp_path) == ("none", [])


CONFUSED = (
    {"bias": "none"},
    {"bias": "doubled"},
    {"recurrent-activation": "hard_sigmoid"},
    {"transposed": "recurrent kernel, gate by gate"},
    {"state-carry": "m never"},
)


@pytest.mark.parametrize("seed", numbered(25, 3000))
def test_a_confusion_that_explains_all_but_one_unit_of_one_step(tmp_path, seed):
    subject, rng = MAKERS[seed % len(MAKERS)](Draw(seed)), np.random.default_rng(seed)
    made = CONFUSED[seed // len(MAKERS) % len(CONFUSED)]
    states = run(subject.model, subject.x, subject.lengths, made)
    given = perturbed(reference(subject, states, "c and m", tmp_path), subject, rng)
    assert claims(subject, given, tmp_path) == ("none", [])


@pytest.mark.parametrize("seed", numbered(15, 4000))
def test_random_arrays(tmp_path, seed):
    subject, rng = MAKERS[seed % len(MAKERS)](Draw(seed)), np.random.default_rng(seed)
    guise = ("everything", "outputs", "final")[seed % 3]
    given = reference(subject, run(subject.model, subject.x, subject.lengths), guise, tmp_path)
    if isinstance(given, np.ndarray):
        given = rng.uniform(-1, 1, given.shape).astype(np.float32)
    else:
        given = {
            name: rng.uniform(-1, 1, array.shape).astype(np.float32)
            for name, array in given.items()
        }
    assert claims(subject, given, tmp_path) == ("none", [])
