"""Makes the table of engines in CONFORMING.md: ``python tests/conforming/engines_table.py``.

Engines that are not installed are left as they stand in the page. Torch is in no test environment:
run it once more where torch is.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "rnnscope/conforming/CONFORMING.md"
ENGINES = ("torch", "onnxruntime", "onnx-reference", "tensorflow", "keras", "rnnscope")
MARKED = re.compile(r"(<!-- today -->\n).*?(?=<!-- end of today -->)", re.DOTALL)


def report_of(engine):
    done = subprocess.run(
        [sys.executable, "-m", "rnnscope", "conform", engine, "--format", "json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return json.loads(done.stdout) if done.returncode in (0, 1) else None


def cell_of(family):
    """How many agree, and how many differ; a dash where none is offered."""
    agree, differ = family["agree"], family["differ"]
    if not agree + differ:
        return "–"
    return f"{agree}, **{differ} differ**" if differ else str(agree)


def column(report):
    rows = {one["family"]: cell_of(one) for one in report["families"]}
    right = [case["error"] for case in report["cases"] if case["status"] == "agree"]
    total = {key: sum(one[key] for one in report["families"]) for key in ("agree", "differ")}
    return {
        "version": report["engine"],
        "all": cell_of(total),
        "largest right error": f"{max(right):.2f}",
        **rows,
    }


def known(text):
    """The columns that the page has already, by engine."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    if len(lines) < 3:
        return {}
    head, _, *body = lines
    return {
        engine: {row[0]: row[at] for row in body}
        for at, engine in enumerate(head)
        if at and engine in ENGINES
    }


def main():
    page = PAGE.read_text("utf-8")
    found = MARKED.search(page)
    columns = known(found[0])
    for engine in ENGINES:
        report = report_of(engine)
        if report is not None:
            columns[engine] = column(report)
            counts = {"version": "", "all": str(len(report["cases"])), "largest right error": ""}
            counts |= {one["family"]: str(one["cases"]) for one in report["families"]}
            columns["cases"] = counts
    names = ["cases", *(engine for engine in ENGINES if engine in columns)]
    rows = [["family", *names], ["---"] * (1 + len(names))]
    rows += [[row, *(columns[name][row] for name in names)] for row in columns["cases"]]
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    PAGE.write_text(MARKED.sub(lambda mark: mark[1] + table, page), "utf-8")


if __name__ == "__main__":
    main()
