"""What no layer needs is not read: peak memory of a process over a file with a large table.

The files are those of ``tests/benchmarks/reading.py``. Memory is measured from outside, of children
that open a file with a small table and one with a large one; they may differ by a third of what
the table takes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "tests/benchmarks"
LARGE_MB = 32
OPEN = "import sys, rnnscope; rnnscope.open_model(sys.argv[1], **eval(sys.argv[2]))"
SLOW = (
    ".keras, compressed", "frozen graph", "TensorFlow Lite", "TensorFlow Lite, float16",
    "TensorFlow Lite, int8", "TensorFlow.js graph", "TensorFlow.js graph, uint8",
)  # fmt: skip
KINDS = (
    "msgpack", "npz, compressed", "npy of objects", "pickle of arrays", "Paddle .pdparams", "ONNX",
    "ONNX, lists of floats", "ONNX, float16", "ONNX, int8", "Core ML",
    "Core ML, 4 bits",
    *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW),
)  # fmt: skip

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="memory is counted by wait4")


def peak_mb(path, options):
    """Of a process that opens a file."""
    launcher = [sys.executable, str(BENCHMARKS / "launcher.py"), sys.executable, "-c", OPEN]
    done = subprocess.run(
        [*launcher, str(path), str(options)], check=True, capture_output=True, text=True, cwd=ROOT
    )
    _, _, found, failure = json.loads(done.stdout)
    assert not failure, failure
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_that_nobody_needs_takes_no_memory(tmp_path, monkeypatch, kind):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from model_files import writers
    from model_files.interface import WIDTH

    taken = []
    for number, mb in enumerate((0.1, LARGE_MB)):
        folder = tmp_path / str(number)
        folder.mkdir()
        rows = int(mb * 2**20) // (4 * WIDTH)
        written = writers()[kind](folder / "model", 1, rows)
        taken.append(peak_mb(written.path, dict(written.options)))
    assert taken[1] - taken[0] < LARGE_MB / 3, f"{taken} MB"
