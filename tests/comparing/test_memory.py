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


@pytest.mark.slow
@pytest.mark.parametrize("changed", [False, True])
def test_two_large_files_in_under_500_mb(tmp_path, changed):
    """2.4 GB a side; what is kept beside a block does not depend on the size."""
    shape = (2400, 250, 1000)
    for name in "ab":
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        with (tmp_path / f"{name}.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for row in range(shape[0]):
                values = np.full(shape[1:], row % 7 / 10, np.float32)
                if changed and name == "b" and row == shape[0] - 1:
                    values[-1, -1] += 0.5
                file.write(values.tobytes())
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, "diff", f"{tmp_path}/a.npy", f"{tmp_path}/b.npy",
         "--format", "json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    measured = json.loads(done.stderr)
    assert measured["code"] == int(changed)
    assert measured["peak"] < 500e6
    if changed:
        found = json.loads(done.stdout)["layers"][0]["arrays"][0]
        assert found["first"]["place"] == [2399, 249, 999]
        assert found["exceed"] == 1
