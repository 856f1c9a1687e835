"""How long `rnnscope explain` takes for every case of the matrix in tests/explaining.

    python tests/benchmarks/explain.py [--only TEXT] [--repeat N] [--json FILE] [--check]
    python tests/benchmarks/explain.py --random N [--start SEED] [--size CONFUSIONS]
    python tests/benchmarks/explain.py --rivals

Each case is a small model, its input, and states that the tests' own loop computed with one to
three confusions. Its time is that of making the files and of ``rnnscope.explain`` in this process,
the least of the rounds. The bar is five seconds a case on two cores. ``--random`` takes other
weights, any confusions and any guise of the reference, some of which no input could tell apart:
what is not named alone is to be looked at. ``--rivals`` times nothing: it lists readings of at
most as many confusions that give the same numbers as a case, of which there must be none.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from explaining.asking import explained, named_rightly, readings_that_fit
from explaining.cases import CASES, Case
from explaining.random_cases import random_case
from explaining.rivals import cases_of, rivals
from explaining.small_models import SUBJECTS, Subject

SECONDS = 5.0
"""The bar: what a case may take."""

SLOWEST = 10


def timed(subject: Subject, case: Case, repeat: int) -> tuple[float, bool, str]:
    """Least seconds of a case, whether what was confused is all that is named, and what is."""
    seconds = []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            try:
                said = explained(subject, case.made, case.guise, Path(folder))
            except Exception as error:  # noqa: BLE001 - a case that fails is a line, the rest goes on
                said = {"verdict": repr(error), "fits": []}
            seconds.append(time.perf_counter() - started)
    return min(seconds), named_rightly(said, case), f"{said['verdict']} {readings_that_fit(said)}"


def table(cases: list[Case], taken: list[tuple[float, bool, str]]) -> str:
    """The times by size, the slowest cases, and those that were not named rightly."""
    lines = [f"{'confusions':<12}{'cases':>6}{'right':>6}{'least':>9}{'median':>9}{'most':>9}"]
    both = list(zip(cases, taken, strict=True))
    for size in (1, 2, 3):
        those = [one for case, one in both if len(case.made) == size]
        if those:
            lines.append(row(str(size), those))
    lines += [row("all", taken), "", "slowest"]
    slowest = sorted(both, key=lambda pair: -pair[1][0])[:SLOWEST]
    lines += [f"{seconds:>8.2f} s  {case.name}" for case, (seconds, _, _) in slowest]
    wrong = [f"  {case.name}: {said}" for case, (_, right, said) in both if not right]
    return "\n".join([*lines, *(["", "not named, or not alone", *wrong] if wrong else [])])


def row(name: str, those: list[tuple[float, bool, str]]) -> str:
    """One line of the table."""
    seconds = [second for second, _, _ in those]
    numbers = (min(seconds), statistics.median(seconds), max(seconds))
    right = sum(right for _, right, _ in those)
    return f"{name:<12}{len(those):>6}{right:>6}" + "".join(f"{n:>7.2f} s" for n in numbers)


def drawn(count: int, start: int, size: int) -> list[tuple[Subject, Case]]:
    """Random cases of so many seeds."""
    with tempfile.TemporaryDirectory() as folder:
        found = (random_case(seed, size, Path(folder)) for seed in range(start, start + count))
        return [pair for pair in found if pair]


def list_rivals() -> int:
    """Print every reading that gives what a case gives; 1 if there is one."""
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, cases in cases_of().items():
            for case, made in rivals(SUBJECTS[name], cases, (0, 1, 2), Path(folder)):
                count += 1
                print(f"{case}: also {made}")
    print(f"{count} rivals")
    return 1 if count else 0


def main() -> int:
    """Measure, print, and judge if asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="cases with this text in their name")
    parser.add_argument("--repeat", type=int, default=1, help="rounds that count (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a bar is not kept")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="N random cases instead")
    parser.add_argument("--start", type=int, default=1, help="first seed of them (default 1)")
    parser.add_argument("--size", type=int, default=2, help="confusions of each (default 2)")
    parser.add_argument("--rivals", action="store_true", help="are the cases fair?")
    given = parser.parse_args()
    if given.rivals:
        return list_rivals()
    todo = [(SUBJECTS[case.subject], case) for case in CASES if given.only in case.name]
    if given.random:
        todo = drawn(given.random, given.start, given.size)
    timed(*todo[0], 1)  # what is imported and compiled once
    taken = [timed(subject, case, given.repeat) for subject, case in todo]
    cases = [case for _, case in todo]
    print(f"cores {os.cpu_count()}, load {os.getloadavg()[0]:.1f}")
    print(table(cases, taken))
    if given.json:
        numbers = [
            {"case": case.name, "seconds": seconds, "right": right, "said": said}
            for case, (seconds, right, said) in zip(cases, taken, strict=True)
        ]
        given.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    kept = all(seconds < SECONDS and right for seconds, right, _ in taken)
    return 1 if given.check and not kept else 0


if __name__ == "__main__":
    sys.exit(main())
