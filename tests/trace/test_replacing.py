"""A trace that takes an older one's place is on the disk before it has its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnscope.files.writing import write_back
from rnnscope.model.states import LayerStates
from rnnscope.trace import LayerHeader, TraceHeader, TraceWriter, partial

LSTM = LayerHeader("rnn/lstm", 3, {"c": 3, "m": 3})


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What the system is asked for, in order, with the inodes meant."""
    calls: list[tuple[str, Any]] = []
    fsync, replace = os.fsync, Path.replace

    def note(name: str, descriptor: int) -> None:
        calls.append((name, os.fstat(descriptor).st_ino))

    def noted_fsync(descriptor: int) -> None:
        note("fsync", descriptor)
        fsync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        if target.suffix == ".h5":
            calls.append(("rename", self.stat().st_ino))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
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


def test_it_is_written_back_while_the_run_goes_on_and_forced_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "t.h5"
    target.write_text("precious")
    calls = recorded(monkeypatch)
    write(target)
    new = target.stat().st_ino
    assert calls == [("release", target), ("begin", new), ("fsync", new), ("rename", new)]


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
        assert begin(file.fileno()) == 0
    assert begin(-1) == -1
