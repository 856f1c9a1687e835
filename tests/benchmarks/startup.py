"""How long rnnscope takes from the shell, beside ``import tensorflow``: one run, alternating.

    python tests/benchmarks/startup.py [--repeat N] [--json FILE] [--check]

Every round runs each command once, so that whatever else the machine does falls on all of them.
Medians are compared. The time is that of the whole process, files in the page cache and modules
compiled, as from the second use of an installation on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data" / "lstm_float64"

HELP_SECONDS = 0.2
RUN_SECONDS = 0.6
RUN_OF_IMPORT = 0.25
"""Bars: seconds of ``--help`` and of ``run``, and the part of ``import tensorflow`` for ``run``."""


def commands(folder: Path) -> dict[str, list[str]]:
    """What is measured, by name; traces go to a folder."""
    rnnscope = [sys.executable, "-m", "rnnscope"]
    files = [str(SAMPLE / "model.ckpt"), str(SAMPLE / "inputs.npz")]
    trace = ["-o", str(folder / "trace.h5"), "--force"]
    return {
        "rnnscope --help": [*rnnscope, "--help"],
        "rnnscope run (sample)": [*rnnscope, "run", *files, *trace],
        "import tensorflow": [sys.executable, "-c", "import tensorflow"],
    }


def measure(repeat: int) -> dict[str, list[float]]:
    """Seconds of each command, ``repeat`` times, after one round that is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        todo = commands(Path(folder))
        seconds: dict[str, list[float]] = {name: [] for name in todo}
        for number in range(repeat + 1):
            for name, command in todo.items():
                taken = timed(command)
                if number:
                    seconds[name].append(taken)
    return seconds


def timed(command: list[str]) -> float:
    """Seconds that a command takes; it must succeed."""
    # Where this is set, a source tree would be compiled anew each time.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, env=env)
    return time.perf_counter() - started


def result(seconds: dict[str, list[float]]) -> dict[str, object]:
    """Medians, the ratio, and which bars were kept."""
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    help_, run, imported = medians.values()
    return {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "seconds": {name: [round(value, 4) for value in taken] for name, taken in seconds.items()},
        "median_seconds": {name: round(value, 4) for name, value in medians.items()},
        "run_of_import": round(run / imported, 4),
        "kept": {
            f"--help under {HELP_SECONDS} s": help_ < HELP_SECONDS,
            f"run under {RUN_SECONDS} s": run < RUN_SECONDS,
            f"run under {RUN_OF_IMPORT} of import tensorflow": run < RUN_OF_IMPORT * imported,
        },
    }


def table(seconds: dict[str, list[float]], found: dict[str, object]) -> str:
    """The result for people."""
    lines = [f"{'seconds':<24}{'median':>8}{'least':>8}{'most':>8}"]
    for name, taken in seconds.items():
        numbers = (statistics.median(taken), min(taken), max(taken))
        lines.append(f"{name:<24}" + "".join(f"{number:>8.3f}" for number in numbers))
    lines.append(f"run / import: {found['run_of_import']}")
    lines += [f"{'yes' if kept else 'NO ':<4}{bar}" for bar, kept in found["kept"].items()]
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and judge if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=9, help="rounds that count (default 9)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar is not kept")
    given = parser.parse_args()
    seconds = measure(given.repeat)
    found = result(seconds)
    print(table(seconds, found))
    print(json.dumps(found))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 1 if given.check and not all(found["kept"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
