"""A trace that takes an older one's place has reached the disk before it has its name."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnscope.files.writing import write_back
from rnnscope.model.states import LayerStates
from rnnscope.trace import LayerHeader, TraceHeader, TraceWriter, partial
from rnnscope.trace import target as of_target

LSTM = LayerHeader("rnn/lstm", 3, {"c": 3, "m": 3})


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What the system is asked for, in order, with the inodes meant."""
    calls: list[tuple[str, Any]] = []
    replace = Path.replace

    def note(name: str, descriptor: int) -> None:
        calls.append((name, os.fstat(descriptor).st_ino))

    def noted_replace(self: Path, target: Path) -> Path:
        if target.suffix == ".h5":
            calls.append(("rename", self.stat().st_ino))
        return replace(self, target)

    monkeypatch.setattr(of_target, "make_safe_to_rename", lambda number: note("safe", number))
    monkeypatch.setattr(Path, "replace", noted_replace)
    monkeypatch.setattr(partial, "begin_write_back", lambda number: note("begin", number))
    monkeypatch.setattr(partial, "release_pages", lambda path: calls.append(("release", path)))
    return calls


def write(target: Path) -> None:
    with TraceWriter(target, TraceHeader(), [LSTM], 2, 4, force=True, fingerprint="x") as writer:
        steps, end = np.ones((2, 4, 3), np.float32), np.ones((2, 3), np.float32)
        ends = {"c": end, "m": end}
        states = LayerStates({"c": steps, "m": steps}, steps, ends, ends)
        writer.write_layer(LSTM.name, states, slice(0, 2))
        writer.commit(2)


def test_it_is_written_back_while_the_run_goes_on_and_waited_for_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "t.h5"
    target.write_text("precious")
    calls = recorded(monkeypatch)
    write(target)
    new = target.stat().st_ino
    assert calls == [("release", target), ("begin", new), ("safe", new), ("rename", new)]


def test_a_new_trace_waits_for_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recorded(monkeypatch)
    write(tmp_path / "t.h5")
    assert [name for name, _ in calls] == ["rename"]


@pytest.mark.parametrize("known", [True, False])
def test_hints_leave_files_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    if not known:  # as on a system that takes no such hints
        monkeypatch.setattr(write_back, "_sync_file_range", lambda: None)
        monkeypatch.delattr(os, "posix_fadvise", raising=False)
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 10**6)
    with path.open("r+b") as file:
        write_back.begin_write_back(file.fileno())
    write_back.release_pages(path)
    write_back.release_pages(tmp_path / "missing")
    assert path.read_bytes() == b"abc" * 10**6


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system takes no such hints")
def test_the_system_takes_the_hint(tmp_path: Path) -> None:
    begin = write_back._sync_file_range()
    if begin is None:
        pytest.skip("no sync_file_range: not Linux")
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    with path.open("r+b") as file:
        for flags in (write_back._WRITE, write_back._WRITE_AND_WAIT):
            assert begin(file.fileno(), flags) == 0
    assert begin(-1, write_back._WRITE) == -1


@pytest.mark.parametrize(
    ("journal", "answer", "expected"),
    [
        (True, 0, ["wait"]),
        (True, -1, ["wait", "fsync"]),
        (False, 0, ["fsync"]),
        (True, None, ["fsync"]),
    ],
)
def test_the_content_alone_is_waited_for_where_a_journal_keeps_the_order(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    journal: bool,
    answer: int | None,
    expected: list[str],
) -> None:
    """An error, which the wait may tell of, is left to fsync: it says which one it is."""
    calls: list[str] = []

    def wait(_: int, flags: int) -> int:
        assert flags == write_back._WRITE_AND_WAIT
        calls.append("wait")
        return answer or 0

    monkeypatch.setattr(write_back, "_sync_file_range", lambda: None if answer is None else wait)
    monkeypatch.setattr(write_back, "_has_journal", lambda _: journal)
    monkeypatch.setattr(os, "fsync", lambda _: calls.append("fsync"))
    with (tmp_path / "file").open("wb") as file:
        write_back.make_safe_to_rename(file.fileno())
    assert calls == expected


@pytest.mark.skipif(not hasattr(os, "major"), reason="devices have no numbers here")
@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("fs/ext4/disk/journal_task", True),
        ("fs/ext4/disk/other", False),
        ("fs/ext4/another/journal_task", False),
        ("fs/xfs/disk/stats", True),
        ("fs/btrfs/disk/features", False),
    ],
)
def test_what_the_system_tells_of_a_file_system(tmp_path: Path, made: str, expected: bool) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    number = file.stat().st_dev
    known = tmp_path / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    entry = tmp_path / made
    entry.parent.mkdir(parents=True)
    entry.write_text("1")
    with file.open("rb") as opened:
        assert not write_back._has_journal(opened.fileno(), tmp_path)  # a device nobody knows
        known.parent.mkdir(parents=True)
        (tmp_path / "disk").mkdir()
        known.symlink_to(tmp_path / "disk")
        assert write_back._has_journal(opened.fileno(), tmp_path) == expected


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system takes no such hints")
@pytest.mark.parametrize(
    ("waiting", "age", "expected"),
    [(0, 0, 1), (1, 3600, 0), (None, 0, 0), (None, 3600, 1)],
    ids=["on the disk", "on its way", "not told, new", "not told, old"],
)
def test_pages_of_a_file_that_is_still_being_written_back_are_left_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    waiting: int | None,
    age: int,
    expected: int,
) -> None:
    """Releasing them would force the file to the disk that is about to be replaced."""
    path, asked = tmp_path / "file", []
    path.write_bytes(b"abc" * 10**6)
    written = time.time() - age
    os.utime(path, (written, written))
    monkeypatch.setattr(write_back, "_pages_waiting", lambda _: waiting)
    monkeypatch.setattr(os, "posix_fadvise", lambda *given: asked.append(given))
    before = set(threading.enumerate())
    write_back.release_pages(path)
    for thread in set(threading.enumerate()) - before:  # those of others never end
        thread.join(10)
        assert not thread.is_alive()
    assert len(asked) == expected


def test_linux_tells_which_pages_wait(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("w+b") as file:
        if write_back._pages_waiting(file.fileno()) is None:
            pytest.skip("the system does not tell")
        file.write(b"abc" * 10**6)
        file.flush()
        assert write_back._pages_waiting(file.fileno()) > 0
        os.fsync(file.fileno())
        assert write_back._pages_waiting(file.fileno()) == 0
