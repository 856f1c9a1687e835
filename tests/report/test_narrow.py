"""Nothing is cut without a sign: what a report says at 200 columns it says at 40, 60 and 80."""

from __future__ import annotations

from pathlib import Path

import pytest

import rnnscope
from rnnscope.report.console import text_of
from rnnscope.report.text_blocks import table

SAMPLES = Path(__file__).parents[2] / "sample_data"


HEADERS = {"status", "check", "verdict", "array", "option", "value", "layer", "cell", "state",
           "method"}  # fmt: skip
"""Of the first two columns, whose cells need no name where they stand alone."""


@pytest.fixture(scope="module")
def results():
    ckpt, inputs = SAMPLES / "lstm_float64/model.ckpt", SAMPLES / "lstm_float64/inputs.npz"
    trace = rnnscope.run(ckpt, inputs, gates=True)
    other = rnnscope.run(ckpt, inputs, forget_bias=0, override=True)
    stack = rnnscope.run(SAMPLES / "keras_stack/model.h5", SAMPLES / "keras_stack/inputs.npz")
    yield {
        "run": trace.report,
        "stack": stack.report,
        "check": rnnscope.check(trace),
        "diff": rnnscope.diff(trace, other),
        "weights": rnnscope.diff(ckpt, SAMPLES / "keras2_masked/model.h5", weights=True),
        "pool": rnnscope.pool(trace, "mean"),
    }
    for one in (trace, other, stack):
        one.close()


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("name", ["run", "stack", "check", "diff", "weights", "pool"])
def test_every_word_is_there_at_any_width(results, name, width):
    wide = results[name].render("text", width=200)
    narrow = results[name].render("text", width=width)
    assert max(map(len, narrow.splitlines())) <= width
    unbroken = "".join(narrow.split())
    # A comma stands between cells that have no room beside each other.
    lost = {word for word in wide.split() if word.strip(",") not in unbroken} - HEADERS
    assert lost == set()


ROWS = [["fail", "a-rather-long-check-name", "0.5", "0.1"], ["pass", "short", "0", "0"]]
COLUMNS = ["status", "check", "measured", "limit"]


def test_rows_stand_as_blocks_where_a_table_has_no_room():
    assert text_of([table(COLUMNS, ROWS)], width=40, color=False) == (
        "fail  a-rather-long-check-name\n"
        "  measured 0.5, limit 0.1\n"
        "pass  short\n"
        "  measured 0, limit 0\n"
    )


def test_a_table_that_has_room_is_one():
    assert text_of([table(COLUMNS, ROWS)], width=49, color=False) == (
        "status  check                     measured  limit\n"
        "fail    a-rather-long-check-name  0.5       0.1\n"
        "pass    short                     0         0\n"
    )
