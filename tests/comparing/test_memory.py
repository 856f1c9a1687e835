"""Two traces of any size are compared in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux",
    reason="the peak of memory is read from /proc, which Linux alone has",
)

MEASURE = textwrap.dedent(
    """
    import json, re, sys
    from pathlib import Path
    from rnnscope.cli.main import run
    code = run(sys.argv[1:])
    # Unlike ru_maxrss this is not inherited from the process that started this one.
    peak = int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
    print(json.dumps({"code": code, "peak": peak}), file=sys.stderr)
    """
)


SIDE_BYTES = 600 * 10**6
"""More than a comparison may hold, so that one which reads a side whole is seen."""


def diff(folder):
    """What the command says of ``a.npy`` and ``b.npy``, how it ends, and its peak of memory."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, "diff", f"{folder}/a.npy", f"{folder}/b.npy",
         "--format", "json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    measured = json.loads(done.stderr)
    return json.loads(done.stdout), measured["code"], measured["peak"]


@pytest.mark.slow
def test_two_files_larger_than_the_memory_that_is_used(tmp_path):
    """Equal ones, and such as differ in their last number."""
    sequence = (250, 1000)
    shape = (SIDE_BYTES // (4 * 250 * 1000), *sequence)
    for name in "ab":
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        with (tmp_path / f"{name}.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for row in range(shape[0]):
                file.write(np.full(sequence, row % 7 / 10, np.float32).tobytes())
    _, code, peak = diff(tmp_path)
    assert code == 0
    assert peak < SIDE_BYTES / 2
    np.load(tmp_path / "b.npy", mmap_mode="r+")[-1, -1, -1] += 0.5
    report, code, peak = diff(tmp_path)
    assert code == 1
    assert peak < SIDE_BYTES / 2
    found = report["layers"][0]["arrays"][0]
    assert found["first"]["place"] == [599, 249, 999]
    assert found["exceed"] == 1
