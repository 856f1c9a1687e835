"""Runs in parts: workers of a Dask cluster on this machine, beside one process of the same threads.

    python tests/benchmarks/in_parts.py [--sequences 4096] [--workers 1,2] [--parts 16]

Prints seconds, sequences and bytes a second for one process and for clusters, what tasks cost the
scheduler, and how large the master is by the number of parts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

STEPS, UNITS, FEATURES = 100, 256, 64
LAYOUT = "torch"


def make_files(folder: Path, sequences: int) -> tuple[Path, Path]:
    """An LSTM of 256 units by PyTorch's names, and an input."""
    rng = np.random.default_rng(1)
    shapes = {"weight_ih_l0": (4 * UNITS, FEATURES), "weight_hh_l0": (4 * UNITS, UNITS),
              "bias_ih_l0": 4 * UNITS, "bias_hh_l0": 4 * UNITS}  # fmt: skip
    arrays = {f"lstm.{name}": rng.normal(size=shape) / 16 for name, shape in shapes.items()}
    np.savez(folder / "lstm.npz", **{name: array.astype("f4") for name, array in arrays.items()})
    x = rng.normal(size=(sequences, STEPS, FEATURES)).astype("f4")
    np.save(folder / "x.npy", x)
    return folder / "lstm.npz", folder / "x.npy"


def told(name: str, seconds: float, sequences: int) -> None:
    rate = sequences / seconds
    size = rate * STEPS * UNITS * 2 * 4
    print(f"{name:28}{seconds:8.2f} s {rate:9.0f} sequences/s {size / 1e6:8.0f} MB/s of c and m")


def nothing(number: int) -> int:
    return number


def main() -> None:
    from distributed import Client, LocalCluster

    from rnnscope.clusters.interface import ClusterAddress
    from rnnscope.record.parts.joining import join_parts
    from rnnscope.record.parts.on_cluster import record_on_cluster
    from rnnscope.record.recipes.recipe import Recipe
    from rnnscope.record.recording import record
    from rnnscope.record.targets import PartOfRun, Target
    from rnnscope.trace import Trace

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=4096)
    parser.add_argument("--parts", type=int, default=16)
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = Recipe.make(*make_files(folder, given.sequences), layout=LAYOUT)

        def best(work) -> float:
            times = []
            for _ in range(given.repeat + 1):  # the first warms what is compiled and cached
                started = time.perf_counter()
                work()
                times.append(time.perf_counter() - started)
            return min(times[1:])

        for threads in map(int, given.workers.split(",")):
            seconds = best(lambda threads=threads: record(
                recipe.with_options(threads=threads), Target(folder / "one.h5", force=True)
            ))  # fmt: skip
            told(f"one process, {threads} threads", seconds, given.sequences)
        one = (folder / "one.h5").stat().st_size
        for workers in map(int, given.workers.split(",")):
            with (
                LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0",
                             memory_limit=0) as cluster,
                Client(cluster) as client,
            ):  # fmt: skip
                address = ClusterAddress(cluster.scheduler_address)
                seconds = best(lambda address=address: record_on_cluster(
                    recipe, Target(folder / "t.h5", force=True), address, parts=given.parts
                ))  # fmt: skip
                told(f"{workers} workers, {given.parts} parts", seconds, given.sequences)
                started = time.perf_counter()
                client.gather(client.map(nothing, range(2000), pure=False))
                rate = 2000 / (time.perf_counter() - started)
        print(f"empty tasks: {rate:.0f} a second")
        master = (folder / "t.h5").stat().st_size
        print(f"trace of one process {one / 1e6:.1f} MB; master of {given.parts} parts "
              f"{master / 1e3:.1f} kB")  # fmt: skip
        small = Recipe.make(recipe.checkpoint, recipe.input, layout=LAYOUT)
        for parts in (64, 256):
            made = folder / f"m{parts}.h5"
            np.save(folder / "few.npy", np.zeros((parts, 2, FEATURES), "f4"))
            few = small.reading(None, str(folder / "few.npy"))
            made.with_name(f"{made.name}.parts").mkdir()
            every = [PartOfRun(number + 1, parts) for number in range(parts)]
            for part in every:
                record(few, Target(part.path(made)), part=part)
            started = time.perf_counter()
            join_parts([part.path(made) for part in every], made)
            joined = time.perf_counter() - started
            started = time.perf_counter()
            Trace.open(made).close()
            seconds = time.perf_counter() - started
            print(f"master of {parts} parts: {made.stat().st_size / 1e3:.0f} kB, "
                  f"tied in {joined:.2f} s, opened in {seconds:.3f} s")  # fmt: skip
    print(f"{os.cpu_count()} processors")


if __name__ == "__main__":
    main()
