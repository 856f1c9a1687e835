"""The compiled steps of every cell: the states of the equations, and bits of their own alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import numpy as np
import pytest
from cell_cases import CASES, cell_of, layer_with, states_for
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.engines.choose import COMPILING_PAYS_FROM, LayerEngine, prefix_lengths
from rnnscope.engines.compiled import PackedCell, is_compiled
from rnnscope.engines.compiled.cells import COMPILED_CELLS
from rnnscope.engines.compiled.layout import Packing
from rnnscope.engines.compiled.tile import Tile
from rnnscope.engines.fast_engine import run_fast
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.model.cells import CELLS
from rnnscope.model.layers import Dense

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

from rnnscope.engines.compiled import compiled_steps, panels

ULP = {"lstm": 4, "gru": 4, "simple_rnn": 4, "coupled_lstm": 4, "layer_norm_lstm": 40}
"""The most that a value may be away from the reference: units in the last place of the largest.
Normalising divides by what is left of a variance, which makes rounding larger than the sums are."""

TILES = [Tile(16, 8, 32), Tile(8, 6, 16), Tile(4, 6, 32), Tile(8, 3, 8)]
LENGTHS = np.array([7, 3, 0, 7, 1, 5, 2, 7, 7])
PREFIX = np.arange(7) < LENGTHS[:, None]
HOLES = np.random.default_rng(1).random((9, 7)) < 0.6
HOLES[2] = False
HOLES[3] = True
MASKS = {"no mask": None, "lengths": PREFIX, "holes": HOLES}
WAYS = {
    "forward": {},
    "hold": {"padding": "hold"},
    "backward": {"backward": True},
    "backward, hold": {"backward": True, "padding": "hold", "in_input_order": False},
    "within": {"backward": True, "reversal": "within length"},
    "within, as processed": {
        "backward": True, "reversal": "within length", "padding": "hold", "in_input_order": False,
    },
    "no padding": {"padding": "none"},
}  # fmt: skip


def run(layer, x, mask=None, initial=None, *, gates=False, **how):
    lengths = prefix_lengths(mask)
    holes = mask if lengths is None else None
    packed = PackedCell(layer.cell, gates)
    return run_fast(layer, x, lengths, initial, prepared=packed, holes=holes, gates=gates, **how)


def arrays_of(states):
    yield "outputs", states.outputs
    for kind in ("states", "final", "initial", "gates"):
        for name, array in getattr(states, kind).items():
            yield f"{kind} {name}", array


def assert_near(expected, found, ulp):
    largest = max(1.0, *(np.abs(array).max(initial=0) for array in expected.states.values()))
    unit = np.spacing(expected.m.dtype.type(largest))
    wanted = dict(arrays_of(expected))
    assert wanted.keys() == dict(arrays_of(found)).keys()
    for name, array in arrays_of(found):
        assert array.dtype == wanted[name].dtype
        assert array.shape == wanted[name].shape
        assert np.abs(array - wanted[name]).max(initial=0) / unit <= ulp, name


def assert_same(expected, found):
    wanted = dict(arrays_of(expected))
    for name, array in arrays_of(found):
        np.testing.assert_array_equal(array, wanted[name], err_msg=name)


def test_every_cell_but_those_that_run_whole_is_compiled():
    assert COMPILED_CELLS.keys() == {name for name, cell in CELLS.items() if cell.run is None}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_it_computes_what_the_equations_say(name, dtype):
    """Over all masks, directions and paddings; whole, in threads, and with the gates kept."""
    rng = np.random.default_rng(5)
    cell = cell_of(rng, name, 5, 19, dtype)
    x = rng.standard_normal((9, 7, 5)).astype(dtype)
    initial = states_for(rng, cell, 9)
    with ThreadPoolExecutor(2) as pool:
        for way in WAYS.values():
            layer = layer_with(cell, **way)
            for mask in MASKS.values():
                expected = run_layer(layer, x, mask, initial, gates=True)
                found = run(layer, x, mask, initial, gates=True)
                assert_near(expected, found, ULP[cell.kind])
                assert_same(found, run(layer, x, mask, initial, gates=True, pool=pool, threads=2))
                without = run(layer, x, mask, initial)
                assert_same(replace(found, gates={}), without)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_bits_depend_on_no_cpu_no_batch_and_no_cut(name, dtype, monkeypatch):
    """However wide vectors are, whatever stands beside a sequence, wherever time is cut.

    Of the shapes of registers each cell takes two, one a dtype, beside that of this machine.
    """
    rng = np.random.default_rng(21)
    cell = cell_of(rng, name, 5, 67, dtype)
    layer = layer_with(cell, padding="hold")
    x, initial = rng.standard_normal((9, 7, 5)).astype(dtype), states_for(rng, cell, 9)
    whole = run(layer, x, HOLES, initial)
    for row in range(9):
        part = slice(row, row + 1)
        start = {state: array[part] for state, array in initial.items()}
        alone = run(layer, x[part], HOLES[part], start)
        for state, array in alone.states.items():
            np.testing.assert_array_equal(array[0], whole.states[state][row])
    state, held = initial, None
    for cut in (slice(0, 3), slice(3, 4), slice(4, 7)):
        piece = run(layer, x[:, cut], HOLES[:, cut], state, held=held)
        for one, array in piece.states.items():
            np.testing.assert_array_equal(array, whole.states[one][:, cut])
        state, held = piece.final, piece.outputs[:, -1]
    other = TILES[(list(CASES).index(name) + 2 * (dtype == "float64")) % 4]
    monkeypatch.setattr(panels, "tile", lambda: other)
    assert_same(whole, run(layer, x, HOLES, initial))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("places", [1, 3])
def test_cutting_work_into_chunks_and_calls_changes_no_bit(name, places, monkeypatch):
    rng = np.random.default_rng(23)
    cell = cell_of(rng, name, 5, 19)
    layer = layer_with(cell, backward=True)
    x = rng.standard_normal((9, 7, 5)).astype(cell.dtype)
    for mask in (PREFIX, HOLES):
        whole = run(layer, x, mask)
        bias = sum(one.bias.nbytes for one in PackedCell(cell).panels.products)
        with monkeypatch.context() as patch:
            patch.setattr(compiled_steps, "PROJECTION_BYTES", places * bias)
            assert_same(whole, run(layer, x, mask))
            patch.setattr(compiled_steps, "PLACES", 2 * places)
            assert_same(whole, run(layer, x, mask))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_cutting_the_depth_of_panels_changes_no_bit(name, dtype, monkeypatch):
    """Blocks of some rows, with one more in the first ones, and of one row each."""
    rng = np.random.default_rng(27)
    cell = cell_of(rng, name, 37, 67, dtype)
    layer = layer_with(cell)
    x, initial = rng.standard_normal((9, 5, 37)).astype(dtype), states_for(rng, cell, 9)
    whole = run(layer, x, HOLES[:, :5], initial)
    for size in (4096, 1024, 1):
        monkeypatch.setattr(panels, "BLOCK_BYTES", size)
        assert_same(whole, run(layer, x, HOLES[:, :5], initial))


def test_small_panels_are_not_cut_and_deep_ones_are():
    deep = np.zeros((3, 2, 1100, 2, 8), np.float32)
    assert panels._blocks(deep[:, :, :512]) == 1
    assert panels._blocks(deep) == 3
    assert panels._blocks(deep[:, :, :0]) == 1


@pytest.mark.parametrize(("tile", "units"), [(TILES[0], 17), (TILES[1], 5), (TILES[3], 40)])
@pytest.mark.parametrize("name", CASES)
def test_nothing_is_written_but_the_steps_that_count(name, tile, units, monkeypatch):
    """Not past the last unit of a panel, not past a length, not before or behind the arrays."""
    from rnnscope.engines.step_order import order_of

    monkeypatch.setattr(panels, "tile", lambda: tile)
    rng = np.random.default_rng(24)
    cell = cell_of(rng, name, 3, units)
    layer = layer_with(cell)
    x, before = rng.standard_normal((9, 7, 3)).astype("float32"), states_for(rng, cell, 9)
    guard, mark = 64, np.float32(123456)
    memory, views = {}, {}
    widths = {**CELLS[cell.kind].widths(cell), **dict.fromkeys(CELLS[cell.kind].gates, units)}
    for array, width in widths.items():
        size = 9 * 7 * width
        memory[array] = np.full(size + 2 * guard, mark)
        views[array] = memory[array][guard : guard + size].reshape(9, 7, width)
    order = order_of(layer, None, 9, 7, HOLES)
    packed = PackedCell(cell, gates=True)
    compiled_steps.CompiledSteps(packed, order, x, before, views, views).run()
    for array, whole in memory.items():
        assert (whole[:guard] == mark).all()
        assert (whole[-guard:] == mark).all()
        assert (views[array][~HOLES] == mark).all()
        assert (views[array][HOLES] != mark).all()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_errors_from_the_true_states_are_as_small_as_the_references(name, dtype):
    """Not only near the reference: both are away from what twice the digits give."""
    if dtype == "float64" and np.finfo(np.longdouble).nmant < 60:
        pytest.skip("numpy has no wider floats here")
    rng = np.random.default_rng(25)
    cell = cell_of(rng, name, 64, 48, dtype)
    layer = layer_with(cell)
    x = rng.standard_normal((8, 40, 64)).astype(dtype)
    wide = np.float64 if dtype == "float32" else np.longdouble
    exact = {
        part.name: array.astype(wide)
        for part in fields(cell.weights)
        if (array := getattr(cell.weights, part.name)) is not None
    }
    true_cell = replace(cell, weights=type(cell.weights)(**exact))
    true = run_layer(replace(layer, cell=true_cell), x.astype(wide))
    reference, found = run_layer(layer, x), run(layer, x)
    for state, array in true.states.items():
        far = [np.sqrt(np.mean((made.states[state] - array) ** 2)) for made in (reference, found)]
        assert far[1] <= 1.5 * far[0]


@settings(max_examples=40, deadline=None)
@given(case=st.data())
def test_shapes_do_not_matter(case):
    """Any number of sequences, timesteps, features and units; one is where special cases begin."""
    name = case.draw(st.sampled_from(["lstm, everything", "gru, reset before", "rnn", "layer norm",
                                      "gru, reset after, two biases", "coupled"]))  # fmt: skip
    sequences = case.draw(st.sampled_from([1, 2, 3, 6, 7, 17]))
    timesteps = case.draw(st.integers(1, 30))
    units = case.draw(st.sampled_from([3, 5, 8, 16, 33, 64, 129]))
    dtype = case.draw(st.sampled_from(["float32", "float64"]))
    rng = np.random.default_rng(case.draw(st.integers(0, 2**32 - 1)))
    cell = cell_of(rng, name, case.draw(st.integers(1, 9)), units, dtype)
    layer = layer_with(cell, **case.draw(st.sampled_from(list(WAYS.values()))))
    x = rng.standard_normal((sequences, timesteps, cell.input_size)).astype(dtype)
    mask = rng.random((sequences, timesteps)) < case.draw(st.sampled_from([0.2, 0.9, 1.0]))
    with ThreadPoolExecutor(2) as pool:
        found = run(layer, x, mask, pool=pool, threads=2)
    assert_near(run_layer(layer, x, mask), found, 3 * ULP[cell.kind])


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_finite_stays_in_its_sequence(name):
    rng = np.random.default_rng(9)
    cell = cell_of(rng, name, 3, 8)
    layer = layer_with(cell)
    x = rng.standard_normal((6, 7, 3)).astype("float32")
    x[-1, 4, 1] = np.nan
    expected, found = run_layer(layer, x), run(layer, x)
    for state, array in found.states.items():
        np.testing.assert_array_equal(np.isnan(array), np.isnan(expected.states[state]))
    assert np.isnan(found.m[-1, 4:]).any()


def test_a_wrapper_stands_behind_the_compiled_steps():
    """An output projection around a GRU, with padding behind it."""
    rng = np.random.default_rng(10)
    cell = cell_of(rng, "gru, reset before", 5, 19)
    dense = Dense(rng.standard_normal((19, 4)).astype("float32"), np.ones(4, np.float32))
    for way in WAYS.values():
        layer = layer_with(cell, wrapper=(dense,), **way)
        x = rng.standard_normal((9, 7, 5)).astype("float32")
        for mask in MASKS.values():
            assert_near(run_layer(layer, x, mask), run(layer, x, mask), 8)


def test_the_engine_of_a_layer_takes_masks_with_holes_and_keeps_gates():
    rng = np.random.default_rng(11)
    cell = cell_of(rng, "gru, reset after", 5, 19)
    layer = layer_with(cell, padding="hold")
    x = rng.standard_normal((9, 7, 5)).astype("float32")
    engine = LayerEngine(layer, engine="compiled", gates=True)
    assert engine.name == "compiled"
    found = engine.run(x, HOLES, None)
    assert_near(run_layer(layer, x, HOLES, gates=True), found, 4)


def test_other_cells_are_compiled_from_less_work_on_since_the_reference_is_slower():
    layer = layer_with(cell_of(np.random.default_rng(12), "gru, reset after", 3, 4))
    enough = COMPILING_PAYS_FROM["reference"]
    assert enough < COMPILING_PAYS_FROM["numpy"]
    assert LayerEngine(layer, work=enough - 1).name == "reference"
    assert LayerEngine(layer, work=enough).name == "compiled"


def test_the_reference_takes_the_batch_in_parts():
    """Masks, starts and what is held go with their sequences."""
    rng = np.random.default_rng(14)
    cell = cell_of(rng, "gru, reset after", 5, 1024)
    x, initial = rng.standard_normal((9, 7, 5)).astype("float32"), states_for(rng, cell, 9)
    held = initial["m"] + 1
    layer = layer_with(cell, padding="hold")
    with ThreadPoolExecutor(2) as pool:
        engine = LayerEngine(layer, engine="reference", threads=2, pool=pool, gates=True)
        found = engine.run(x, HOLES, None, initial, held)
    assert_near(run_layer(layer, x, HOLES, initial, held=held, gates=True), found, 4)


def test_what_is_not_compiled_is_left_to_the_reference():
    cell = cell_of(np.random.default_rng(12), "rnn", 3, 4, activation="softmax")
    assert not is_compiled(cell)
    assert LayerEngine(layer_with(cell), engine="compiled").name == "reference"


WIDE, NARROW = Tile(16, 8, 32), Tile(8, 6, 16)


@pytest.mark.parametrize(
    ("gates", "width", "tile", "rows", "blocks"),
    [
        (4, 256, WIDE, 6, 1), (4, 256, WIDE, 1, 2), (4, 48, WIDE, 1, 2), (4, 256, NARROW, 1, 2),
        (3, 64, WIDE, 6, 1), (3, 64, NARROW, 6, 2), (1, 64, WIDE, 6, 4), (1, 80, WIDE, 6, 2),
        (1, 8, WIDE, 6, 1), (2, 128, WIDE, 6, 2),
    ],
)  # fmt: skip
def test_panels_are_full_and_sums_do_not_wait(gates, width, tile, rows, blocks):
    packing = Packing.of(gates, width, tile, rows)
    assert packing.blocks == blocks
    assert packing.panels * packing.blocks * tile.lanes >= width


@pytest.mark.parametrize("name", CASES)
def test_how_weights_are_packed_changes_no_bit(name):
    rng = np.random.default_rng(13)
    cell = cell_of(rng, name, 5, 131)
    x = rng.standard_normal((1, 7, 5)).astype("float32")
    few, many = (
        run_fast(layer_with(cell), x, prepared=PackedCell(cell, sequences=sequences))
        for sequences in (1, 32)
    )
    assert_same(few, many)
