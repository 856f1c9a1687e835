"""A process timed from outside: seconds, and the peak of its memory as the system counts it.

A child's peak begins with that of the process that starts it. So this module imports no numpy, and
who measures memory with it should import none either: call it as a program in a process of its own,

    python tests/benchmarks/launcher.py COMMAND …

which prints both and the exit code as JSON; `measured` does so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple


class Taken(NamedTuple):
    """What a process took; `failure` says why it failed, if it did.

    Attributes
    ----------
    seconds, processor : float
        From start to end, and on all processors together: the latter tells more where others use
        the machine.
    peak_mb : float
    failure : str
    """

    seconds: float
    processor: float
    peak_mb: float
    failure: str


def timed(command: Sequence[str]) -> Taken:
    """Run a process."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=env
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        last = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
    unit = 1e6 if sys.platform == "darwin" else 1e6 / 1024
    failure = f"exit code {process.returncode}: {last}"[:160] if process.returncode else ""
    processor = usage.ru_utime + usage.ru_stime
    return Taken(seconds, processor, usage.ru_maxrss / unit, failure)


def measured(command: Sequence[str]) -> Taken:
    """`timed` by a small process, for those who are large themselves."""
    done = subprocess.run(
        [sys.executable, __file__, *command], check=True, capture_output=True, text=True
    )
    return Taken(*json.loads(done.stdout))


if __name__ == "__main__":
    print(json.dumps(timed(sys.argv[1:])))
