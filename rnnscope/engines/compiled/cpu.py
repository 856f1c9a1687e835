"""The CPU at hand: what suits it, and code for it in memory."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import llvmlite
import llvmlite.binding as llvm
import numpy as np

from rnnscope.engines.compiled.tile import Tile
from rnnscope.engines.own_processor import free_to_move
from rnnscope.model.cell import Array

if TYPE_CHECKING:  # loaded where code is written
    from llvmlite import ir


@cache
def tile() -> Tile:
    """What suits the CPU at hand: its widest vectors, and rows until its registers are full."""
    features = _features().split(",")
    if "+avx512f" in features:
        return Tile(lanes=16, rows=8, registers=32)
    if "+avx" in features:
        return Tile(lanes=8, rows=6, registers=16)
    is_arm = platform.machine().lower() in ("aarch64", "arm64")
    return Tile(lanes=4, rows=6, registers=32 if is_arm else 16)


def _features() -> str:
    """What the CPU at hand can do, as LLVM writes it: ``+avx,+fma,-sse4a``."""
    try:
        return str(llvm.get_host_cpu_features().flatten())
    except RuntimeError:  # LLVM does not tell on every system
        return ""


def _machine() -> llvm.TargetMachine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=_features(),
        opt=3,
    )


def target() -> str:
    """What machine code depends on beside what it is written from."""
    cpu = llvm.get_host_cpu_name(), _features()
    return repr((llvmlite.__version__, llvm.get_default_triple(), *cpu))


def machine_code(module: ir.Module) -> bytes:
    """A module for the CPU at hand, as an object file."""
    module.triple = llvm.get_default_triple()
    code: bytes = _machine().emit_object(llvm.parse_assembly(str(module)))
    return code


class LoadedCode:
    """An object file in memory, whose functions can be called.

    Parameters
    ----------
    code : bytes
        What `machine_code` returned on this machine.
    """

    def __init__(self, code: bytes) -> None:
        machine = _machine()
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)  # owns the code
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()

    def function(self, name: str) -> Callable[[int], None]:
        """A function of one address; while it runs, Python's global lock is free."""
        address = self._engine.get_function_address(name)
        function: Callable[[int], None] = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)
        return function


class Compiled:
    """The function ``steps`` of an object file, in memory.

    Calling it lets go of Python's global lock. It trusts that arrays are large enough.

    Parameters
    ----------
    code : bytes
        What `machine_code` returned on this machine.
    table : mapping of str to str
        What it is handed: ``"int"``, or an array of ``"ints"`` or ``"reals"``, by name, in order.
    dtype : str
        Of the reals.
    """

    def __init__(self, code: bytes, table: Mapping[str, str], dtype: str) -> None:
        self._code = LoadedCode(code)
        self._table = {name: (place, kind) for place, (name, kind) in enumerate(table.items())}
        self._dtypes = {"ints": np.dtype(np.int64), "reals": np.dtype(dtype)}
        self._steps = self._code.function("steps")

    def fill(self, memory: Array, values: Mapping[str, Any]) -> None:
        """Put some values, arrays by address, into the memory of a table."""
        for name, value in values.items():
            place, kind = self._table[name]
            if kind != "int":
                assert value.flags.c_contiguous, name
                assert value.dtype == self._dtypes[kind], name
                memory[place] = value.__array_interface__["data"][0]  # faster than `ctypes.data`
            else:
                memory[place] = value

    def new_table(self) -> Array:
        """Memory for a table."""
        return np.zeros(len(self._table), np.int64)

    def steps(self, memory: Array) -> None:
        """Run the steps that a table says."""
        address = memory.ctypes.data
        free_to_move()
        self._steps(address)
