"""Inputs that say where the state is reset: named, said, kept in the trace, and done again."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import streamers as st

import rnnscope
from rnnscope.errors import InputError, OptionError, RnnscopeError, UnsupportedCellError

LAYER, TIMESTEPS = "lstm/l0", 40


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A model, an input, where episodes begin, and what a policy makes of them."""
    folder = tmp_path_factory.mktemp("resets")
    arrays = st.weights(3)
    np.savez(folder / "model.npz", **arrays)
    np.savez(folder / "both.npz", **st.weights(4, bidirectional=True))
    rng = np.random.default_rng(8)
    x = rng.normal(size=(4, TIMESTEPS, st.FEATURES))
    starts = rng.random((4, TIMESTEPS)) < 0.15
    starts[:, 0] = True
    wanted = st.policy(st.LSTM(arrays), x, starts)
    return folder, x, starts, wanted


def run(case, *given, **options):
    return rnnscope.run(case[0] / "model.npz", *given, layout="torch", **options)


def off(trace, wanted):
    return float(np.abs(trace.layers[LAYER].m[:] - wanted).max())


def ended(starts):
    """``dones`` as an environment returns them: with the last step of each episode."""
    dones = np.zeros_like(starts)
    dones[:, :-1] = starts[:, 1:]
    return dones


@pytest.mark.parametrize("name", ["resets", "episode_starts", "dones"])
def test_an_npz_has_them_by_name_and_the_report_says_how_they_were_read(case, tmp_path, name):
    _, x, starts, wanted = case
    marked = ended(starts) if name == "dones" else starts
    np.savez(tmp_path / "in.npz", x=x, **{name: marked.astype(np.float32)})
    trace = run(case, tmp_path / "in.npz")
    assert off(trace, wanted) < 1e-12
    (said,) = [note for note in trace.report.notes if note.startswith("Resets")]
    assert f"in.npz::{name}" in said
    assert f"returns {'after' if name == 'dones' else 'before'} each step" in said
    ignored = run(case, tmp_path / "in.npz", resets="none")
    assert off(ignored, wanted) > 0.1
    assert not any("Resets" in note for note in ignored.report.notes)


def test_dones_that_came_with_the_observation_mark_first_steps(case, tmp_path):
    _, x, starts, wanted = case
    np.savez(tmp_path / "in.npz", x=x, dones=starts)
    assert off(run(case, tmp_path / "in.npz"), wanted) > 0.1
    assert off(run(case, tmp_path / "in.npz", reset_at="before"), wanted) < 1e-12


def test_what_is_said_of_resets_that_are_none_is_not_ignored_in_silence(case):
    said = run(case, case[1], reset_at="after", reset_to="zeros").report.notes
    assert (
        "The input holds no resets, of which reset_at=after and reset_to=zeros could say something."
        in said
    )
    for options in ({}, {"reset_to": "zeros", "resets": "none"}):
        assert not any("no resets" in note for note in run(case, case[1], **options).report.notes)


def test_two_arrays_have_to_agree(case, tmp_path):
    _, x, starts, wanted = case
    np.savez(tmp_path / "in.npz", x=x, episode_starts=starts, dones=ended(starts))
    trace = run(case, tmp_path / "in.npz")
    assert off(trace, wanted) < 1e-12
    assert "in.npz::dones says the same." in trace.report.notes
    np.savez(tmp_path / "in.npz", x=x, episode_starts=starts, dones=starts)
    with pytest.raises(InputError, match="contradict") as raised:
        run(case, tmp_path / "in.npz")
    assert "reset_at" in str(raised.value.hint)


def test_axes_are_those_of_the_input_and_ragged_ones_are_flat(case, tmp_path):
    _, x, starts, wanted = case
    turned = run(case, np.swapaxes(x, 0, 1).copy(), resets=starts.T.copy(), time_major=True)
    assert off(turned, wanted) < 1e-12
    lengths = np.array([40, 7, 23, 1])
    rows = np.arange(TIMESTEPS) < lengths[:, None]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    np.savez(tmp_path / "ragged.npz", x=x[rows], offsets=offsets, resets=starts[rows])
    found = run(case, tmp_path / "ragged.npz").layers[LAYER].m[:]
    assert np.abs((found - wanted)[rows]).max() < 1e-12


def test_slices_of_time_and_threads_change_no_bit_of_compiled_steps(tmp_path):
    rng = np.random.default_rng(2)
    np.savez(tmp_path / "model.npz", **st.weights(5, units=64))
    x = rng.normal(size=(2, 30_000, st.FEATURES))
    resets = rng.random(x.shape[:2]) < 0.001
    one = rnnscope.run(tmp_path / "model.npz", x, layout="torch", resets=resets, engine="compiled",
                       threads=1)  # fmt: skip
    cut = rnnscope.run(tmp_path / "model.npz", x, layout="torch", resets=resets, engine="compiled",
                       threads=2, memory="8MB", output=tmp_path / "cut.h5")  # fmt: skip
    np.testing.assert_array_equal(one.layers[LAYER].c[:], cut.layers[LAYER].c[:])
    np.testing.assert_array_equal(cut.resets, resets)
    plain = rnnscope.run(tmp_path / "model.npz", x[:, :2000], layout="torch")
    assert np.abs(plain.layers[LAYER].c[:] - one.layers[LAYER].c[:, :2000]).max() > 0.1


@pytest.fixture(scope="module")
def stored(case):
    """A trace with gates, lengths and resets, in a file."""
    folder, x, starts, _ = case
    path = folder / "trace.h5"
    run(case, x, resets=starts, lengths=[40, 40, 12, 30], gates=True, output=path).close()
    return path


def test_a_trace_keeps_them_and_what_is_done_again_honours_them(case, stored):
    _, x, starts, _ = case
    with rnnscope.open_trace(stored) as trace:
        np.testing.assert_array_equal(trace.resets, starts)
        report = rnnscope.check(trace, recompute=True, input=x)
    by_check = {one.check: one for one in report.subjects[0].findings}
    for check in ("state-from-gates", "initial-state-honoured", "padding-leak",
                  "state-past-length", "final-state-is-last-valid-step"):  # fmt: skip
        assert by_check[check].status == "pass", by_check[check]
    assert by_check["initial-state-honoured"].message.endswith("after a reset, which returns to it")
    streamed = rnnscope.check(stored, stream=[1, 7], input=x)
    assert [one.status for one in streamed.subjects[0].findings] == ["pass", "pass"]


def test_a_trace_whose_resets_are_lost_does_not_follow_from_its_gates(stored, tmp_path):
    path = tmp_path / "lost.h5"
    path.write_bytes(stored.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["resets"]
    report = rnnscope.check(path, only=["state-from-gates"])
    assert report.status == "fail"


def test_a_reset_returns_to_the_state_that_was_given_or_to_zeros(case):
    folder, x, starts, _ = case
    rng = np.random.default_rng(1)
    h, c = rng.normal(size=(2, 4, st.UNITS)) / 3
    cell = st.LSTM(dict(np.load(folder / "model.npz")))
    late = starts.copy()
    late[:, 0] = False
    for to, again in (("initial", (h, c)), ("zeros", cell.zeros(x))):
        state, m = (h, c), []
        for t in range(TIMESTEPS):
            state = [np.where(late[:, t, None], new, old)
                     for new, old in zip(again, state, strict=True)]  # fmt: skip
            state = cell.step(x[:, t], *state)
            m.append(state[0])
        trace = run(case, x, resets=late, initial_m=h, initial_c=c, reset_to=to, gates=True)
        assert off(trace, np.stack(m, axis=1)) < 1e-12
        only = ["state-from-gates", "initial-state-honoured"]
        assert rnnscope.check(trace, only=only).status == "pass"
        told = [note for note in trace.report.notes if "initial states that were given" in note]
        assert bool(told) == (to == "initial")


def test_steps_one_by_one_are_reset_too_over_a_mask_with_holes(case):
    folder, x, starts, _ = case
    mask = np.random.default_rng(3).random(starts.shape) < 0.7
    whole = run(case, x, resets=starts, mask=mask, padding="hold", override=True)
    model = rnnscope.open_model(folder / "model.npz", layout="torch")
    steps = model.steps(x, resets=starts, mask=mask, padding="hold", override=True)
    for timestep, step in enumerate(steps):
        np.testing.assert_allclose(step[LAYER].c, whole.layers[LAYER].c[:, timestep], atol=1e-12)
        np.testing.assert_allclose(
            step[LAYER].outputs, whole.layers[LAYER].outputs[:, timestep], atol=1e-12
        )


def test_pool_says_that_a_value_is_over_all_episodes(case):
    _, x, starts, wanted = case
    pooled = rnnscope.pool(run(case, x, resets=starts), "mean")
    np.testing.assert_allclose(pooled[LAYER], wanted.mean(axis=1), atol=1e-12)
    assert any("all episodes" in note for note in pooled.report.notes)


def test_what_cannot_be_reset_is_refused_by_name(case, tmp_path):
    folder, x, starts, wanted = case
    with pytest.raises(InputError, match="cannot be reset") as raised:
        rnnscope.run(folder / "both.npz", x, layout="torch", resets=starts)
    assert "lstm/l0/backward" in str(raised.value.where)
    with pytest.raises(OptionError, match="ragged"):
        run(case, x, resets=starts, lengths=[40, 7, 3, 1], ragged=True)
    with pytest.raises(OptionError, match="No other engine knows resets"):
        run(case, x, resets=starts, verify="onnxruntime")
    with pytest.raises(UnsupportedCellError, match="resets"):
        rnnscope.explain(folder / "model.npz", x, wanted, layout="torch", resets=starts)


@pytest.mark.parametrize(
    ("resets", "words"),
    [
        (np.zeros((4, 39)), "shape (4, 40)"),
        (np.full((4, TIMESTEPS), 2), "0 (none) or 1 (reset)"),
        (np.full((4, TIMESTEPS), np.nan), "0 (none) or 1 (reset)"),
    ],
    ids=["shape", "two", "nan"],
)
def test_resets_that_are_none_are_refused_with_a_way_on(case, resets, words):
    with pytest.raises(RnnscopeError) as raised:
        run(case, case[1], resets=resets)
    assert words in str(raised.value.expected)
    assert "resets='none'" in str(raised.value.hint) or "resets=none" in str(raised.value.hint)
