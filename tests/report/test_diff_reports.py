"""A comparison in every report: literal text at a fixed width, and what all of them promise."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rnnscope.comparing.result import (
    STATE_AXES,
    ArrayDiff,
    DiffResult,
    Divergence,
    LayerDiff,
    OneSided,
    OperandReport,
    OptionDiff,
)
from rnnscope.comparing.wording import growth_line, headline
from rnnscope.printable import formats_of
from rnnscope.states.state_set import UnreadArray

SAME = ArrayDiff(
    "m", "same", STATE_AXES, (2, 4, 3), (2, 4, 3), "float32", "float32", compared=24,
    tolerance="atol 1e-05, rtol 1e-05",
)  # fmt: skip
DIFFERS = ArrayDiff(
    "c", "differ", STATE_AXES, (2, 4, 3), (2, 4, 3), "float32", "float32",
    compared=24, max_abs=0.5, mean_abs=0.03125, abs_99=0.25, snr_db=18.06,
    max_rel=0.25, ulp_max=4_194_304, ulp_99=12,
    ulp_dtype="float32", exceed=2, tolerance="atol 1e-05, rtol 1e-05",
    passes_at="atol 0.5, rtol 1e-05", first=Divergence((1, 2, 0), 1.5, 2.0, "gate f"),
    worst=(1, 3, 0), growth=(0.0, 0.0, 0.05, 0.5),
)  # fmt: skip
RESULT = DiffResult(
    OperandReport("a.h5", "trace", "c and m of every layer", "its schema"),
    OperandReport("b.npz", "keras", "list [h, c]", "by name", not_read=(UnreadArray("foo*"),)),
    "|a - b| <= atol + rtol * max(|a|, |b|)",
    (
        LayerDiff(
            "encoder\x1b[31m", "0", "by values", (DIFFERS, SAME),
            options=(OptionDiff("cell_clip", "none", "class default", "3.0", "graph"),),
            one_sided=(OneSided("outputs", "A"),),
            hints=("equal if B is read as [h, c]",),
        ),
    ),
    only_b=("decoder",),
    outputs_alone_a=("merge",),
    differences=("lengths: sequence 1 has 6 steps in A, 8 in B",),
)  # fmt: skip

TEXT = """\
differ: 1 of 2 arrays, 1 layer without a partner, 1 option, lengths; not compared: outputs
(only in A); merge (outputs alone, in A); not read: foo* (in B)

A          a.h5 (trace: c and m of every layer): its schema
B          b.npz (keras: list [h, c]): by name
tolerance  |a - b| <= atol + rtol * max(|a|, |b|)

encoder[31m <> 0 (matched by values), float32, atol 1e-05, rtol 1e-05
verdict  array  max abs  99% abs  mean abs  max rel  snr dB  max ulp  99% ulp   beyond
differ   c          0.5     0.25    0.0312     0.25    18.1  4.2e+06       12  2 of 24
same     m            0        0         0        0     inf        0        0  0 of 24

option     A     origin         B    origin
cell_clip  none  class default  3.0  graph

c
  - first at sequence 1, timestep 2, unit 0: A 1.5, B 2; gate f
  - largest at sequence 1, timestep 3, unit 0
  - over time ··▆█
  - would pass at atol 0.5, rtol 1e-05

what it looks like
  - equal if B is read as [h, c]

not compared
  - outputs (only in A)

layers without a partner
  - decoder: only in B

other differences
  - lengths: sequence 1 has 6 steps in A, 8 in B

not read
  - B: foo*

notes
  - merge of A has outputs alone: not compared
  - max rel is |a - b| / max(|a|, |b|); ulp are those of the narrower dtype
"""


def test_text():
    assert RESULT.render("text", width=90) == TEXT


@pytest.mark.parametrize("name", formats_of("diff"))
def test_what_was_not_compared_and_not_read_is_said_by_name(name):
    """In the headline too, where the format has one."""
    text = RESULT.render(name, width=90).replace("\\*", "*")
    assert text.count("foo*") >= (1 if name == "json" else 2)
    assert text.count("merge") >= (1 if name == "json" else 2)
    assert text.count("outputs (only in A)") >= 1
    if name == "json":
        told = json.loads(text)
        assert told["complete"] is False
        assert told["b"]["not_read"] == [{"name": "foo*", "key": "", "reason": ""}]
        assert told["outputs_alone_a"] == ["merge"]
        assert told["layers"][0]["not_compared"] == ["outputs (only in A)"]


@pytest.mark.parametrize(
    ("changes", "complete"),
    [
        ({}, True),
        ({"a": OperandReport("a", "torch", not_read=(UnreadArray("foo"),))}, False),
        ({"outputs_alone_b": ("merge",)}, False),
        ({"layers": (LayerDiff("l", "l", "by name", (SAME,), one_sided=(OneSided("m", "A"),)),)},
         False),
    ],
)  # fmt: skip
def test_complete_is_all_of_both(changes, complete):
    whole = DiffResult(
        OperandReport("a", "keras"), OperandReport("b", "keras"), "",
        (LayerDiff("l", "l", "by name", (SAME,)),),
    )  # fmt: skip
    result = replace(whole, **changes)
    assert (result.verdict, result.complete) == ("same", complete)
    assert (headline(result) == "same: 1 array of 1 layer, 24 values") is complete


@pytest.mark.parametrize("name", formats_of("diff"))
def test_every_report_is_pure_and_harmless(name, capsys):
    text = RESULT.render(name, width=90, color=False)
    assert text.endswith("\n")
    assert RESULT.render(name, width=90, color=False) == text
    assert "\x1b" not in text
    assert capsys.readouterr() == ("", "")
    for said in ("encoder", "decoder", "gate f", "cell_clip" if "cell_clip" in text else "cell"):
        assert said in text


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ((), ""),
        ((0.0, 0.0, 1.0), "··█"),
        ((1e-9, 1e-8, 1e-7, 1e-6), "▂▄▆█"),  # drift climbs
        ((0.0, 0.3, 0.4, 0.3), "·███"),  # a bug stands
        ((1e-30, 1.0, float("inf")), "▁██"),
    ],
)
def test_growth_as_blocks(values, line):
    assert growth_line(values) == line
