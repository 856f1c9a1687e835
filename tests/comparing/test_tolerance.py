"""What arrays are held to: the narrower dtype's default, or what was said of them."""

from __future__ import annotations

import numpy as np
import pytest

from rnnscope.comparing.tolerance import (
    DiffSettings,
    Tolerance,
    Tolerances,
    make_tolerances,
    narrower,
)
from rnnscope.errors import OptionError

F2, F4, F8, I1, I8 = map(np.dtype, ("f2", "f4", "f8", "i1", "i8"))


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [(F4, F8, F4), (F8, F4, F4), (F8, F8, F8), (F2, F4, F2), (F8, I1, F8), (I1, F8, F8),
     (I8, F4, F4), (I8, I1, I1), (np.dtype("u8"), I1, I1), (I1, np.dtype("u8"), I1)],
)  # fmt: skip
def test_the_narrower_dtype_is_the_float_or_the_one_of_fewer_bytes(a, b, wanted):
    assert narrower(a, b) == wanted


@pytest.mark.parametrize(
    ("dtypes", "wanted"),
    [((F2, F8), 1e-3), ((F4, F8), 1e-5), ((F8, F8), 1e-10), ((F8, I1), 1e-10), ((I8, I8), 0.0)],
)
def test_defaults(dtypes, wanted):
    found = Tolerances().of("rnn", "c", dtypes)
    assert (found.atol, found.rtol, found.ulp) == (wanted, wanted, None)


def test_what_is_said_of_one_is_all_that_is_allowed():
    assert Tolerances(atol=(("c", 0.5),)).of("rnn", "c", (F4, F4)) == Tolerance(0.5, 0.0)
    assert Tolerances(rtol=(("c", 0.5),)).of("rnn", "c", (F4, F4)) == Tolerance(0.0, 0.5)
    assert Tolerances(atol=(("c", 0.5),)).of("rnn", "m", (F4, F4)) == Tolerance(1e-5, 1e-5)
    both = Tolerances(atol=(("c", 0.5),), rtol=(("c", 0.25),))
    assert both.of("rnn", "c", (F4, F4)) == Tolerance(0.5, 0.25)


def test_the_last_pattern_that_fits_wins():
    given = Tolerances(atol=(("*", 1.0), ("c", 2.0), ("one/*", 3.0)))
    assert given.of("two", "c", (F4, F4)).atol == 2
    assert given.of("two", "m", (F4, F4)).atol == 1
    assert given.of("one", "c", (F4, F4)).atol == 3


def test_exact_and_ulp():
    assert Tolerances(exact=True).of("rnn", "c", (F4, F4)) == Tolerance(0.0, 0.0)
    assert Tolerances(ulp=4).of("rnn", "c", (F4, F4)) == Tolerance(1e-5, 1e-5, 4)


@pytest.mark.parametrize(
    "given",
    [{"exact": True, "ulp": 0}, {"exact": True, "atol": 1.0}, {"ulp": 3, "rtol": 1.0},
     {"exact": True, "ulp": 1, "atol": 1.0}],
)  # fmt: skip
def test_contradictions_are_refused(given):
    with pytest.raises(OptionError, match="exclude each other"):
        make_tolerances(**given)


@pytest.mark.parametrize(
    "given", [{"exact": True}, {"ulp": 0}, {"atol": 1.0, "rtol": 2.0}, {"atol": 0}, {}]
)
def test_what_goes_together(given):
    found = make_tolerances(**given)
    assert found.exact == given.get("exact", False)
    assert found.ulp == given.get("ulp")
    assert not found.equal_nan
    assert [value for _, value in (*found.atol, *found.rtol)] == [
        given[name] for name in ("atol", "rtol") if name in given
    ]


@pytest.mark.parametrize(
    "given",
    [{"exact": "perhaps"}, {"equal_nan": "perhaps"}, {"ulp": "x"}, {"atol": "x"}, {"rtol": "x"},
     {"exact": True, "ulp": 1}],
)  # fmt: skip
def test_errors_say_where_it_was_said(given):
    with pytest.raises(OptionError) as caught:
        make_tolerances(**given, where="case 'one'")
    assert caught.value.where == "case 'one'"


def test_ulps_are_whole_numbers():
    assert make_tolerances(ulp="4").ulp == 4
    for wrong in (-1, 1.5, "many"):
        with pytest.raises(OptionError):
            make_tolerances(ulp=wrong)


@pytest.mark.parametrize(
    ("bounds", "pairs"),
    [
        (1e-6, (("*", 1e-6),)), ("1e-6", (("*", 1e-6),)), ("c:1e-6", (("c", 1e-6),)),
        (["1", "rnn/c:2"], (("*", 1), ("rnn/c", 2))), ({"c": 3}, (("c", 3),)),
        ("a:b:1", (("a:b", 1),)), (None, ()),
    ],
)  # fmt: skip
def test_ways_to_say_a_bound(bounds, pairs):
    assert make_tolerances(bounds, None).atol == pairs


@pytest.mark.parametrize("bounds", ["many", "c:", -1, "nan", "inf", {"c": "x"}, True])
def test_what_is_no_bound_is_refused(bounds):
    with pytest.raises(OptionError, match="does not understand its value"):
        make_tolerances(bounds, None)


def test_words():
    assert str(Tolerance(1e-5, 0.0)) == "atol 1e-05, rtol 0"
    assert str(Tolerance(0.0, 1e-5)) == "atol 0, rtol 1e-05"
    assert str(Tolerance(0.0, 0.0)) == "exact"
    assert str(Tolerance(1.0, 1.0, 0)) == "0 ulp"
    default = "|a - b| <= atol + rtol * max(|a|, |b|); by default atol = rtol = "
    assert Tolerances().words() == f"{default}1e-05 for float32, 1e-10 for float64"
    assert Tolerances(ulp=2, equal_nan=True).words() == "2 ulp, NaN beside NaN is equal"
    assert Tolerances(exact=True).words() == "exact"
    said = Tolerances(atol=(("*", 1e-6), ("c", 0.5)), rtol=(("", 2.0),))
    assert said.words().endswith("; atol 1e-06, atol c:0.5, rtol 2")


def test_a_pattern_that_fits_nothing_is_refused():
    arrays = {"rnn": ["c", "m", "final/c"]}
    make_tolerances({"final/*": 1, "rnn/c": 2, "gates/i": 3}, None).check_arrays(
        arrays, ["gates/i"]
    )
    with pytest.raises(OptionError, match=r"not there\.(.|\n)*did you mean final/c\?"):
        make_tolerances({"finl/c": 1}, None).check_arrays(arrays)
    with pytest.raises(OptionError) as caught:
        make_tolerances(None, {"zzz": 1}).check_arrays(arrays)
    assert caught.value.hint is None
    assert caught.value.where == "rtol=zzz:1"


def test_a_comparison_is_of_valid_steps_whole_and_with_hints():
    found = DiffSettings()
    assert (found.tolerances, found.padding, found.fail_fast) == (Tolerances(), False, False)
    assert found.hints
