"""The CPU at hand: what suits it, and machine code for it.

LLVM says what it can do. Its answer is kept (`code_cache`) under what the system says of the CPU:
to load LLVM only to ask would take longer than all else that kept code needs.
"""

from __future__ import annotations

import json
import platform
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rnnscope.engines.compiled import code_cache
from rnnscope.engines.compiled.image import link
from rnnscope.engines.compiled.tile import Tile

if TYPE_CHECKING:  # loaded where code is written
    import llvmlite.binding as llvm
    from llvmlite import ir

CPU_LISTING = Path("/proc/cpuinfo")
"""Where Linux tells of each processor."""

CPU_FACTS = frozenset({
    "vendor_id", "cpu family", "model", "model name", "stepping", "flags",
    "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features",
})  # fmt: skip
"""What of it is the same whenever it is asked."""

LISTING_BYTES = 8192
"""Enough for one processor; the system writes the list of hundreds only as far as it is read."""

IS_LINKED = sys.platform.startswith(("linux", "freebsd")) and platform.machine() in (
    "x86_64",
    "amd64",
)
"""Whether object files are what `link` knows; elsewhere LLVM loads them."""


class Target(NamedTuple):
    """What LLVM says of this machine.

    Attributes
    ----------
    llvmlite : str
        Its version.
    triple : str
        Of processor, vendor and system.
    cpu : str
    features : str
        ``+avx,+fma,-sse4a``; empty where LLVM does not tell.
    """

    llvmlite: str
    triple: str
    cpu: str
    features: str


@cache
def _target() -> Target:
    """What LLVM says, or what it said of the same CPU, system and version of LLVM."""
    told = _told_by_system()
    version = _llvmlite_version()
    if told is None or version is None:
        return _ask_llvm()
    name = code_cache.name("target", told, sources=[__file__, str(version)])
    kept = code_cache.load(name)
    if kept is not None:
        return Target(*json.loads(kept))
    found = _ask_llvm()
    code_cache.save(name, json.dumps(found).encode())
    return found


def _told_by_system() -> str | None:
    """The CPU at hand as Linux describes it; None where it does not."""
    try:
        with CPU_LISTING.open("rb") as file:
            text = file.read(LISTING_BYTES).decode()
    except (OSError, ValueError):
        return None
    facts = dict(line.partition(":")[::2] for line in text.partition("\n\n")[0].splitlines())
    known = {name.strip(): value for name, value in facts.items() if name.strip() in CPU_FACTS}
    if "\n\n" not in text or known.keys().isdisjoint({"flags", "Features"}):
        return None
    return repr((known, platform.release(), platform.machine()))


def _llvmlite_version() -> Path | None:
    """The file that llvmlite keeps its version in, found without importing it."""
    found = find_spec("llvmlite")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).with_name("_version.py")
    return path if path.is_file() else None


def _ask_llvm() -> Target:
    import llvmlite
    import llvmlite.binding as llvm

    try:
        features = str(llvm.get_host_cpu_features().flatten())
    except RuntimeError:  # LLVM does not tell on every system
        features = ""
    return Target(
        llvmlite.__version__, llvm.get_default_triple(), llvm.get_host_cpu_name(), features
    )


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
    return _target().features


def target() -> str:
    """What machine code depends on beside what it is written from."""
    return repr((*_target()[:3], _features()))


def machine(*, movable: bool = False) -> llvm.TargetMachine:
    """What makes code for the CPU at hand.

    Parameters
    ----------
    movable : bool
        Code that may lie anywhere in memory, as `link` takes it.
    """
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    more = {"reloc": "pic", "codemodel": "small"} if movable else {}
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=_target().cpu, features=_features(), opt=3, **more
    )


def object_file(module: ir.Module, *, movable: bool = False) -> bytes:
    """A module for the CPU at hand, as an object file."""
    import llvmlite.binding as llvm

    module.triple = llvm.get_default_triple()
    code: bytes = machine(movable=movable).emit_object(llvm.parse_assembly(str(module)))
    return code


def machine_code(module: ir.Module) -> bytes:
    """A module for the CPU at hand: an image where it can be linked to one, or an object file."""
    image = link(object_file(module, movable=True)) if IS_LINKED else None
    return image or object_file(module)
