"""What a served page asks for: slices of the file, and refusals of what does not exist."""

from __future__ import annotations

import json

import numpy as np
import pytest
from seen_traces import waves, write_trace

from rnnscope.errors import OptionError
from rnnscope.seeing.page import served as module
from rnnscope.seeing.page.embed import PageRequest
from rnnscope.seeing.page.served import ServedTrace
from rnnscope.trace import Trace

ARRAYS = waves(2, 50, 3)


@pytest.fixture
def served(tmp_path):
    states = {"c": ARRAYS["c"], "m": ARRAYS["m"]}
    with Trace.open(write_trace(tmp_path / "t.h5", states, lengths=[50, 20])) as trace:
        yield ServedTrace(trace, PageRequest())


def parts(body, units=3):
    size = int.from_bytes(body[:8], "little")
    head = json.loads(body[8 : 8 + size])
    values = np.frombuffer(body[-(-(8 + size) // 8) * 8 :], "<f4")
    return head, values.reshape(-1, units, head["bins"])


def query(**changes):
    return {"series": "s0", "sequence": "1", "from": "10", "to": "12"} | {
        name.rstrip("_"): str(value) for name, value in changes.items()
    }


def test_a_small_sequence_comes_whole(served):
    head, values = parts(served.answers["matrix"](query()))
    assert head == {"start": 0, "stop": 50, "bins": 50, "valid": [[0, 20]], "tokens": None}
    np.testing.assert_array_equal(values[0], ARRAYS["c"][1].T)


def test_a_long_one_in_bins_around_what_is_shown(served, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_VALUES", 60)
    head, values = parts(served.answers["matrix"](query(from_=10, to=40)))
    assert (head["start"], head["stop"], head["bins"]) == (0, 50, 10)
    part = ARRAYS["c"][1, 20:25]
    np.testing.assert_array_equal(values[:, :, 4], [part.min(axis=0), part.max(axis=0)])
    head, values = parts(served.answers["matrix"](query(from_=10, to=18)))
    assert (head["start"], head["stop"], head["bins"]) == (6, 22, 16)
    np.testing.assert_array_equal(values[0], ARRAYS["c"][1, 6:22].T)


def test_one_unit_alone(served):
    head, values = parts(served.answers["line"](query(unit=2)), units=1)
    assert head["bins"] == 50
    np.testing.assert_array_equal(values[0, 0], ARRAYS["c"][1, :, 2])


def test_rankings_and_units_that_are_on(served):
    order = json.loads(served.answers["ranking"](query(by="variance")))
    assert order == np.argsort(-ARRAYS["c"][1, :20].var(axis=0), kind="stable").tolist()
    found = json.loads(served.answers["together"](query(side="above", threshold=0.1)))
    assert found["units"] == np.flatnonzero((ARRAYS["c"][1, 10:12] >= 0.1).all(axis=0)).tolist()


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("matrix", {"series": "../../etc/passwd"}),
        ("matrix", {"sequence": "7"}),
        ("matrix", {"sequence": "1.5"}),
        ("matrix", {"sequence": "nan"}),
        ("matrix", {"from_": "-1"}),
        ("matrix", {"from_": "12"}),
        ("matrix", {"to": "51"}),
        ("matrix", {"to": "1e999"}),
        ("line", {"unit": "3"}),
        ("line", {}),
        ("ranking", {"by": "__class__"}),
        ("together", {"side": "beside", "threshold": "1"}),
        ("together", {"side": "above", "threshold": "x"}),
    ],
)
def test_what_does_not_exist_is_refused(served, what, wrong):
    with pytest.raises(OptionError):
        served.answers[what](query(**wrong))
