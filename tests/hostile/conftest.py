"""A small model and its input as files, and a run of them that is cut off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnscope.trace.partial import PartialFile

SEQUENCES, STEPS, FEATURES, UNITS = 6, 4, 2, 3


@pytest.fixture
def files(tmp_path, monkeypatch) -> Path:
    """The current folder: ``w.npz`` (layout tf1), ``x.npy`` (6, 4, 2)."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(FEATURES + UNITS, 4 * UNITS)).astype("f4")
    names = {"rnn/lstm_cell/kernel": kernel, "rnn/lstm_cell/bias": np.zeros(4 * UNITS, "f4")}
    folder = tmp_path / "work"
    folder.mkdir()
    np.savez(folder / "w.npz", **names)
    np.save(folder / "x.npy", rng.normal(size=(SEQUENCES, STEPS, FEATURES)).astype("f4"))
    monkeypatch.chdir(folder)
    return folder


RUN = ("run", "w.npz", "x.npy", "--layout", "tf1", "--threads", "1", "-o", "t.h5")


@pytest.fixture
def run(files, rnnscope):
    """`run(*more)`: the run of these files to ``t.h5``."""
    return lambda *more: rnnscope(*RUN, *more)


@pytest.fixture
def cut_off(run, monkeypatch):
    """`cut_off()`: a run that ends after its first commit, and leaves what --resume takes up."""

    def call():
        real = PartialFile.write_commit

        def stop(self, done, state):
            real(self, done, state)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(PartialFile, "write_commit", stop)
            found = run("--memory", "1KB")
        assert found.code != 0
        assert Path(".t.h5.partial.json").exists()

    return call
