"""Put what the benchmarks measured into the page on speed, between its marks.

python tests/benchmarks/engine.py --json engine.json
python tests/benchmarks/whole.py --json whole.json
python tests/benchmarks/readme.py engine.json whole.json
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
BEGIN, END = "<!-- measured: tests/benchmarks/readme.py -->", "<!-- end of what was measured -->"

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
    head = ["process", "seconds", "peak MB", "at four times the input"]
    lines = [_row(head), _row(["---", "---:", "---:", "---:"])]
    lines += [
        _row([name, f"{row['median_seconds']:.2f}", f"{row['median_peak_mb']:.0f}",
              f"{row['peak_mb_x4']:.0f}"])
        for name, row in measured["processes"].items()
    ]  # fmt: skip
    return lines


def section(engine: dict[str, Any], whole: dict[str, Any]) -> str:
    """What goes between the marks."""
    sequences, steps, features, units = whole["size"]
    return "\n".join([
        BEGIN,
        "",
        "c and m of every step, milliseconds (medians; float32, two threads):",
        "",
        *engine_table(engine),
        "",
        f"Whole processes, from start to HDF5 file: {sequences} sequences of {steps} steps, "
        f"{features} features, {units} units.",
        "",
        *whole_table(whole),
        "",
        "Measured on: " + "; ".join(described(engine["machine"]).splitlines()) + ".",
        "",
        END,
    ])  # fmt: skip


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Rewrite the section."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("engine", type=Path, help="what engine.py --json wrote")
    parser.add_argument("whole", type=Path, help="what whole.py --json wrote")
    given = parser.parse_args()
    engine, whole = (json.loads(path.read_text(encoding="utf-8"))
                     for path in (given.engine, given.whole))  # fmt: skip
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{README} has no marks {BEGIN} and {END}")
    README.write_text(before + section(engine, whole) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
