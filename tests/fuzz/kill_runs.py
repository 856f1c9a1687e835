"""Commands killed at random moments: nothing lost, nothing half, the same numbers, no litter.

``python tests/fuzz/kill_runs.py --kills 100`` starts what `KINDS` lists in turn, kills each with
SIGKILL, and then does it again undisturbed. Every second kill comes somewhere in the command's
time, the others just before one of its changes of the file system (a file opened for writing, a
name given, taken or exchanged): there a kill hurts most, and a clock hardly ever meets it. What
must hold: old results are there and whole until the new ones are, the second try ends well with the
states of an undisturbed run, and only results are left.
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
from xml.etree import ElementTree as ET

import h5py
import numpy as np

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # as pytest has it

RUN = "run w.npz x.npz --layout tf1 --threads 1 --memory 100KB --quiet -o t.h5"
KINDS = {
    "run": f"{RUN} --force",
    "first run": RUN,
    "resume": f"{RUN} --force --resume",
    "export folder": "export t.h5 --to arrays -o out --force --quiet",
    "export file": "export t.h5 --to arrays -o out.npz --force --quiet",
    "export hdf5": "export t.h5 --to torch -o torch.h5 --force --quiet",
    "export zarr": "export t.h5 --to zarr -o t.zarr --force --quiet",
    "pool": "pool t.h5 --method mean --force",
    "pool file": "pool t.h5 --method mean -o pooled.npz --force",
    "golden": "check --suite s.toml --update-golden --quiet",
    "report": "report t.h5 -o page.html --force --quiet",
    "junit": "check t.h5 --junit junit.xml --quiet",
}
MADE = {
    "export folder": "out/**/*.npy", "export file": "out.npz", "export hdf5": "torch.h5",
    "export zarr": "t.zarr/**/*",
    "pool file": "pooled.npz", "report": "page.html", "junit": "junit.xml",
}  # fmt: skip
"""Files whose bytes are what the command makes; the others make traces."""

STEPPED = """
import os, signal, sys
last, done = int(sys.argv.pop(1)), 0
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "os.chmod"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
def hook(event, arguments):
    global done
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
    if (writes and arguments[0] != os.devnull) or event in CHANGES or event == "ctypes.dlsym":
        done += 1
        if done == last:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
from rnnscope.cli.main import run
code = run(sys.argv[1:])
print("STEPS", done, file=sys.stderr)
sys.exit(code)
"""
"""Runs a command, and kills it before its LASTth change of the file system; 0: counts them."""

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
    if kind == "golden":
        return {"g/t.h5": arrays(Path("g/t.h5"))}
    if kind not in MADE:
        return {"t.h5": arrays(Path("t.h5"), pooled=kind == "pool")}
    files = sorted(file for file in Path().glob(MADE[kind]) if file.is_file())
    if not files:
        raise FileNotFoundError(MADE[kind])
    return {str(file): hashlib.sha256(plain(file)).hexdigest() for file in files}


def plain(file: Path) -> bytes:
    """What a file holds without times."""
    if file.suffix == ".xml":
        found = [(item.tag, item.get("name")) for item in ET.parse(file).iter()]  # noqa: S314
        return repr(found).encode()
    if file.suffix == ".html" and not file.read_bytes().rstrip().endswith(b"</html>"):
        raise ValueError("not complete")
    return file.read_bytes()


def kill_somewhere(text: str, most: float, steps: int, rng: Random) -> tuple[bool, str]:
    """Whether the command was still there to be killed, and when that was."""
    if rng.random() < 0.5:
        step = rng.randint(1, steps)
        line = [sys.executable, "-c", STEPPED, str(step), *text.split()]
        return subprocess.run(
            line, stdout=-3, stderr=-3, check=False
        ).returncode == -9, f"step {step}"
    process = subprocess.Popen(command(text), stdout=-3, stderr=-3)
    after = rng.uniform(0.15, 1) * most
    time.sleep(after)
    process.kill()
    return process.wait() == -9, f"after {after:.2f} s"


def steps_of(text: str) -> int:
    """How often a command changes the file system."""
    line = [sys.executable, "-c", STEPPED, "0", *text.split()]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return int(done.stderr.rpartition("STEPS ")[2])


def prepare(folder: Path) -> None:
    os.chdir(folder)
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(24, 64)).astype("f4"), np.zeros(64, "f4")
    np.savez("w.npz", **{"rnn/lstm_cell/kernel": kernel, "rnn/lstm_cell/bias": bias})
    np.savez("x.npz", x=rng.normal(size=(400, 50, 8)).astype("f4"))
    Path("s.toml").write_text(SUITE.replace("NEW", "1.0"))
    for kind, text in KINDS.items():
        if kind != "first run":
            undisturbed(text)


def one(kind: str, place: Path, base: Path, most: float, steps: int, rng: Random) -> list[str]:
    """What went wrong after one kill."""
    shutil.copytree(base, place)
    os.chdir(place)
    if kind == "golden":  # so that there is something to update
        Path("s.toml").write_text(SUITE.replace("NEW", "0.5"))
    before, listing = digests(kind), {path.name for path in place.iterdir()}
    if kind == "first run":
        Path("t.h5").unlink()
    killed, when = kill_somewhere(KINDS[kind], most, steps, rng)
    wrong = []
    try:
        after = digests(kind)
    except (OSError, ValueError, KeyError, ET.ParseError) as error:
        after = before
        if kind != "first run" or Path("t.h5").exists():
            wrong.append(f"lost: {error}")
    undisturbed(KINDS[kind] + (" --force" if kind == "first run" else ""))
    done = digests(kind)
    if after not in (before, done):
        wrong.append("half: other numbers after the kill")
    if kind != "golden" and done != before:
        wrong.append("unequal: other numbers after the second try")
    if left := {path.name for path in place.iterdir()} - listing:
        wrong.append(f"litter: {sorted(left)}")
    if kind == "golden" and len(list(Path("g").iterdir())) != 1:
        wrong.append(f"litter: {sorted(path.name for path in Path('g').iterdir())}")
    shutil.rmtree(place)
    return [f"{kind} ({when if killed else 'done before'}): {text}" for text in wrong]


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
        most, steps, done, wrong = {}, {}, 0, []
        for kind, text in KINDS.items():
            for count in (False, True):
                place = Path(folder, "measured")
                shutil.copytree(base, place)
                os.chdir(place)
                if kind == "first run":
                    Path("t.h5").unlink()
                started = time.monotonic()
                if count:
                    steps[kind] = steps_of(text)
                else:
                    undisturbed(text)
                    most[kind] = time.monotonic() - started
                shutil.rmtree(place)
        for number in range(given.kills):
            if time.monotonic() > until:
                break
            kind = list(KINDS)[number % len(KINDS)]
            found = one(kind, Path(folder, str(number)), base, most[kind], steps[kind], rng)
            done += 1
            wrong += found
            for text in found:
                print(text, flush=True)
        os.chdir("/")
    print(f"{done} kills, {len(wrong)} finds")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
