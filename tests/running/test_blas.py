"""BLAS is kept to one thread wherever a run multiplies there, and not looked for elsewhere."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

import rnnscope
from rnnscope.running import runner

SAMPLES = Path(__file__).parents[2] / "sample_data"
LSTM = ("lstm_float64/model.ckpt", "lstm_float64/inputs.npz")
STACK = ("keras_stack/model.h5", "keras_stack/inputs.npz")


@pytest.mark.parametrize(
    ("files", "options", "limited"),
    [
        (LSTM, {"engine": "compiled"}, False),
        (LSTM, {"engine": "compiled", "verify": "onnxruntime"}, True),
        (LSTM, {"engine": "numpy"}, True),
        (LSTM, {"engine": "numpy", "threads": 1}, False),
        (STACK, {"engine": "compiled"}, False),
    ],
)
def test_where_blas_is_kept_to_one_thread(monkeypatch, files, options, limited):
    """Engines of numpy, and other engines that verify."""
    if "verify" in options:
        pytest.importorskip(options["verify"])
    told = []

    def recorded(limit):
        told.append(limit)
        return nullcontext()

    monkeypatch.setattr(runner, "one_blas_thread", recorded)
    model, x = (str(SAMPLES / name) for name in files)
    with rnnscope.run(model, x, **{"threads": 2} | options):
        assert told == [limited]


def test_a_layer_that_is_not_recurrent_multiplies_there():
    """The dense layer before compiled steps is a product of numpy."""
    lstm, dense = SimpleNamespace(recurrent=object()), SimpleNamespace(recurrent=None)
    assert not runner.multiplies_in_blas(SimpleNamespace(nodes=[lstm, lstm]), compiled=True)
    assert runner.multiplies_in_blas(SimpleNamespace(nodes=[dense, lstm]), compiled=True)
    assert runner.multiplies_in_blas(SimpleNamespace(nodes=[lstm]), compiled=False)
