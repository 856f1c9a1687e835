"""Resets: a state that returns to its initial value gives what each episode gives alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import pytest
from cell_cases import CASES, cell_of, layer_with, states_for
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.engines.choose import LayerEngine, prefix_lengths
from rnnscope.model.cells import CELLS
from rnnscope.model.resets import Resets, due_resets

needs_llvmlite = pytest.mark.skipif(
    find_spec("llvmlite") is None, reason="llvmlite is not installed"
)
ENGINES = ["reference", "numpy", pytest.param("compiled", marks=needs_llvmlite)]


def loop_with_resets(layer, x, mask, start, fresh, marked):
    """One sequence after another, one step after another: the definition, and nothing shared."""
    cell = CELLS[layer.cell.kind]
    widths = cell.widths(layer.cell)
    states = {name: np.empty((*x.shape[:2], width), x.dtype) for name, width in widths.items()}
    outputs = np.zeros((*x.shape[:2], layer.output_size), x.dtype)
    for row in range(len(x)):
        state = {name: start[name][row : row + 1] for name in widths}
        waits, last = False, np.zeros((1, layer.output_size), x.dtype)
        for t in range(x.shape[1]):
            waits |= bool(marked[row, t])
            counts = mask is None or mask[row, t] or layer.padding.value == "none"
            if counts:
                if waits:
                    state = {name: fresh[name][row : row + 1] for name in widths}
                    waits = False
                z = cell.project(layer.cell, x[row : row + 1, t : t + 1])
                state, _ = cell.step(layer.cell, z[:, 0], state)
                last = state["m"]
            if counts or layer.padding.value == "hold":
                outputs[row, t] = last[0]
            for name in widths:
                states[name][row, t] = state[name][0]
    return states, outputs


@st.composite
def episodes(draw):
    """A layer, an input, a mask, a start, what resets return to, and where they are marked."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    cell = cell_of(rng, draw(st.sampled_from(sorted(CASES))), 3, 8, "float64")
    layer = layer_with(cell, padding=draw(st.sampled_from(["zeros", "hold", "none"])))
    sequences, timesteps = draw(st.integers(1, 5)), draw(st.integers(1, 12))
    x = rng.normal(size=(sequences, timesteps, 3))
    masks = {
        "none": None,
        "lengths": np.arange(timesteps) < rng.integers(0, timesteps + 1, sequences)[:, None],
        "holes": rng.random((sequences, timesteps)) < 0.6,
    }
    mask = masks[draw(st.sampled_from(sorted(masks)))]
    start, fresh = states_for(rng, cell, sequences), states_for(rng, cell, sequences)
    marked = rng.random((sequences, timesteps)) < draw(st.sampled_from([0.1, 0.4, 0.9]))
    return layer, x, mask, start, fresh, marked


def resets_of(layer, marked, mask, fresh, pending=None):
    counts = None if layer.padding.value == "none" else mask
    due, waiting = due_resets(marked, counts, pending)
    return Resets(due, fresh), waiting


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=40, deadline=None)
@given(case=episodes())
def test_every_step_is_that_of_the_loop(engine, case):
    layer, x, mask, start, fresh, marked = case
    resets, _ = resets_of(layer, marked, mask, fresh)
    run = LayerEngine(layer, engine=engine).run
    found = run(x, mask, prefix_lengths(mask), start, resets=resets)
    states, outputs = loop_with_resets(layer, x, mask, start, fresh, marked)
    for name, array in states.items():
        np.testing.assert_allclose(found.states[name], array, rtol=0, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(found.final[name], array[:, -1], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(found.initial[name], start[name])
    np.testing.assert_allclose(found.outputs, outputs, rtol=0, atol=1e-12)


@needs_llvmlite
@settings(max_examples=25, deadline=None)
@given(case=episodes(), cut=st.integers(1, 11))
def test_compiled_bits_change_with_no_cut_of_time_no_batch_and_no_thread(case, cut):
    layer, x, mask, start, fresh, marked = case
    engine = LayerEngine(layer, engine="compiled", gates=True)
    resets, waiting = resets_of(layer, marked, mask, fresh)
    whole = engine.run(x, mask, prefix_lengths(mask), start, resets=resets)
    state, held, pending = start, None, None
    for steps in (slice(0, cut), slice(cut, None)):
        part_mask = None if mask is None else mask[:, steps]
        if not x[:, steps].size:
            continue
        here, pending = resets_of(layer, marked[:, steps], part_mask, fresh, pending)
        part = engine.run(
            np.ascontiguousarray(x[:, steps]), part_mask, prefix_lengths(part_mask), state, held,
            resets=here,
        )  # fmt: skip
        state, held = dict(part.final), part.outputs[:, -1].copy()
        for name, array in whole.states.items():
            np.testing.assert_array_equal(part.states[name], array[:, steps])
        for name, array in whole.gates.items():
            np.testing.assert_array_equal(part.gates[name], array[:, steps])
        np.testing.assert_array_equal(part.outputs, whole.outputs[:, steps])
    np.testing.assert_array_equal(pending, waiting)
    with ThreadPoolExecutor(3) as pool:
        threaded = LayerEngine(layer, engine="compiled", threads=3, pool=pool)
        again = threaded.run(x, mask, prefix_lengths(mask), start, resets=resets)
    np.testing.assert_array_equal(again.m, whole.m)
    for row in range(len(x)):
        one = slice(row, row + 1)
        alone = engine.run(
            x[one], None if mask is None else mask[one],
            None if mask is None else prefix_lengths(mask[one]),
            {name: array[one] for name, array in start.items()},
            resets=Resets(resets.steps[one], {n: a[one] for n, a in fresh.items()}),
        )  # fmt: skip
        np.testing.assert_array_equal(alone.m, whole.m[one])


def test_a_reset_in_the_padding_waits_for_the_next_step_that_counts():
    mask = np.array([[1, 0, 0, 1, 1, 0], [1, 1, 1, 0, 0, 0]], bool)
    marked = np.array([[0, 1, 1, 0, 0, 1], [0, 0, 1, 1, 0, 0]], bool)
    due, waiting = due_resets(marked, mask)
    assert due.astype(int).tolist() == [[0, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0]]
    assert waiting.tolist() == [True, True]


def test_resets_return_the_reference_in_threads_to_the_state_of_their_own_sequence():
    rng = np.random.default_rng(5)
    cell = cell_of(rng, "gru, reset after", 3, 64, "float64")
    layer = layer_with(cell)
    x, marked = rng.normal(size=(130, 6, 3)), rng.random((130, 6)) < 0.3
    resets = Resets(marked, states_for(rng, cell, 130))
    with ThreadPoolExecutor(2) as pool:
        threaded = LayerEngine(layer, engine="reference", threads=2, pool=pool)
        found = threaded.run(x, resets=resets)
    plain = LayerEngine(layer, engine="reference").run(x, resets=resets)
    np.testing.assert_allclose(found.m, plain.m, rtol=0, atol=1e-13)
