"""Units in order of what is worth looking at, against numpy over whole arrays."""

from __future__ import annotations

import numpy as np
import pytest
from seen_traces import waves, write_trace

from rnnscope.errors import OptionError
from rnnscope.seeing import RANKINGS, open_view, rank_units
from rnnscope.trace import Trace

LENGTHS = [12, 7, 0]


@pytest.fixture(params=[4 * 2**20, 100], ids=["one block", "many blocks"])
def trace(tmp_path, request, monkeypatch):
    monkeypatch.setattr("rnnscope.seeing.state_view.BLOCK_BYTES", request.param)
    with Trace.open(write_trace(tmp_path / "t.h5", lengths=LENGTHS)) as opened:
        yield opened


def valid_steps(name, sequences):
    return [waves()[name][k, : LENGTHS[k]].astype(np.float64) for k in sequences]


def check(found, expected):
    order = np.argsort(-expected, kind="stable")
    assert found.units.tolist() == order.tolist()
    np.testing.assert_allclose(found.scores, expected[order], rtol=1e-12)


@pytest.mark.parametrize("sequences", [slice(None), slice(1, 2)])
def test_variance_is_that_of_the_valid_steps(trace, sequences):
    rows = range(*sequences.indices(3))
    expected = np.concatenate(valid_steps("c", rows)).var(axis=0)
    check(rank_units(open_view(trace, name="c"), "variance", sequences), expected)


def test_change_is_from_one_valid_step_to_the_next_within_a_sequence(trace):
    steps = [np.abs(np.diff(part, axis=0)) for part in valid_steps("c", range(3)) if len(part)]
    expected = np.concatenate(steps).mean(axis=0)
    check(rank_units(open_view(trace, name="c"), "change"), expected)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("f", 0.1, 0.9), ("g", -0.9, 0.9), ("m", -0.9, 0.9), ("c", -np.arctanh(0.9), np.arctanh(0.9))],
)
def test_saturation_is_the_share_of_steps_at_an_end(trace, name, low, high):
    values = np.concatenate(valid_steps(name, range(3)))
    expected = ((values < low) | (values > high)).mean(axis=0)
    check(rank_units(open_view(trace, name=name), "saturation"), expected)


def test_steps_around_a_hole_of_the_mask_are_no_change(tmp_path):
    m = np.array([0, 1, 100, 3, 5], np.float32).reshape(1, 5, 1)
    path = write_trace(tmp_path / "t.h5", {"m": m}, mask=[[1, 1, 0, 1, 1]])
    with Trace.open(path) as opened:
        assert rank_units(open_view(opened), "change").scores.tolist() == [1.5]


def test_what_is_no_number_comes_last(tmp_path):
    arrays = waves()
    arrays["c"][0, 3, 5] = np.nan
    with Trace.open(write_trace(tmp_path / "t.h5", arrays)) as opened:
        for by in RANKINGS:
            found = rank_units(open_view(opened, name="c"), by)
            assert found.units[-1] == 5
            assert np.isnan(found.scores[-1])


def test_without_a_valid_step_nothing_is_known(trace):
    for by in RANKINGS:
        found = rank_units(open_view(trace), by, slice(2, 3))
        assert np.isnan(found.scores).all()
        assert found.units.tolist() == list(range(6))


def test_an_unbounded_array_does_not_saturate(tmp_path):
    path = write_trace(tmp_path / "t.h5", facts={"m_bound": None})
    with Trace.open(path) as opened:
        with pytest.raises(OptionError, match="no ends"):
            rank_units(open_view(opened), "saturation")
        assert len(rank_units(open_view(opened, name="i"), "saturation").units) == 6


def test_an_unknown_ranking_names_the_nearest(trace):
    with pytest.raises(OptionError, match="did you mean variance"):
        rank_units(open_view(trace), "varience")
