"""Reading an input takes the memory of a slice, whatever the size of its file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SEQUENCES, TIMESTEPS, FEATURES = 4096, 100, 256  # 400 MiB
# ru_maxrss would not do: it begins with the peak of the process that started this one.
READ = r"""
import re, sys
from rnnscope.inputs import open_input
form, path, batches = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open_input(path, time_major=form == "time major") as source:
    for first in range(0, batches * 64, 64):
        if form == "one sequence":
            source.read(steps=slice(first * 100, (first + 64) * 100))
        else:
            source.read(slice(first, first + 64))
print(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1])
"""


def peak(form: str, path: Path, batches: int) -> int:
    """Peak memory, in KiB, of a process that reads so many batches of 6 MiB."""
    done = subprocess.run(
        [sys.executable, "-c", READ, form, str(path), str(batches)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc for the peak")
@pytest.mark.parametrize("form", ["sequence first", "time major", "one sequence", "npz"])
def test_peak_memory_is_that_of_a_slice(tmp_path: Path, form: str) -> None:
    """Within 5 % from 2 to 64 slices; the file is one big hole, and costs no room on the disk."""
    shape = {
        "time major": (TIMESTEPS, SEQUENCES, FEATURES),
        "one sequence": (SEQUENCES * TIMESTEPS, FEATURES),
    }.get(form, (SEQUENCES, TIMESTEPS, FEATURES))
    path = tmp_path / "x.npy"
    np.lib.format.open_memmap(path, "w+", np.float32, shape)
    if form == "npz":
        np.savez(tmp_path / "x.npz", x=np.load(path, mmap_mode="r"))
        path = tmp_path / "x.npz"
    few, many = peak(form, path, 2), peak(form, path, 64)
    assert many <= few * 1.05
    assert many < 200_000  # the array alone is 400 MiB
