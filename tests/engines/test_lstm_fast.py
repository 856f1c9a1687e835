"""The fast LSTM loop computes what the reference engine computes, whatever a layer asks for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lstm_cases import CELLS, DIRECTIONS, make_initial, make_input, make_layer, run_lstm

from rnnscope.engines.choose import (
    COMPILING_PAYS_FROM,
    LayerEngine,
    one_blas_thread,
    prefix_lengths,
    runs_in_numpy,
)
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.engines.workspace import Workspace
from rnnscope.errors import EngineError

ULP = 4
"""The most that a value may be away from the reference: units in the last place of the largest."""

ULP_OF_FUNCTIONS = 10
"""The same for compiled steps of any cell: their tanh is within 5 units of its own value (2.5 of
1), a step takes three of them for c, and a forget gate of 0.75 keeps four times what one step adds.
Peepholes hand it on: more than 4, up to 6, were seen in 2 of 6000 random cells."""

ENGINES = ["numpy", "compiled"]


@pytest.fixture(scope="module")
def pool():
    with ThreadPoolExecutor(3) as made:
        yield made


def assert_same(expected, found, least=0.0, ulp=ULP):
    """Hold every array of a result to the reference, `ulp` of the largest state or of `least`."""
    largest = max(float(np.abs(array).max(initial=0)) for array in expected.states.values())
    largest = max(largest, least)
    assert found.states.keys() == expected.states.keys()
    assert found.gates.keys() == expected.gates.keys()
    pairs = {
        "outputs": (expected.outputs, found.outputs),
        **{name: (expected.states[name], found.states[name]) for name in expected.states},
        **{f"final {name}": (expected.final[name], found.final[name]) for name in expected.final},
        **{
            f"initial {name}": (expected.initial[name], found.initial[name])
            for name in expected.initial
        },
    }
    for name, (want, have) in pairs.items():
        assert_close(name, want, have, largest, ulp)
    for name, want in expected.gates.items():
        assert_close(f"gate {name}", want, found.gates[name], 1.0, ulp)


def assert_close(name, want, have, largest, ulp):
    assert have.shape == want.shape
    assert have.dtype == want.dtype
    ulps = np.abs(want - have).max(initial=0) / np.spacing(want.dtype.type(largest))
    assert ulps <= ulp, f"{name} is {ulps:.1f} units in the last place away"


def prefix_mask(lengths, timesteps):
    return None if lengths is None else np.arange(timesteps) < np.asarray(lengths)[:, None]


LENGTHS = {"no lengths": None, "lengths": [4, 7, 0, 1, 7]}


@pytest.mark.parametrize("steps", ENGINES)
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize("padding", ["zeros", "hold", "none"])
@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS.keys())
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
def test_it_computes_what_the_reference_computes(cell, direction, padding, lengths, steps, pool):
    rng = np.random.default_rng(5)
    layer = make_layer(rng, 3, 8, padding=padding, **cell, **direction)
    x = make_input(rng, layer, 5, 7)
    lengths = None if lengths is None else np.array(lengths)
    for initial, threads in product((None, make_initial(rng, layer, 5)), (1, 2, 3)):
        expected = run_layer(layer, x, prefix_mask(lengths, 7), initial)
        found = run_lstm(layer, x, lengths, initial, steps=steps, pool=pool, threads=threads)
        assert_same(expected, found)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
def test_gates_are_those_of_the_reference(cell, pool):
    rng = np.random.default_rng(6)
    layer = make_layer(rng, 3, 8, **cell)
    x, lengths = make_input(rng, layer, 5, 7), np.array([7, 0, 3, 7, 1])
    expected = run_layer(layer, x, prefix_mask(lengths, 7), gates=True)
    assert_same(expected, run_lstm(layer, x, lengths, gates=True, pool=pool, threads=2))


@pytest.mark.parametrize("steps", ENGINES)
@given(case=st.data())
def test_shapes_do_not_matter(case, steps):
    """Any number of sequences, timesteps, features and units; one is where special cases begin."""
    sequences = case.draw(st.sampled_from([1, 2, 3, 5, 17]), "sequences")
    timesteps = case.draw(st.integers(1, 40), "timesteps")
    features = case.draw(st.integers(1, 9), "features")
    units = case.draw(st.sampled_from([1, 2, 3, 4, 5, 8, 12, 16, 33, 64]), "units")
    direction = case.draw(st.sampled_from(list(DIRECTIONS.values())), "direction")
    cell = case.draw(st.sampled_from([CELLS["plain"], CELLS["clips"], CELLS["peepholes"]]), "cell")
    padding = case.draw(st.sampled_from(["zeros", "hold", "none"]), "padding")
    some = st.lists(st.integers(0, timesteps), min_size=sequences, max_size=sequences)
    lengths = case.draw(st.none() | some, "lengths")
    rng = np.random.default_rng(case.draw(st.integers(0, 2**32 - 1), "seed"))
    layer = make_layer(rng, features, units, padding=padding, **cell, **direction)
    x = make_input(rng, layer, sequences, timesteps)
    expected = run_layer(layer, x, prefix_mask(lengths, timesteps))
    lengths = None if lengths is None else np.array(lengths)
    with ThreadPoolExecutor(2) as pool:
        for threads in (1, 2):
            found = run_lstm(layer, x, lengths, steps=steps, pool=pool, threads=threads)
            # A small state may be what is left of large sums, which compiled steps round otherwise,
            # and BLAS, too, where a thread has other rows than the reference: rounding is of these.
            ulp = ULP_OF_FUNCTIONS if steps == "compiled" else ULP
            assert_same(expected, found, least=1.0, ulp=ulp)


@pytest.mark.parametrize("steps", ENGINES)
@pytest.mark.parametrize(
    ("shape", "cell"),
    [((32, 100, 128, 256), {}), ((1, 800, 64, 128), {}), ((256, 50, 64, 128), {"peepholes": True})],
    ids=["batch", "one long sequence", "large batch"],
)
def test_real_sizes_stay_within_the_limit(shape, cell, steps, pool):
    """Errors do not grow with the number of steps or sequences, and little with that of units.

    A sum of n terms taken one after another is wrong by about the root of n halves of a unit, one
    that a BLAS takes in blocks by less; how it does depends on the CPU: 5 units without FMA.
    """
    sequences, timesteps, features, units = shape
    rng = np.random.default_rng(8)
    layer = make_layer(rng, features, units, **cell)
    x = make_input(rng, layer, sequences, timesteps)
    expected = run_layer(layer, x)
    ulp = max(ULP, np.sqrt(features + units) / 2)
    assert_same(expected, run_lstm(layer, x, steps=steps, pool=pool, threads=2), ulp=ulp)


@pytest.mark.parametrize("steps", ENGINES)
@pytest.mark.parametrize("sequences", [1, 6])
def test_what_is_not_finite_stays_where_it_is(sequences, steps):
    """A NaN in the input makes the rest of that sequence NaN, and no other."""
    rng = np.random.default_rng(9)
    layer = make_layer(rng, 3, 8)
    x = make_input(rng, layer, sequences, 7)
    x[-1, 4, 1] = np.nan
    expected = run_layer(layer, x)
    found = run_lstm(layer, x, steps=steps)
    for name in ("c", "m"):
        np.testing.assert_array_equal(np.isnan(found.states[name]), np.isnan(expected.states[name]))
    assert np.isnan(expected.m[-1, 4:]).any()
    assert not np.isnan(found.m[:-1]).any()


@pytest.mark.parametrize("steps", ENGINES)
@pytest.mark.parametrize("sequences", [1, 5])
def test_saturated_gates_keep_c_for_as_long_as_they_stay_so(sequences, steps):
    """Not even a unit in the last place is lost in a step: thousands of them would add up."""
    layer = make_layer(np.random.default_rng(10), 1, 8, forget_bias=30.0)
    weights = layer.cell.weights
    weights.bias[:8] = -200.0  # the input gate is shut
    x = np.zeros((sequences, 5000, 1), np.float32)
    c = np.linspace(-2, 2, 8 * sequences, dtype=np.float32).reshape(sequences, 8)
    found = run_lstm(layer, x, None, {"c": c, "m": np.zeros_like(c)}, steps=steps)
    np.testing.assert_array_equal(found.final["c"], c)


@pytest.mark.parametrize("steps", ENGINES)
@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS.keys())
def test_a_slice_goes_on_where_the_one_before_ended(direction, steps):
    """State and held output handed over: as one run whatever the cut, compiled steps to the bit."""
    rng = np.random.default_rng(11)
    direction = {name: value for name, value in direction.items() if name != "reversal"}
    layer = make_layer(rng, 3, 8, padding="hold", **direction)
    x = make_input(rng, layer, 5, 12)
    whole = run_lstm(layer, x, steps=steps)
    cuts = [slice(0, 5), slice(5, 6), slice(6, 12)]
    if layer.backward.value:
        cuts.reverse()
    state, held = None, None
    ulp = 0 if steps == "compiled" else ULP
    for part in cuts:
        made = run_lstm(layer, np.ascontiguousarray(x[:, part]), None, state, steps=steps,
                        held=held)  # fmt: skip
        for name in ("c", "m"):
            assert_close(name, whole.states[name][:, part], made.states[name], 1.0, ulp)
        state = made.final
    for name in ("c", "m"):
        assert_close(name, whole.final[name], state[name], 1.0, ulp)


def test_an_output_held_from_before_is_repeated_from_the_first_padded_step():
    """As the reference does when Keras' rule meets a slice that begins with padding."""
    rng = np.random.default_rng(12)
    layer = make_layer(rng, 3, 8, padding="hold")
    x, lengths = make_input(rng, layer, 3, 4), np.array([0, 2, 4])
    initial = make_initial(rng, layer, 3)
    held = initial["m"] + 1
    expected = run_layer(layer, x, prefix_mask(lengths, 4), initial, held=held)
    assert_same(expected, run_lstm(layer, x, lengths, initial, held=held))
    np.testing.assert_array_equal(expected.outputs[0], np.repeat(held[:1], 4, axis=0))


def test_a_workspace_is_used_again_and_holds_the_new_result():
    rng = np.random.default_rng(13)
    layer = make_layer(rng, 3, 8)
    workspace = Workspace()
    first = run_lstm(layer, make_input(rng, layer, 5, 7), workspace=workspace)
    x, lengths = make_input(rng, layer, 4, 6), np.array([6, 2, 0, 5])
    second = run_lstm(layer, x, lengths, workspace=workspace)
    assert np.shares_memory(first.states["c"], second.states["c"])
    assert_same(run_layer(layer, x, prefix_mask(lengths, 6)), second)


def test_inputs_are_left_as_they_were():
    """Neither the input, nor the initial state, nor the weights are written to."""
    rng = np.random.default_rng(14)
    layer = make_layer(rng, 3, 8, peepholes=True, forget_bias=1.0)
    x, initial = make_input(rng, layer, 5, 7), make_initial(rng, layer, 5)
    weights = layer.cell.weights
    arrays = [x, *initial.values(), weights.kernel, weights.recurrent_kernel, weights.bias]
    before = [array.copy() for array in arrays]
    run_lstm(layer, x, np.array([7, 1, 0, 3, 7]), initial, gates=True)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def blas_threads():
    from threadpoolctl import threadpool_info

    return [found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"]


def test_blas_gets_its_threads_back():
    before = blas_threads()
    with one_blas_thread(limit=True):
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_blas_gets_its_threads_back_after_an_error():
    before = blas_threads()
    with pytest.raises(KeyError), one_blas_thread(limit=True):
        raise KeyError
    assert blas_threads() == before


def test_an_error_in_a_thread_reaches_the_caller(pool):
    """A part of the batch that fails fails the whole."""
    rng = np.random.default_rng(15)
    layer = make_layer(rng, 3, 8, activation="no such function")
    x = make_input(rng, layer, 5, 7)
    with pytest.raises(Exception, match="no such function"):
        run_lstm(layer, x, pool=pool, threads=2)


def engine_name(layer, **given):
    return LayerEngine(layer, **given).name


@pytest.mark.parametrize(
    "options", [{"gate_clip": 1.0}, {"coupled": True}], ids=["clipped gates", "coupled gates"]
)
def test_the_loop_in_numpy_leaves_what_only_onnx_cells_have_to_the_reference(options):
    rng = np.random.default_rng(16)
    layer = make_layer(rng, 3, 8, **options)
    assert not runs_in_numpy(layer)
    assert engine_name(layer) == "reference"
    x = make_input(rng, layer, 5, 7)
    assert_same(run_layer(layer, x), LayerEngine(layer).run(x))


def test_the_loop_in_numpy_leaves_a_mask_with_holes_to_the_reference():
    rng = np.random.default_rng(17)
    layer = make_layer(rng, 3, 8, padding="hold")
    x, mask = make_input(rng, layer, 2, 7), np.ones((2, 7), bool)
    mask[1, 3] = False
    assert prefix_lengths(mask) is None
    expected = run_layer(layer, x, mask)
    found = LayerEngine(layer).run(x, mask, prefix_lengths(mask))
    np.testing.assert_array_equal(found.m, expected.m)
    np.testing.assert_array_equal(found.outputs, expected.outputs)


def test_compiled_steps_are_chosen_where_the_work_pays_for_loading_it():
    layer = make_layer(np.random.default_rng(18), 3, 8)
    enough = COMPILING_PAYS_FROM["numpy"]
    assert engine_name(layer, work=enough - 1) == "numpy"
    assert engine_name(layer, work=enough) == "compiled"
    assert engine_name(layer, work=enough, engine="numpy") == "numpy"
    assert engine_name(layer, work=enough, engine="reference") == "reference"


def test_compiled_steps_asked_for_but_not_installed_is_an_error_that_says_how_to_get_it(
    monkeypatch,
):
    monkeypatch.setattr("rnnscope.engines.choose.find_spec", lambda name: None)
    layer = make_layer(np.random.default_rng(20), 3, 8)
    with pytest.raises(EngineError, match="compiled") as caught:
        LayerEngine(layer, engine="compiled")
    assert "pip install llvmlite" in caught.value.hint
    assert engine_name(layer, work=COMPILING_PAYS_FROM["numpy"]) == "numpy"
