"""Images of machine code: linked once, run wherever they lie, refused where a linker is needed."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cell_cases import CASES, cell_of

from rnnscope.engines.compiled import code_cache, cpu, image, kernel_code
from rnnscope.engines.compiled.layout import kind_of
from rnnscope.engines.compiled.loaded_code import LoadedCode
from rnnscope.errors import EngineError

ir = pytest.importorskip("llvmlite.ir", reason="llvmlite is not installed")
linked = pytest.mark.skipif(not cpu.IS_LINKED, reason="LLVM loads the code on such a machine")

LONG = ir.IntType(64)
KIND = ir.FunctionType(ir.VoidType(), [LONG.as_pointer()])
SAMPLE = Path(__file__).parents[2] / "sample_data/lstm_float64"


def written(body):
    """A module with one function ``main`` of an array of whole numbers."""
    module = ir.Module("test")
    function = ir.Function(module, KIND, "main")
    builder = ir.IRBuilder(function.append_basic_block())
    body(module, builder, function.args[0])
    builder.ret_void()
    return module


def adds_a_table(module, builder, array):
    """``array[0] = table[array[0]]``, a constant beside the code."""
    values = ir.Constant(ir.ArrayType(LONG, 4), [10, 20, 30, 40])
    table = ir.GlobalVariable(module, values.type, "table")
    table.initializer, table.global_constant, table.linkage = values, True, "internal"
    place = builder.load(array)
    builder.store(builder.load(builder.gep(table, [LONG(0), place])), array)


def calls_out(module, builder, array):
    """A function of another library."""
    other = ir.Function(module, ir.FunctionType(LONG, [LONG]), "labs")
    builder.store(builder.call(other, [builder.load(array)]), array)


def writes_its_own(module, builder, array):
    """A counter of the module itself."""
    counter = ir.GlobalVariable(module, LONG, "counter")
    counter.initializer = LONG(5)
    value = builder.add(builder.load(counter), builder.load(array))
    builder.store(value, counter)
    builder.store(value, array)


def keeps_nothing_yet(module, builder, array):
    """Memory that begins as zeros, and is in no file."""
    memory = ir.GlobalVariable(module, LONG, "memory")
    memory.initializer = LONG(0)
    builder.store(builder.add(builder.load(memory), builder.load(array)), array)
    builder.store(LONG(0), memory)


def run(code, value):
    array = np.array([value], np.int64)
    LoadedCode(code).function("main")(array.ctypes.data)
    return array[0]


@linked
def test_an_image_reads_the_constants_that_stand_beside_its_code():
    made = cpu.machine_code(written(adds_a_table))
    functions, code = image.unpack(made)
    assert list(functions) == ["main"]
    assert len(made) - len(code) == -(-(len(made) - len(code)) // image.ALIGNMENT) * image.ALIGNMENT
    assert [run(made, number) for number in range(4)] == [10, 20, 30, 40]


@pytest.mark.parametrize(
    ("body", "given", "result"),
    [(calls_out, -3, 3), (writes_its_own, 4, 9), (keeps_nothing_yet, 4, 4)],
)
def test_what_needs_more_than_distances_is_loaded_by_llvm(body, given, result):
    """It runs all the same."""
    made = cpu.machine_code(written(body))
    assert image.unpack(made) is None
    assert run(made, given) == result


@linked
def test_code_that_may_not_be_moved_is_not_linked():
    """Addresses in it are the loader's to fill in."""
    fixed = cpu.object_file(written(adds_a_table))
    assert image.link(fixed) is None
    assert run(fixed, 2) == 30


@linked
@pytest.mark.parametrize("size", [0, 5, 63, 64, 200, -1000])
def test_a_cut_object_file_is_not_linked(size):
    whole = cpu.object_file(written(adds_a_table), movable=True)
    assert image.link(whole) is not None
    assert image.link(whole[:size]) is None
    assert image.link(b"\0" + whole[1:]) is None


@linked
@pytest.mark.parametrize("name", CASES)
def test_every_cell_is_an_image(name):
    """What LLVM adds one day, a call or a table of addresses, would cost every start 30 ms."""
    tile = cpu.tile()
    for dtype in ("float32", "float64"):
        cell = cell_of(np.random.default_rng(0), name, 3, 20, dtype)
        own = tile.of(cell.dtype.itemsize)
        module = kernel_code.module_of(kind_of(cell, own, gates=True, rows=6), own)
        functions, code = image.unpack(cpu.machine_code(module))
        assert 0 <= functions["steps"] < len(code)


@linked
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the system lists no memory")
def test_no_memory_is_written_and_run_at_once():
    code = LoadedCode(cpu.machine_code(written(adds_a_table)))
    address = code._address("main")
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, _, last = line.split()[0].partition("-")
        if int(first, 16) <= address < int(last, 16):
            assert line.split()[1] == "r-xp"
            break
    else:
        pytest.fail("the code lies nowhere")


@linked
def test_a_system_that_lets_no_memory_be_run_is_told(monkeypatch):
    """As where a policy forbids it; what runs without is named."""
    monkeypatch.setattr(mmap, "PROT_EXEC", 1 << 24)  # which no system knows
    with pytest.raises(EngineError, match="Machine code cannot be run here") as told:
        LoadedCode(cpu.machine_code(written(adds_a_table)))
    assert "engine" in told.value.hint
    assert "numpy" in told.value.hint


TELLS = """
import sys
import rnnscope
with rnnscope.run({model!r}, {x!r}, engine="compiled") as trace:
    print(trace.report.engine, "llvmlite" in sys.modules)
"""


@linked
def test_kept_code_needs_no_llvm(tmp_path):
    """The first process makes it; the next finds it, and what LLVM said of the CPU."""
    files = {"model": str(SAMPLE / "model.ckpt"), "x": str(SAMPLE / "inputs.npz")}
    env = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    said = [
        subprocess.run(
            [sys.executable, "-c", TELLS.format(**files)],
            capture_output=True, check=True, text=True, env=env,
        ).stdout
        for _ in range(2)
    ]  # fmt: skip
    assert said == ["compiled True\n", "compiled False\n"]


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """How often LLVM is asked of the CPU, which `listing` describes."""
    times = []
    ask = cpu._ask_llvm
    monkeypatch.setattr(cpu, "_ask_llvm", lambda: times.append(1) or ask())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cpu, "CPU_LISTING", tmp_path / "cpuinfo")
    monkeypatch.setattr(code_cache, "own_place", lambda _: True)

    def count(listing):
        if listing is not None:
            (tmp_path / "cpuinfo").write_text(listing)
        cpu._target.cache_clear()
        assert cpu._target() == ask()
        return len(times)

    yield count
    cpu._target.cache_clear()


LISTING = (
    "processor\t: 0\nmodel name\t: A\nstepping\t: 1\nflags\t\t: sse avx\n\nprocessor\t: 1\n"
    "model name\t: B\nflags\t\t: sse\n\n"
)


def test_llvm_is_asked_again_where_the_cpu_is_another(asked):
    """The clock changes all the time, what a CPU can do does not."""
    assert asked(LISTING) == 1
    assert asked(LISTING) == 1
    assert asked(LISTING.replace("processor\t: 0", "processor\t: 0\ncpu MHz\t: 3700.5")) == 1
    assert asked(LISTING.replace("sse avx", "sse avx avx2")) == 2
    assert asked(LISTING.replace("stepping\t: 1", "stepping\t: 2")) == 3


@pytest.mark.parametrize(
    "listing", [None, "", "model name\t: A\n\n", "flags\t: cut off", "\xff\n\n"]
)
def test_llvm_is_asked_each_time_where_the_system_does_not_tell(asked, listing):
    assert [asked(listing), asked(listing)] == [1, 2]
