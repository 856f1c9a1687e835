"""Keep peers from vectors wider than AVX2's, as on the machines of most people.

Each holds for the process that calls it, from then on; a peer that is loaded already is too late.
What torch, oneDNN and MKL are told stands in their manuals. ONNX Runtime takes no such word: it
asks the CPU. So a copy of its library is loaded in which one question, whether the system saves
the registers of AVX-512 (``xgetbv``), is answered with no. Nothing else of it is touched, and
`gigaflops` of `peers` shows that it works.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from pathlib import Path
from typing import Any

TOLD = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2"}  # fmt: skip
"""What torch and what it calls are told."""

QUESTION = b"\x31\xc9\x0f\x01\xd0"  # xor ecx, ecx; xgetbv
ANSWER = b"\x31\xc9\xb0\x07\x90"  # xor ecx, ecx; mov al, 7; nop: x87, SSE and AVX are saved

BINDINGS = "onnxruntime.capi.onnxruntime_pybind11_state"


def hold_rnnscope() -> None:
    """Compiled steps for a CPU without AVX-512."""
    from rnnscope.engines.compiled import cpu

    features = [feature.replace("+avx512", "-avx512") for feature in cpu._features().split(",")]
    cpu._features = lambda: ",".join(features)
    cpu.tile.cache_clear()


def hold_torch() -> None:
    """Torch and the libraries it calls."""
    os.environ.update(TOLD)


def hold_onnxruntime() -> None:
    """ONNX Runtime, by a copy of its library that lies about AVX-512."""
    if BINDINGS in sys.modules:
        raise RuntimeError("onnxruntime is loaded already")
    package = importlib.util.find_spec("onnxruntime")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("No module named 'onnxruntime'")
    [library] = Path(package.origin).parent.glob("capi/onnxruntime_pybind11_state*")
    code = library.read_bytes()
    if QUESTION not in code:
        raise RuntimeError(f"{library.name} asks the CPU in another way than is known")
    copy = Path(tempfile.mkdtemp(), library.name)
    copy.write_bytes(code.replace(QUESTION, ANSWER))
    sys.meta_path.insert(0, _Copied(copy))
    importlib.import_module(BINDINGS)
    shutil.rmtree(copy.parent)  # loaded, it needs no name


class _Copied:
    """Finds the copy in place of the library."""

    def __init__(self, copy: Path) -> None:
        self._copy = copy

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != BINDINGS:
            return None
        loader = ExtensionFileLoader(name, str(self._copy))
        return importlib.util.spec_from_file_location(name, self._copy, loader=loader)
