"""Heatmaps: the stored numbers, padding known, bins that keep the smallest and the largest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seen_traces import waves, write_trace

from rnnscope.errors import OptionError, TraceError
from rnnscope.seeing import CellBudget, open_view, read_heatmap, view_names
from rnnscope.seeing.heatmap import bin_edges, colour_limit
from rnnscope.trace import Trace


@pytest.fixture
def trace(tmp_path):
    with Trace.open(write_trace(tmp_path / "t.h5", lengths=[12, 7, 3])) as opened:
        yield opened


def test_a_cell_is_the_stored_number(trace):
    """Rows are units, columns timesteps."""
    arrays = waves()
    for name, key in (("m", "m"), ("c", "c"), ("f", "f"), ("gates/f", "f"), ("outputs", "m")):
        found = read_heatmap(open_view(trace, "rnn/lstm", name), 1)
        np.testing.assert_array_equal(found.low, arrays[key][1].T)
        assert found.high is found.low
        assert not found.is_binned
        assert found.padding.tolist() == [False] * 7 + [True] * 5
        assert found.units.tolist() == list(range(6))
        assert found.steps.tolist() == list(range(12))


def test_the_first_layer_and_m_are_the_default(trace):
    view = open_view(trace)
    assert (view.layer.name, view.name) == ("rnn/lstm", "m")
    assert view_names(trace, "rnn/lstm") == (
        "c", "m", "outputs", "gates/i", "gates/f", "gates/g", "gates/o"
    )  # fmt: skip


def test_bins_keep_the_smallest_and_the_largest(trace):
    """By hand: 6 units in 4 rows, 12 steps in 5 columns."""
    c = waves()["c"][0].T
    found = read_heatmap(open_view(trace, name="c"), 0, CellBudget(4, 5))
    assert found.unit_edges.tolist() == [0, 1, 3, 4, 6]
    assert found.step_edges.tolist() == [0, 2, 4, 7, 9, 12]
    assert found.is_binned
    assert found.per_cell == (2, 3)
    assert found.low[1, 2] == c[1:3, 4:7].min()
    assert found.high[1, 2] == c[1:3, 4:7].max()
    assert found.low[3, 4] == c[4:6, 9:12].min()
    larger = np.where(np.abs(found.low) > np.abs(found.high), found.low, found.high)
    np.testing.assert_array_equal(found.extreme, larger)


def test_bins_of_bins_keep_them_too(trace):
    """Where edges fall alike, binning twice is binning once; a padded column does not count."""
    view = open_view(trace, name="c")
    for sequence in (0, 1):
        whole = read_heatmap(view, sequence)
        for budget in (CellBudget(3, 4), CellBudget(columns=5), CellBudget(1, 1)):
            once, twice = read_heatmap(view, sequence, budget), whole.rebinned(budget)
            np.testing.assert_array_equal(once.low, twice.low)
            np.testing.assert_array_equal(once.high, twice.high)
            assert once.step_edges.tolist() == twice.step_edges.tolist()
            assert once.padding.tolist() == twice.padding.tolist()
        thirds = whole.rebinned(CellBudget(columns=6)).rebinned(CellBudget(2, 3))
        once = read_heatmap(view, sequence, CellBudget(2, 3))
        np.testing.assert_array_equal(once.low, thirds.low)
        np.testing.assert_array_equal(once.high, thirds.high)
    assert whole.rebinned(CellBudget(6, 12)) is whole


def test_padding_does_not_count_in_a_column_that_has_valid_steps(trace):
    """Sequence 1 has 7 steps: the column of steps 6 and 7 is that of step 6 alone."""
    c = waves()["c"][1].T
    found = read_heatmap(open_view(trace, name="c"), 1, CellBudget(columns=6))
    np.testing.assert_array_equal(found.low[:, 3], c[:, 6])
    np.testing.assert_array_equal(found.high[:, 3], c[:, 6])
    np.testing.assert_array_equal(found.high[:, 4], c[:, 8:10].max(axis=1))
    assert found.padding.tolist() == [False, False, False, False, True, True]


def test_a_value_that_is_no_number_makes_its_bin_none(tmp_path):
    arrays = waves()
    arrays["c"][0, 4, 2] = np.nan
    with Trace.open(write_trace(tmp_path / "t.h5", arrays)) as trace:
        found = read_heatmap(open_view(trace, name="c"), 0, CellBudget(3, 4))
        assert np.isnan(found.low[1, 1])
        assert np.isnan(found.high[1, 1])
        assert np.isnan(found.low).sum() == 1
        assert found.limit == colour_limit((arrays["c"][0],))


@given(
    sizes=st.tuples(st.integers(1, 70), st.integers(1, 9)),
    most=st.tuples(st.integers(1, 80), st.integers(1, 10)),
    length=st.integers(0, 70),
)
def test_binning_in_slices_is_binning_at_once(tmp_path_factory, sizes, most, length):
    """Whatever the blocks that are read, sizes and bins."""
    timesteps, units = sizes
    values = np.random.default_rng(timesteps).normal(size=(1, timesteps, units))
    length = min(length, timesteps)
    path = tmp_path_factory.mktemp("bins") / "t.h5"
    write_trace(path, {"m": values}, lengths=[length])
    with pytest.MonkeyPatch.context() as patch, Trace.open(path) as trace:
        patch.setattr("rnnscope.seeing.state_view.BLOCK_BYTES", 8 * units * 3)
        found = read_heatmap(open_view(trace), 0, CellBudget(most[1], most[0]))
    for row, (first, last) in enumerate(zip(found.unit_edges, found.unit_edges[1:], strict=False)):
        for column, (start, stop) in enumerate(
            zip(found.step_edges, found.step_edges[1:], strict=False)
        ):
            cell = values[0, start : min(stop, length) if start < length else stop, first:last]
            assert found.low[row, column] == cell.min()
            assert found.high[row, column] == cell.max()
            assert found.padding[column] == (start >= length)


def test_selected_places_keep_their_numbers(trace):
    view = open_view(trace, name="c").select("2:10:3", "4,1")
    found = read_heatmap(view, 1)
    assert found.steps.tolist() == [2, 5, 8]
    assert found.units.tolist() == [1, 4]
    assert found.valid.tolist() == [True, True, False]
    np.testing.assert_array_equal(found.low, waves()["c"][1][np.ix_([2, 5, 8], [1, 4])].T)


def test_a_trace_that_kept_a_part_is_seen_by_the_run_s_numbers(tmp_path):
    kept = ("steps=3:", "units=2,5", "states=c,f")
    path = write_trace(tmp_path / "t.h5", lengths=[12, 7, 3], selection=kept)
    with Trace.open(path) as trace:
        assert view_names(trace, "rnn/lstm") == ("c", "gates/f")
        view = open_view(trace, name="c")
        assert (view.units.tolist(), view.steps.tolist()) == ([2, 5], list(range(3, 12)))
        found = read_heatmap(view.select("0:5", "5"), 2)
        assert (found.units.tolist(), found.steps.tolist()) == ([5], [3, 4])
        assert found.padding.all()
        np.testing.assert_array_equal(found.low[0], waves()["c"][2, 3:5, 5])
        with pytest.raises(OptionError, match=r"some of 3 to 11"):
            view.select("0:2")
        with pytest.raises(OptionError, match=r"holds no 'm'"):
            open_view(trace)


def test_of_a_mask_with_holes_the_holes_are_padding(tmp_path):
    mask = np.ones((3, 12), bool)
    mask[0, [0, 5]] = False
    with Trace.open(write_trace(tmp_path / "t.h5", mask=mask)) as trace:
        found = read_heatmap(open_view(trace), 0)
        assert np.flatnonzero(found.padding).tolist() == [0, 5]
        assert not read_heatmap(open_view(trace), 1).padding.any()


def test_a_ragged_trace_is_seen_like_any_other(tmp_path):
    lengths = np.array([12, 7, 3])
    path = write_trace(tmp_path / "t.h5", lengths=lengths, ragged=lengths)
    with Trace.open(path) as trace:
        assert trace.offsets is not None
        found = read_heatmap(open_view(trace, name="c"), 1)
        np.testing.assert_array_equal(found.low[:, :7], waves()["c"][1, :7].T)
        assert found.padding.tolist() == [False] * 7 + [True] * 5


def test_outputs_in_the_order_of_processing_know_which_step_they_are_about(tmp_path):
    arrays = waves()
    arrays["outputs"] = arrays["m"][:, ::-1].copy()
    facts = {"backward": True, "reversal": "whole", "outputs_in_input_order": False}
    path = write_trace(tmp_path / "t.h5", arrays, lengths=[12, 7, 3], facts=facts)
    with Trace.open(path) as trace:
        found = read_heatmap(open_view(trace, name="outputs"), 1)
        assert found.input_steps.tolist() == list(range(11, -1, -1))
        assert found.title == ("outputs of rnn/lstm (backward), sequence 1, as it was processed")
        assert read_heatmap(open_view(trace), 1).title == "m of rnn/lstm (backward), sequence 1"
        assert found.padding.tolist() == [True] * 5 + [False] * 7
        assert read_heatmap(open_view(trace), 1).padding.tolist() == [False] * 7 + [True] * 5


def test_what_is_not_there_is_refused_with_what_is(trace):
    with pytest.raises(OptionError, match="0 to 2"):
        read_heatmap(open_view(trace), 3)
    assert read_heatmap(open_view(trace), -1).sequence == 2
    with pytest.raises(OptionError, match="did you mean outputs"):
        open_view(trace, name="output")
    with pytest.raises(TraceError, match="no such layer"):
        open_view(trace, "lstm")
    with pytest.raises(OptionError, match="not to be understood"):
        open_view(trace).select("a:b")


def test_edges_are_even_and_cover_all():
    assert bin_edges(10, None).tolist() == list(range(11))
    assert bin_edges(10, 4).tolist() == [0, 2, 5, 7, 10]
    assert bin_edges(3, 10).tolist() == [0, 1, 2, 3]
    assert bin_edges(0, 10).tolist() == [0]


def test_colours_end_at_a_round_number_above_every_value():
    assert colour_limit((np.array([0.123, -0.671]),)) == 0.68
    assert colour_limit((np.array([0.5]),)) == 0.5
    assert colour_limit((np.array([1234.0, np.inf]),)) == 1300
    assert colour_limit((np.array([0.2]),), is_gate=True) == 1
    assert colour_limit((np.zeros(3),)) == 1
    assert colour_limit((np.array([np.nan]),)) == 1
