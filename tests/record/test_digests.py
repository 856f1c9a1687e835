"""What a trace says of the files it was made from: their digests, whoever takes them when."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path

import h5py
import numpy as np
import pytest

import rnnscope
from rnnscope.errors import RnnscopeError
from rnnscope.files.guarding.hashing import files_sha256
from rnnscope.record import planning


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    weights, x = tmp_path / "w.npz", tmp_path / "x.npy"
    kernel = rng.normal(size=(7, 12)).astype(np.float32)
    names = {"rnn/lstm_cell/kernel": kernel, "rnn/lstm_cell/bias": np.zeros(12, np.float32)}
    np.savez(weights, **names)
    np.save(x, rng.normal(size=(300, 60, 4)).astype(np.float32))  # more than one block of the hash
    return weights, x


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def attributes(trace: Path) -> dict[str, str]:
    with h5py.File(trace) as file:
        return {name: file.attrs[name] for name in file.attrs if name.endswith("sha256")}


def test_digests_are_those_of_the_whole_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    weights, x = files
    rnnscope.run(weights, x, output=tmp_path / "t.h5", layout="tf1", forget_bias=1.0).close()
    assert attributes(tmp_path / "t.h5") == {
        "checkpoint_sha256": sha256(weights), "input_sha256": sha256(x),
        "decoder_input_sha256": "",
    }  # fmt: skip


def test_a_run_waits_for_no_digest_before_its_states_are_computed(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest is held back until all states are there: they would wait for ever otherwise."""
    weights, x = files
    computed, taken = threading.Event(), planning.files_sha256

    def held_back(paths: list[Path], *is_wanted: Callable[[], bool]) -> str:
        assert computed.wait(60)
        return taken(paths, *is_wanted)

    set_checks = rnnscope.record.recording.TraceWriter.set_checks

    def noted(writer: object, text: str) -> None:
        set_checks(writer, text)
        computed.set()

    monkeypatch.setattr(planning, "files_sha256", held_back)
    monkeypatch.setattr("rnnscope.trace.writer.TraceWriter.set_checks", noted)
    rnnscope.run(weights, x, output=tmp_path / "t.h5", layout="tf1", forget_bias=1.0).close()
    assert attributes(tmp_path / "t.h5")["input_sha256"] == sha256(x)


def test_a_file_that_can_no_longer_be_read_ends_the_run(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, x = files

    def broken(paths: list[Path], *_: Callable[[], bool]) -> str:
        raise OSError(5, "Input/output error", str(paths[0]))

    monkeypatch.setattr(planning, "files_sha256", broken)
    with pytest.raises(OSError, match="Input/output error"):
        rnnscope.run(weights, x, output=tmp_path / "t.h5", layout="tf1", forget_bias=1.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w.npz", "x.npy"]


def background_threads() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name == "background"}


def test_a_digest_that_is_no_longer_wanted_is_given_up(files: tuple[Path, Path]) -> None:
    assert files_sha256([files[1]], lambda: True) == sha256(files[1])
    with pytest.raises(CancelledError):
        files_sha256([files[1]], lambda: False)


def test_a_refused_run_leaves_nobody_reading_its_input(files: tuple[Path, Path]) -> None:
    """Four terabytes of a sparse file would keep a thread reading for an hour."""
    weights, x = files
    os.truncate(x, 2**42)
    before = background_threads()
    with pytest.raises(RnnscopeError):
        rnnscope.run(weights, x, layout="tf1", layers=["nothing"])
    for thread in background_threads() - before:
        thread.join(10)
    assert background_threads() <= before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_read_in_the_background(
    files: tuple[Path, Path], tmp_path: Path, kind: str
) -> None:
    """A device has no end, and a pipe without a writer keeps whoever opens it."""
    odd = tmp_path / "odd"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to("/dev/zero")
    before = background_threads()
    with pytest.raises(RnnscopeError):
        rnnscope.run(files[0], odd, layout="tf1")
    assert background_threads() <= before
