"""How fast traces are written and read as HDF5, as zarr on the disk and as zarr in an S3 store.

    python tests/benchmarks/object_stores.py [--repeat N] [--sequences N] [--json FILE]

Outputs, c and m of 100 steps of 128 units, in random states. The S3 store is moto's server, a
process of this machine, so that nothing waits for a network: what is measured is what requests and
packing cost, not what a cloud gives. Each round writes every kind anew, reads all of it in slices,
and reads c of single sequences far from each other; kinds take turns. Medians are shown.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from machine import described, machine

STEPS, UNITS, SLICE, SINGLE = 100, 128, 256, 30
PACKAGES = ("rnnscope", "numpy", "h5py", "zarr", "fsspec", "s3fs", "moto")
KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def server() -> Iterator[None]:
    """The server of moto, and the environment that leads to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        os.environ |= KEYS | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        import s3fs

        s3fs.S3FileSystem().mkdir("bucket")
        yield
    finally:
        process.kill()
        process.wait()


def write(path: str, sequences: int) -> None:
    """A trace of random states in slices of some hundred sequences."""
    import numpy as np

    from rnnscope.model.states import LayerStates
    from rnnscope.trace import LayerHeader, TraceHeader, TraceWriter

    layer = LayerHeader("lstm", UNITS, {"c": UNITS, "m": UNITS})
    rng = np.random.default_rng(0)
    c, m, outputs = (rng.standard_normal((SLICE, STEPS, UNITS), np.float32) for _ in range(3))
    with TraceWriter(path, TraceHeader(), [layer], sequences, STEPS, force=True) as writer:
        for start in range(0, sequences, SLICE):
            count = min(SLICE, sequences - start)
            states = {"c": c[:count], "m": m[:count]}
            ends = {name: array[:, -1].copy() for name, array in states.items()}
            rows = slice(start, start + count)
            writer.write_layer("lstm", LayerStates(states, outputs[:count], ends, ends), rows)
            writer.write_common(rows, input_steps=np.full(count, STEPS))
            writer.commit(rows.stop)


def measure(path: str, sequences: int) -> dict[str, float]:
    """Seconds of writing, of reading all of it, and of one sequence."""
    from rnnscope.trace import Trace

    began = time.perf_counter()
    write(path, sequences)
    written = time.perf_counter()
    with Trace.open(path) as trace:
        opened = time.perf_counter()
        for start in range(0, sequences, SLICE):
            trace.read_states("lstm", slice(start, start + SLICE))
        read = time.perf_counter()
        for number in range(SINGLE):
            row = number * 7919 % sequences
            trace.read_array("lstm", "c", slice(row, row + 1))
        single = time.perf_counter()
    return {
        "write": written - began,
        "open": opened - written,
        "read": read - opened,
        "one": (single - read) / SINGLE,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--sequences", type=int, default=2048, help="of a trace (default 2048)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    given = parser.parse_args()
    on = machine(*PACKAGES)
    print(described(on), flush=True)
    size = 3 * given.sequences * STEPS * UNITS * 4
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, server():
        kinds = {
            "HDF5": f"{folder}/t.h5",
            "zarr": f"{folder}/t.zarr",
            "zarr in S3": "s3://bucket/t.zarr",
        }
        measure(f"{folder}/warm.zarr", SLICE)  # imports are not counted
        for number in range(given.repeat):
            for kind, path in kinds.items():
                # A new place each time: replacing in an object store copies everything.
                place = path.replace("/t.", f"/t{number}.")
                found.setdefault(kind, []).append(measure(place, given.sequences))
    print(f"\n{size / 1e6:.0f} MB of states\n{'':<12}{'write':>12}{'open':>10}{'read all':>12}"
          f"{'one sequence':>14}")  # fmt: skip
    table: dict[str, Any] = {}
    for kind, rounds in found.items():
        row = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        table[kind] = {"median": row, "rounds": rounds}
        print(f"{kind:<12}{size / 1e6 / row['write']:>7.0f} MB/s{row['open'] * 1e3:>7.0f} ms"
              f"{size / 1e6 / row['read']:>7.0f} MB/s{row['one'] * 1e3:>11.1f} ms")  # fmt: skip
    if given.json:
        numbers = {"machine": on, "bytes": size, "kinds": table}
        given.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
