"""The LSTM over units x batch beside ONNX Runtime: native and as on AVX2, two threads and one.

    python tests/benchmarks/grid.py [--units N …] [--batch N …] [--threads N …]
        [--vectors native avx2] [--repeat N] [--json FILE] [--check]

Each cell is as long as a call of some hundredths of a second, its input half as wide as it has
units. Contenders take turns; the median of the ratios within rounds is shown. With ``--json`` of a
file that is there, what is measured replaces the same cells in it, so that the grid can be run in
pieces.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from engine import SETTLE_SECONDS, Failed, Worker
from machine import described, machine
from peers import Shape

UNITS = (64, 128, 256, 512, 1024, 2048)
BATCHES = (1, 8, 32, 256)
CONTENDERS = {
    "native": ("rnnscope, compiled", "ONNX Runtime LSTM"),
    "avx2": ("rnnscope, as on AVX2", "ONNX Runtime LSTM, as on AVX2"),
}
PACKAGES = ("rnnscope", "numpy", "llvmlite", "onnxruntime")
WORK = 4e9
"""Multiplications and additions of a call, about."""

MOST_STEPS, LEAST_STEPS = 1000, 4
LARGEST_DIFFERENCE = 1e-4
BAR, WORST = 1.0, 1.1
"""The goal for a cell, and what none may be above."""


def shape_of(units: int, batch: int) -> Shape:
    """A call's (batch, time, in, units)."""
    features = units // 2
    step = 8 * units * (units + features) * batch
    return batch, int(np.clip(WORK / step, LEAST_STEPS, MOST_STEPS)), features, units


def measure(shape: Shape, ours: Worker, peer: Worker, repeat: int) -> dict[str, Any]:
    """Seconds of both, round after round, once their states agree."""
    made = [worker.prepare(shape) for worker in (ours, peer)]
    for states in made:
        if isinstance(states, Failed):
            return {"failed": states.reason}
    mine, its = (states["m"] for states in made)  # type: ignore[index]
    difference = float(np.abs(mine - its).max())
    if not difference <= LARGEST_DIFFERENCE:
        return {"failed": f"they differ by {difference:.2g}"}
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeat):
        for worker, taken in zip((ours, peer), seconds, strict=True):
            time.sleep(SETTLE_SECONDS)
            answer = worker.time()
            if isinstance(answer, Failed):
                return {"failed": answer.reason}
            taken.append(answer)
    ratios = [one / other for one, other in zip(*seconds, strict=True)]
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    batch, steps, features, units = shape
    work = 8 * batch * steps * units * (features + units)
    return {
        "rnnscope_ms": round(statistics.median(seconds[0]) * 1e3, 3),
        "onnxruntime_ms": round(statistics.median(seconds[1]) * 1e3, 3),
        "gigaflops": round(work / min(seconds[0]) / 1e9, 1),
        "ratio": round(float(middle), 3), "quarter": round(float(low), 3),
        "three_quarters": round(float(high), 3),
        "of_least": round(min(seconds[0]) / min(seconds[1]), 3),
    }  # fmt: skip


def key_of(cell: dict[str, Any]) -> tuple[str, int, int, int]:
    """What a cell of the grid is found by."""
    return cell["vectors"], cell["threads"], cell["units"], cell["batch"]


def merged(path: Path, on: dict[str, object], cells: list[dict[str, Any]]) -> dict[str, Any]:
    """New cells, and those of a file that were not measured again."""
    known = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.exists() else []
    every = {key_of(cell): cell for cell in [*known, *cells]}
    return {"machine": on, "cells": [every[key] for key in sorted(every)]}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--units", type=int, nargs="+", default=UNITS, metavar="N")
    parser.add_argument("--batch", type=int, nargs="+", default=BATCHES, metavar="N")
    parser.add_argument("--threads", type=int, nargs="+", default=(2, 1), metavar="N")
    parser.add_argument("--vectors", nargs="+", choices=CONTENDERS, default=tuple(CONTENDERS))
    parser.add_argument("--repeat", type=int, default=9, help="rounds (default 9)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar is not kept")
    given = parser.parse_args()
    on = machine(*PACKAGES)
    print(described(on), flush=True)
    cells: list[dict[str, Any]] = []
    for vectors in given.vectors:
        for threads in given.threads:
            print(f"\n{vectors}, threads {threads}\n  units  batch  steps     ours     ONNX  ratio"
                  "  quartiles     of least  GFLOP/s", flush=True)  # fmt: skip
            ours, peer = (Worker(name, threads) for name in CONTENDERS[vectors])
            try:
                for units in given.units:
                    for batch in given.batch:
                        shape = shape_of(units, batch)
                        found = measure(shape, ours, peer, given.repeat)
                        cell = {"vectors": vectors, "threads": threads, "units": units,
                                "batch": batch, "shape": shape, **found}  # fmt: skip
                        cells.append(cell)
                        print(line(cell), flush=True)
            finally:
                ours.close()
                peer.close()
    if given.json:
        text = json.dumps(merged(given.json, on, cells), indent=1)
        given.json.write_text(text + "\n", encoding="utf-8")
    ran = all("failed" not in cell for cell in cells)
    if given.check:
        return 0 if ran and all(cell["ratio"] <= WORST for cell in cells) else 1
    return 0 if ran else 1


def line(cell: dict[str, Any]) -> str:
    """One cell for people."""
    head = f"  {cell['units']:>5}{cell['batch']:>7}{cell['shape'][1]:>7}"
    if "failed" in cell:
        return f"{head}  failed: {cell['failed']}"
    mark = " " if cell["ratio"] <= BAR else "*" if cell["ratio"] <= WORST else "!"
    return (
        f"{head}{cell['rnnscope_ms']:>9.2f}{cell['onnxruntime_ms']:>9.2f}{cell['ratio']:>7.2f}{mark}"
        f" {cell['quarter']:.2f} to {cell['three_quarters']:.2f}"
        f"{cell['of_least']:>9.2f}{cell['gigaflops']:>9.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
