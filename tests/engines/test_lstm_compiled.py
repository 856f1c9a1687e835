"""The compiled steps: what they write, and that their bits depend on nothing but the numbers."""

from __future__ import annotations

import dataclasses
import platform
import re

import numpy as np
import pytest
from lstm_cases import CELLS, DIRECTIONS, make_initial, make_input, make_layer

from rnnscope.engines.lstm import FoldedLSTM, run_lstm
from rnnscope.engines.lstm.step_order import order_of
from rnnscope.engines.numpy_engine import run_layer

llvmlite = pytest.importorskip("llvmlite", reason="llvmlite is not installed")

from rnnscope.engines.lstm import compiled, cpu, kernel_code, panels  # noqa: E402
from rnnscope.engines.lstm.vectors import Tile  # noqa: E402

KNOWN = {
    name: cell
    for name, cell in CELLS.items()
    if FoldedLSTM(make_layer(np.random.default_rng(0), 2, 2, **cell).cell).compiles
}
TILES = [Tile(16, 6, 32), Tile(8, 6, 16), Tile(4, 6, 32), Tile(4, 6, 16), Tile(8, 3, 8)]


def same(one, other):
    for name in ("c", "m"):
        np.testing.assert_array_equal(one.states[name], other.states[name])
        np.testing.assert_array_equal(one.final[name], other.final[name])
    np.testing.assert_array_equal(one.outputs, other.outputs)


def test_most_cells_are_known():
    unknown = {"float64", "relu", "hard sigmoid", "hard sigmoid, peepholes", "linear output"}
    assert KNOWN.keys() == CELLS.keys() - unknown


@pytest.mark.parametrize("cell", KNOWN.values(), ids=KNOWN.keys())
@pytest.mark.parametrize("lengths", [None, [7, 3, 0, 7, 1, 5, 2, 7, 7]], ids=["all", "lengths"])
def test_the_bits_are_those_of_every_other_cpu(cell, lengths, monkeypatch):
    """However wide its vectors are, and however many rows it takes together."""
    rng = np.random.default_rng(21)
    layer = make_layer(rng, 5, 19, **cell)
    x, initial = make_input(rng, layer, 9, 7), make_initial(rng, layer, 9)
    lengths = None if lengths is None else np.array(lengths)
    made = []
    for tile in TILES:
        monkeypatch.setattr(panels, "tile", lambda tile=tile: tile)
        made.append(run_lstm(layer, x, lengths, initial, steps="compiled"))
    for other in made[1:]:
        same(made[0], other)


EVERYTHING = kernel_code.KernelKind(peepholes=True, cell_clip=True, projection=True)
FMA = re.compile(r"^\t(?:vfn?m(?:add|sub)\d+[ps]s|fml[as])\b", re.MULTILINE)


@pytest.mark.parametrize("tile", TILES, ids=str)
def test_every_operation_has_one_meaning(tile):
    """No flag lets LLVM join or reorder what another version or CPU would not."""
    text = str(kernel_code._module(EVERYTHING, tile))
    operations = re.findall(r"= (f(?:add|sub|mul|div|neg)) (.*)", text)
    assert {name for name, _ in operations} >= {"fadd", "fmul", "fdiv"}
    assert all(operands.startswith("<") for _, operands in operations)  # the type, no flag


@pytest.mark.parametrize(
    ("triple", "name", "tile"),
    [
        ("x86_64-linux-gnu", "haswell", Tile(8, 6, 16)),
        ("x86_64-linux-gnu", "znver4", Tile(16, 6, 32)),
        ("x86_64-linux-gnu", "skylake-avx512", Tile(16, 6, 32)),
        ("aarch64-linux-gnu", "generic", Tile(4, 6, 32)),
    ],
)
def test_cpus_with_fma_add_every_product_unrounded(triple, name, tile):
    llvm = pytest.importorskip("llvmlite.binding")
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple(triple)
    except RuntimeError:
        pytest.skip(f"this llvmlite writes no code for {triple}")
    module = kernel_code._module(EVERYTHING, tile)
    module.triple = triple
    text = str(module)
    asked_for = len(re.findall(r"call .*@\"?llvm\.fmuladd", text))
    made = target.create_target_machine(cpu=name, opt=3).emit_assembly(llvm.parse_assembly(text))
    assert len(FMA.findall(made)) == asked_for > 0


@pytest.mark.skipif(
    platform.machine().lower() in ("x86_64", "amd64") and "+fma" not in cpu._features().split(","),
    reason="the CPU has no FMA",
)
def test_a_product_is_added_unrounded():
    """(1 + 2**-12)**2 - (1 + 2**-11) is 2**-24, or 0 where the product is rounded first."""
    layer = make_layer(np.random.default_rng(26), 2, 1)
    weights = layer.cell.weights
    weights.kernel[:] = 0
    weights.bias[:] = [50, 0, 0, 50]  # i and o are open
    weights.kernel[:, 2] = [-1, 1 + 2**-12]  # g
    x = np.array([[[1 + 2**-11, 1 + 2**-12]]], np.float32)
    assert run_lstm(layer, x, steps="compiled").states["c"][0, 0, 0] == np.float32(2**-24)


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS.keys())
@pytest.mark.parametrize("cell", KNOWN.values(), ids=KNOWN.keys())
def test_a_sequence_has_the_bits_that_it_has_alone(cell, direction):
    rng = np.random.default_rng(22)
    layer = make_layer(rng, 5, 19, **cell, **direction)
    x, lengths = make_input(rng, layer, 9, 7), np.array([7, 3, 0, 7, 1, 5, 2, 7, 7])
    together = run_lstm(layer, x, lengths, steps="compiled")
    for row in range(9):
        alone = run_lstm(layer, x[row : row + 1], lengths[row : row + 1], steps="compiled")
        for name in ("c", "m"):
            np.testing.assert_array_equal(alone.states[name][0], together.states[name][row])


@pytest.mark.parametrize("cell", KNOWN.values(), ids=KNOWN.keys())
@pytest.mark.parametrize("places", [1, 3, 10])
def test_cutting_work_into_chunks_and_calls_changes_no_bit(cell, places, monkeypatch):
    rng = np.random.default_rng(23)
    layer = make_layer(rng, 5, 19, **cell)
    x, lengths = make_input(rng, layer, 4, 11), np.array([11, 3, 0, 8])
    whole = run_lstm(layer, x, lengths, steps="compiled")
    bias = FoldedLSTM(layer.cell).panels.bias
    monkeypatch.setattr(compiled, "PROJECTION_BYTES", places * bias.nbytes)
    same(whole, run_lstm(layer, x, lengths, steps="compiled"))
    monkeypatch.setattr(compiled, "PLACES", 2 * places)
    same(whole, run_lstm(layer, x, lengths, steps="compiled"))


@pytest.mark.parametrize("tile", TILES, ids=str)
@pytest.mark.parametrize("units", [1, 4, 7, 16, 17, 40])
@pytest.mark.parametrize("cell", KNOWN.values(), ids=KNOWN.keys())
def test_nothing_is_written_but_the_steps_that_count(cell, units, tile, monkeypatch):
    """Not past the last unit of a panel, not past a length, not before or behind the arrays."""
    monkeypatch.setattr(panels, "tile", lambda: tile)
    rng = np.random.default_rng(24)
    layer = make_layer(rng, 3, units, **cell)
    x, lengths = make_input(rng, layer, 4, 6), np.array([6, 2, 0, 5])
    before = {name: array.copy() for name, array in make_initial(rng, layer, 4).items()}
    guard, mark = 64, np.float32(123456)
    states, memory = {}, {}
    for name, first in before.items():
        size = 4 * 6 * first.shape[1]
        memory[name] = np.full(size + 2 * guard, mark)
        states[name] = memory[name][guard : guard + size].reshape(4, 6, -1)
    steps = compiled.CompiledSteps(
        FoldedLSTM(layer.cell), order_of(layer, lengths, 4, 6), x, before, states
    )
    steps.run()
    expected = run_layer(layer, x, np.arange(6) < lengths[:, None], before)
    for name, array in states.items():
        assert (memory[name][:guard] == mark).all()
        assert (memory[name][-guard:] == mark).all()
        for row, length in enumerate(lengths):
            assert (array[row, length:] == mark).all()
            found, wanted = array[row, :length], expected.states[name][row, :length]
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_errors_from_the_true_states_are_as_small_as_the_references():
    """Not only near the reference: both are away from float64, and one no more than the other."""
    rng = np.random.default_rng(25)
    layer = make_layer(rng, 256, 128)
    x = make_input(rng, layer, 32, 60)
    weights = layer.cell.weights
    exact = {
        part.name: array.astype(np.float64)
        for part in dataclasses.fields(weights)
        if (array := getattr(weights, part.name)) is not None
    }
    cell = dataclasses.replace(layer.cell, weights=type(weights)(**exact))
    true = run_layer(dataclasses.replace(layer, cell=cell), x.astype(np.float64))
    reference, found = run_layer(layer, x), run_lstm(layer, x, steps="compiled")
    for name in ("c", "m"):
        far = [np.sqrt(np.mean((made.states[name] - true.states[name]) ** 2))
               for made in (reference, found)]  # fmt: skip
        assert far[1] <= 1.25 * far[0]


def test_the_tile_is_one_that_is_tested():
    assert cpu.tile() in TILES


@pytest.mark.parametrize(
    ("rows", "registers", "together"), [(6, 32, 4), (1, 16, 4), (2, 16, 4), (3, 16, 2), (6, 16, 2),
                                        (3, 8, 1)],
)  # fmt: skip
def test_sums_stay_in_registers(rows, registers, together):
    assert Tile(8, rows, registers).vectors(rows) == together
