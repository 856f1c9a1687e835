"""How fast traces are compared, checked and pooled, beside how fast the disk gives them.

    python tests/benchmarks/traces.py [--repeat N] [--sequences N] [--json FILE]

Two traces, c and m of 100 steps of 256 units, whose values all differ a little. Reading alone (both
files, through the system's cache) takes turns with ``rnnscope diff``, ``check`` and ``pool``, each
a process of its own; each on a trace of one sequence is what starting takes. GB/s are those of one
side, of processor time without the start: it depends less on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from launcher import Taken, measured
from machine import described, machine

STEPS, UNITS = 100, 256
PACKAGES = ("rnnscope", "numpy", "h5py", "llvmlite")
READ = "import sys\nfor name in sys.argv[1:]:\n with open(name, 'rb', 0) as f:\n  while f.read(1 << 20): pass"  # noqa: E501


def write(path: Path, sequences: int, apart: float) -> None:
    """A trace of random states: `apart` is what all values differ by from those of another."""
    import numpy as np

    from rnnscope.model.states import LayerStates
    from rnnscope.trace import LayerHeader, TraceHeader, TraceWriter

    rng = np.random.default_rng(0)
    layer = LayerHeader("lstm", UNITS, {"c": UNITS, "m": UNITS}, outputs_are_m=True)
    with TraceWriter(path, TraceHeader(), [layer], sequences, STEPS) as writer:
        for start in range(0, sequences, 64):
            rows = slice(start, min(start + 64, sequences))
            shape = (rows.stop - start, STEPS, UNITS)
            c = rng.uniform(-2, 2, shape).astype(np.float32)
            c *= np.float32(1 + apart)
            m = (np.tanh(c) / 2).astype(np.float32)
            ends = {"c": c[:, -1].copy(), "m": m[:, -1].copy()}
            writer.write_layer("lstm", LayerStates({"c": c, "m": m}, m, ends, ends), rows)


def commands(folder: Path) -> dict[str, list[list[str]]]:
    """What is measured, by name: on whole traces, and on one sequence."""
    a, b, few = (str(folder / f"{name}.h5") for name in ("a", "b", "few"))
    pooled = str(folder / "p.npz")
    run = [sys.executable, "-m", "rnnscope"]
    return {
        "reading both": [[sys.executable, "-c", READ, *files] for files in ((a, b), (few, few))],
        "diff, all differ": [[*run, "diff", *files] for files in ((a, b), (few, few))],
        "diff, same": [[*run, "diff", *files] for files in ((a, a), (few, few))],
        "check": [[*run, "check", file, "--quiet"] for file in (a, few)],
        "pool to a file": [[*run, "pool", file, "-o", pooled, "--force"] for file in (a, few)],
        "pool into the trace": [[*run, "pool", file, "--force"] for file in (b, few)],
    }


def _done(name: str, command: list[str]) -> Taken:
    taken = measured(command)
    if taken.failure and not taken.failure.startswith("exit code 1:"):  # 1 is a verdict
        raise SystemExit(f"{name}: {taken.failure}")
    return taken


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--sequences", type=int, default=1024, help="of a trace (default 1024)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    given = parser.parse_args()
    on = machine(*PACKAGES)
    print(described(on), flush=True)
    size = 2 * given.sequences * STEPS * UNITS * 4
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "a.h5", given.sequences, 0.0)
        write(folder / "b.h5", given.sequences, 1e-6)
        write(folder / "few.h5", 1, 0.0)
        todo = commands(folder)
        found: dict[str, dict[str, Any]] = {
            one: {"seconds": [], "processor": [], "start": [], "peak_mb": []} for one in todo
        }
        for number in range(given.repeat + 1):  # the first round fills caches, and is not counted
            for one, (whole, start) in todo.items():
                took, began = _done(one, whole), _done(one, start)
                if number:
                    found[one]["seconds"].append(took.seconds)
                    found[one]["processor"].append(took.processor)
                    found[one]["start"].append(began.processor)
                    found[one]["peak_mb"].append(round(took.peak_mb, 1))
    head = f"{'seconds':>9}{'processor':>11}{'start':>8}{'GB/s':>8}{'peak MB':>9}"
    print(f"\n{size / 1e6:.0f} MB of states a side\n{'':<22}{head}")
    for one, row in found.items():
        seconds, processor, start, peak = (statistics.median(values) for values in row.values())
        row["gigabytes_a_second"] = round(size / 1e9 / max(processor - start, 1e-3), 3)
        print(f"{one:<22}{seconds:>9.2f}{processor:>11.2f}{start:>8.2f}"
              f"{row['gigabytes_a_second']:>8.2f}{peak:>9.0f}")  # fmt: skip
    if given.json:
        numbers = {"machine": on, "bytes": size, "processes": found}
        given.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(main())
