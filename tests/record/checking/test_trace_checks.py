"""Checks of whole traces: each fails on a good trace damaged for it, whatever the trace lacks."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from rnnscope.checks import CHECKS
from rnnscope.checks.interface import StatePlace
from rnnscope.checks.settings import CheckSettings
from rnnscope.errors import EngineError, InputError, OptionError
from rnnscope.record.checking.trace_checks import Comparison, check_trace
from rnnscope.record.replaying.replayed_recipe import Replay

SAMPLES = Path(__file__).resolve().parents[3] / "sample_data"
MODEL, INPUTS = SAMPLES / "lstm_float64" / "model.ckpt", SAMPLES / "lstm_float64" / "inputs.npz"
SMALL, SMALL_INPUTS = (SAMPLES / "lstm_float32" / name for name in ("model.ckpt", "inputs.npz"))
LAYER = "rnn/lstm_cell"


def make(folder, name, *options, model=MODEL, inputs=INPUTS):
    from rnnscope.cli.main import run

    path = folder / f"{name}.h5"
    arguments = ["run", model, inputs, "-o", path, "--quiet", *options]
    run([str(argument) for argument in arguments])
    assert path.exists()
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("traces")


@pytest.fixture(scope="module")
def good(folder):
    """Two sequences of ten steps, lengths 10 and 6, 64 units, with gates."""
    return make(folder, "good", "--gates")


def found(path, beside=None, **settings):
    subject = check_trace(path, CheckSettings(**settings), beside)
    return {finding.check: finding for finding in subject.findings}


def not_passing(path, beside=None, **settings):
    return {
        check: finding.status
        for check, finding in found(path, beside, **settings).items()
        if finding.status not in ("pass", "skip")
    }


def add(array, at, value):
    def edit(layer):
        dataset = layer[array]
        values = dataset[...]
        values[at] += value
        dataset[...] = values

    return edit


def put(array, at, value):
    def edit(layer):
        layer[array][at] = value

    return edit


def attribute(name, value):
    return lambda layer: layer.attrs.modify(name, value)


def wider(layer):
    del layer["final/c"]
    layer["final/c"] = np.zeros((2, 65))


def silent(layer):
    """A unit whose output gate is shut all the time."""
    for array in ("gates/o", "m", "outputs"):
        layer[array][:, :, 3] = 0
    layer["final/m"][:, 3] = 0


DAMAGES = {
    "dead-units": (silent, StatePlace(None, None, 3)),
    "last-output-is-m": (add("outputs", (0, 9, 0), 0.1), StatePlace(0, 9, 0)),
    "final-state-is-last-valid-step": (add("final/c", (1, 0), 0.1), StatePlace(1, 5, 0)),
    "state-width": (wider, None),
    "initial-state-honoured": (add("initial/c", (0, 3), 0.1), StatePlace(0, 0, 3)),
    "state-from-gates": (add("gates/f", (0, 4, 2), 0.1), StatePlace(0, 4, 2)),
    "c-m-order": (add("gates/o", (0, 4, 2), 0.1), StatePlace(0, 4, 2)),
    "outputs-past-length": (put("outputs", (1, 8, 0), 0.5), StatePlace(1, 8, 0)),
    "state-past-length": (add("c", (1, 8, 0), 0.5), StatePlace(1, 8, 0)),
    "input-tail": (put("/input_steps", (1,), 4), StatePlace(1, 4)),
    "length-cuts-input": (put("/input_steps", (1,), 8), StatePlace(1, 6)),
    "finite": (put("gates/i", (1, 8, 0), np.nan), StatePlace(1, 8, 0)),
    "m-bound": (attribute("m_bound", 0.01), None),
}
RUNS = {
    # What no damage of single values shows: other runs, and limits.
    "saturation": (["--gates", "--forget-bias", "60", "--override"], {}),
    "zero-length": (["--lengths", "10,0"], {}),
    "exploding-c": ([], {"exploding-c": 0.01}),
}
COMPARED = {"padding-leak", "float-drift", "framework-kernel", "golden"}
ELSEWHERE = {"handoff", "mask-and-lengths"}


def test_every_check_is_shown_to_fail():
    assert {*DAMAGES, *RUNS} | COMPARED | ELSEWHERE == set(CHECKS)


def test_a_good_trace_passes(good):
    findings = found(good)
    assert not_passing(good) == {}
    judged = {check for check, finding in findings.items() if finding.status == "pass"}
    assert judged == {*DAMAGES, *RUNS}


@pytest.mark.parametrize("check", DAMAGES)
def test_a_damaged_trace_fails_in_just_that_check(good, tmp_path, check):
    edit, place = DAMAGES[check]
    path = shutil.copyfile(good, tmp_path / "damaged.h5")
    with h5py.File(path, "r+") as file:
        edit(file[LAYER])
    status = "warn" if check in {"input-tail", "length-cuts-input", "dead-units"} else "fail"
    assert not_passing(path) == {check: status}
    if place is not None:
        assert found(path)[check].place == place


@pytest.mark.parametrize("check", RUNS)
def test_another_run_warns_or_fails(folder, check):
    options, limits = RUNS[check]
    path = make(folder, check, *options)
    assert not_passing(path, only=(check,), limits=limits) == {check: "fail" if limits else "warn"}


def test_a_mask_that_ends_elsewhere_than_the_lengths(folder):
    mask = np.arange(10) < np.array([[10], [6]])
    np.save(folder / "mask.npy", mask)
    path = make(folder, "masked", "--mask", folder / "mask.npy", "--lengths", "10,6")
    assert found(path)["mask-and-lengths"].status == "pass"
    with h5py.File(path, "r+") as file:
        file["lengths"][1] = 7
    finding = found(path)["mask-and-lengths"]
    assert (finding.status, finding.place) == ("fail", StatePlace(1, 6))


def test_slices_of_a_trace_say_what_the_whole_says(good, tmp_path, monkeypatch):
    """One sequence at a time: the same statuses, places and numbers."""
    path = shutil.copyfile(good, tmp_path / "damaged.h5")
    with h5py.File(path, "r+") as file:
        add("c", (1, 8, 0), 0.5)(file[LAYER])
    whole = found(path)
    monkeypatch.setattr("rnnscope.record.checking.slice_checks.SLICE_BYTES", 1)
    sliced = found(path)
    keys = ("status", "measured", "place", "message")
    assert {check: [getattr(one, key) for key in keys] for check, one in sliced.items()} == {
        check: [getattr(one, key) for key in keys] for check, one in whole.items()
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--select", "steps=last:3"], "only some of the layer's timesteps or units"),
        (["--select", "units=0:4"], "only some of the layer's timesteps or units"),
    ],
)
def test_a_cut_trace_is_not_judged(folder, options, message):
    path = make(folder, options[1].replace(":", "-"), *options)
    findings = found(path)
    assert {finding.status for finding in findings.values()} == {"skip"}
    assert message in findings["finite"].message
    # A stored trace that was cut in the same way can still be compared with.
    assert found(path, Comparison(golden=path))["golden"].status == "pass"


def test_a_trace_of_some_states_is_judged_by_these(folder):
    path = make(folder, "states", "--select", "states=c")
    findings = found(path)
    judged = {check for check, finding in findings.items() if finding.status != "skip"}
    assert {"finite", "exploding-c", "state-width"} <= judged
    assert findings["m-bound"].message == "needs the output state m of every step"
    assert findings["saturation"].message == "needs the gates (gates)"


def test_a_ragged_trace_says_nothing_of_padding(folder):
    path = make(folder, "ragged", "--ragged", "--gates")
    findings = found(path)
    assert not_passing(path) == {}
    for check in ("outputs-past-length", "state-past-length"):
        assert findings[check].message == "a ragged trace holds no steps past the length"
    assert findings["state-from-gates"].status == "pass"


def test_layers_and_limits_that_are_not_there(good):
    with pytest.raises(OptionError, match="layers fits no recurrent layer"):
        check_trace(good, CheckSettings(layers=("decoder/*",)))
    assert found(good, layers=("rnn/*",))["finite"].status == "pass"


def again(model=MODEL, inputs=INPUTS, **more):
    return Comparison(Replay(model, str(inputs), **more))


def test_a_run_is_done_again_to_the_same_states(good):
    findings = found(good, again())
    assert findings["padding-leak"].status == "pass"
    assert findings["float-drift"].message == "the layer is float64 itself"


def test_flags_of_the_run_are_taken_from_the_trace(folder):
    options = ["--forget-bias", "0.25", "--override"]
    path = make(folder, "flags", *options, model=SMALL, inputs=SMALL_INPUTS)
    findings = found(path, again(SMALL, SMALL_INPUTS))
    assert findings["padding-leak"].status == findings["float-drift"].status == "pass"
    assert "in the first quarter of the steps" in findings["float-drift"].message
    assert 0 < findings["float-drift"].measured < 1e-5


@pytest.mark.parametrize("check", ["padding-leak", "float-drift"])
def test_states_that_are_not_those_of_the_checkpoint(folder, tmp_path, check):
    path = make(tmp_path, "damaged", model=SMALL, inputs=SMALL_INPUTS)
    with h5py.File(path, "r+") as file:
        add("c", (0, 2, 1), 0.1)(file[LAYER])
    finding = found(path, again(SMALL, SMALL_INPUTS), only=(check,))[check]
    assert (finding.status, finding.place) == ("fail", StatePlace(0, 2, 1))
    assert finding.measured == pytest.approx(0.1, rel=1e-5)


def test_padding_that_is_read_first_leaks(folder):
    """A backward layer without lengths reads the padding before everything else."""
    options = ["--padding", "none", "--go-backwards", "--override"]
    path = make(folder, "leak", *options)
    finding = found(path, again())["padding-leak"]
    assert (finding.status, finding.place.sequence) == ("fail", 1)


def test_another_checkpoint_is_mentioned(good):
    subject = check_trace(good, None, again(SAMPLES / "lstm_float64", INPUTS))
    assert subject.notes == ()
    with pytest.raises(InputError, match="The input is not that of the trace"):
        check_trace(good, None, again(SMALL, SMALL_INPUTS))


def test_golden(good, tmp_path):
    path = shutil.copyfile(good, tmp_path / "golden.h5")
    assert found(good, Comparison(golden=path))["golden"].status == "pass"
    with h5py.File(path, "r+") as file:
        add("c", (1, 3, 7), 0.25)(file[LAYER])
    finding = found(good, Comparison(golden=path))["golden"]
    assert (finding.status, finding.place) == ("fail", StatePlace(1, 3, 7))
    assert finding.measured == pytest.approx(0.25)
    assert finding.message.startswith("c: 1 values beyond atol 1e-10, rtol 1e-10; first ")


def test_verified_with_tensorflow(tf, tmp_path):
    path = make(tmp_path, "small", model=SMALL, inputs=SMALL_INPUTS)
    given = again(SMALL, SMALL_INPUTS, verify="tensorflow")
    assert found(path, given, only=("framework-kernel",))["framework-kernel"].status == "pass"
    with h5py.File(path, "r+") as file:
        add("c", (0, 2, 1), 0.1)(file[LAYER])
    finding = found(path, given, only=("framework-kernel",))["framework-kernel"]
    assert finding.status == "fail"
    assert finding.message.startswith("c is not what TensorFlow")


def test_verified_with_onnx_runtime(tmp_path):
    pytest.importorskip("onnxruntime")
    folder = SAMPLES / "keras_stack"
    model, inputs = folder / "model.h5", folder / "inputs.npz"
    path = make(tmp_path, "keras", model=model, inputs=inputs)
    given = again(model, inputs, verify="onnxruntime")
    assert found(path, given, only=("framework-kernel",))["framework-kernel"].status == "pass"
    with h5py.File(path, "r+") as file:
        add("m", (0, 2, 1), 0.1)(file["lstm_2"])
    assert not_passing(path, given, only=("framework-kernel",)) == {"framework-kernel": "fail"}


def test_an_engine_that_is_not_installed_is_named(good, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(EngineError, match="ONNX Runtime"):
        check_trace(good, None, again(verify="onnxruntime"))


@pytest.fixture(scope="module")
def handed_over(tf, tf1_at, tmp_path_factory):
    """An encoder whose final state a decoder starts from, both over one input."""
    tf1 = tf1_at(tmp_path_factory.mktemp("handoff"))

    def build():
        v1 = tf1.v1
        x = tf1.placeholder()
        with v1.variable_scope("encoder"):
            encoded, state = v1.nn.dynamic_rnn(tf1.cell(4), x, dtype="float32")
        with v1.variable_scope("decoder"):
            return v1.nn.dynamic_rnn(tf1.cell(4), encoded, initial_state=state)

    x = np.random.default_rng(2).normal(size=(3, 6, 3)).astype(np.float32)
    prefix, _ = tf1.save(build, {"x": x})
    np.save(prefix.parent / "x.npy", x)
    path = prefix.parent / "trace.h5"
    return make(path.parent, "trace", model=prefix, inputs=path.parent / "x.npy")


def test_a_decoder_starts_from_the_encoders_final_state(handed_over, tmp_path):
    subject = check_trace(handed_over)
    handoff = {one.layer: one for one in subject.findings if one.check == "handoff"}
    first, second = handoff
    assert handoff[first].status == "skip"
    assert handoff[second].status == "pass"
    path = shutil.copyfile(handed_over, tmp_path / "damaged.h5")
    with h5py.File(path, "r+") as file:
        add("initial/m", (2, 1), 0.5)(file[second])
    (finding,) = (one for one in check_trace(path).findings if one.status == "fail")
    assert (finding.check, finding.place) == ("handoff", StatePlace(2, None, 1))


def test_memory_does_not_grow_with_the_sequences(tmp_path, monkeypatch):
    """The arrays of a slice are all that is held."""
    import tracemalloc

    monkeypatch.setattr("rnnscope.record.checking.slice_checks.SLICE_BYTES", 2**20)
    peaks = []
    for sequences in (40, 160):
        rng = np.random.default_rng(1)
        np.save(tmp_path / "x.npy", rng.normal(size=(sequences, 60, 8)))
        path = make(tmp_path, f"long{sequences}", inputs=tmp_path / "x.npy")
        tracemalloc.start()
        check_trace(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    stored = 160 * 60 * 64 * 2 * 8
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < stored
