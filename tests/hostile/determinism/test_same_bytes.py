"""The same command gives the same bytes; what threads and memory may change is rounding."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from fuzz.samples import safetensors_bytes

RNG = np.random.default_rng(0)


def weights(gates, units, features):
    sizes = {"weight_ih": features, "weight_hh": units}
    arrays = {
        f"rnn.{name}_l0": RNG.normal(size=(gates * units, size)).astype("f4")
        for name, size in sizes.items()
    }
    return {**arrays, **{f"rnn.bias_{x}_l0": np.zeros(gates * units, "f4") for x in ("ih", "hh")}}


@pytest.fixture
def models(files):
    """``lstm.safetensors``, ``gru.safetensors`` and ``in.npz``: 9 sequences of different length."""
    for name, gates in (("lstm", 4), ("gru", 3)):
        Path(f"{name}.safetensors").write_bytes(safetensors_bytes(weights(gates, 16, 8)))
    x = RNG.normal(size=(9, 20, 8)).astype("f4")
    np.savez("in.npz", x=x, lengths=np.array([20, 1, 5, 7, 20, 2, 9, 3, 11]))


@pytest.mark.parametrize(
    "command",
    [
        "run lstm.safetensors in.npz -o out --force",
        "run gru.safetensors in.npz -o out --force --ragged",
        "run lstm.safetensors in.npz -o out --force --compress gzip --engine numpy",
    ],
)  # fmt: skip
def test_a_trace_has_the_same_bytes(models, rnnscope, monkeypatch, command):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setattr("sys.argv", ["rnnscope", *command.split()])
    made = []
    for _ in range(2):
        assert rnnscope(*command.split()).code == 0
        made.append(Path("out").read_bytes())
    assert made[0] == made[1]
    assert b"2023-11-14T22:13:20+00:00" in made[0]


@pytest.mark.parametrize("epoch", ["", "yesterday", "-1", "9" * 30, "1.5"])
def test_a_wrong_epoch_is_ignored(models, rnnscope, monkeypatch, epoch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    assert rnnscope("run", "lstm.safetensors", "in.npz", "-o", "t.h5").code == 0


@pytest.mark.parametrize(
    "command",
    [
        "export t.h5 --to torch -o out.npz --force",
        "export t.h5 --to arrays -o out.safetensors --force",
        "export t.h5 --to arrays -o out.h5 --force", "export t.h5 --to keras -o out.json --force",
        "pool t.h5 --method mean -o out.npz --force", "pool t.h5 --method last -o out.npy --force",
    ],
)  # fmt: skip
def test_exports_and_pooled_arrays_have_the_same_bytes(models, rnnscope, command):
    assert rnnscope("run", "lstm.safetensors", "in.npz", "-o", "t.h5").code == 0
    (name,) = (word for word in command.split() if word.startswith("out"))
    made = []
    for _ in range(2):
        assert rnnscope(*command.split()).code == 0
        made.append(Path(name).read_bytes())
    assert made[0] == made[1]
    if name.endswith(".npz"):  # whose members have times of two seconds' steps
        with zipfile.ZipFile(name) as archive:
            assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


WAYS = [("1", "64MB"), ("3", "64MB"), ("1", "1KB"), ("2", "20KB")]


@pytest.mark.parametrize(
    ("model", "engine", "tolerance"),
    [
        ("lstm", "compiled", 0),
        ("lstm", "numpy", 1e-5),
        ("lstm", "reference", 1e-5),
        ("gru", "numpy", 1e-5),
    ],
)
def test_threads_and_memory_change_at_most_rounding(
    models, rnnscope, read_trace, model, engine, tolerance
):
    """Where our own code sums, not a bit; where BLAS does, its sums depend on the batch."""
    first = None
    for threads, memory in WAYS:
        options = ("--threads", threads, "--memory", memory, "--engine", engine)
        found = rnnscope("run", f"{model}.safetensors", "in.npz", "-o", "t.h5", "--force", *options)
        assert found.code == 0, found.stderr
        states = read_trace("t.h5")
        first = first or states
        assert states.keys() == first.keys()
        for name, array in states.items():
            np.testing.assert_allclose(array, first[name], rtol=0, atol=tolerance, err_msg=name)
            if not tolerance:
                assert array.tobytes() == first[name].tobytes()
