"""The machine code of a kind of cell: as it was kept, or written anew.

What writes it, `kernel_code` and all that this needs, is loaded only then.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from threading import Lock

from rnnscope.engines.compiled import code_cache
from rnnscope.engines.compiled.cpu import machine_code, target
from rnnscope.engines.compiled.layout import KernelKind
from rnnscope.engines.compiled.loaded_code import Compiled
from rnnscope.engines.compiled.tile import Tile

_one_at_a_time = Lock()


def compiled(kind: KernelKind, tile: Tile) -> Compiled:
    """The function ``steps`` for a kind of cell, compiled once in a process.

    Parameters
    ----------
    kind : KernelKind
    tile : Tile
        Lanes of the cell's own kind of numbers.
    """
    with _one_at_a_time:  # threads that ask for the same wait for the first
        return _compiled(kind, tile)


@cache
def _compiled(kind: KernelKind, tile: Tile) -> Compiled:
    sources = sorted(map(str, Path(__file__).parent.rglob("*.py")))
    name = code_cache.name(repr((kind, tile)), target(), sources=sources)
    code = code_cache.load(name)
    if code is None:
        from rnnscope.engines.compiled.kernel_code import module_of

        code = machine_code(module_of(kind, tile))
        code_cache.save(name, code)
    return Compiled(code, kind.table(), kind.dtype)
