"""Where two traces part first."""

from __future__ import annotations

import numpy as np
import pytest
from seen_traces import waves, write_trace

from rnnscope.errors import OptionError
from rnnscope.seeing import (
    diff_traces,
    difference_view,
    first_divergence,
    open_view,
    read_heatmap,
    subtract,
)
from rnnscope.trace import Trace


@pytest.fixture
def pair(tmp_path):
    """`pair(change, **how)`: a trace, and one whose arrays `change` has altered."""

    def make(change, **how):
        arrays = waves()
        change(arrays)
        paths = (
            write_trace(tmp_path / "a.h5", **how),
            write_trace(tmp_path / "b.h5", arrays, **how),
        )
        return tuple(map(Trace.open, paths))

    return make


def from_step_five(arrays):
    arrays["c"][1, 5:, 4] += 0.25
    arrays["f"][1, 5, 2] += 0.125
    arrays["m"][0, 7:, 1] += 1


def test_the_earliest_step_and_the_gate_before_the_state(pair):
    a, b = pair(from_step_five)
    with a, b:
        found = first_divergence(a, diff_traces(a, b))
        assert (found.array, found.sequence, found.timestep, found.unit) == ("gates/f", 1, 5, 2)
        assert found.b - found.a == 0.125
        assert (found.layer_a, found.layer_b) == ("rnn/lstm", "rnn/lstm")
        difference = read_heatmap(difference_view(a, b, found), 1)
        assert difference.array == "gates/f"
        assert np.argwhere(difference.low).tolist() == [[2, 5]]
        assert difference.low[2, 5] == -0.125


def test_a_layer_that_reads_from_the_end_parts_at_its_own_first_step(pair):
    a, b = pair(from_step_five, facts={"backward": True})
    with a, b:
        found = first_divergence(a, diff_traces(a, b))
        assert (found.array, found.timestep) == ("c", 11)


def test_the_same_part_nowhere(pair):
    a, b = pair(lambda arrays: None)
    with a, b:
        assert first_divergence(a, diff_traces(a, b)) is None
        assert not read_heatmap(subtract(open_view(a), open_view(b)), 0).low.any()


def test_places_that_both_kept_are_subtracted(tmp_path):
    write_trace(tmp_path / "a.h5", selection=("steps=2:9", "units=1:4"))
    write_trace(tmp_path / "b.h5", selection=("steps=5:", "units=3:"))
    with Trace.open(tmp_path / "a.h5") as a, Trace.open(tmp_path / "b.h5") as b:
        view = subtract(open_view(a), open_view(b))
        assert (view.steps.tolist(), view.units.tolist()) == ([5, 6, 7, 8], [3])
        assert not read_heatmap(view, 1).low.any()
        with pytest.raises(OptionError, match="no places of m in common"):
            subtract(open_view(a).select("2"), open_view(b))
