"""The corpus: every state that engines get wrong is in it, and it is the same on every machine."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest

from rnnscope.conforming.case import shapes
from rnnscope.conforming.corpus import cases, descriptions
from rnnscope.conforming.documents import case_line
from rnnscope.conforming.drawing import Draw
from rnnscope.conforming.expected import expected
from rnnscope.conforming.judging import tolerance
from rnnscope.model.activations import ACTIVATIONS

DIGEST = "aec676a1e159823aad19fcb64fcd2fd5a56744189614eadad3c4ab74893e534e"
"""Of all cases of seed 0 but those of 512 units, as the lines that a command gets."""

WORLD = {
    "units": lambda case: case.units,
    "dtype": lambda case: case.dtype.name,
    "batch": lambda case: len(case.x),
    "steps": lambda case: case.steps,
    "directions": lambda case: tuple(bool(layer.backward.value) for layer in case.layers),
    "layout": lambda case: case.layout,
    "biased": lambda case: case.biased,
    "initial": lambda case: case.initial is not None,
    "lengths": lambda case: None if case.lengths is None else frozenset(case.lengths.tolist()),
}


@pytest.fixture(scope="module")
def corpus():
    return list(cases())


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_every_cell_meets_every_state(corpus, cell):
    own = [case for case in corpus if case.cell == cell]
    met = {name: {of(case) for case in own} for name, of in WORLD.items()}
    assert met["units"] >= {1, 3, 129, 512}
    assert met["dtype"] == {"float16", "float32", "float64"}
    assert met["batch"] >= {1, 3, 9}
    assert met["steps"] >= {1, 5, 40}
    assert met["directions"] == {(False,), (True,), (False, True)}
    assert met["layout"] == {"sequence first", "time first"}
    assert met["biased"] == met["initial"] == {True, False}
    assert {0, 1} <= set().union(*(lengths for lengths in met["lengths"] if lengths))
    assert None in met["lengths"]
    known = {"relu", "softsign", "elu", "softplus", "linear"}
    assert {case.option("activation") for case in own} & ACTIVATIONS.keys() >= known
    assert any(case.option("gate_clip") for case in own)


def test_an_lstm_meets_what_it_alone_has(corpus):
    own = [case for case in corpus if case.cell == "lstm"]
    for name in ("cell_clip", "proj_clip", "coupled", "forget_bias"):
        assert any(case.option(name) for case in own), name
    assert {case.layers[0].cell.num_proj for case in own} >= {None, 1, 2, 70, 5}
    assert any(case.layers[0].cell.peepholes for case in own)
    beyond = [case for case in own if "clip/c-beyond" in case.name]
    assert all(_largest_c(case) > case.option("gate_clip") for case in beyond)
    (within,) = [case for case in own if case.name == "lstm/clip/c-within"]
    assert _largest_c(within) < within.option("gate_clip")


def _largest_c(case):
    return float(np.abs(expected(case)[0]["c"]).max())


def test_both_places_of_the_reset_gate(corpus):
    assert Counter(c.option("reset_after") for c in corpus if c.cell == "gru").keys() == {0, 1}


def test_names_are_names(corpus):
    names = [case.name for case in corpus]
    assert len(set(names)) == len(names) == 237
    assert {name.count("/") for name in names} == {2}
    assert all(part and part == part.strip() for name in names for part in name.split("/"))


def test_the_numbers_are_the_same_on_every_machine(corpus):
    digest = sha256()
    for case in corpus:
        if case.units < 512:
            digest.update(case_line(case).encode())
    assert digest.hexdigest() == DIGEST


def test_a_case_does_not_depend_on_what_else_runs(corpus):
    whole = {case.name: case_line(case) for case in corpus if case.name.startswith("gru/initial")}
    alone = {case.name: case_line(case) for case in cases(only="gru/initial")}
    assert whole == alone
    assert len(alone) == 4


def test_another_seed_has_other_numbers_and_the_same_names():
    one, other = (next(cases(seed, "lstm/initial/given")) for seed in (0, 1))
    assert one.name == other.name
    assert not np.isin(one.x, other.x).any()
    assert [d.name for d in descriptions()] == [d.name for d in descriptions("*/*")]


def test_numbers_are_uniform_and_of_the_dtype():
    drawn = Draw(3, "x", np.dtype("float16"))(1.5, 4000)
    assert drawn.dtype == np.float16
    assert np.abs(drawn).max() <= 1.5
    assert abs(float(drawn.mean(dtype=np.float64))) < 0.05
    assert np.histogram(drawn, 4, (-1.5, 1.5))[0].min() > 900


def test_the_truth_has_the_shapes_that_are_promised(corpus):
    for case in corpus:
        for number, one in enumerate(expected(case)):
            assert {name: array.shape for name, array in one.items()} == shapes(case, number)
            assert all(array.dtype == np.float64 for array in one.values())


def test_the_truths_own_error_is_small(corpus):
    """Sums over features and units are taken in another order; what is left is rounding."""
    worst = 0.0
    for case in corpus:
        if case.layers[0].cell.num_proj is None:
            strict = replace_dtype_tolerance(case)
            order = np.arange(case.units)[::-1]
            for one, other in zip(expected(case), expected(turned(case)), strict=True):
                for name, array in one.items():
                    scale = max(1.0, float(np.abs(array).max(initial=0)))
                    off = np.abs(array - other[name][..., order]).max(initial=0)
                    worst = max(worst, float(off) / (strict * scale))
    assert 0 < worst < 0.3


def replace_dtype_tolerance(case):
    """The tolerance, were the case of float64."""
    eps = float(np.finfo(np.float64).eps)
    return tolerance(case) / float(np.finfo(case.dtype).eps) * eps


def turned(case):
    """The same case with features and units in the opposite order."""
    layers = []
    for layer in case.layers:
        weights = layer.cell.weights
        gates = weights.kernel.shape[1] // case.units

        def by_gate(array, gates=gates):
            blocks = np.split(array, gates, axis=-1)
            return np.concatenate([block[..., ::-1] for block in blocks], axis=-1)

        changed = {
            "kernel": by_gate(weights.kernel)[::-1],
            "recurrent_kernel": by_gate(weights.recurrent_kernel)[::-1],
            "bias": by_gate(weights.bias),
        }
        for name in ("peephole_i", "peephole_f", "peephole_o", "recurrent_bias"):
            array = getattr(weights, name, None)
            if array is not None:
                changed[name] = by_gate(array) if name == "recurrent_bias" else array[::-1]
        cell = replace(layer.cell, weights=replace(weights, **changed))
        layers.append(replace(layer, cell=cell))
    start = case.initial
    if start is not None:
        start = tuple({name: value[:, ::-1] for name, value in one.items()} for one in start)
    return replace(case, layers=tuple(layers), x=case.x[..., ::-1], initial=start)
