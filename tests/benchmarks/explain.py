"""How long `rnnscope explain` takes for every case of the matrix in tests/explaining.

    python tests/benchmarks/explain.py [--only TEXT] [--repeat N] [--json FILE] [--check]
    python tests/benchmarks/explain.py --rivals

Each case is a small model, its input, and states that the tests' own loop computed with one to
three confusions. Its time is that of ``rnnscope.explain`` in this process, the least of the rounds.
The bar is five seconds a case on two cores. ``--rivals`` times nothing: it lists readings of at
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

from explaining.cases import CASES, Case
from explaining.confused_loop import run
from explaining.references import reference
from explaining.rivals import cases_of, rivals
from explaining.small_models import SUBJECTS

import rnnscope

SECONDS = 5.0
"""The bar: what a case may take."""

SLOWEST = 10


def timed(case: Case, repeat: int) -> tuple[float, bool]:
    """Least seconds of a case, and whether what was confused is all that is named."""
    subject = SUBJECTS[case.subject]
    states = run(subject.model, subject.x, subject.lengths, case.made)
    seconds, right = [], True
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            given = reference(subject, states, case.guise, Path(folder))
            path = subject.write(Path(folder))
            started = time.perf_counter()
            found = rnnscope.explain(path, subject.x, given, **subject.run_options).to_dict()
            seconds.append(time.perf_counter() - started)
        named = [{part["id"] for part in fit["reading"]} for fit in found["fits"]]
        right = right and named == [set(case.made)]
    return min(seconds), right


def table(taken: dict[str, tuple[float, bool]]) -> str:
    """The times by size, and the slowest cases."""
    lines = [f"{'confusions':<12}{'cases':>6}{'right':>6}{'least':>9}{'median':>9}{'most':>9}"]
    sizes = {case.name: len(case.made) for case in CASES}
    for size in (1, 2, 3):
        those = [taken[name] for name in taken if sizes[name] == size]
        if those:
            lines.append(row(str(size), those))
    lines += [row("all", list(taken.values())), "", "slowest"]
    slowest = sorted(taken, key=lambda name: -taken[name][0])[:SLOWEST]
    lines += [
        f"{taken[name][0]:>8.2f} s  {'' if taken[name][1] else 'WRONG: '}{name}" for name in slowest
    ]
    return "\n".join(lines)


def row(name: str, those: list[tuple[float, bool]]) -> str:
    """One line of the table."""
    seconds = [second for second, _ in those]
    numbers = (min(seconds), statistics.median(seconds), max(seconds))
    return f"{name:<12}{len(those):>6}{sum(right for _, right in those):>6}" + "".join(
        f"{number:>7.2f} s" for number in numbers
    )


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
    parser.add_argument("--rivals", action="store_true", help="are the cases fair?")
    given = parser.parse_args()
    if given.rivals:
        return list_rivals()
    cases = [case for case in CASES if given.only in case.name]
    timed(cases[0], 1)  # what is imported and compiled once
    taken = {case.name: timed(case, given.repeat) for case in cases}
    print(f"cores {os.cpu_count()}, load {os.getloadavg()[0]:.1f}")
    print(table(taken))
    if given.json:
        numbers = {name: {"seconds": s, "right": right} for name, (s, right) in taken.items()}
        given.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    kept = all(seconds < SECONDS and right for seconds, right in taken.values())
    return 1 if given.check and not kept else 0


if __name__ == "__main__":
    sys.exit(main())
