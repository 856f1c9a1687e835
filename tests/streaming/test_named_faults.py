"""A streamer's fault is named, with its period and first step, from its outputs alone."""

from __future__ import annotations

import numpy as np
import pytest
import streamers as st
from streamers import LSTM, streamed

import rnnscope

TIMESTEPS, CHUNK = 75, 16


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Models of one layer, of two, and of two directions; an input; and the cells to loop with."""
    folder = tmp_path_factory.mktemp("streamed")
    found = {}
    for name, how in {
        "one": {}, "two": {"layers": 2}, "three": {"layers": 3}, "both": {"bidirectional": True},
    }.items():  # fmt: skip
        arrays = st.weights(len(found), **how)
        np.savez(folder / f"{name}.npz", **arrays)
        endings = ("", "_reverse") if name == "both" else ("",)
        cells = [LSTM(arrays, layer, ending)
                 for layer in range(how.get("layers", 1)) for ending in endings]  # fmt: skip
        found[name] = folder / f"{name}.npz", cells
    found["x"] = np.random.default_rng(9).normal(size=(3, TIMESTEPS, st.FEATURES))
    return found


def judged(model, x, outputs, stream=(), **options):
    report = rnnscope.check(
        model, input=x, outputs=outputs, stream=stream, layout="torch", **options
    )
    return report.subjects[0].streamed, report


STATE_FAULTS = {
    "never-carried": ("one", st.never_carried, 16, "never carried"),
    "never-carried, every other chunk": ("one", st.reset_every(2), 32, "reset every 32 steps"),
    "only-m-carried": ("one", st.c_is_lost, 16, "c is lost every 16 steps"),
    "c-m-swapped": ("one", st.swapped, 16, "swapped"),
    "one-step-late": ("one", st.one_late, 16, "one step earlier every 16 steps"),
    "first-sequence-for-all": ("one", st.first_of_batch, 16, "first one every 16 steps"),
    "layer-lost": ("two", st.top_alone_is_lost, 16, "alone is lost every 16 steps"),
}


@pytest.mark.parametrize("case", STATE_FAULTS)
@pytest.mark.parametrize("stream", [(CHUNK,), (), (10,)], ids=["told", "untold", "told wrongly"])
def test_what_happens_between_chunks_is_named(made, case, stream):
    name, between, period, words = STATE_FAULTS[case]
    model, cells = made[name]
    found, report = judged(model, made["x"], streamed(cells, made["x"], CHUNK, between), stream)
    assert found.verdict == "one", [fault.words for fault in found.faults]
    fault = found.faults[0]
    assert fault.id.partition(":")[0] == case.partition(",")[0]
    assert (fault.period, found.first_step, fault.steps[0]) == (period, period, period)
    if words != "never carried" or stream == (CHUNK,):
        assert words in fault.words
    else:
        assert "reset every 16 steps" in fault.words
    assert report.status == "fail"
    assert fault.advice in " ".join(report.render().split())


def test_each_chunk_right_is_the_whole(made):
    model, cells = made["three"]
    found, report = judged(
        model, made["x"], streamed(cells, made["x"], CHUNK, st.carried), (CHUNK,)
    )
    assert (found.verdict, found.first_step, found.faults) == ("same", None, ())
    assert report.status == "pass"


def test_the_reverse_direction_sees_nothing_beyond_its_chunk(made):
    model, cells = made["both"]
    right = st.both_directions(*cells, made["x"])
    assert judged(model, made["x"], right)[0].verdict == "same"
    wrong = st.both_directions(*cells, made["x"], 20)
    for stream in ((20,), ()):
        found, _ = judged(model, made["x"], wrong, stream)
        assert [(fault.id, fault.period) for fault in found.faults] == [("lookahead-missing", 20)]
        assert found.first_step < 20


def test_a_frame_that_overlaps_steps_the_state_twice(made):
    model, cells = made["one"]
    found, _ = judged(model, made["x"], st.overlapping(cells, made["x"], CHUNK))
    assert [(fault.id, fault.period) for fault in found.faults] == [("fed-again:1", 16)]


def test_zeros_behind_a_chunk_step_the_state(made):
    model, cells = made["one"]
    found, _ = judged(model, made["x"], st.filled_up(cells, made["x"], 12, 16))
    assert [(fault.id, fault.period) for fault in found.faults] == [("padding-stepped:4", 12)]


def test_a_state_is_kept_from_one_stream_to_the_next(made):
    model, cells = made["one"]
    found, _ = judged(model, made["x"], st.one_object_for_all(cells, made["x"]), (CHUNK,))
    assert [fault.id for fault in found.faults] == ["kept-between-sequences"]
    assert (found.first_sequence, found.first_step) == (1, 0)


def test_resets_at_no_regular_steps_are_followed(made):
    model, cells = made["one"]
    outputs = streamed(cells, made["x"], 5, st.reset_in_silence({3, 4, 9}))
    found, _ = judged(model, made["x"], outputs, (5,))
    assert [(fault.id, fault.steps) for fault in found.faults] == [("never-carried", (20, 25, 50))]
    assert found.faults[0].period is None
    assert "reset at timesteps 20, 25, 50" in found.faults[0].words


def test_a_fault_nobody_knows_is_said_to_be_none(made):
    model, cells = made["one"]
    outputs = streamed(cells, made["x"], CHUNK, st.carried)
    outputs[1, 30:] += 0.01 * np.random.default_rng(0).normal(size=outputs[1, 30:].shape)
    found, report = judged(model, made["x"], outputs, (CHUNK,))
    assert (found.verdict, found.faults) == ("none", ())
    assert (found.first_step, found.first_sequence) == (30, 1)
    assert found.nearest is not None
    assert "no known fault" in report.render()
    assert report.status == "fail"


@pytest.fixture(scope="module")
def starts():
    rng = np.random.default_rng(4)
    marked = rng.random((3, TIMESTEPS)) < 0.1
    marked[:, 0] = True
    return marked


def test_a_policy_that_is_reset_is_what_run_computes(made, starts):
    model, cells = made["one"]
    wanted = st.policy(cells[0], made["x"], starts)
    trace = rnnscope.run(model, made["x"], layout="torch", resets=starts)
    np.testing.assert_allclose(trace.layers["lstm/l0"].m[:], wanted, rtol=0, atol=1e-12)
    found, report = judged(model, made["x"], wanted, (CHUNK,), resets=starts)
    assert found.verdict == "same", report.render()


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (np.zeros_like, "resets-ignored"),
        (lambda starts: np.pad(starts, ((0, 0), (1, 0)))[:, :-1], "resets-late"),
        (lambda starts: np.pad(starts, ((0, 0), (0, 1)))[:, 1:], "resets-early"),
        (lambda starts: np.broadcast_to(starts.any(axis=0), starts.shape), "resets-shared"),
    ],
    ids=["ignored", "late", "early", "shared"],
)
def test_resets_at_other_steps_than_they_should_be(made, starts, wrong, fault):
    model, cells = made["one"]
    outputs = st.policy(cells[0], made["x"], wrong(starts))
    found, _ = judged(model, made["x"], outputs, resets=starts)
    assert [one.id for one in found.faults] == [fault]


def test_what_a_dense_layer_of_the_file_makes_of_streamed_outputs_tells_as_well(made, tmp_path):
    model, cells = made["one"]
    rng = np.random.default_rng(2)
    head = {"fc.weight": rng.normal(size=(2, st.UNITS)), "fc.bias": rng.normal(size=2)}
    np.savez(tmp_path / "headed.npz", **dict(np.load(model)), **head)
    m = streamed(cells, made["x"], CHUNK, st.one_late)
    outputs = m @ head["fc.weight"].T + head["fc.bias"]
    found, _ = judged(tmp_path / "headed.npz", made["x"], outputs)
    assert [(one.id, one.period) for one in found.faults] == [("one-step-late", CHUNK)]
    assert "'fc'" in found.compared[0]


def test_a_final_state_tells_of_a_last_chunk_that_was_filled_up(made):
    """75 steps are four chunks of 16 and one of 11: its outputs are right, its state is not."""
    model, (cell,) = made["one"]
    y, after, _ = cell.run(made["x"], *cell.zeros(made["x"]))
    filled = cell.run(np.zeros((3, 5, st.FEATURES)), *after)[1]
    theirs = {"outputs": y, "final/m": filled[0], "final/c": filled[1]}
    found, _ = judged(model, made["x"], theirs, (CHUNK,))
    assert [one.id for one in found.faults] == ["last-chunk-padded"]
    assert found.first_step == TIMESTEPS


def test_outputs_of_only_some_steps_in_the_other_order_of_axes(made):
    model, cells = made["one"]
    outputs = streamed(cells, made["x"], CHUNK, st.never_carried)[:, : 4 * CHUNK]
    found, report = judged(model, made["x"], np.swapaxes(outputs, 0, 1).copy(), (CHUNK,))
    assert [(one.id, one.period) for one in found.faults] == [("never-carried", CHUNK)]
    text = " ".join(report.render().split())
    assert "outputs of 64 of 75 timesteps" in text
    assert "(timestep, sequence, unit)" in text


def test_faults_that_this_input_cannot_tell_apart_are_all_named(made):
    """Of two sequences the one before each is the one after it."""
    model, cells = made["one"]
    x = made["x"][:2]
    outputs = streamed(cells, x, CHUNK, lambda n, layer, after, *_: [one[::-1] for one in after])
    found, report = judged(model, x, outputs, (CHUNK,))
    assert found.verdict == "several"
    assert {fault.id for fault in found.faults} == {"sequence-before", "sequence-after"}
    text = report.render()
    assert text.count("fits") == 2


@pytest.mark.parametrize("chunk", [TIMESTEPS, CHUNK], ids=["whole", "in chunks"])
def test_a_session_of_onnx_runtime_forgets_between_its_calls(made, tmp_path, chunk):
    """Onnxruntime #1659 and #11085: a model whose states are no inputs starts anew each time."""
    ort = pytest.importorskip("onnxruntime")
    model, path = tmp_path / "single.npz", tmp_path / "model.onnx"
    np.savez(model, **{key: a.astype(np.float32) for key, a in np.load(made["one"][0]).items()})
    rnnscope.convert(model, "onnx", path, layout="torch")
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = made["x"].astype(np.float32)
    outputs = []
    for piece in st.pieces(x, chunk):
        fed = {"x": piece, "lengths": np.full(len(x), piece.shape[1], np.int32)}
        outputs.append(session.run(["outputs"], fed)[0])
    found, _ = judged(model, x, np.concatenate(outputs, axis=1), (CHUNK,))
    if chunk == TIMESTEPS:
        assert found.verdict == "same"
    else:
        assert [(one.id, one.period) for one in found.faults] == [("never-carried", CHUNK)]
