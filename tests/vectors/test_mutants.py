"""Forty programs that each misread one thing are caught, and programs that are right pass."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from explaining.model_files import save_safetensors, torch_arrays
from explaining.small_models import SUBJECTS
from vectors.models import computed, program
from vectors.mutants import MUTANTS, RIGHT
from vectors.port import Lstm, run_case

import rnnscope


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_is_caught_where_it_goes_wrong(name, written):
    mutant = MUTANTS[name]
    folder, document = written(mutant.model)
    made = program(document, mutant.model, mutant.port, mutant.layer)
    with np.errstate(all="ignore"):
        theirs = computed(document, made, mutant.layer)
    found = rnnscope.check_vectors(folder, theirs, budget=0)
    assert found.status == "fail"
    wrong = [case for case in found.cases if case.status == "fail"]
    # Not by a hair: a hundred tolerances in some value of some case.
    assert max(apart(document, theirs)) >= 100
    if mutant.first is not None:
        number, array, timestep = mutant.first
        first = wrong[0].first_wrong
        assert wrong[0].name.endswith(f"-{number}")
        assert (first.array, first.timestep) == (array, timestep)


def apart(document, theirs):
    """By how many limits each array is off at most; steps past the length of gates left out."""
    cases = {case["name"]: case for case in document["cases"]}
    layers = {layer["name"]: layer for layer in document["layers"]}
    for one in theirs["cases"]:
        case = cases[one["name"]]
        valid = np.arange(len(case["x"][0])) < np.array(case["lengths"])[:, None]
        for group, prefix in (("expected", ""), ("final", "final/")):
            for name, array in one[group].items():
                off = np.abs(np.array(case[group][name]) - array)
                if name in layers[case["layer"]]["gates"]:
                    off = off[valid]
                yield off.max() / case["limits"][prefix + name]


@pytest.mark.parametrize("model", sorted({one.model for one in MUTANTS.values()}))
def test_a_program_that_is_right_passes_in_either_precision(model, written):
    folder, document = written(model)
    for number, layer in enumerate(document["layers"]):
        for dtype in (np.float32, np.float64):
            made = program(document, model, RIGHT.get(model, Lstm), number, dtype)
            theirs = computed(document, made, number)
            found = rnnscope.check_vectors(folder, theirs, budget=0)
            assert found.status == "pass", (layer["name"], dtype)
            assert max(apart(document, theirs)) < 0.6  # with room for other libraries


class Scrambled(Lstm):
    """Sums its products one after the other, from the last on, all in float32."""

    def z(self, gate, x, m):
        kernel, recurrent, bias, other = self.weights[gate]
        total = np.zeros_like(bias)
        for value, row in [*zip(m, recurrent, strict=True), *zip(x, kernel, strict=True)][::-1]:
            total = np.float32(total + np.float32(value * row))
        return total + (bias + other)


def test_another_order_of_the_sums_passes(written):
    folder, document = written("torch")
    theirs = computed(document, program(document, "torch", Scrambled), 0)
    assert rnnscope.check_vectors(folder, theirs, budget=0).status == "pass"


SAME_WITHOUT_BIAS = {"bias_hh forgotten", "bias_ih forgotten", "no bias at all",
                     "one bias added twice"}  # fmt: skip
"""What is no mistake where biases are zero: a fresh model of Keras or torch is near that."""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """An LSTM without biases, its folder of vectors, and their document."""
    folder = tmp_path_factory.mktemp("fresh")
    cell = SUBJECTS["torch"].model.levels[0][0]
    cell = replace(cell, bias=0 * cell.bias, recurrent_bias=0 * cell.recurrent_bias)
    path = save_safetensors(folder / "model.safetensors", torch_arrays(((cell,),)))
    report = rnnscope.write_vectors(path, folder / "v")
    return cell, folder / "v", json.loads((folder / "v/vectors.json").read_text()), report


def test_small_random_numbers_miss_mutants_that_vectors_catch(fresh):
    """N(0, 0.01), as a test at hand would draw it: from zeros, every step valid."""
    cell, folder, document, _ = fresh
    x = np.random.default_rng(5).normal(0, 0.01, (3, 20, 3)).astype(np.float32)
    case = {"name": "r", "x": x, "lengths": [20, 20, 20], "initial": {}}
    missed, caught = [], []
    for name, mutant in MUTANTS.items():
        if mutant.model != "torch" or name in SAME_WITHOUT_BIAS:
            continue
        right, wrong = Lstm(cell, dtype=np.float64), mutant.port(cell)
        with np.errstate(all="ignore"):
            expected, got = run_case(right, case), run_case(wrong, case)
            theirs = computed(document, mutant.port(cell), 0)
        if not off(expected, got, document["tolerance"]):
            missed.append(name)
        if rnnscope.check_vectors(folder, theirs, budget=0).status == "fail":
            caught.append(name)
    of_torch = {name for name, one in MUTANTS.items() if one.model == "torch"}
    assert {*caught} == of_torch - SAME_WITHOUT_BIAS
    assert len(missed) >= 8, missed
    assert {*missed} >= {
        "c clipped to 0.5",
        "the state before the first step ignored",
        "c and m of the state before the first step exchanged",
        "lengths ignored",
        "states past the length set to zero",
        "the last output of the array taken for the final m",
    }


def off(expected, got, tolerance):
    """Whether any value is wrong, by the rule that vectors go by."""
    return any(
        (np.abs(array - got[group][key]) > tolerance * np.abs(array).max()).any()
        for group in ("expected", "final")
        for key, array in expected[group].items()
    )


def test_what_is_no_mistake_of_a_model_is_listed_by_name_with_the_reason(fresh):
    _, _, document, report = fresh
    told = {(one["id"], one["value"]): one["reason"] for one in document["not_separated"]}
    same = "the numbers that it exchanges are equal: it is the same function"
    for value in ("none", "doubled", "input bias only", "recurrent bias only"):
        assert told["bias", value] == same
    # A bias read in another order is the same bias; the kernels with it are not.
    assert told["gate-order", "i o f g (bias only)"] == same
    assert ("gate-order", "i o f g") not in told
    assert len(report.not_separated) == len(document["not_separated"])
    assert report.readings == document["readings"] > 200


def test_a_misreading_counts_once_however_many_ways_there_are_to_make_it(tmp_path, monkeypatch):
    """It is listed once where no input tells it apart, so that the difference of both is right."""
    from rnnscope.vectors import searching

    names = set()
    known = searching.known_readings

    def noted(part, *given):
        found = known(part, *given)
        names.update((part.name, *one.name) for one in found)
        return found

    monkeypatch.setattr(searching, "known_readings", noted)
    report = rnnscope.write_vectors(
        "sample_data/keras_stack/model.h5", tmp_path / "v", layers=["lstm"], steps=8, sequences=2
    )
    assert len(names) >= report.readings > len(names) - 20


def test_there_are_forty():
    assert len(MUTANTS) >= 40
