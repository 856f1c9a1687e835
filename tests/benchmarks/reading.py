"""How reading grows with what a file holds: n, 2n and 4n recurrent layers, each format.

    python tests/benchmarks/reading.py [--layers N] [--repeat N] [--json FILE]

Files are written first, and are not timed. The least time of some is shown, and its growth from n
to 4n: 4 is linear, 16 quadratic.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from machine import described, machine

import rnnscope

UNITS = 4
PACKAGES = ("rnnscope", "numpy", "onnx", "torch")


def _drawn(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def npz(path: Path, layers: int) -> dict[str, str]:
    """Kernels and biases as Keras names them."""
    arrays = {}
    for number in range(layers):
        arrays[f"lstm_{number}/kernel"] = _drawn(UNITS, 4 * UNITS)
        arrays[f"lstm_{number}/recurrent_kernel"] = _drawn(UNITS, 4 * UNITS)
        arrays[f"lstm_{number}/bias"] = _drawn(4 * UNITS)
    np.savez(path, **arrays)
    return {"layout": "keras"}


def onnx(path: Path, layers: int) -> dict[str, str]:
    """A stack of LSTM nodes."""
    import onnx as format_
    from onnx import helper, numpy_helper

    nodes, stored, last = [], [numpy_helper.from_array(np.array([1]), "axes")], "X"
    for number in range(layers):
        stored += [
            numpy_helper.from_array(_drawn(1, 4 * UNITS, UNITS), f"{name}{number}") for name in "WR"
        ]
        reads = [last, f"W{number}", f"R{number}"]
        nodes.append(helper.make_node("LSTM", reads, [f"Y{number}"], hidden_size=UNITS))
        last = f"m{number}"
        nodes.append(helper.make_node("Squeeze", [f"Y{number}", "axes"], [last]))
    graph = helper.make_graph(
        nodes, "stack", [helper.make_tensor_value_info("X", 1, [5, 2, UNITS])],
        [helper.make_tensor_value_info(last, 1, None)], stored,
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    format_.save(made, str(path))
    return {}


def pt(path: Path, layers: int) -> dict[str, str]:
    """The state dict of an nn.LSTM."""
    import torch

    torch.save(torch.nn.LSTM(UNITS, UNITS, num_layers=layers).state_dict(), path)
    return {}


WRITERS: dict[str, Callable[[Path, int], dict[str, str]]] = {"npz": npz, "onnx": onnx, "pt": pt}


def measure(ending: str, layers: int, folder: Path, repeat: int) -> float:
    """The least seconds of opening a file of some layers."""
    path = folder / f"{layers}.{ending}"
    given = WRITERS[ending](path, layers)
    taken = []
    for _ in range(repeat):
        started = time.perf_counter()
        rnnscope.open_model(path, **given)
        taken.append(time.perf_counter() - started)
    return min(taken)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--layers", type=int, default=250, help="n (default 250)")
    parser.add_argument("--repeat", type=int, default=3, help="times each (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    given = parser.parse_args()
    on = machine(*PACKAGES)
    print(described(on), flush=True)
    results: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for ending in WRITERS:
            try:
                measure(ending, 2, folder, 1)  # what is imported once
            except ImportError as error:
                print(f"{ending}: left out, {error}")
                continue
            sizes = [given.layers * factor for factor in (1, 2, 4)]
            found = [measure(ending, size, folder, given.repeat) for size in sizes]
            results[ending] = found
            shown = ", ".join(
                f"{size}: {one:.2f} s" for size, one in zip(sizes, found, strict=True)
            )
            print(f"{ending:<5} {shown}; 4n / n {found[2] / found[0]:.1f}", flush=True)
    if given.json:
        given.json.write_text(json.dumps({"machine": on, "seconds": results}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
