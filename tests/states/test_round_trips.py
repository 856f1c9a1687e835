"""Every format: what is written is read back, and the comparison finds no difference at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.comparing import DiffSettings, Tolerances, diff_states
from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.model.states import LayerFacts
from rnnscope.states import STATE_FORMAT_MODULES, state_format, state_formats
from rnnscope.states.export import ExportRequest, export_states
from rnnscope.states.interface import ReadOptions
from rnnscope.states.recognise import recognise
from rnnscope.states.state_set import StateLayer, StateSet

EXACT = DiffSettings(Tolerances(exact=True))
ONE_LAYER = {"tuple", "single"}
PAIRS = {"keras-bidirectional"}
SUFFIXES = {"trace": [".h5"], "lstmvis": [""], "single": [".npy", ".npz"]}
CONTAINERS = [".npz", ".h5", ".safetensors", ".json", ""]


def lstm_like(rng, sequences, timesteps, units, output, dtype, *, carried):
    """C that leaves the bound of m, and an m within it, as cells with tanh have them."""
    c = (rng.normal(size=(sequences, timesteps, units)) * 2).astype(dtype)
    c[:, :1] += 3
    m = np.tanh(rng.normal(size=(sequences, timesteps, output))).astype(dtype)
    for row, length in enumerate(carried):
        for array in (c, m):
            if length > 0:
                array[row, length:] = array[row, length - 1]
            else:
                array[row] = 0
    return c, m


@st.composite
def state_sets(draw, format_name):
    """States that the format can hold, of any sizes, with or without lengths."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    sequences, timesteps = draw(st.integers(1, 4)), draw(st.integers(2, 6))
    layers = 1 if format_name in ONE_LAYER else draw(st.integers(1, 3))
    units, projection = draw(st.integers(1, 5)), draw(st.booleans())
    output = draw(st.integers(1, 5)) if projection else units
    lengths = None
    if draw(st.booleans()):
        lengths = np.array(draw(st.lists(st.integers(1, timesteps), min_size=sequences,
                                         max_size=sequences)))  # fmt: skip
    carried = [timesteps] * sequences if lengths is None else lengths
    pairs = format_name in PAIRS or (format_name in {"torch", "onnx"} and draw(st.booleans()))
    built = []
    for number in range(layers * (2 if pairs else 1)):
        c, m = lstm_like(rng, sequences, timesteps, units, output, dtype, carried=carried)
        backward = pairs and number % 2 == 1
        name = f"enc/{number // 2}/{'bw' if backward else 'fw'}" if pairs else f"enc/l{number}"
        arrays = {"c": LoadedArray(c), "m": LoadedArray(m)}
        built.append(StateLayer(name, arrays, LayerFacts(name, backward=backward)))
    return StateSet("states", "arrays", tuple(built), lengths)


def write_and_compare(states, format_name, folder, suffix, *, steps="all", **options):
    """Export twice, as a trace for A and in the format for B; the comparison of both."""
    a, b = Path(folder) / "a.h5", Path(folder) / f"b{suffix}"
    export_states(states, ExportRequest("trace", a))
    done = export_states(states, ExportRequest(format_name, b, steps=steps, **options))
    time_major = options.get("time_major") if format_name != "onnx" else None
    reading = ReadOptions(time_major=time_major)
    one, other = recognise((str(a), str(b)), (ReadOptions(), reading))
    with one.states, other.states:
        return done, other, diff_states(one, other, EXACT)


@pytest.mark.parametrize("name", STATE_FORMAT_MODULES)
@given(data=st.data())
@settings(max_examples=10)
def test_what_is_written_is_read_back_without_a_difference(name, data):
    states = data.draw(state_sets(name))
    suffix = data.draw(st.sampled_from(SUFFIXES.get(name, CONTAINERS)))
    with tempfile.TemporaryDirectory() as folder:
        _, other, result = write_and_compare(states, name, folder, suffix)
        assert result.verdict == "same", (other.reading.words, other.reason, result)
        compared = sum(array.compared for layer in result.layers for array in layer.arrays)
        assert compared


@pytest.mark.parametrize(
    "name", [name for name in STATE_FORMAT_MODULES if name not in {"trace", "lstmvis", "diagnnose"}]
)
@given(data=st.data())
@settings(max_examples=6)
def test_final_states_alone(name, data):
    states = data.draw(state_sets(name))
    suffix = data.draw(st.sampled_from(SUFFIXES.get(name, CONTAINERS)))
    with tempfile.TemporaryDirectory() as folder:
        _, _, result = write_and_compare(states, name, folder, suffix, steps="final")
    assert result.verdict == "same"
    keys = {array.name for layer in result.layers for array in layer.arrays}
    assert keys <= {"final/c", "final/m"}


@pytest.mark.parametrize("name", ["tuple", "keras", "nested", "concat", "torch", "arrays", "onnx"])
@pytest.mark.parametrize("time_major", [True, False])
@given(data=st.data())
@settings(max_examples=4)
def test_time_major_and_batch_major(name, time_major, data):
    states = data.draw(state_sets(name))
    with tempfile.TemporaryDirectory() as folder:
        _, _, result = write_and_compare(states, name, folder, ".npz", time_major=time_major)
    assert result.verdict == "same"


def test_a_trace_keeps_layers_of_other_timesteps_and_layers_with_outputs_alone(tmp_path):
    rng = np.random.default_rng(1)
    c, m = lstm_like(rng, 2, 6, 4, 4, "float32", carried=[6, 3])
    encoder = StateLayer("enc", {"c": LoadedArray(c), "m": LoadedArray(m)})
    short = {
        "c": LoadedArray(c[:, :3]),
        "m": LoadedArray(m[:, :3]),
        "inputs": LoadedArray(m[:, :3]),
    }
    decoder = StateLayer("dec", short, counted=False)
    merge = StateLayer("merge", {"outputs": LoadedArray(m)})
    states = StateSet("states", "arrays", (encoder, decoder, merge), np.array([6, 3]))
    for name in ("a.h5", "b.h5"):
        export_states(states, ExportRequest("trace", tmp_path / name))
    done = export_states(states, ExportRequest("keras", tmp_path / "c.npz"))
    assert "layers that have outputs alone: merge" in done.lost
    one, other = recognise(
        (str(tmp_path / "a.h5"), str(tmp_path / "b.h5")), (ReadOptions(), ReadOptions())
    )
    with one.states, other.states:
        result = diff_states(one, other, EXACT)
        arrays = {layer.name: layer for layer in one.states.layers}
        assert [layer.counted for layer in one.states.layers] == [True, False, True]
        np.testing.assert_array_equal(arrays["dec"].arrays["inputs"].read(), m[:, :3])
        np.testing.assert_array_equal(arrays["merge"].arrays["outputs"].read(), m)
    assert (result.verdict, result.complete) == ("same", True)
    assert len(result.layers) == 3


@pytest.mark.parametrize("entry", state_formats(), ids=STATE_FORMAT_MODULES)
def test_entry(entry):
    """Each line of the table is whole, and its module says the same name."""
    assert STATE_FORMAT_MODULES[entry.name]
    assert state_format(entry.name) is entry
    assert entry.title
    assert entry.expects
    assert entry.holds


@pytest.mark.parametrize("name", STATE_FORMAT_MODULES)
def test_what_is_lost_is_said(name, tmp_path):
    """Every format but a trace loses the layers' options, and says so."""
    rng = np.random.default_rng(1)
    layers = []
    for side in ("fw", "bw")[: 1 if name in ONE_LAYER else 2]:
        c, m = lstm_like(rng, 2, 3, 4, 4, "float32", carried=[3, 3])
        facts = LayerFacts(side, backward=side == "bw")
        layers.append(StateLayer(side, {"c": LoadedArray(c), "m": LoadedArray(m)}, facts))
    states = StateSet("s", "arrays", tuple(layers))
    suffix = SUFFIXES.get(name, [".npz"])[-1]
    done = export_states(states, ExportRequest(name, tmp_path / f"out{suffix}"))
    assert any("options of the layers" in entry for entry in done.lost)
