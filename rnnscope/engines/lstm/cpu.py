"""The CPU at hand: what suits it, and code for it in memory."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Mapping
from functools import cache
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from rnnscope.engines.lstm.vectors import FLOAT, FLOATS, INT, INTS, Tile


@cache
def tile() -> Tile:
    """What suits the CPU at hand: its widest vectors, and rows until its registers are full."""
    features = _features().split(",")
    if "+avx512f" in features:
        return Tile(lanes=16, rows=6, registers=32)
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


class Compiled:
    """Functions of an object file, in memory.

    Calling one lets go of Python's global lock. What is called trusts that arrays are large enough.

    Parameters
    ----------
    code : bytes
        What `machine_code` returned on this machine.
    functions : mapping of str to mapping of str to ir.Type
        The arguments of those that can be called, by function.
    """

    def __init__(self, code: bytes, functions: Mapping[str, Mapping[str, ir.Type]]) -> None:
        machine = _machine()
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)  # owns the code
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self._arguments = dict(functions)
        self._functions = {
            name: ctypes.CFUNCTYPE(None, *(_IN_C[kind] for kind in arguments.values()))(
                self._engine.get_function_address(name)
            )
            for name, arguments in functions.items()
        }

    def call(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Call a function with named arguments; arrays are passed by address."""
        values = []
        for key, kind in self._arguments[name].items():
            value = arguments[key]
            if kind in _ELEMENTS:
                assert value.flags.c_contiguous, key
                assert value.dtype == _ELEMENTS[kind], key
                value = value.ctypes.data
            values.append(value)
        self._functions[name](*values)


_IN_C = {FLOATS: ctypes.c_void_p, INTS: ctypes.c_void_p, INT: ctypes.c_int64, FLOAT: ctypes.c_float}
_ELEMENTS = {FLOATS: np.float32, INTS: np.int64}
