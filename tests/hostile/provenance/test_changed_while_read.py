"""Files that are written while a run reads them: no trace under the digest of another content."""

from __future__ import annotations

import os
from dataclasses import replace as replace_fields
from pathlib import Path

import numpy as np
import pytest

import rnnscope as package
from rnnscope.errors import InputError
from rnnscope.files.guarding.watched import Signature
from rnnscope.trace.partial import PartialFile


def write_in_place(path):
    """Other numbers, the same size."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with path.open("r+b") as file:
        file.write(content)


def write_and_set_the_time_back(path):
    before = path.stat()
    write_in_place(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path):
    other = path.with_name("other")
    other.write_bytes(path.read_bytes() + b"1")
    other.replace(path)


def cut(path):
    os.truncate(path, path.stat().st_size - 4)


CHANGES = {
    "in place": write_in_place,
    "in place, time set back": write_and_set_the_time_back,
    "replaced": replace,
    "cut": cut,
    "removed": Path.unlink,
}


@pytest.fixture
def while_it_runs(monkeypatch):
    """`while_it_runs(change)`: the change happens at the first commit of a run."""

    def plan(change):
        real = PartialFile.write_commit
        waiting = [change]

        def commit(self, done, state):
            while waiting:
                waiting.pop()()
            real(self, done, state)

        monkeypatch.setattr(PartialFile, "write_commit", commit)

    return plan


def make_old(*names):
    """As if the files had been there for an hour, so that their times are no matter of chance."""
    for name in names:
        found = Path(name).stat()
        os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns - 3600 * 10**9))


@pytest.mark.parametrize("name", ["x.npy", "w.npz"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("memory", ["1KB", "1GB"])
def test_a_change_during_the_run_fails_it(run, while_it_runs, name, change, memory):
    make_old("x.npy", "w.npz")
    while_it_runs(lambda: change(Path(name)))
    found = run("--memory", memory)
    assert found.code == 2
    what = "input" if name == "x.npy" else "checkpoint"
    assert f"The {what} was changed while it was read." in found.stderr
    assert f"where: {name}" in found.stderr
    assert sorted(path.name for path in Path().iterdir() if "t.h5" in path.name) == []


@pytest.mark.parametrize("name", ["x.npy", "w.npz"])
def test_two_writes_within_one_tick_of_the_clock(run, while_it_runs, monkeypatch, name):
    """The times are the same before and after; the digests are not."""
    path, real = Path(name), Signature.of
    now = path.stat().st_mtime_ns
    # A clock that stands still, and a file that was written just now.
    monkeypatch.setattr(
        Signature, "of", lambda path: replace_fields(real(path), touched=0, fresh=True)
    )

    def change():
        write_in_place(path)
        os.utime(path, ns=(now, now))

    while_it_runs(change)
    assert run("--memory", "1KB").code == 2


@pytest.mark.parametrize("name", ["x.npy", "w.npz"])
def test_another_name_or_right_is_no_change(run, while_it_runs, name):
    """A backup may make a hard link of a file that is being read."""
    make_old(name)

    def touch():
        Path(name).chmod(0o640)
        os.link(name, "backup")

    while_it_runs(touch)
    assert run("--memory", "1KB").code == 0


def test_a_file_written_a_moment_before_is_fine(run):
    write_in_place(Path("x.npy"))
    assert run().code == 0


def test_a_recomputation_says_it_too(run, rnnscope, monkeypatch):
    make_old("x.npy", "w.npz")
    assert run().code == 0
    from rnnscope.record.replaying.recomputation import Recomputation

    real = Recomputation.alone

    def alone(self, rows):
        write_in_place(Path("x.npy"))
        return real(self, rows)

    monkeypatch.setattr(Recomputation, "alone", alone)
    found = rnnscope("check", "t.h5", "--recompute")
    assert found.code == 2
    assert "The input was changed while it was read." in found.stdout + found.stderr


def test_a_trace_in_memory_is_held_to_the_same(files, monkeypatch):
    from rnnscope.trace.memory import MemoryFile

    make_old("x.npy", "w.npz")
    monkeypatch.setattr(MemoryFile, "write_commit", lambda *_: write_in_place(Path("x.npy")))
    with pytest.raises(InputError, match="changed while it was read"):
        package.run("w.npz", "x.npy", layout="tf1", memory="1KB")


def test_arrays_of_python_are_no_files(files):
    trace = package.run("w.npz", np.load("x.npy"), layout="tf1")
    assert trace.layers["rnn/lstm_cell"].c.shape == (6, 4, 3)
    trace.close()
