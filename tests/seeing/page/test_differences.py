"""Other traces on a page: their arrays and the differences, where they part always among them."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from seen_traces import waves, write_trace

from rnnscope.checks.result import Subject
from rnnscope.seeing.divergence import diff_traces, first_divergence
from rnnscope.seeing.page.contents import OtherTrace
from rnnscope.seeing.page.embed import PageRequest, embed_trace
from rnnscope.trace import Trace


def contents_of(a, b, request=None):
    with Trace.open(a) as first, Trace.open(b) as other:
        result = diff_traces(first, other)
        known = OtherTrace("B", str(b), result, first_divergence(first, result))
        return embed_trace(first, request or PageRequest(), Subject("a"), [(known, other)])


def values(contents, series):
    facts = contents.facts.series[series]
    raw = np.frombuffer(base64.b64decode(contents.blocks[facts.data]), facts.held)
    return facts, raw.reshape(len(facts.sequences), facts.planes, facts.units, facts.bins)


def test_small_differences_beside_large_values_are_kept(tmp_path):
    arrays = waves(2, 8, 3)
    c = arrays["c"].astype(np.float64)
    other = c.copy()
    other[1, 5, 2] += 1e-12
    a = write_trace(tmp_path / "a.h5", {"c": c, "m": c})
    b = write_trace(tmp_path / "b.h5", {"c": other, "m": c})
    contents = contents_of(a, b)
    compared = contents.facts.compared[0]
    assert (compared.label, compared.series) == ("rnn/lstm: c, the cell state", "s0")
    _, difference = values(contents, compared.others[0].difference)
    np.testing.assert_array_equal(difference[:, 0], (c - other).transpose(0, 2, 1))
    assert difference[1, 0, 2, 5] == pytest.approx(-1e-12, rel=1e-3)
    # 1e-12 is within the tolerance of a comparison, and so no place where they part.
    assert compared.others[0].first is None


def test_where_they_part_comes_first_and_its_sequence_is_there(tmp_path):
    arrays = waves(40, 200, 8)
    o = arrays["o"].copy()
    o[33, 150, 4] += 0.5
    a = write_trace(tmp_path / "a.h5", arrays)
    b = write_trace(tmp_path / "b.h5", {**arrays, "o": o})
    contents = contents_of(a, b, PageRequest(budget=100_000))
    compared = contents.facts.compared[0]
    first = compared.others[0].first
    assert (first.sequence, first.timestep, first.unit) == (33, 150, 4)
    assert contents.facts.series[compared.series].array == "o"
    for name in (compared.series, compared.others[0].series, compared.others[0].difference):
        assert 33 in contents.facts.series[name].sequences
    facts, difference = values(contents, compared.others[0].difference)
    place = facts.sequences.index(33)
    bin_ = next(b for b in range(facts.bins) if (b + 1) * facts.steps // facts.bins > 150)
    assert difference[place, 0, 4, bin_] == pytest.approx(-0.5, abs=1e-6)
    assert contents.notes == ()
    # With less room it is the last to go.
    contents = contents_of(a, b, PageRequest(budget=25_000))
    assert [one.series for one in contents.facts.compared[:1]] == [compared.series]
    assert contents.notes[-1].startswith("Pictures of ")


def test_a_trace_that_has_other_places_is_shown_by_the_numbers_of_the_run(tmp_path):
    arrays = waves(1, 10, 4)
    a = write_trace(tmp_path / "a.h5", arrays)
    b = write_trace(tmp_path / "b.h5", arrays, selection=["steps=3:7", "units=1:3"])
    contents = contents_of(a, b)
    other = contents.facts.compared[0].others[0]
    for name in (other.series, other.difference):
        facts = contents.facts.series[name]
        assert (facts.step_names, facts.unit_names) == ((3, 4, 5, 6), (1, 2))
