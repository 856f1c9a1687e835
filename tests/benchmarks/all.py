"""Every benchmark, one after another; the tables, and one file with every number.

    python tests/benchmarks/all.py --json all.json [--quick] [--only NAME …]

What is measured replaces the same in a file that is there, so that the whole can be run in pieces.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
RUNS = {
    "engine": ("engine",), "grid": ("grid",), "cells": ("cells",),
    "cells-avx2": ("cells", "--avx2"), "whole": ("whole",), "traces": ("traces",),
    "graphs": ("graphs",), "reading": ("reading",), "startup": ("startup",),
    "object-stores": ("object_stores",),
}  # fmt: skip
"""Scripts with their options, by the name of their numbers."""

QUICK = {"engine": 5, "grid": 5, "cells": 3, "whole": 3, "traces": 3, "graphs": 5, "reading": 1,
         "startup": 3, "object_stores": 2}  # fmt: skip
"""Rounds where an idea of the numbers is enough."""


def main() -> int:
    """Run them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: ten minutes or so")
    parser.add_argument("--only", nargs="+", choices=RUNS, default=tuple(RUNS))
    given = parser.parse_args()
    found = json.loads(given.json.read_text(encoding="utf-8")) if given.json.exists() else {}
    failed = []
    with tempfile.TemporaryDirectory() as name:
        for run in given.only:
            print(f"\n=== {run}", flush=True)
            script, *options = RUNS[run]
            kept = Path(name, f"{run}.json")
            command = [sys.executable, str(HERE / f"{script}.py"), *options, "--json", str(kept)]
            if given.quick:
                command += ["--repeat", str(QUICK[script])]
            if subprocess.run(command, check=False).returncode or not kept.exists():
                failed.append(run)
            else:
                found[run] = json.loads(kept.read_text(encoding="utf-8"))
                given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if failed:
        print(f"\nwithout numbers: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
