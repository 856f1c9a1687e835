"""Put what the benchmarks measured into the page on speed, each table between its marks.

    python tests/benchmarks/readme.py FILE …

A file is what `all.py`, `engine.py`, `grid.py` or `whole.py` wrote with ``--json``; tables
that none of them measured stay as they are.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from machine import described

README = Path(__file__).resolve().parents[2] / "rnnscope" / "engines" / "SPEED.md"
BEGIN, END = "<!-- measured: {} -->", "<!-- end of {} -->"

TOLD_BY = {"engine": "results", "grid": "cells", "whole": "processes", "cells": "contests"}
"""A key that a script's numbers have and no other's."""

OURS, NUMPY = "rnnscope, compiled", "rnnscope, numpy"
KEEPS_NO_C = {"ONNX Runtime LSTM": "ONNX Runtime, m alone", "torch LSTM": "torch LSTM, m alone"}


def engine_table(measured: dict[str, Any]) -> list[str]:
    """Milliseconds by shape and peer, with the ratios of the compiled steps."""
    columns = [OURS, NUMPY, *KEEPS_NO_C]
    titles = ["rnnscope", "rnnscope, numpy alone", *KEEPS_NO_C.values()]
    head = ["batch × time × in → units", *titles, "fastest other way to c and m",
            "rnnscope / ONNX Runtime", "rnnscope / fastest other"]  # fmt: skip
    lines = [_row(head), _row(["---"] + ["---:"] * (len(head) - 1))]
    for result in measured["results"]:
        batch, steps, features, units = result["shape"]
        peers, other = result["peers"], result["against"]["fastest c"]
        ratios = result["ratios"][OURS]
        lines.append(_row([
            f"{batch} × {steps} × {features} → {units}",
            *(f"{peers[name]['ms']:.1f}" for name in columns),
            f"{peers[other]['ms']:.1f} ({other})",
            f"{ratios['ONNX Runtime']['median']:.2f}",
            f"{ratios['fastest c']['median']:.2f}",
        ]))  # fmt: skip
    return lines


def whole_table(measured: dict[str, Any]) -> list[str]:
    """Seconds and memory of whole processes."""
    head = ["process", "seconds", "over an existing file", "peak MB", "at four times the input"]
    lines = [_row(head), _row(["---", *["---:"] * (len(head) - 1)])]
    lines += [
        _row([name, f"{row['median_seconds']:.2f}", f"{row['median_seconds_over']:.2f}",
              f"{row['median_peak_mb']:.0f}", f"{row['peak_mb_x4']:.0f}"])
        for name, row in measured["processes"].items()
    ]  # fmt: skip
    return lines


def grid_table(measured: dict[str, Any]) -> list[str]:
    """The time of rnnscope as a part of ONNX Runtime's, a row for units, vectors and threads."""
    cells = {(cell["units"], cell["vectors"], cell["threads"], cell["batch"]): cell
             for cell in measured["cells"]}  # fmt: skip
    batches = sorted({batch for *_, batch in cells})
    kinds = sorted({(vectors, threads) for _, vectors, threads, _ in cells},
                   key=lambda kind: (kind[0] != "native", -kind[1]))  # fmt: skip
    names = {"native": "AVX-512", "avx2": "AVX2"}
    lines = [_row(["vectors, threads, units", *(f"batch {batch}" for batch in batches)]),
             _row(["---", *["---:"] * len(batches)])]  # fmt: skip
    for vectors, threads in kinds:
        many = "two threads" if threads == 2 else "one thread"
        for units in sorted({units for units, *_ in cells}):
            found = [cells.get((units, vectors, threads, batch)) for batch in batches]
            if any(found):
                lines.append(_row([f"{names[vectors]}, {many}, {units}", *map(_ratio, found)]))
    return lines


def cells_table(native: dict[str, Any], narrow: dict[str, Any] | None) -> list[str]:
    """What other cells take, as a part of the first contender's time."""
    found = [one["contests"] for one in (native, narrow) if one is not None]
    lines = [_row(["contest: batch x time", "beside", "AVX-512", "AVX2"][: 2 + len(found)]),
             _row(["---", "---", "---:", "---:"][: 2 + len(found)])]  # fmt: skip
    for name, contenders in native["contests"].items():
        first, *others = contenders
        for other in others:
            ratios = [_of(one.get(name, {}).get(other)) for one in found]
            subject = name if other == "rnnscope" else f"{name}: {other}"
            lines.append(_row([subject, first, *ratios]))
    return lines


def _of(row: dict[str, Any] | None) -> str:
    return "-" if row is None else f"{row['ratio']:.2f}"


def _ratio(cell: dict[str, Any] | None) -> str:
    if cell is None or "failed" in cell:
        return "-"
    text = f"{cell['ratio']:.2f}"
    return f"**{text}**" if float(text) > MOST else text


MOST = 1.0
"""Ratios above it stand out."""


def sections(measured: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The lines of each table that was measured, by script."""
    found = {}
    if "engine" in measured:
        found["engine"] = [
            "c and m of every step, milliseconds (medians; float32, two threads):", "",
            *engine_table(measured["engine"]),
        ]  # fmt: skip
    if "grid" in measured:
        found["grid"] = [
            "The time of rnnscope, c and m, as a part of ONNX Runtime's, m alone (medians of "
            "ratios within a round; input half as wide as there are units):", "",
            *grid_table(measured["grid"]),
        ]  # fmt: skip
    if "whole" in measured:
        sequences, steps, features, units = measured["whole"]["size"]
        found["whole"] = [
            f"Whole processes, from start to HDF5 file: {sequences} sequences of {steps} steps, "
            f"{features} features, {units} units.", "",
            *whole_table(measured["whole"]),
        ]  # fmt: skip
    if "cells" in measured:
        found["cells"] = [
            "Other cells, as a part of what a peer takes that gives m alone, and of the plain LSTM "
            "what else it may be asked for (two threads):", "",
            *cells_table(measured["cells"], measured.get("cells-avx2")),
        ]  # fmt: skip
    return {
        name: [*lines, "", "Measured on: "
               + "; ".join(described(measured[name]["machine"]).splitlines()) + "."]
        for name, lines in found.items()
    }  # fmt: skip


def by_script(read: dict[str, Any]) -> dict[str, Any]:
    """What was read, by the script that measured it."""
    for name, key in TOLD_BY.items():
        if key in read:
            return {"cells-avx2" if read.get("avx2") else name: read}
    return {name: read[name] for name in (*TOLD_BY, "cells-avx2") if name in read}


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Rewrite the section."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="what --json wrote")
    measured: dict[str, Any] = {}
    for path in parser.parse_args().files:
        found = by_script(json.loads(path.read_text(encoding="utf-8")))
        if not found:
            raise SystemExit(f"{path} holds no numbers of {', '.join(TOLD_BY)}")
        measured |= found
    text = README.read_text(encoding="utf-8")
    for name, lines in sections(measured).items():
        begin, end = BEGIN.format(name), END.format(name)
        before, found_begin, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        if not (found_begin and found_end):
            raise SystemExit(f"{README} has no marks {begin} and {end}")
        text = "\n".join([f"{before}{begin}", "", *lines, "", f"{end}{after}"])
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
