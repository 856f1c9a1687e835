"""The sessions in the docstrings of the API are real."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import rnnscope

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted({"rnnscope", *rnnscope._HOMES.values()})


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the sample data, and a trace of the README's first example."""
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    monkeypatch.chdir(tmp_path)
    sample = "sample_data/lstm_float64"
    rnnscope.run(f"{sample}/model.ckpt", f"{sample}/inputs.npz", output="trace.h5").close()
    return tmp_path


@pytest.mark.parametrize("name", MODULES)
def test_sessions(place, name):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=flags).failed == 0


def test_every_public_function_shows_a_session():
    for name in rnnscope.__all__:
        found = getattr(rnnscope, name)
        if callable(found) and not isinstance(found, type):
            assert ">>> " in (found.__doc__ or ""), name
