"""The Python API: what a notebook does with rnnscope."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rnnscope
from rnnscope.errors import InputError, OptionError, TraceError, UnsupportedCellError

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
M = SAMPLES / "lstm_float64" / "model.ckpt"
INPUTS = SAMPLES / "lstm_float64" / "inputs.npz"
LAYER = "rnn/lstm_cell"
X = np.load(INPUTS)["x"]
TRUTH = dict(np.load(SAMPLES / "lstm_float64" / "truth.npz"))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("api") / "t.h5"
    rnnscope.run(M, X, lengths=[10, 6], gates=True, output=path).close()
    return path


def test_importing_costs_next_to_nothing():
    code = "import rnnscope, sys; print(len([m for m in sys.modules if m.startswith('rnnscope')]))"
    heavy = "print(sorted({'numpy', 'h5py', 'click', 'rich', 'google'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; {heavy}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "[]"]


def test_every_public_name_is_there_and_nothing_else():
    for name in rnnscope.__all__:
        assert getattr(rnnscope, name) is not None
    assert set(rnnscope.__all__) <= set(dir(rnnscope))
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        rnnscope.runn  # noqa: B018


def test_functions_are_not_hidden_by_modules():
    """A room that is called as a function would take its place once it is imported."""
    rnnscope.run(M, X).close()
    rnnscope.check(rnnscope.run(M, X))
    functions = [name for name in rnnscope.__all__ if name.islower() and name[0] != "_"]
    assert [name for name in functions if not callable(getattr(rnnscope, name))] == []


def test_a_model_shows_its_layers_in_one_gate_order():
    model = rnnscope.open_model(M)
    assert (model.format, model.framework) == ("tf1-saver", "TensorFlow 1.15.5")
    layer = model.layers[LAYER]
    assert (layer.kind, layer.cell, layer.backward) == ("lstm", "LSTMCell", False)
    assert layer.weights.kernel.shape == (8, 256)
    assert (layer.options["forget_bias"].value, layer.options["forget_bias"].origin) == (
        1.0,
        "graph",
    )
    assert model.left_out == ()
    assert "LSTMCell" in str(model)
    assert LAYER in repr(model)


def test_states_are_those_of_the_framework(stored):
    for trace in (rnnscope.run(M, X, lengths=[10, 6]), rnnscope.open_trace(stored)):
        with trace:
            layer = trace.layers[LAYER]
            valid = trace.valid
            assert valid.sum(axis=1).tolist() == trace.lengths.tolist() == [10, 6]
            for state in ("c", "m"):
                ours = np.asarray(getattr(layer, state))
                np.testing.assert_allclose(ours[valid], TRUTH[state][valid], rtol=0, atol=1e-12)
                final = np.asarray(layer.final[state])
                np.testing.assert_allclose(final, TRUTH[f"final_{state}"], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "key",
    [0, -1, (1, slice(None, 6)), (slice(None), 3), (slice(0, 1), 2, 5), (slice(None, None, -1),),
     (np.array([1, 0]), 2), (Ellipsis, 0), (np.array([True, False]),), (1, 2, 3), slice(0, 0)],
    ids=str,
)  # fmt: skip
def test_lazy_arrays_index_as_numpy_does(stored, key):
    with rnnscope.open_trace(stored) as trace:
        lazy = trace.layers[LAYER].c
        assert (lazy.shape, lazy.dtype, lazy.ndim, len(lazy)) == ((2, 10, 64), np.float64, 3, 2)
        whole = np.asarray(lazy)
        assert np.array_equal(lazy[key], whole[key])


def test_lazy_arrays_refuse_what_numpy_refuses(stored):
    with rnnscope.open_trace(stored) as trace:
        with pytest.raises(IndexError):
            trace.layers[LAYER].c[2]
        assert "(2, 10, 64)" in repr(trace.layers[LAYER].c)
        assert LAYER in repr(trace)


def test_only_the_sequences_asked_for_are_read(stored, monkeypatch):
    with rnnscope.open_trace(stored) as trace:
        lazy = trace.layers[LAYER].c
        asked = []
        read = trace.stored.read_array
        monkeypatch.setattr(
            trace.stored, "read_array",
            lambda layer, name, rows: asked.append(rows) or read(layer, name, rows),
        )  # fmt: skip
        lazy[1, :6]
        assert asked == [slice(1, 2)]


def test_gates_and_what_was_not_kept(stored):
    with rnnscope.open_trace(stored) as trace:
        gates = trace.layers[LAYER].gates
        assert sorted(gates) == ["f", "g", "i", "o"]
        c, i, f, g = (
            np.asarray(array)
            for array in (trace.layers[LAYER].c, gates["i"], gates["f"], gates["g"])
        )
        np.testing.assert_allclose(c[:, 1], f[:, 1] * c[:, 0] + i[:, 1] * g[:, 1], atol=1e-14)
        with pytest.raises(TraceError, match="does not hold this array"):
            trace.layers[LAYER].inputs  # noqa: B018


def test_steps_one_at_a_time_are_those_of_the_run():
    model = rnnscope.open_model(M)
    initial = np.full((2, 64), 0.25)
    with model.run(X, lengths=[10, 6], initial_c=initial, initial_m=initial) as trace:
        whole = {state: np.asarray(getattr(trace.layers[LAYER], state)) for state in ("c", "m")}
    count = 0
    for timestep, step in enumerate(
        model.steps(X, lengths=[10, 6], initial_c=initial, initial_m=initial)
    ):
        layer = step[LAYER]
        assert layer.timestep == timestep
        np.testing.assert_allclose(layer.c, whole["c"][:, timestep], rtol=0, atol=1e-13)
        np.testing.assert_allclose(layer.m, whole["m"][:, timestep], rtol=0, atol=1e-13)
        np.testing.assert_array_equal(layer.x, X[:, timestep])
        assert sorted(layer.gates) == ["f", "g", "i", "o"]
        count += 1
    assert count == 10


def test_steps_of_stacked_keras_layers_with_a_mask_of_the_model(tmp_path):
    model = rnnscope.open_model(SAMPLES / "keras_mask" / "model.keras")
    with np.load(SAMPLES / "keras_mask" / "inputs.npz") as given:
        x = given["x"]
    with model.run(x, model_input=True) as trace:
        (layer,) = trace.layers.values()
        whole = np.asarray(layer.outputs)
    for timestep, step in enumerate(model.steps(x, model_input=True)):
        np.testing.assert_allclose(step[layer.name].outputs, whole[:, timestep], rtol=0, atol=1e-6)


def test_a_backward_layer_does_not_go_step_by_step():
    with pytest.raises(InputError, match="cannot go step by step"):
        next(rnnscope.open_model(M).steps(X, go_backwards=True, override=True))


def test_options_are_those_of_the_table():
    with pytest.raises(OptionError, match="Did you mean 'lengths'"):
        rnnscope.run(M, X, lenghts=[1, 2])
    with pytest.raises(InputError, match="one length for each sequence"):
        rnnscope.run(M, X, lengths=[1, 2, 3])
    with pytest.raises(UnsupportedCellError):
        rnnscope.run(SAMPLES / "worked_example" / "state.npz", X, layout="tf1")


def test_errors_speak_in_keywords_not_in_flags(tmp_path):
    """Whatever goes wrong, the library names options as Python has them."""
    mistakes = [
        lambda: rnnscope.run(M, X, ragged=True),
        lambda: rnnscope.run(M, X, forget_bias=2.0),
        lambda: rnnscope.run(M, X[:, :, :5]),
        lambda: rnnscope.run(M, X, feed="nothing"),
        lambda: rnnscope.run(M, X, layers="nothing*"),
        lambda: rnnscope.run(M, X, memory="0"),
        lambda: rnnscope.run(M, X, mask="nothing"),
        lambda: rnnscope.run(M, X, decoder_steps=3),
        lambda: rnnscope.run(M, X, lengths=[10, 60]),
        lambda: rnnscope.run(M, X, trust_model=True),
        lambda: rnnscope.run(M, X, embedding="e"),
        lambda: rnnscope.run(M, X, layout="torch"),
        lambda: rnnscope.run(M, X, output=tmp_path),
        lambda: rnnscope.run(M, X, select=["steps=x"]),
        lambda: rnnscope.open_trace(INPUTS),
        lambda: rnnscope.open_model(INPUTS),
        lambda: rnnscope.check(rnnscope.run(M, X), only=["nothing"]),
        lambda: rnnscope.check(rnnscope.run(M, X), limits={"finite": 1}),
    ]
    for number, mistake in enumerate(mistakes):
        with pytest.raises(rnnscope.RnnscopeError) as caught:
            mistake()
        assert " --" not in str(caught.value), (number, str(caught.value))


def test_a_trace_on_disk_is_whole_or_not_there(tmp_path):
    path = tmp_path / "t.h5"
    with pytest.raises(InputError):
        rnnscope.run(M, X[:, :, :5], output=path)
    assert list(tmp_path.iterdir()) == []
    with rnnscope.run(M, X, output=path) as trace:
        assert trace.path == path
    with pytest.raises(TraceError, match="exists already"):
        rnnscope.run(M, X, output=path)
    rnnscope.run(M, X, output=path, force=True).close()


def test_reports_are_what_the_command_prints(tmp_path, rnnscope_command):
    printed = rnnscope_command("run", M, INPUTS, "-o", tmp_path / "a.h5")
    trace = rnnscope.run(M, INPUTS, output=tmp_path / "b.h5")
    skip = ("engine ", "trace ")
    ours = [line for line in str(trace.report).splitlines() if not line.startswith(skip)]
    theirs = [line for line in printed.splitlines() if not line.startswith(skip)]
    assert ours == theirs
    assert trace.report.to_dict()["report"] == "run"
    checked = rnnscope.check(trace)
    assert str(checked).startswith("checked  ")
    assert checked.to_dict()["schema_version"] == 1


def test_to_xarray(stored):
    xarray = pytest.importorskip("xarray")
    with rnnscope.open_trace(stored) as trace:
        tree = trace.to_xarray()
        assert isinstance(tree, xarray.DataTree)
        layer = tree[LAYER]
        assert layer["c"].dims == ("sequence", "timestep", "unit")
        assert np.array_equal(layer["c"], np.asarray(trace.layers[LAYER].c))
        assert layer["gate_f"].dims == ("sequence", "timestep", "unit")
        assert tree["lengths"].values.tolist() == [10, 6]


def test_two_traces_in_memory_do_not_know_each_other():
    with rnnscope.run(M, X) as one, rnnscope.run(M, 2 * X) as other:
        a, b = (np.asarray(trace.layers[LAYER].c) for trace in (one, other))
    assert not np.array_equal(a, b)
    assert np.abs(a).max() > 0


def test_compressed_ragged_and_selected_traces_live_in_memory_too():
    with rnnscope.run(M, X, lengths=[10, 6]) as plain:
        whole = np.asarray(plain.layers[LAYER].m)
    with rnnscope.run(M, X, lengths=[10, 6], ragged=True) as trace:
        assert np.array_equal(np.asarray(trace.layers[LAYER].m), whole)
    with rnnscope.run(M, X, lengths=[10, 6], compress="gzip") as trace:
        assert np.array_equal(np.asarray(trace.layers[LAYER].m), whole)
    with rnnscope.run(M, X, lengths=[10, 6], select=["steps=::2", "states=m"]) as trace:
        assert np.array_equal(np.asarray(trace.layers[LAYER].m), whole[:, ::2])
