"""Which lines and branches the tests reach; fails below `LEAST` percent.

``python tests/coverage_gate.py`` runs the whole suite under coverage.py (``pip install coverage``),
which on Python 3.11 makes it about half as slow again, and on 3.12 and later hardly slower: there
the interpreter itself tells of lines. ``--tests tests/trace --room trace`` measures one room.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

LEAST = 95.0
"""Percent of lines and branches together."""

SETTINGS = """
[run]
branch = True
parallel = True
source = rnnscope
[report]
exclude_also =
    if TYPE_CHECKING:
    raise NotImplementedError
    @overload
    \\.\\.\\.$
    sys.platform == "win32"
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tests", nargs="+", default=["tests"])
    parser.add_argument("--room", action="append", help="judge these alone, such as files/")
    parser.add_argument("--worst", type=int, default=25, help="how many modules to list")
    parser.add_argument("--quick", action="store_true", help="without the slow tests")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings, report = Path(folder, "settings"), Path(folder, "report.json")
        settings.write_text(SETTINGS)
        environment = {
            **os.environ, "COVERAGE_FILE": f"{folder}/data", "COVERAGE_RCFILE": str(settings),
        }  # fmt: skip
        if sys.version_info >= (3, 12):
            environment["COVERAGE_CORE"] = "sysmon"
        run = [sys.executable, "-m", "coverage"]
        quick = ["-m", "not slow"] if given.quick else []
        command = [*run, "run", "-m", "pytest", "-q", "-n0", *quick, *given.tests]
        failed = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        for step in (["combine", "-q"], ["json", "-q", "-o", str(report)]):
            subprocess.run([*run, *step], cwd=ROOT, env=environment, check=True)
        files = json.loads(report.read_text())["files"]
    wanted = {
        name.removeprefix("rnnscope/"): found["summary"]
        for name, found in files.items()
        if not given.room or any(name.startswith(f"rnnscope/{room}") for room in given.room)
    }
    return max(tell(wanted, given.worst), 1 if failed else 0)


def tell(files: dict[str, dict[str, int]], worst: int) -> int:
    """Print rooms, the modules with most left, and the figure; 1 if it is too low."""
    rooms: dict[str, list[dict[str, int]]] = defaultdict(list)
    for name, summary in files.items():
        rooms[name.partition("/")[0]].append(summary)
    for room, summaries in sorted(rooms.items()):
        print(f"{percent(summaries):6.1f} %  {room}")
    print()
    missed = sorted(files.items(), key=lambda item: -left([item[1]]))
    for name, summary in missed[:worst]:
        print(f"{percent([summary]):6.1f} %  {left([summary]):4} not reached  {name}")
    whole = percent(list(files.values()))
    print(f"\n{whole:.1f} % of lines and branches; at least {LEAST:g} %")
    return 0 if whole >= LEAST else 1


def left(summaries: list[dict[str, int]]) -> int:
    """Lines and branches that no test reached."""
    return sum(found["missing_lines"] + found["missing_branches"] for found in summaries)


def percent(summaries: list[dict[str, int]]) -> float:
    """Of all lines and branches, those that were reached."""
    whole = sum(found["num_statements"] + found["num_branches"] for found in summaries)
    return 100 * (1 - left(summaries) / whole) if whole else 100.0


if __name__ == "__main__":
    sys.exit(main())
