"""``long_name``, ``units`` and ``description`` of every array, so that plots say what they show."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import rnnscope

SAMPLE = Path(__file__).parents[2] / "sample_data/lstm_float64"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """With gates, lengths, a mask and pooled states: every kind of array that there is."""
    path = tmp_path_factory.mktemp("labels") / "trace.h5"
    x = np.load(SAMPLE / "inputs.npz")["x"]
    mask = np.arange(10) < np.array([[10], [6]])
    rnnscope.run(SAMPLE / "model.ckpt", x, mask=mask, lengths=[10, 6], gates=True,
                 output=path).close()  # fmt: skip
    rnnscope.pool(path, "mean", store=True)
    return path


def test_every_array_is_labelled(path):
    seen = {}

    def look(name, item):
        if isinstance(item, h5py.Dataset):
            assert item.attrs["units"] == "1", name
            assert item.attrs["description"], name
            seen[name] = item.attrs["long_name"]

    with h5py.File(path) as file:
        file.visititems(look)
    assert {name: seen[name] for name in ("rnn/lstm_cell/c", "rnn/lstm_cell/final/m",
                                          "rnn/lstm_cell/gates/f", "timestep", "lengths")} == {
        "rnn/lstm_cell/c": "cell state c",
        "rnn/lstm_cell/final/m": "final output state m",
        "rnn/lstm_cell/gates/f": "forget gate f",
        "timestep": "timestep",
        "lengths": "length",
    }  # fmt: skip
    assert any("mean over valid steps" in label for label in seen.values())
    assert {"mask", "input_steps"} <= set(seen)


def test_xarray_says_what_is_plotted(path):
    xarray = pytest.importorskip("xarray")
    from xarray.plot.utils import label_from_attrs

    with xarray.open_dataset(path, group="rnn/lstm_cell", engine="h5netcdf") as layer:
        assert label_from_attrs(layer["c"]) == "cell state c [1]"
        assert label_from_attrs(layer["outputs"]) == "outputs [1]"
