"""Reports of test vectors at two widths, and as Markdown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rnnscope.explaining.result import DeviationReport
from rnnscope.vectors.result import (
    CaseReport,
    CheckedCase,
    ExplainedCase,
    ExplainedReading,
    FirstWrong,
    LeftOut,
    NotSeparated,
    VectorsCheck,
    VectorsReport,
    WrittenFile,
)

VECTORS = VectorsReport(
    checkpoint="model.ckpt",
    target="vectors",
    dtype="float32",
    tolerance=2.4e-06,
    readings=245,
    not_separated=(
        NotSeparated("rnn/lstm", "peepholes", "ignored",
                     "the numbers that it exchanges are equal: it is the same function"),
    ),
    cases=(
        CaseReport("rnn_lstm-1", "rnn/lstm", 2, 5, 4, 16, (5, 5), 1.8e-06),
        CaseReport("model-1", "", 3, 20, 4, 16, (20, 15, 9), 2.4e-06),
    ),
    files=(WrittenFile("vectors.json", 96_000), WrittenFile("vectors.npz", 3_000_000)),
    left_out=(LeftOut("decoder", "its outputs go through Dense at every step"),),
    notes=("a note",),
)  # fmt: skip

FIRST = FirstWrong("rnn/lstm", "f", 0, 3, 2, 0.25, 0.5, 104167.0)

READING = ExplainedReading((DeviationReport("forget-bias", "0"),), "Add 1 to the forget gate.")

CHECKED = VectorsCheck(
    vectors="vectors",
    theirs="theirs.json",
    status="fail",
    tolerance=2.4e-06,
    cases=(
        CheckedCase("rnn_lstm-1", "rnn/lstm", "pass", ("c", "m"), (), ("outputs",), (), None),
        CheckedCase("rnn_lstm-2", "rnn/lstm", "fail", ("f", "c"), ("f", "c"), (), (), FIRST),
        CheckedCase("model-1", "", "skip", (), (), ("outputs",), (), None),
    ),
    explained=(ExplainedCase("rnn_lstm-2", "one", (READING,), ()),),
    agreed=(READING,),
    notes=("a note",),
)


def test_what_was_written_as_text():
    assert (
        VECTORS.render("text", width=100)
        == """\
wrote       vectors (3.0 MB)
checkpoint  model.ckpt
tolerance   2.4e-06 of the largest value of each array: rounding in float32
readings    244 of 245 that explain knows differ by 100 tolerances or more

cases
case        layer       input       lengths    units
rnn_lstm-1  rnn/lstm    2 x 5 x 4   5, 5          16
model-1     all layers  3 x 20 x 4  20, 15, 9     16

not told apart
  - rnn/lstm: peepholes: ignored: the numbers that it exchanges are equal: it is the same function

without vectors
  - decoder: its outputs go through Dense at every step

files
  - vectors.json (94 kB)
  - vectors.npz (2.9 MB)

notes
  - a note
"""
    )
    every = replace(VECTORS, not_separated=())
    assert "readings    all 245 that explain knows differ" in every.render("text")
    many = replace(VECTORS, not_separated=VECTORS.not_separated * 15)
    assert "  - 3 more (--format json has all)\n" in many.render("text")


def test_what_was_checked_as_text():
    assert (
        CHECKED.render("text", width=100)
        == """\
verdict    1 of 2 cases wrong
theirs     theirs.json
vectors    vectors
tolerance  2.4e-06 of the largest value of each array

cases
status  case        compared
pass    rnn_lstm-1  2 arrays
fail    rnn_lstm-2  2 arrays  2 wrong
skip    model-1     0 arrays

first wrong
  - rnn_lstm-2: f of rnn/lstm, sequence 0, timestep 3, unit 2: expected 0.25, got 0.5: 1.04e+05
    limits apart

what to change
  - forget-bias: 0: Add 1 to the forget gate.

not there
  - rnn_lstm-1: outputs
  - model-1: all of it

notes
  - a note
"""
    )


@pytest.mark.parametrize("report", [VECTORS, CHECKED], ids=["vectors", "vectors-check"])
def test_a_narrow_terminal_cuts_nothing(report):
    text = report.render("text", width=60)
    assert max(map(len, text.splitlines())) <= 60
    assert "…" not in text


def test_what_was_checked_as_markdown():
    told = CHECKED.render("markdown")
    assert told.startswith("### rnnscope check --vectors: 1 of 2 cases wrong\n")
    assert "| fail | rnn\\_lstm-2 | f of rnn/lstm, sequence 0, timestep 3, unit 2:" in told
    assert "**forget-bias: 0**: Add 1 to the forget gate." in told


def test_what_was_not_explained_is_said():
    none = ExplainedCase("rnn_lstm-2", "none", (), ("c: agrees to timestep 2",))
    text = replace(CHECKED, agreed=(), explained=(none,)).render("text")
    assert "no reading of the weights gives these numbers" in text
    assert "c: agrees to timestep 2" in text
    silent = ExplainedCase("rnn_lstm-2", "not asked", (), ("The reference is zero",))
    text = replace(CHECKED, agreed=(), explained=(silent,)).render("text")
    assert "not explained: The reference is zero" in text
    odd = replace(FIRST, got=float("nan"), tolerances=float("nan"))
    cases = (replace(CHECKED.cases[1], first_wrong=odd),)
    assert "got nan: not a number" in replace(CHECKED, cases=cases).render("text")
    assert replace(CHECKED, cases=cases).to_dict()["cases"][0]["first_wrong"]["got"] == "NaN"
