"""How an engine did on the corpus, as text and Markdown."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

from rnnscope.conforming.judging import Place
from rnnscope.conforming.result import CaseVerdict, ConformReport

PLACE = Place("outputs", "forward", 0, 2, 128, 0.25, 0.0)


def verdict(case, status, **more):
    return CaseVerdict(case, case.rpartition("/")[0], "lstm", "float32", status, **more)


DIFFERS = verdict(
    "lstm/sizes/units-129", "differs", error=85551.4, difference=0.25, tolerance=2e-6,
    first=PLACE, wrong_part="everywhere", wrong_in_step="in unit 128",
    cause="it left out the units beyond 128", not_given=("c",),
)  # fmt: skip

CONFORMED = ConformReport(
    "engine 1.0", "m of every step", 0, "lstm/*",
    (
        verdict("lstm/sizes/units-3", "agree", error=0.214, tolerance=2e-6, not_given=("c",)),
        DIFFERS,
        replace(DIFFERS, case="lstm/sizes/units-512"),
        verdict("lstm/clip/c", "failed", failure="no answer", reason="it ended with exit code 3"),
        verdict("lstm/bias/none", "not offered", reason="no such bias"),
    ),
)  # fmt: skip

TEXT = """\
verdict  3 of 4 cases differ
engine   engine 1.0
gives    m of every step
corpus   5 cases, seed 0, only lstm/*

families (error: the largest, as a part of the tolerance)
family      cases  agree  differ  not offered  error
lstm/sizes      3      1       2               85551
lstm/clip       1              1                0.00
lstm/bias       1                           1

it left out the units beyond 128 (2 cases)
  - lstm/sizes/units-129, lstm/sizes/units-512
  - lstm/sizes/units-129: first outputs, forward, sequence 0, step 2, unit 128: expected 0.25, found
    0; wrong everywhere, at step 2 in unit 128; 85551 times the tolerance

no answer (1 case)
  - lstm/clip/c
  - lstm/clip/c: it ended with exit code 3

not offered
  - no such bias: 1 case

not given, and so not judged
  - c of every step: 3 cases
"""

MARKDOWN = """\
### rnnscope conform: 3 of 4 cases differ

- engine: engine 1.0
- gives: m of every step
- corpus: 5 cases, seed 0, only lstm/\\*

| family | cases | agree | differ | not offered | error |
|---|---|---|---|---|---|
| lstm/sizes | 3 | 1 | 2 |  | 85551 |
"""


def test_text_says_where_and_why():
    assert CONFORMED.render("text", width=100) == TEXT


def test_nothing_is_cut_in_a_narrow_terminal():
    narrow = CONFORMED.render("text", width=60)
    assert max(map(len, narrow.splitlines())) <= 60
    for word in ("lstm/sizes/units-129,", "85551", "exit", "tolerance"):
        assert word in narrow


def test_markdown_has_the_same():
    text = CONFORMED.render("markdown")
    assert text.startswith(MARKDOWN)
    assert "**it left out the units beyond 128** (2 cases)" in text


def test_verdicts():
    def of(*statuses):
        cases = tuple(verdict("a/b/c", status) for status in statuses)
        return replace(CONFORMED, cases=cases).verdict

    assert of("agree", "not offered") == "agree"
    assert of("agree", "failed") == "differ"
    assert of("differs") == "differ"
    assert of("not offered") == "nothing offered"


def test_what_is_not_finite_is_named_and_is_json():
    bad = replace(DIFFERS, cause="", error=inf, difference=inf, first=replace(PLACE, found=nan))
    report = replace(CONFORMED, cases=(bad,))
    text = report.render("text")
    assert "not finite, first in outputs, forward (1 case)" in text
    assert "times the tolerance" not in text
    assert '"found": "NaN"' in report.render("json")
