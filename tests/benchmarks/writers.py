"""Whether a trace would be written sooner by two threads at once than by threads in turns.

    python tests/benchmarks/writers.py [--folder .] [--megabytes 256] [--repeat 9]

One thread writes a new file, a megabyte at a time. Beside it two threads write every other one of
its megabytes, in turns as `rnnscope.running.side_by_side` has it and whenever each likes; and two
threads write half of them each to a file of their own, as parts of a run do. Every way has fresh
files a round, and the disk has nothing to do when it begins. Needs POSIX.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from machine import described, machine

BLOCK = 2**20
WAYS = {
    "one thread": (1, 1, False),
    "two threads, in turns": (2, 1, True),
    "two at once": (2, 1, False),
    "two at once, a file each": (2, 2, False),
}
"""How many threads there are, how many files, and whether a thread writes in its turn alone."""


def seconds(folder: Path, blocks: int, threads: int, files: int, *, turns: bool) -> float:
    """From when the threads begin to the return of the last write; not until it is on the disk."""
    data = np.ones(BLOCK, np.uint8)
    turn = threading.Lock() if turns else nullcontext()
    paths = [folder / f"written-{number}" for number in range(files)]
    opened = [os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL) for path in paths]

    def write(first: int) -> None:
        for block in range(first, blocks, threads):
            with turn:
                written = os.pwrite(opened[block % files], data, block // files * BLOCK)
            assert written == BLOCK

    try:
        for file in opened:
            os.truncate(file, blocks // files * BLOCK)
        os.sync()
        working = [threading.Thread(target=write, args=(number,)) for number in range(threads)]
        began = time.perf_counter()
        for thread in working:
            thread.start()
        for thread in working:
            thread.join()
        return time.perf_counter() - began
    finally:
        for file, path in zip(opened, paths, strict=True):
            os.close(file)
            path.unlink()


def main() -> None:
    """Measure, and print a line a way."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=9)
    given = parser.parse_args()
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        for _ in range(given.repeat + 1):  # the first takes memory from the host
            for way, (threads, files, turns) in WAYS.items():
                taken[way].append(seconds(Path(name), given.megabytes, threads, files, turns=turns))
    print(described(machine("numpy")))
    alone = np.array(taken["one thread"][1:])
    for way, each in taken.items():
        rate = given.megabytes * BLOCK / np.median(each[1:]) / 1e9
        ratio = np.quantile(np.array(each[1:]) / alone, [0.25, 0.5, 0.75])
        print(f"{way:26}{rate:5.2f} GB/s, {ratio[1]:.2f} of the time of one thread "
              f"({ratio[0]:.2f} to {ratio[2]:.2f})")  # fmt: skip


if __name__ == "__main__":
    main()
