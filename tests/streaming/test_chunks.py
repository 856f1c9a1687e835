"""A run fed in chunks is the whole run, where its layers can be fed so; and what says otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import streamers as st

import rnnscope as rnnscope_module
from rnnscope.errors import InputError, OptionError
from rnnscope.running.chunked import ChunkedRun

ROOT = Path(__file__).resolve().parents[2]
CONV = ROOT / "tests/data/onnx_models/conv_gru_new.onnx"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chunks")
    for name, how in {"stack": {"layers": 2}, "both": {"bidirectional": True, "layers": 2}}.items():
        np.savez(folder / f"{name}.npz", **st.weights(1, **how))
    rng = np.random.default_rng(3)
    np.savez(
        folder / "in.npz",
        x=rng.normal(size=(5, 50, st.FEATURES)),
        mask=rng.random((5, 50)) < 0.8,
        episode_starts=rng.random((5, 50)) < 0.1,
        initial_m=rng.normal(size=(5, st.UNITS)),
        initial_c=rng.normal(size=(5, st.UNITS)),
    )
    return folder


def findings(model, stream=(1, 7, 64), **options):
    report = rnnscope_module.check(model, stream=stream, **options)
    return report, {(one.layer, one.check): one for one in report.subjects[0].findings}


@pytest.mark.parametrize("engine", ["auto", "numpy", "reference"])
@pytest.mark.parametrize("padding", ["hold", "zeros", "none"])
def test_masks_resets_and_given_states_are_carried(models, engine, padding):
    with np.load(models / "in.npz") as held:
        first = {f"lstm/l0/{key}": held[key] for key in ("initial_m", "initial_c")}
        rest = {key: held[key] for key in ("x", "mask", "episode_starts")}
    np.savez(models / f"{engine}.npz", **rest, **first)
    report, found = findings(
        models / "stack.npz", (1, 7, 49), input=models / f"{engine}.npz", layout="torch",
        engine=engine, padding=padding, override=True,
    )  # fmt: skip
    assert report.status == "pass", report.render()
    assert len(found) == 6
    for one in found.values():
        if engine == "auto":
            assert (one.measured, one.limit) == (0.0, 0.0)
            assert "gives the bits of the whole (compiled engine)" in one.message
        else:
            assert 0 < one.limit < 1e-9
            assert f"({engine} engine)" in one.message


def test_a_state_that_is_not_carried_fails_in_every_layer(models, monkeypatch):
    """What this check is for: it must see a chunk that begins anew."""
    advance = ChunkedRun.advance

    def forgetful(self, signals, marked):
        for carried in self.carried.values():
            carried.state = carried.first
        return advance(self, signals, marked)

    monkeypatch.setattr(ChunkedRun, "advance", forgetful)
    report, found = findings(models / "stack.npz", layout="torch")
    assert {one.status for one in found.values()} == {"fail"}
    place = found["lstm/l0", "stream-7"].place
    assert place.timestep >= 7
    assert "promises the same bits" in found["lstm/l0", "stream-7"].message
    assert report.status == "fail"


def test_a_layer_that_reads_from_the_end_is_said_to_be_none_for_streams(models):
    report, found = findings(models / "both.npz", (7,), layout="torch")
    statuses = {layer: one.status for (layer, _), one in found.items()}
    assert statuses == {
        "lstm/l0/forward": "pass", "lstm/l0/backward": "skip",
        "lstm/l1/forward": "skip", "lstm/l1/backward": "skip",
    }  # fmt: skip
    assert "reads the sequence from its end" in found["lstm/l0/backward", "stream-7"].message
    assert "reads 'lstm/l0'" in found["lstm/l1/forward", "stream-7"].message
    assert "cannot be streamed as a whole: 3 of 4 layers" in " ".join(report.render().split())


def test_one_chunk_proves_nothing(models):
    report, found = findings(models / "stack.npz", (150,), layout="torch", random=(2, 150))
    assert {one.status for one in found.values()} == {"skip"}
    assert report.status == "skip"
    assert "that is one chunk" in next(iter(found.values())).message


def test_what_stands_in_front_is_computed_whole_and_that_is_said():
    truth = np.load(ROOT / "tests/data/onnx_models/conv_gru_new_truth.npz")
    x = next(truth[name] for name in truth.files if truth[name].ndim == 3)
    report, found = findings(CONV, (2,), input=x.astype(np.float32), model_input=True)
    assert {one.status for one in found.values()} == {"pass"}, report.render()
    assert any("stands in front" in note for note in report.subjects[0].notes)


@pytest.fixture(scope="module")
def theirs(models):
    """What a streamer returned that never carries the state, beside the input that it took."""
    x = np.load(models / "in.npz")["x"]
    cells = [st.LSTM(dict(np.load(models / "stack.npz")), layer) for layer in (0, 1)]
    np.save(models / "x.npy", x)
    np.savez(models / "theirs.npz", out=st.streamed(cells, x, 10, st.never_carried))
    return ("check", models / "stack.npz", "--layout", "torch", "--input", models / "x.npy",
            "--outputs", models / "theirs.npz")  # fmt: skip


def test_the_command_proves(models, rnnscope):
    told = rnnscope("check", models / "stack.npz", "--layout", "torch", "--stream", "1,7,64")
    assert (told.code, told.stderr) == (0, "")
    assert "pass    stream-64" in told.stdout
    assert "gives the bits of the whole (compiled engine)" in told.stdout


def test_the_command_names_the_fault_in_text_and_json(theirs, rnnscope):
    text = rnnscope(*theirs, "--stream", "10")
    assert (text.code, text.stderr) == (1, "")
    assert "the state is never carried from one chunk of 10 to the next" in text.stdout
    document = json.loads(rnnscope(*theirs, "--stream", "auto", "--format", "json").stdout)
    streamed = document["subjects"][0]["streamed"]
    assert (streamed["verdict"], streamed["first_step"]) == ("one", 10)
    assert streamed["faults"][0]["period"] == 10


def test_the_report_fits_a_narrow_terminal(models, theirs):
    report = rnnscope_module.check(
        models / "stack.npz", layout="torch", input=models / "x.npy", stream=[10],
        outputs=models / "theirs.npz",
    )  # fmt: skip
    for width in (60, 100):
        lines = report.render(width=width).splitlines()
        assert max(map(len, lines)) <= width
        assert any(line.startswith("parts") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["stack.npz", "--stream", "0"], "whole numbers above 0"),
        (["stack.npz", "--stream", "x"], "whole numbers above 0"),
        (["--stream", "7"], "--stream goes with TRACE"),
        (["stack.npz", "--stream", "7", "--only", "finite"], "--only does not go with --stream"),
        (["stack.npz", "--stream", "7", "--recompute"], "--recompute does not go with --stream"),
        (
            ["stack.npz", "--stream", "7", "--layout", "torch", "--layer", "x*"],
            "fits no recurrent layer",
        ),
        (["stack.npz", "--layout", "torch", "--stream", "7", "--outputs", "in.npz"], "need the in"),
        (["nothing.h5", "--stream", "7"], "nothing.h5"),
    ],
)
def test_what_says_nothing_together_is_refused(models, monkeypatch, rnnscope, arguments, words):
    monkeypatch.chdir(models)
    result = rnnscope("check", *arguments)
    assert result.code == 2
    assert words in result.stderr


def test_outputs_of_another_size_are_refused_with_what_there_is(models):
    x = np.load(models / "in.npz")["x"]
    check = rnnscope_module.check
    with pytest.raises(InputError, match="None of the arrays") as raised:
        check(models / "stack.npz", input=x, layout="torch", stream=[7],
              outputs=np.ones((5, 50, 6)))  # fmt: skip
    assert "(5, 50, 5)" in str(raised.value.expected)
    with pytest.raises(OptionError, match="lengths of chunks"):
        check(models / "stack.npz", input=x, layout="torch", stream=[0])
    with pytest.raises(OptionError, match="goes with"):
        check(models / "stack.npz", outputs=x)
