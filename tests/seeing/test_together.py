"""Units that are on throughout a span, and where else: against a plain search through all spans."""

from __future__ import annotations

import numpy as np
import pytest
from seen_traces import write_trace

from rnnscope.seeing import open_view
from rnnscope.seeing.together import OnRule, Place, Span, find_together
from rnnscope.trace import Trace


def opened(path, c, lengths=None, **changes):
    c = np.asarray(c, np.float32)
    trace = Trace.open(write_trace(path, {"c": c, "m": c}, lengths=lengths, **changes))
    return open_view(trace, name="c")


def column(*units):
    """Units (each a list of values over time) as (timestep, unit)."""
    return np.array(units, float).T


def test_a_unit_is_on_where_every_valid_step_is_beyond_the_threshold(tmp_path):
    c = [column([1, 1, 1, -9], [1, 0, 1, 1], [0.5, 0.5, 0.5, 0.5], [np.nan, 1, 1, 1])]
    view = opened(tmp_path / "t.h5", c, lengths=[3])
    assert find_together(view, Span(0, 0, 4), OnRule("above", 0.5)).units == (0, 2)
    assert find_together(view, Span(0, 1, 2), OnRule("above", 0.5)).units == (0, 2, 3)
    assert find_together(view, Span(0, 0, 3), OnRule("below", 0.5)).units == (2,)
    # Past the length nothing counts: no unit is on throughout nothing.
    assert find_together(view, Span(0, 3, 4), OnRule("above", -99)).units == ()


def test_other_places_by_units_then_by_few_others_then_by_length(tmp_path):
    on, off = 1.0, 0.0
    c = [
        #        the span          all, and another      two of three, twice as long
        column([on, on, off, on, on, off, on, on, on, on],
               [on, on, off, on, on, off, on, on, on, on],
               [on, on, off, on, on, off, off, off, off, off],
               [off, off, off, on, on, off, off, off, off, off]),
        column([off, on, on, on, off, off, off, off, off, off],
               [off, on, on, on, off, off, off, off, off, off],
               [off, on, on, on, off, off, off, off, off, off],
               [off, off, off, off, off, off, off, off, off, off]),
    ]  # fmt: skip
    view = opened(tmp_path / "t.h5", c)
    found = find_together(view, Span(0, 0, 2), OnRule("above", 0.5))
    assert found.units == (0, 1, 2)
    assert found.places == (
        Place(Span(1, 1, 4), 3, 0),
        Place(Span(0, 3, 5), 3, 1),
        Place(Span(0, 6, 10), 2, 0),
    )
    assert found.searched == 2


def test_padding_ends_a_place_and_the_span_itself_is_none(tmp_path):
    view = opened(tmp_path / "t.h5", np.ones((2, 6, 1)), lengths=[6, 4])
    found = find_together(view, Span(0, 0, 1), OnRule("above", 0.5))
    # In sequence 0 the longest run holds the span.
    assert found.places == (Place(Span(1, 0, 4), 1, 0),)


def plainly(values, lengths, span, rule):
    """The same, span by span: every longest run for each number of units."""
    on = [rule.on(values[s, : lengths[s]]) for s in range(len(values))]
    own = on[span.sequence][span.start : span.stop]
    units = np.flatnonzero(own.all(axis=0)) if len(own) else np.array([], int)
    places, free = [], {(s, t) for s in range(len(on)) for t in range(lengths[s])}
    free -= {(span.sequence, t) for t in range(span.start, span.stop)}
    for least in range(len(units), max(1, (len(units) + 1) // 2) - 1, -1):
        if len(places) >= 20:
            break
        for s, rows in enumerate(on):
            enough = rows[:, units].sum(axis=1) >= least
            for start in range(lengths[s]):
                for stop in range(start + 1, lengths[s] + 1):
                    whole = enough[start:stop].all()
                    longest = (start == 0 or not enough[start - 1]) and (
                        stop == lengths[s] or not enough[stop]
                    )
                    steps = {(s, t) for t in range(start, stop)}
                    if whole and longest and steps <= free:
                        free -= steps
                        throughout = rows[start:stop].all(axis=0)
                        together = int(throughout[units].sum())
                        others = int(throughout.sum()) - together
                        places.append(Place(Span(s, start, stop), together, others))
    places.sort(key=lambda p: (-p.together, p.others, p.span.start - p.span.stop,
                               p.span.sequence, p.span.start))  # fmt: skip
    return tuple(units.tolist()), tuple(places[:50])


@pytest.mark.parametrize("seed", range(6))
def test_random_states_against_a_plain_search(tmp_path, seed):
    draw = np.random.default_rng(seed)
    shape = (3, 25, 6)
    c = (draw.normal(size=(*shape[:2], 1)) + draw.normal(size=shape)).astype(np.float32)
    lengths = draw.integers(5, 26, 3)
    view = opened(tmp_path / "t.h5", c, lengths=lengths)
    start = int(draw.integers(0, 4))
    span = Span(int(draw.integers(3)), start, start + int(draw.integers(1, 4)))
    rule = OnRule("above", 0.0) if seed % 2 else OnRule("below", 0.2)
    found = find_together(view, span, rule)
    assert (found.units, found.places) == plainly(c, lengths, span, rule)


def test_what_is_not_searched_is_said(tmp_path, monkeypatch):
    from rnnscope.seeing import together

    view = opened(tmp_path / "t.h5", np.ones((5, 4, 2)))
    monkeypatch.setattr(together, "SEARCHED_BYTES", 2 * 4 * 2 * 4)  # two sequences
    found = find_together(view, Span(0, 0, 1), OnRule("above", 0.5))
    assert found.searched == 2
    assert [place.span.sequence for place in found.places] == [1]
