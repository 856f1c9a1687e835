"""The machine code of compiled steps: one meaning of every operation, one rounding of every sum."""

from __future__ import annotations

import platform
import re

import numpy as np
import pytest
from cell_cases import CASES, cell_of
from lstm_cases import make_layer, run_lstm

from rnnscope.engines.compiled.layout import kind_of
from rnnscope.engines.compiled.tile import Tile

llvm = pytest.importorskip("llvmlite.binding", reason="llvmlite is not installed")

from rnnscope.engines.compiled import cpu, kernel_code  # noqa: E402

TILES = [Tile(16, 8, 32), Tile(8, 6, 16), Tile(4, 6, 32), Tile(4, 6, 16), Tile(8, 3, 8)]
FMA = re.compile(r"^\t(?:vfn?m(?:add|sub)\d+[ps][sd]|fml[as])\b", re.MULTILINE)


def code_of(name, tile, dtype="float32", machine="x86_64"):
    cell = cell_of(np.random.default_rng(0), name, 3, 20, dtype)
    tile = tile.of(cell.dtype.itemsize)
    return kernel_code.module_of(kind_of(cell, tile, gates=True, rows=6), tile, machine)


@pytest.mark.parametrize("name", CASES)
def test_every_operation_has_one_meaning(name):
    """No flag lets LLVM join or reorder what another version or CPU would not.

    The operations of a cell are the same on every shape of registers: each cell takes two.
    """
    place = list(CASES).index(name)
    for tile, dtype in ((TILES[place % 5], "float32"), (TILES[(place + 2) % 5], "float64")):
        text = str(code_of(name, tile, dtype))
        operations = re.findall(r"= (f(?:add|sub|mul|div|neg)) (.*)", text)
        assert {name for name, _ in operations} >= {"fadd"}
        assert all(operands.startswith("<") for _, operands in operations)  # the type, no flag


@pytest.mark.parametrize(
    ("triple", "name", "tile"),
    [
        ("x86_64-linux-gnu", "haswell", Tile(8, 6, 16)),
        ("x86_64-linux-gnu", "znver4", Tile(16, 8, 32)),
        ("x86_64-linux-gnu", "skylake-avx512", Tile(16, 8, 32)),
        ("aarch64-linux-gnu", "generic", Tile(4, 6, 32)),
    ],
)
@pytest.mark.parametrize("cell", ["lstm, everything", "gru, reset before"])
def test_cpus_with_fma_add_every_product_unrounded(cell, triple, name, tile):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple(triple)
    except RuntimeError:
        pytest.skip(f"this llvmlite writes no code for {triple}")
    module = code_of(cell, tile, machine=triple.partition("-")[0])
    module.triple = triple
    text = str(module)
    asked_for = len(re.findall(r"call .*@\"?llvm\.fmuladd", text))
    made = target.create_target_machine(cpu=name, opt=3).emit_assembly(llvm.parse_assembly(text))
    assert len(FMA.findall(made)) == asked_for > 0


@pytest.mark.skipif(
    platform.machine().lower() in ("x86_64", "amd64") and "+fma" not in cpu._features().split(","),
    reason="a CPU without FMA rounds products, as KERNEL.md says: its bits are its own",
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


def test_the_tile_is_one_that_is_tested():
    assert cpu.tile() in TILES


@pytest.mark.parametrize(
    ("rows", "registers", "together"), [(6, 32, 4), (1, 5, 4), (2, 16, 4), (3, 16, 2), (6, 16, 2),
                                        (3, 8, 1)],
)  # fmt: skip
def test_sums_stay_in_registers(rows, registers, together):
    assert Tile(8, rows, registers).vectors(rows, 4) == together
