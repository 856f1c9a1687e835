"""Machine code in memory, and its functions as those of Python."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnnscope.engines.compiled.image import unpack
from rnnscope.engines.own_processor import free_to_move
from rnnscope.engines.workspace import address
from rnnscope.errors import EngineError, spell
from rnnscope.model.cell import Array


class LoadedCode:
    """Machine code in memory, whose functions can be called.

    Parameters
    ----------
    code : bytes
        What `machine_code` returned on this machine.
    """

    def __init__(self, code: bytes) -> None:
        image = unpack(code)
        self._memory: Any
        if image is None:
            self._memory, self._address = _loaded_by_llvm(code)
            return
        functions, content = image
        self._memory, start = _executable(content)
        self._address = lambda name: start + functions[name]

    def function(self, name: str) -> Callable[[int], None]:
        """A function of one address; while it runs, Python's global lock is free."""
        function: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self._address(name))
        function.memory = self._memory  # which goes when nothing holds it
        return function  # type: ignore[no-any-return]


def _executable(content: bytes) -> tuple[mmap.mmap, int]:
    """Memory that holds these bytes and is run, no longer written; and its address.

    Raises
    ------
    EngineError
        The system lets no memory be run.
    """
    memory = mmap.mmap(-1, len(content), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.write(content)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    system, run = ctypes.CDLL(None, use_errno=True), mmap.PROT_READ | mmap.PROT_EXEC
    if system.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(len(content)), run):
        raise EngineError(
            "Machine code cannot be run here.",
            expected="a system that lets memory which was written be run",
            found=os.strerror(ctypes.get_errno()),
            hint=f"{spell('engine')} numpy runs none",
        )
    return memory, start


def _loaded_by_llvm(code: bytes) -> tuple[Any, Callable[[str], int]]:
    """What holds the code of an object file, and what finds its functions."""
    import llvmlite.binding as llvm

    from rnnscope.engines.compiled.cpu import machine

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine())  # owns the code
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine, engine.get_function_address


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
                memory[place] = address(value)
            else:
                memory[place] = value

    def new_table(self) -> Array:
        """Memory for a table."""
        return np.zeros(len(self._table), np.int64)

    def steps(self, memory: Array) -> None:
        """Run the steps that a table says."""
        table = address(memory)
        free_to_move()
        self._steps(table)
