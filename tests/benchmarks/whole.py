"""Whole processes, from their start to the HDF5 file: ``rnnscope run`` beside the usual scripts.

    python tests/benchmarks/whole.py [--repeat N] [--json FILE] [--folder FOLDER] [--check]
        [--peer NAME …]

1024 sequences of 100 steps, 128 features, 256 units: c and m of every step from a Keras file,
beside scripts that use torch and TensorFlow for the same, and one of ONNX Runtime for m alone.
The processes take turns, round after round, each with a fresh target and then once more over what
it has just written. Before each the disk is given all that others wrote: what one leaves to be
written would take time of the next. Times and peak memory are the system's. Rounds in which nothing
else ran are judged, where there are any. Memory is measured at four times the sequences, too. A
script that fails is a line that says so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from launcher import Taken, timed
from machine import busy_seconds, described, machine

# This process imports no numpy: the system counts the memory of a child from its parent's.

SCRIPTS = Path(__file__).parent / "scripts"
SIZE = (1024, 100, 128, 256)
"""Sequences, timesteps, features, units."""

TIMES = 4
BATCH = 128
THREADS = 2
QUIET = 0.06
"""A process that ran while others took less than this part of one processor ran alone."""

LARGEST_DIFFERENCE = 1e-4
"""A gate in the wrong place is a hundred times that. Rounding alone stays under 1e-6, but the first
step of torch 2.13 is now and then 2.8e-5 away from what it computes otherwise."""

OURS = "rnnscope run"
PEERS = {
    "ONNX Runtime (m alone)": "onnx_m.py",
    "torch LSTMCell": "torch_cell.py",
    "TensorFlow RNN, telling cell": "tensorflow_rnn.py",
}
M_ALONE = "ONNX Runtime (m alone)"

OF_M_ALONE, OF_OTHERS, PEAK_MB, GROWTH = 1.0, 0.6, 400, 1.05
"""Bars: the most of ONNX Runtime's time, of the faster other script's; memory, and its growth."""

PACKAGES = ("rnnscope", "numpy", "h5py", "onnxruntime", "torch", "tensorflow", "keras")


def commands(folder: Path, given: str, peers: Iterable[str]) -> dict[str, list[str]]:
    """What is measured, by name; each writes ``NAME.h5`` into the folder."""
    x = str(folder / given)
    ours = [sys.executable, "-m", "rnnscope", "run", str(folder / "model.h5"), x]
    ours += ["-o", str(output(folder, OURS)), "--quiet", "--threads", str(THREADS)]
    found = {OURS: ours}
    for name in peers:
        script = PEERS[name]
        path = str(output(folder, name))
        found[name] = [sys.executable, str(SCRIPTS / script), str(folder), x, path,
                       str(BATCH), str(THREADS)]  # fmt: skip
    return found


def output(folder: Path, name: str) -> Path:
    """Where a process writes."""
    return folder / (name.replace(" ", "_") + ".h5")


def set_up(folder: Path) -> None:
    """Make model and inputs, unless an earlier run of the benchmark has."""
    done = folder / "made.json"
    wanted = json.dumps([SIZE, TIMES])
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return
    numbers = map(str, (*SIZE, TIMES))
    command = [sys.executable, str(SCRIPTS / "setup.py"), str(folder), *numbers]
    failure = timed(command).failure
    if failure:
        raise SystemExit(f"The Keras file was not made: {failure}")
    done.write_text(wanted, encoding="utf-8")


def timed_beside(command: list[str]) -> tuple[Taken, float]:
    """Run a process; and what others took of one processor meanwhile, as far as it is told."""
    os.sync()
    before = busy_seconds()
    taken = timed(command)
    after = busy_seconds()
    if before is None or after is None:
        return taken, 0.0
    return taken, max(0.0, after - before - taken.processor) / taken.seconds


def measure(folder: Path, repeat: int, peers: Iterable[str]) -> dict[str, Any]:
    """Every process in turns; by name: ``seconds``, ``peak_mb`` and more, or ``failed``."""
    todo = commands(folder, "x.npy", peers)
    found: dict[str, Any] = {
        name: {"seconds": [], "processor": [], "peak_mb": [], "seconds_over": [],
               "processor_over": [], "others": [], "others_over": []} for name in todo
    }  # fmt: skip
    for number in range(repeat + 1):  # the first round fills caches, and is not counted
        for name, row in found.items():
            if "failed" in row:
                continue
            output(folder, name).unlink(missing_ok=True)
            # Once more, over what it has just written.
            again = [*todo[name], *(["--force"] if name == OURS else [])]
            for ending, command in (("", todo[name]), ("_over", again)):
                taken, others = timed_beside(command)
                if taken.failure:
                    row["failed"] = taken.failure
                    break
                if number:
                    row["seconds" + ending].append(taken.seconds)
                    row["processor" + ending].append(taken.processor)
                    row["others" + ending].append(round(others, 3))
                    if not ending:
                        row["peak_mb"].append(round(taken.peak_mb, 1))
        if not number:
            _compare(folder, found)
    for name, command in commands(folder, "x4.npy", peers).items():
        output(folder, name).unlink(missing_ok=True)
        if "failed" not in found[name]:
            seconds, _, peak, failure = timed(command)
            found[name] |= {"failed": failure} if failure else {
                "seconds_x4": seconds, "peak_mb_x4": round(peak, 1)}  # fmt: skip
        output(folder, name).unlink(missing_ok=True)
    return found


def _compare(folder: Path, found: dict[str, Any]) -> None:
    """Hold the scripts' results to rnnscope's."""
    for name in PEERS:
        if name not in found or "failed" in found[OURS] or "failed" in found[name]:
            continue
        files = [output(folder, OURS), output(folder, name)]
        made = subprocess.run(
            [sys.executable, SCRIPTS / "agree.py", *files], check=True, capture_output=True
        )
        found[name]["difference"] = difference = float(made.stdout)
        if not difference <= LARGEST_DIFFERENCE:
            found[name]["failed"] = f"differs from rnnscope by {difference:.2g}"


def judged(found: dict[str, Any]) -> dict[str, Any]:
    """Medians, ratios within rounds, and which bars were kept."""
    ran = {name: row for name, row in found.items() if "failed" not in row}
    for row in ran.values():
        row["median_seconds"] = round(statistics.median(row["seconds"]), 3)
        row["median_seconds_over"] = round(statistics.median(row["seconds_over"]), 3)
        row["median_peak_mb"] = statistics.median(row["peak_mb"])
    result: dict[str, Any] = {"processes": found, "ratios": {}, "kept": {}}
    if OURS not in ran:
        return result
    ours = ran[OURS]
    others = {name: row["median_seconds"] for name, row in ran.items()
              if name not in (OURS, M_ALONE)}  # fmt: skip
    against = {M_ALONE: OF_M_ALONE} if M_ALONE in ran else {}
    if others:
        against[min(others, key=others.__getitem__)] = OF_OTHERS
    for (name, bar), (kind, words) in product(
        against.items(), (("seconds", ""), ("seconds_over", ", over an existing file"))
    ):
        ratios = _ratios(ours[kind], ran[name][kind])
        beside = kind.replace("seconds", "others")
        alone = [max(pair) < QUIET for pair in zip(ours[beside], ran[name][beside], strict=True)]
        quiet = [ratio for ratio, was in zip(ratios, alone, strict=True) if was]
        ratio = statistics.median(quiet or ratios)
        result["ratios"][f"{name}{words}"] = {
            "median": round(ratio, 3), "quiet_rounds": len(quiet),
            "of_processor": round(statistics.median(_ratios(
                ours[kind.replace("seconds", "processor")],
                ran[name][kind.replace("seconds", "processor")],
            )), 3),
            "least": round(min(ratios), 3),
            "most": round(max(ratios), 3),
            "of_least": round(min(ours[kind]) / min(ran[name][kind]), 3),
        }  # fmt: skip
        result["kept"][f"time at most {bar} of {name}{words}"] = ratio <= bar
    growth = ours["peak_mb_x4"] / ours["median_peak_mb"]
    result["ratios"][f"memory at {TIMES} times the sequences"] = {"median": round(growth, 3)}
    result["kept"][f"peak memory under {PEAK_MB} MB"] = ours["median_peak_mb"] < PEAK_MB
    result["kept"][f"memory at {TIMES} times the sequences at most {GROWTH}"] = growth <= GROWTH
    return result


def _ratios(ours: list[float], theirs: list[float]) -> list[float]:
    """Round by round."""
    return [mine / its for mine, its in zip(ours, theirs, strict=True)]


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [f"{'':<30}{'seconds':>9}{'least':>8}{'over':>8}{'peak MB':>9}{f'at x{TIMES}':>9}"]
    for name, row in result["processes"].items():
        if "failed" in row:
            lines.append(f"{name:<30}{'-':>9}  failed: {row['failed']}")
            continue
        lines.append(
            f"{name:<30}{row['median_seconds']:>9.2f}{min(row['seconds']):>8.2f}"
            f"{row['median_seconds_over']:>8.2f}"
            f"{row['median_peak_mb']:>9.0f}{row['peak_mb_x4']:>9.0f}"
        )
    for name, ratio in result["ratios"].items():
        spread = ""
        if "most" in ratio:
            spread = (
                f" (of {ratio['quiet_rounds'] or 'no'} quiet rounds; {ratio['least']} to "
                f"{ratio['most']} of all, of the least {ratio['of_least']}, of processor time "
                f"{ratio['of_processor']})"
            )
        lines.append(f"{OURS} / {name}: {ratio['median']}{spread}")
    lines += [f"{'yes' if kept else 'NO ':<4}{bar}" for bar, kept in result["kept"].items()]
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and judge if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=7, help="rounds that count (default 7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--folder", type=Path, help="keep model and inputs here (1.2 GB)")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar is not kept")
    parser.add_argument("--peer", action="append", choices=PEERS, help="these alone")
    given = parser.parse_args()
    on = machine(*PACKAGES)
    print(described(on), flush=True)
    with ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        set_up(folder)
        result = judged(measure(folder, given.repeat, given.peer or PEERS))
    print("\n" + table(result))
    if given.json:
        whole = {"machine": on, "threads": THREADS, "size": SIZE, "batch": BATCH, **result}
        given.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return 1 if given.check and not (result["kept"] and all(result["kept"].values())) else 0


if __name__ == "__main__":
    sys.exit(main())
