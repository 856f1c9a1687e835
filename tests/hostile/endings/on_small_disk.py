"""Every command that writes, on a disk of so many kilobytes: whole, or refused and nothing changed.

``unshare -rm python on_small_disk.py SOURCE KILOBYTES...`` mounts a disk of each size for itself
alone, runs all commands there in this one process, and tells what went wrong, a line each. SOURCE
holds ``w.npz``, ``x.npy``, ``t.h5`` and ``other.h5``.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np

SUITE = """
[[case]]
checkpoint = "w.npz"
input = "x.npy"
golden = "g.h5"
run = { layout = "tf1", threads = 1, forget_bias = 0.5, override = true }
"""

COMMANDS = {
    "t.h5": "run {0}/w.npz {0}/x.npy --layout tf1 --threads 1 --force -o t.h5",
    "sliced.h5": "run {0}/w.npz {0}/x.npy --layout tf1 --memory 1KB --force -o sliced.h5",
    "packed.h5": "run {0}/w.npz {0}/x.npy --layout tf1 --compress gzip --force -o packed.h5",
    "a.npz": "export {0}/t.h5 --to arrays --force -o a.npz",
    "a.h5": "export {0}/t.h5 --to torch --force -o a.h5",
    "a.json": "export {0}/t.h5 --to arrays --force -o a.json",
    "a.safetensors": "export {0}/t.h5 --to arrays --force -o a.safetensors",
    "folder": "export {0}/t.h5 --to arrays --force -o folder",
    "p.npz": "pool {0}/t.h5 --method mean --force -o p.npz",
    "pooled.h5": "pool pooled.h5 --method mean --force",
    "j.xml": "check {0}/t.h5 --junit j.xml",
    "page.html": "report {0}/t.h5 --force -o page.html",
    "e.json": "explain {0}/t.h5 {0}/other.h5 -o e.json",
    "g.h5": "check --suite s.toml --update-golden",
}
"""By what each writes; that lies there before, whole."""


def numbers(target: Path) -> dict[str, object]:
    """What a file or folder holds, without times."""
    if target.is_dir():
        return {str(file.relative_to(target)): file.read_bytes() for file in target.rglob("*.npy")}
    if target.suffix == ".npz":
        with np.load(target) as file:
            return {name: array.tobytes() for name, array in file.items()}
    if target.suffix in (".xml", ".html"):  # they tell times and paths
        return {"": target.read_bytes().rstrip()[-8:]}
    if target.name == "e.json":
        return {"": sorted(json.loads(target.read_text()))}
    if target.suffix != ".h5":
        return {"": target.read_bytes()}
    found: dict[str, object] = {}

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes()

    with h5py.File(target) as file:
        file.visititems(add)
        found[""] = int(file.attrs.get("complete", 1))
    return found


def content(target: Path) -> dict[str, bytes]:
    files = sorted(target.rglob("*")) if target.is_dir() else [target]
    return {str(file): file.read_bytes() for file in files if file.is_file()}


def lay_out(name: str, place: Path, source: Path) -> None:
    """What was there before the command."""
    if name == "folder":
        (place / name).mkdir()
        (place / name / "old.npy").write_bytes(b"old")
    elif name in ("pooled.h5", "g.h5"):
        shutil.copy(source / "t.h5", place / name)
    else:
        (place / name).write_bytes(b"old")
    if name == "g.h5":
        (place / "s.toml").write_text(SUITE)
        for file in ("w.npz", "x.npy"):
            shutil.copy(source / file, place)


def one(name: str, source: Path, place: Path, right: object = None) -> list[str]:
    """Run a command, and what went wrong; `right` is what it makes where there is room."""
    from rnnscope.cli.main import run

    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    os.chdir(place)
    try:
        lay_out(name, place, source)
    except OSError:
        return []  # not even what was there before has room
    before, names = content(place / name), sorted(os.listdir(place))  # noqa: PTH208
    errors, out = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(out):
        code = run(COMMANDS[name].format(source).split())
    told, wrong = errors.getvalue() + out.getvalue(), []
    if "Traceback" in told:
        wrong.append(told)
    if code not in (0, 1, 2):
        wrong.append(f"exit code {code}")
    if sorted(os.listdir(place)) != names:  # noqa: PTH208
        wrong.append(f"left {sorted(os.listdir(place))}")  # noqa: PTH208
    if content(place / name) == before:
        if code == 0 and name != "g.h5":
            wrong.append("exit code 0 and nothing written")
        if code == 2 and not any(words in told for words in ("annot be written", "no room")):
            wrong.append(f"not said: {told[-300:]}")
    elif code == 2:
        wrong.append(f"exit code 2, and another file: {told[-300:]}")
    elif right is not None and numbers(place / name) != right:
        wrong.append("other numbers than with room")
    return [f"{name}: {text}" for text in wrong]


def on_disk(kilobytes: str, source: Path, right: dict[str, object]) -> list[str]:
    """What goes wrong on a disk of that size."""
    disk = source / f"disk{kilobytes}"
    disk.mkdir()
    size = f"size={kilobytes}k"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", disk], check=True)
    told: list[str] = []
    for name in COMMANDS:
        told += one(name, source, disk / "place", right[name])
    os.chdir("/")
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        thread.join(10)  # one may still give back the pages of a file on the disk
    subprocess.run(["umount", disk], check=True)
    return [f"{kilobytes} KB: {text}" for text in told]


def main() -> None:
    source = Path(sys.argv[1])
    told, right = [], {}
    for name in COMMANDS:
        told += one(name, source, source / "room")
        right[name] = numbers(source / "room" / name)
    for kilobytes in sys.argv[2:]:
        told += on_disk(kilobytes, source, right)
    gc.collect()
    sys.stdout.write("".join(f"{line}\n" for line in [*told, "done"]))


if __name__ == "__main__":
    main()
