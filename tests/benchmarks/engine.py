"""How fast c and m of every step are had: rnnscope beside every peer that is installed.

    python tests/benchmarks/engine.py [--repeat N] [--shapes B,T,I,U …] [--json FILE] [--check]

With ``--json`` of a file that is there, what is measured replaces the same shapes in it.

Every peer runs in a process of its own, on the same weights and inputs, float32, two threads; its
states are held to float64 before it is timed. The peers take turns, round after round, so that
whatever else the machine does falls on all of them; ratios are taken within a round. A peer that
does not import, or fails, is a line that says so.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from machine import described, machine
from peers import PEERS, Case, Shape

SHAPES: tuple[Shape, ...] = (
    (32, 100, 128, 256),
    (64, 200, 256, 512),
    (256, 50, 64, 128),
    (1, 5000, 64, 128),
)
THREADS = 2

LARGEST_DIFFERENCE = 1e-4
"""From float64, as a part of the largest state. Rounding alone comes to a hundredth of it, a gate
in the wrong place to more than a hundred times it; the first step of torch 2.13's LSTMCell is now
and then 1.6e-5 away from what it computes otherwise."""

SETTLE_SECONDS = 0.1
"""Between turns, in which no contender runs: whoever is not in turn is stopped."""

CALLS = 3
"""Timed calls of a turn, after one that warms caches up; their median is the turn's time."""

BARS = {"ONNX Runtime": 1.0, "ONNX Runtime, AVX2": 1.0, "fastest c": 0.6}
"""The most that rnnscope's time may be, as a part of ONNX Runtime's (which keeps no c), the same
where both are kept from wider vectors than AVX2's, and of the fastest other way to get c of every
step."""

ONNX, NARROW_ONNX = "ONNX Runtime LSTM", "ONNX Runtime LSTM, as on AVX2"
PACKAGES = ("rnnscope", "numpy", "llvmlite", "onnxruntime", "torch", "tensorflow", "keras")


@dataclass(frozen=True)
class Failed:
    """A peer did not run, and why."""

    reason: str


class Worker:
    """A peer in a process of its own, so that neither its threads nor its fall touch another."""

    def __init__(self, name: str, threads: int = THREADS) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(name, threads, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def prepare(self, shape: Shape) -> dict[str, Any] | Failed:
        """Make the peer ready for a shape; its states."""
        return self._ask(("prepare", shape))  # type: ignore[no-any-return]

    def time(self) -> float | Failed:
        """Seconds of one call, in a turn of some."""
        return self._ask(("time", None))  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()

    def _signal(self, name: str) -> None:
        """Stop it or let it go on: whoever is not in turn takes nothing of the processors."""
        if hasattr(signal, name) and self._process.pid is not None:
            os.kill(self._process.pid, getattr(signal, name))

    def _ask(self, question: tuple[str, object]) -> Any:
        try:
            self._signal("SIGCONT")
            self._ours.send(question)
            kind, answer = self._ours.recv()
            self._signal("SIGSTOP")
        except (EOFError, OSError):
            self._process.join(5)
            return Failed(f"its process ended with {self._process.exitcode}")
        return Failed(answer) if kind == "failed" else answer


def _work(name: str, threads: int, pipe: Any) -> None:
    """A worker's whole life: answer questions until the process is ended."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # frameworks greet there; failures are answers
    ready: Any = None
    while True:
        try:
            what, shape = pipe.recv()
        except EOFError:
            return
        try:
            if what == "prepare":
                ready = PEERS[name].make(Case(shape, threads))
                states = ready.states(ready.run())
                pipe.send(("done", {key: np.ascontiguousarray(v) for key, v in states.items()}))
            else:
                pipe.send(("done", _median_call(ready.run)))
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is its answer
            text = str(error).strip().partition("\n")[0]
            pipe.send(("failed", f"{type(error).__name__}: {text}"[:200]))


def _median_call(run: Any) -> float:
    run()
    taken = []
    for _ in range(CALLS):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


@contextmanager
def workers() -> Iterator[dict[str, Worker]]:
    """A worker for each peer."""
    with ExitStack() as stack:
        made = {name: Worker(name) for name in PEERS}
        for worker in made.values():
            stack.callback(worker.close)
        yield made


def measure(shape: Shape, peers: dict[str, Worker], repeat: int) -> dict[str, Any]:
    """Check every peer against float64, then time them in turns.

    Returns
    -------
    dict
        By peer: ``difference`` and ``seconds`` (one for each round), or ``failed``.
    """
    truth = Case(shape, THREADS).reference()
    found = {name: _checked(name, worker, shape, truth) for name, worker in peers.items()}
    for _ in range(repeat):
        for name, row in found.items():
            if "failed" in row:
                continue
            time.sleep(SETTLE_SECONDS)
            answer = peers[name].time()
            if isinstance(answer, Failed):
                row["failed"] = answer.reason
            else:
                row["seconds"].append(answer)
    return found


def _checked(
    name: str, worker: Worker, shape: Shape, truth: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Make a peer ready, and hold its states to the truth."""
    states = worker.prepare(shape)
    if isinstance(states, Failed):
        return {"failed": states.reason}
    missing = {"m", *(["c"] if PEERS[name].gives_c else [])} - states.keys()
    if missing:
        return {"failed": f"it gives no {', '.join(sorted(missing))}"}
    largest = max(float(np.abs(array).max()) for array in truth.values())
    difference = max(float(np.abs(truth[key] - states[key]).max()) for key in states) / largest
    if not difference <= LARGEST_DIFFERENCE:
        return {"failed": f"differs by {difference:.2g} of the largest state"}
    return {"difference": difference, "seconds": []}


def judged(found: dict[str, Any]) -> dict[str, Any]:
    """The measured rows with medians, and the ratios of rnnscope's rows."""
    ran = {name: row for name, row in found.items() if "failed" not in row}
    for row in ran.values():
        row["ms"] = round(statistics.median(row["seconds"]) * 1e3, 3)
        row["least_ms"] = round(min(row["seconds"]) * 1e3, 3)
    others = {name: row["ms"] for name, row in ran.items()
              if PEERS[name].gives_c and not PEERS[name].ours}  # fmt: skip
    fastest = min(others, key=others.__getitem__) if others else None
    against = {"ONNX Runtime": ONNX, "ONNX Runtime, AVX2": NARROW_ONNX, "fastest c": fastest}
    ratios: dict[str, dict[str, Any]] = {}
    for name, row in ran.items():
        if PEERS[name].ours:
            like = {peer for peer in ran if PEERS[peer].narrow == PEERS[name].narrow}
            ratios[name] = {to: _ratio(row, ran[peer]) for to, peer in against.items()
                            if peer in like}  # fmt: skip
    return {"peers": found, "against": against, "ratios": ratios}


def _ratio(ours: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """The median of the ratios within rounds; their quartiles tell how noisy it was.

    ``of_least`` is that of the two least times: what a machine with nothing else to do would show.
    """
    ratios = [mine / its for mine, its in zip(ours["seconds"], other["seconds"], strict=True)]
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    return {"median": round(float(middle), 3), "quarter": round(float(low), 3),
            "three_quarters": round(float(high), 3),
            "of_least": round(min(ours["seconds"]) / min(other["seconds"]), 3)}  # fmt: skip


def table(shape: Shape, result: dict[str, Any]) -> str:
    """One shape's results for people."""
    batch, steps, features, units = shape
    lines = [f"batch {batch} x time {steps} x in {features} -> {units} units"]
    lines.append(f"  {'':<30}{'ms':>9}{'least':>9}  {'difference':>10}  keeps")
    for name, row in result["peers"].items():
        if "failed" in row:
            lines.append(f"  {name:<30}{'-':>9}  failed: {row['failed']}")
            continue
        keeps = "c and m" if PEERS[name].gives_c else "m"
        lines.append(
            f"  {name:<30}{row['ms']:>9.2f}{row['least_ms']:>9.2f}  "
            f"{row['difference']:>10.1e}  {keeps}"
        )
    for name, ratios in result["ratios"].items():
        for to, ratio in ratios.items():
            kept = "yes" if ratio["median"] <= BARS[to] else "NO"
            lines.append(
                f"  {name} / {result['against'][to]}: {ratio['median']:.2f} "
                f"({ratio['quarter']:.2f} to {ratio['three_quarters']:.2f}, "
                f"of the least {ratio['of_least']:.2f}), "
                f"bar {BARS[to]}: {kept}"
            )
    return "\n".join(lines)


def keeps_bars(result: dict[str, Any]) -> bool:
    """Whether the fastest of rnnscope's engines keeps every bar that could be measured."""
    return all(
        min(found) <= bar
        for to, bar in BARS.items()
        if (found := [every[to]["median"] for every in result["ratios"].values() if to in every])
    )


def _shape(text: str) -> Shape:
    batch, steps, features, units = (int(part) for part in text.split(","))
    return batch, steps, features, units


def main() -> int:
    """Measure, print, and judge if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=15, help="rounds (default 15)")
    parser.add_argument("--shapes", type=_shape, nargs="+", default=SHAPES, metavar="B,T,I,U",
                        help="batch, time, in, units (default: the four of the goal)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar is not kept")
    given = parser.parse_args()
    on = machine(*PACKAGES)
    print(described(on), flush=True)
    results = []
    with workers() as peers:
        for shape in given.shapes:
            result = judged(measure(shape, peers, given.repeat))
            print("\n" + table(shape, result), flush=True)
            results.append({"shape": shape, **result})
    if given.json:
        known = json.loads(given.json.read_text())["results"] if given.json.exists() else []
        every = {tuple(result["shape"]): result for result in [*known, *results]}
        whole = {"machine": on, "threads": THREADS, "bars": BARS, "results": list(every.values())}
        given.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return 1 if given.check and not all(map(keeps_bars, results)) else 0


if __name__ == "__main__":
    sys.exit(main())
