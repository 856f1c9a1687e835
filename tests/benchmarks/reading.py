"""How reading grows with what a file holds, and what it takes where a file holds more: each format.

    python tests/benchmarks/reading.py [--only NAME …] [--layers N] [--repeat N] [--json FILE]

Files are written first, and are not timed. First n, 2n and 4n recurrent layers: the least processor
time of some readings is shown, and its growth from n to 4n: 4 is linear, 16 quadratic. Then peak
memory and processor time of ``inspect`` and ``run``, as processes, where the file holds a table
of 205 MB that nobody needs. A format whose writer is not installed is a line that says so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from launcher import measured
from machine import described, machine
from model_files import writers
from model_files.interface import UNITS, WIDTH, Write, drawn

import rnnscope

PACKAGES = ("rnnscope", "numpy", "onnx", "torch", "keras", "tensorflow")
LAYERS = 250
FEWER = {
    "Keras .h5": 5, ".keras": 5, ".keras, compressed": 5, "Keras .weights.h5": 5,
    "Keras 2 weights .h5": 5, "SavedModel": 10, "TensorFlow 2 checkpoint": 5,
    "TensorFlow.js layers": 5, "TorchScript": 5, ".pt2": 10, "TensorFlow 1 Saver": 10,
    "TensorFlow 1 Saver V1": 10, "SessionBundle": 10, "frozen graph": 10,
    "TensorFlow.js graph": 10, "TensorFlow.js graph, uint8": 10, "ELMo": 10,
}  # fmt: skip
"""Slow to write, or (ELMo) of no more than 100: one layer for so many of the others."""

ROWS = 800_000
"""Of the table that nobody needs: 205 MB."""


def growth(write: Write, layers: list[int], folder: Path, repeat: int) -> list[float]:
    """The least processor seconds of opening files of some layers."""
    found = []
    for number in (2, *layers):  # the first is for what is imported once
        there = folder / str(number)
        there.mkdir()
        written = write(there / "model", number, 0)
        taken = []
        for _ in range(repeat):
            started = time.process_time()
            rnnscope.open_model(written.path, **written.options)
            taken.append(time.process_time() - started)
        found.append(min(taken))
        shutil.rmtree(there)
    return found[1:]


def beside_table(write: Write, folder: Path) -> dict[str, dict[str, float]]:
    """Peak MB and processor seconds of commands, measured from outside."""
    written = write(folder / "model", 1, ROWS)
    whole = [written.path] if written.path.is_file() else []
    stored = sum(one.stat().st_size for one in {*folder.rglob("*"), *whole} if one.is_file())
    np.save(folder / "x.npy", drawn(2, 5, UNITS))
    command = [sys.executable, "-m", "rnnscope"]
    given = [part for name, value in written.options.items() for part in (f"--{name}", value)]
    todo = {
        "inspect": [*command, "inspect", str(written.path), *given],
        "run": [*command, "run", str(written.path), str(folder / "x.npy"), *given, "--force",
                "-o", str(folder / "t.h5"), "--quiet", "--layer", written.layer],
    }  # fmt: skip
    found = {"file": {"mb": round(stored / 1e6)}}
    for name, line in todo.items():
        _, processor, peak, failure = measured(line)
        found[name] = {"peak_mb": round(peak), "processor_s": round(processor, 2)}
        if failure:
            print(f"{name}: {failure}")
            found[name] = {}
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="formats, by name")
    parser.add_argument("--layers", type=int, default=LAYERS, help=f"n (default {LAYERS})")
    parser.add_argument("--repeat", type=int, default=3, help="times each (default 3)")
    parser.add_argument("--measure", choices=("growth", "table"), nargs="+",
                        default=("growth", "table"), help="one of the two alone")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there; what "
                        "a file that is there has of other formats stays")  # fmt: skip
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    on = machine(*PACKAGES)
    print(described(on), flush=True)
    results = json.loads(given.json.read_text()) if given.json and given.json.exists() else {}
    results["machine"] = on
    for name, write in writers().items():
        if given.only and name not in given.only:
            continue
        try:
            _measure(name, write, given, results)
        except ImportError as error:
            print(f"{name}: left out, {error}")
        if given.json:
            given.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def _measure(name: str, write: Write, given: argparse.Namespace, results: dict[str, Any]) -> None:
    if "growth" in given.measure:
        sizes = [given.layers // FEWER.get(name, 1) * factor for factor in (1, 2, 4)]
        with tempfile.TemporaryDirectory() as folder:
            found = growth(write, sizes, Path(folder), given.repeat)
        results.setdefault("growth", {})[name] = {"layers": sizes, "processor_s": found}
        shown = ", ".join(f"{size}: {one:.2f} s" for size, one in zip(sizes, found, strict=True))
        print(f"{name:<28} {shown}; 4n / n {found[2] / found[0]:.1f}", flush=True)
    if "table" in given.measure:
        with tempfile.TemporaryDirectory() as folder:
            peaks = beside_table(write, Path(folder))
        results.setdefault("table", {})[name] = peaks
        words = ", ".join(f"{one} {peaks[one]}" for one in peaks)
        print(f"{name:<28} beside {ROWS * WIDTH * 4 / 1e6:.0f} MB: {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
