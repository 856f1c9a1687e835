"""Time of the proof beside the reading that it belongs to, within one process.

    .venv/bin/python tests/benchmarks/proof.py [CHECKPOINT ...] [--repeat N]

Without checkpoints: the TensorFlow graphs of sample_data. For each, the median time of reading the
checkpoint, of the proof within it, and their ratio. A usual model's proof should take less than
20 ms on an idle machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.tf1.graph.evaluation.proving import proof

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"


def measure(path: Path, repeat: int) -> tuple[float, float]:
    """Median seconds of reading a checkpoint, and of the proofs within."""
    prove, spent = proof.prove, []

    def timed(*arguments: object) -> object:
        started = time.perf_counter()
        made = prove(*arguments)  # type: ignore[arg-type]
        spent[-1] += time.perf_counter() - started
        return made

    whole = []
    proof.prove = timed  # type: ignore[assignment]
    try:
        for _ in range(repeat):
            spent.append(0.0)
            started = time.perf_counter()
            read_checkpoint(path)
            whole.append(time.perf_counter() - started)
    finally:
        proof.prove = prove
    return statistics.median(whole), statistics.median(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="*", type=Path)
    parser.add_argument("--repeat", type=int, default=9)
    options = parser.parse_args()
    paths = options.checkpoints or [
        path.with_suffix("") for path in sorted(SAMPLES.rglob("*.ckpt.index"))
    ]
    print(f"{'reading':>9s} {'proof':>9s} {'ratio':>6s}")
    for path in paths:
        whole, spent = measure(path, options.repeat)
        print(f"{whole * 1e3:6.1f} ms {spent * 1e3:6.1f} ms {spent / whole:6.2f}  {path}")


if __name__ == "__main__":
    main()
