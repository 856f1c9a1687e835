"""Commands killed at random moments: nothing lost, nothing half, the same numbers, no litter.

``python tests/fuzz/kill_runs.py --kills 100`` starts a run, a resumed run, an export over an older
one, pooling into a trace and an update of golden traces in turn, kills each with SIGKILL somewhere
in its time, and then does it again undisturbed. What must hold: old results are there and whole
until the new ones are, the second try ends well with the states of an undisturbed run, and only
results are left.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import h5py
import numpy as np

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # as pytest has it

RUN = "run w.npz x.npz --layout tf1 --threads 1 --memory 100KB --quiet -o t.h5"
KINDS = {
    "run": f"{RUN} --force",
    "resume": f"{RUN} --force --resume",
    "export folder": "export t.h5 --to arrays -o out --force --quiet",
    "export file": "export t.h5 --to arrays -o out.npz --force --quiet",
    "pool": "pool t.h5 --method mean --force",
    "golden": "check --suite s.toml --update-golden --quiet",
}
SUITE = """
[[case]]
checkpoint = "w.npz"
input = "x.npz"
golden = "g/t.h5"
run = { layout = "tf1", threads = 1, forget_bias = NEW, override = true }
"""


def command(text: str) -> list[str]:
    return [sys.executable, "-m", "rnnscope", *text.split()]


def undisturbed(text: str) -> None:
    done = subprocess.run(command(text), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{text}: {done.returncode}\n{done.stderr}{done.stdout}")


def arrays(path: Path, *, pooled: bool = False) -> str:
    """A digest over every dataset; raises where the file is not whole."""
    digest = hashlib.sha256()

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and (pooled or not name.startswith("pooled/")):
            digest.update(name.encode() + item[()].tobytes())

    with h5py.File(path) as file:
        if file.attrs["complete"] != 1:
            raise ValueError("not complete")
        file.visititems(add)
    return digest.hexdigest()


def digests(kind: str) -> dict[str, str]:
    """What a command makes, by name."""
    if kind in ("run", "resume", "pool"):
        return {"t.h5": arrays(Path("t.h5"), pooled=kind == "pool")}
    if kind == "golden":
        return {"g/t.h5": arrays(Path("g/t.h5"))}
    files = [Path("out.npz")] if kind == "export file" else sorted(Path("out").rglob("*.npy"))
    if not files:
        raise FileNotFoundError("out")
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def kill_somewhere(text: str, most: float, rng: Random) -> bool:
    """Whether the command was still there to be killed."""
    process = subprocess.Popen(command(text), stdout=-3, stderr=-3)
    time.sleep(rng.uniform(0.15, 1) * most)
    process.kill()
    return process.wait() == -9


def prepare(folder: Path) -> None:
    os.chdir(folder)
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(24, 64)).astype("f4"), np.zeros(64, "f4")
    np.savez("w.npz", **{"rnn/lstm_cell/kernel": kernel, "rnn/lstm_cell/bias": bias})
    np.savez("x.npz", x=rng.normal(size=(400, 50, 8)).astype("f4"))
    Path("s.toml").write_text(SUITE.replace("NEW", "1.0"))
    for text in KINDS.values():
        undisturbed(text)


def one(kind: str, place: Path, base: Path, most: float, rng: Random) -> list[str]:
    """What went wrong after one kill."""
    shutil.copytree(base, place)
    os.chdir(place)
    if kind == "golden":  # so that there is something to update
        Path("s.toml").write_text(SUITE.replace("NEW", "0.5"))
    before, listing = digests(kind), {path.name for path in place.iterdir()}
    killed = kill_somewhere(KINDS[kind], most, rng)
    wrong = []
    try:
        after = digests(kind)
        if kind != "golden" and after != before:
            wrong.append("half: other numbers after the kill")
    except (OSError, ValueError, KeyError) as error:
        wrong.append(f"lost: {error}")
        after = {}
    undisturbed(KINDS[kind])
    if kind != "golden" and digests(kind) != before:
        wrong.append("unequal: other numbers after the second try")
    if left := {path.name for path in place.iterdir()} - listing:
        wrong.append(f"litter: {sorted(left)}")
    if kind == "golden" and len(list(Path("g").iterdir())) != 1:
        wrong.append(f"litter: {sorted(path.name for path in Path('g').iterdir())}")
    shutil.rmtree(place)
    return [f"{kind} ({'killed' if killed else 'done before'}): {text}" for text in wrong]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = Random(given.seed)  # noqa: S311
    until = time.monotonic() + given.seconds
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder, "base")
        base.mkdir()
        prepare(base)
        most, done, wrong = {}, 0, []
        for kind, text in KINDS.items():
            os.chdir(base)
            started = time.monotonic()
            undisturbed(text)
            most[kind] = time.monotonic() - started
        for number in range(given.kills):
            if time.monotonic() > until:
                break
            kind = list(KINDS)[number % len(KINDS)]
            found = one(kind, Path(folder, str(number)), base, most[kind], rng)
            done += 1
            wrong += found
            for text in found:
                print(text, flush=True)
        os.chdir("/")
    print(f"{done} kills, {len(wrong)} finds")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
