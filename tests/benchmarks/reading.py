"""How reading grows with what a file holds: n, 2n and 4n recurrent layers, each format.

    python tests/benchmarks/reading.py [--layers N] [--repeat N] [--json FILE]

Files are written first, and are not timed. The least processor time of some is shown, and its
growth from n to 4n: 4 is linear, 16 quadratic. Then what ``inspect`` and ``run`` take of memory, as
a process, where the file holds a large table that nobody needs.
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

from launcher import measured
from machine import described, machine

import rnnscope

UNITS = 4
PACKAGES = ("rnnscope", "numpy", "onnx", "torch", "keras", "tensorflow")


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


def safetensors(path: Path, layers: int) -> dict[str, str]:
    """The tensors of an nn.LSTM."""
    arrays = {}
    for number in range(layers):
        arrays[f"rnn.weight_ih_l{number}"] = _drawn(4 * UNITS, UNITS)
        arrays[f"rnn.weight_hh_l{number}"] = _drawn(4 * UNITS, UNITS)
        arrays |= {f"rnn.bias_{part}_l{number}": _drawn(4 * UNITS) for part in ("ih", "hh")}
    head, at = {}, 0
    for name, array in arrays.items():
        ends = [at, at := at + array.nbytes]
        head[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": ends}
    text = json.dumps(head).encode()
    values = b"".join(array.tobytes() for array in arrays.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + values)
    return {}


def _keras(layers: int, rows: int = 0) -> Any:
    """A stack of LSTMs; with a table of some rows beside it."""
    import keras

    x = keras.Input((None, UNITS), name="x")
    outputs = x
    for number in range(layers):
        lstm = keras.layers.LSTM(UNITS, return_sequences=True, name=f"lstm_{number}")
        outputs = lstm(outputs)
    if not rows:
        return keras.Model(x, outputs)
    ids = keras.Input((None,), dtype="int32", name="ids")
    return keras.Model([x, ids], [outputs, keras.layers.Embedding(rows, 64)(ids)])


def keras_file(path: Path, layers: int, rows: int = 0) -> dict[str, str]:
    """A whole Keras model, whichever the ending."""
    _keras(layers, rows).save(path)
    return {}


def saved_model(path: Path, layers: int, rows: int = 0) -> dict[str, str]:
    """The functions of a model, as ``export`` writes them."""
    _keras(layers, rows).export(path, verbose=False)
    return {}


WRITERS: dict[str, Callable[[Path, int], dict[str, str]]] = {
    "npz": npz, "onnx": onnx, "pt": pt, "safetensors": safetensors, "h5": keras_file,
    "keras": keras_file, "saved_model": saved_model,
}  # fmt: skip

FEWER = {"saved_model": 5, "h5": 2, "keras": 2}
"""Slow to write: one layer for so many of the others."""

ROWS = 800_000
"""Of the table that nobody needs: 205 MB."""

WITH_TABLE: dict[str, Callable[[Path, int, int], dict[str, str]]] = {
    "h5": keras_file, "keras": keras_file, "saved_model": saved_model,
}  # fmt: skip


def measure(ending: str, layers: int, folder: Path, repeat: int) -> float:
    """The least processor seconds of opening a file of some layers."""
    path = folder / f"{layers}.{ending}"
    given = WRITERS[ending](path, layers)
    taken = []
    for _ in range(repeat):
        started = time.process_time()
        rnnscope.open_model(path, **given)
        taken.append(time.process_time() - started)
    return min(taken)


def memory(ending: str, folder: Path) -> dict[str, float]:
    """Peak MB of processes, measured from outside."""
    path = folder / f"table.{ending}"
    WITH_TABLE[ending](path, 1, ROWS)
    run = [sys.executable, "-m", "rnnscope"]
    todo = {
        "inspect": [*run, "inspect", str(path)],
        "run": [*run, "run", str(path), str(folder / "x.npy"), "-o", str(folder / "t.h5"),
                "--force", "--quiet", "--layer", "*lstm*"],
    }  # fmt: skip
    found = {}
    for name, command in todo.items():
        _, _, peak, failure = measured(command)
        found[name] = round(peak) if not failure else float("nan")
        if failure:
            print(f"{ending} {name}: {failure}")
    return found


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
    peaks: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for ending in WRITERS:
            try:
                measure(ending, 2, folder, 1)  # what is imported once
            except ImportError as error:
                print(f"{ending}: left out, {error}")
                continue
            sizes = [given.layers // FEWER.get(ending, 1) * factor for factor in (1, 2, 4)]
            found = [measure(ending, size, folder, given.repeat) for size in sizes]
            results[ending] = found
            shown = ", ".join(
                f"{size}: {one:.2f} s" for size, one in zip(sizes, found, strict=True)
            )
            print(f"{ending:<12} {shown}; 4n / n {found[2] / found[0]:.1f}", flush=True)
        print(f"\npeak MB, with a table of {ROWS * 64 * 4 / 1e6:.0f} MB that nobody needs")
        np.save(folder / "x.npy", _drawn(2, 5, UNITS))
        for ending in WITH_TABLE.keys() & results.keys():
            peaks[ending] = memory(ending, folder)
            print(f"{ending:<12} {peaks[ending]}", flush=True)
    if given.json:
        whole = {"machine": on, "seconds": results, "peak_mb": peaks}
        given.json.write_text(json.dumps(whole, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
