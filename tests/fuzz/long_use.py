"""One process that does everything over and over: memory, handles and threads stay as they are.

``python tests/fuzz/long_use.py --rounds 1000`` goes through the Python API (a model opened, a run
in memory and one to a file, checked, compared, pooled, exported, shown, an error) and counts what
the process holds after each tenth of the rounds. What must hold after the first tenth: not a file,
thread, child or HDF5 object more, and less than `GROWTH` bytes of memory a round.

``--json`` prints what was held as one JSON object a line and judges nothing; ``--keep BYTES`` holds
as much more at each round, which must be seen. `ALLOCATOR` is the environment in which the memory
of few rounds tells what is held: with glibc's defaults 14 MB come and go, as threads get heaps of
their own and as large arrays are taken from the heap or from the system.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # as pytest has it

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"

ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072"}
"""Read by glibc as a process starts: one heap, and what is large is given back when it is freed."""

GROWTH = 2000
"""Bytes a round; allocators round up, and Python keeps some of what it has had."""


@dataclass(frozen=True)
class Held:
    """What a process holds at one moment."""

    files: int
    threads: int
    children: int
    hdf5: int
    temporary: int
    bytes: int

    def handles(self) -> tuple[int, ...]:
        return self.files, self.threads, self.children, self.hdf5, self.temporary


def held() -> Held:
    import h5py

    gc.collect()
    own = Path("/proc/self")
    children = (own / "task" / str(os.getpid()) / "children").read_text().split()
    temporary = [one for one in Path(tempfile.gettempdir()).iterdir() if "rnnscope" in one.name]
    return Held(
        files=len(list((own / "fd").iterdir())),
        threads=threading.active_count(),
        children=len(children),
        hdf5=h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_ALL),
        temporary=len(temporary),
        bytes=int((own / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
    )


def one_round(folder: Path) -> None:
    """Everything once."""
    import rnnscope

    lstm, masked = SAMPLES / "lstm_float64", SAMPLES / "keras2_masked"
    x = np.load(lstm / "inputs.npz")["x"]
    with rnnscope.run(lstm / "model.ckpt", x, lengths=[10, 6]) as trace:
        assert rnnscope.check(trace, recompute=True).status == "pass"
        rnnscope.pool(trace, "mean")
        str(rnnscope.show(trace))
        file = folder / "t.h5"
        rnnscope.run(masked / "model.h5", masked / "inputs.npz", output=file, force=True).close()
        assert rnnscope.diff(file, masked / "truth.npz").verdict == "same"
        rnnscope.export(trace, "torch", folder / "t.npz", force=True)
        assert rnnscope.diff(trace, folder / "t.npz").verdict == "same"
    model = rnnscope.open_model(lstm / "model.ckpt")
    next(iter(model.steps(x)))  # and not the others
    for wrong in (folder / "nothing", folder / "t.npz"):
        try:
            rnnscope.open_model(wrong)
        except rnnscope.RnnscopeError:
            continue
        raise AssertionError(wrong)


def use(
    rounds: int, folder: Path, say: Callable[[int, Held], None] | None = None, keep: int = 0
) -> tuple[Held, Held]:
    """What was held after the first tenth of the rounds, and at the end."""
    tenth, before = max(1, rounds // 10), tempfile.tempdir
    first: Held | None = None
    kept = []
    tempfile.tempdir = str(folder)  # where no other process makes anything
    try:
        for number in range(1, rounds + 1):
            one_round(folder)
            kept.append(b"1" * keep)
            if number % tenth == 0:
                now = held()
                first = first or now
                if say is not None:
                    say(number, now)
        assert first is not None
        return first, held()
    finally:
        tempfile.tempdir = before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=int, default=0, metavar="BYTES")
    given = parser.parse_args()
    started = time.monotonic()

    def say(number: int, now: Held) -> None:
        if given.json:
            print(json.dumps(asdict(now)), flush=True)
        else:
            print(f"{number:6} rounds, {time.monotonic() - started:6.0f} s: {now}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        first, last = use(given.rounds, Path(folder), say, given.keep)
    if given.json:
        return 0
    growth = (last.bytes - first.bytes) / max(1, given.rounds - given.rounds // 10)
    fine = first.handles() == last.handles() and growth < GROWTH
    print(f"{'flat' if fine else 'GROWS'}: {growth:.0f} bytes a round")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
