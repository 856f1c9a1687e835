"""Where two sets of states part: found at its place, measured, and named if it is a confusion."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.comparing import DiffSettings, Tolerances, diff_states
from rnnscope.comparing.wording import headline
from rnnscope.errors import InputError, OptionError
from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.states.export import ExportRequest, export_states
from rnnscope.states.interface import ReadOptions
from rnnscope.states.recognise import recognise
from rnnscope.states.state_set import StateLayer, StateSet

RNG = np.random.default_rng(5)
C = (RNG.normal(size=(3, 6, 4)) * 2).astype(np.float32)
M = np.tanh(RNG.normal(size=(3, 6, 4))).astype(np.float32)


MERGED = StateSet(
    "s", "arrays",
    (
        StateLayer("fw", {"c": LoadedArray(C), "m": LoadedArray(M)}),
        StateLayer("merge", {"outputs": LoadedArray(M)}),
    ),
)  # fmt: skip


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def compare(a, b, tolerances=None, a_options=None, b_options=None, **how):
    """Compare two dicts of arrays (or lists of them, without names)."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, arrays in (("a", a), ("b", b)):
            path = Path(folder) / f"{name}.npz"
            np.savez(path, **arrays) if isinstance(arrays, dict) else np.savez(path, *arrays)
            paths.append(str(path))
        options = (a_options or ReadOptions(), b_options or ReadOptions())
        one, other = recognise((paths[0], paths[1]), options)
        with one.states, other.states:
            return diff_states(one, other, DiffSettings(tolerances or Tolerances(), **how))


def array_of(result, name="c", layer=0):
    return next(array for array in result.layers[layer].arrays if array.name == name)


def hints(result):
    return [hint for layer in result.layers for hint in layer.hints]


@given(
    sequence=st.integers(0, 2),
    timestep=st.integers(0, 5),
    unit=st.integers(0, 3),
    name=st.sampled_from(["c", "m"]),
)
@settings(max_examples=40)
def test_one_changed_value_is_found_at_its_coordinates(sequence, timestep, unit, name):
    arrays = {"c": C.copy(), "m": M.copy()}
    arrays[name][sequence, timestep, unit] += np.float32(0.25)
    result = compare({"c": C, "m": M}, arrays)
    found = array_of(result, name)
    assert result.verdict == "differ"
    assert found.exceed == 1
    assert found.first.place == found.worst == (sequence, timestep, unit)
    assert found.first.a == pytest.approx(float({"c": C, "m": M}[name][sequence, timestep, unit]))
    assert found.max_abs == pytest.approx(0.25, rel=1e-5)
    assert found.mean_abs == pytest.approx(0.25 / C.size, rel=1e-5)
    assert [bool(value) for value in found.growth] == [step == timestep for step in range(6)]
    assert array_of(result, "m" if name == "c" else "c").verdict == "same"


def test_the_first_divergence_is_the_earliest_step():
    """Not the first in memory: a late step of sequence 0 comes after an early one of sequence 2."""
    c = C.copy()
    c[0, 4, 0] += 1
    c[2, 1, 3] += 1e-3
    found = array_of(compare({"c": C}, {"c": c}))
    assert found.first.place == (2, 1, 3)
    assert found.worst == (0, 4, 0)
    assert found.exceed == 2


def test_a_backward_layer_diverges_from_its_end():
    c = C.copy()
    c[0, 1, 0] += 1
    c[0, 4, 0] += 1
    found = array_of(compare({"bw_c": C}, {"bw_c": c}))
    assert found.first.place == (0, 4, 0)


# The confusions of the field, each named.


def test_swapped_c_and_m():
    assert hints(compare({"c": C, "h": M}, {"c": M, "h": C})) == ["equal if B is read as [h, c]"]


def test_a_keras_list_read_as_a_tuple():
    result = compare({"c": C, "m": M}, [M, C], b_options=ReadOptions("tuple"))
    assert result.verdict == "differ"
    assert hints(result) == ["equal if B is read as [h, c]"]


def test_swapped_halves_of_a_concat():
    state = np.concatenate([M, C], axis=-1)
    assert hints(compare({"c": C, "m": M}, {"state": state})) == ["equal if B is read as [m, c]"]


def test_swapped_halves_of_unequal_widths():
    m = M[..., :3]
    result = compare({"c": C, "m": m}, {"state": np.concatenate([m, C], axis=-1)})
    assert hints(result) == ["equal if B is read as [m, c], m 3 wide and c 4"]


def test_time_major_read_as_batch_major():
    turned = {"c": C.swapaxes(0, 1), "m": M.swapaxes(0, 1)}
    result = compare({"c": C, "m": M}, turned)
    assert result.verdict == "differ"
    assert hints(result) == [
        "equal if B is read with the other axis first: time-major for batch-major (time_major_b)"
    ]
    told = compare({"c": C, "m": M}, turned, b_options=ReadOptions(time_major=True))
    assert told.verdict == "same"


def test_reversed_time():
    result = compare({"c": C, "m": M}, {"c": C[:, ::-1], "m": M[:, ::-1]})
    assert hints(result) == ["equal if B's time is reversed"]


def test_time_reversed_within_each_length():
    lengths = np.array([6, 4, 2])
    c = C.copy()
    for row, length in enumerate(lengths):
        c[row, :length] = C[row, :length][::-1]
    result = compare({"c": C, "lengths": lengths}, {"c": c, "lengths": lengths})
    assert hints(result) == ["equal if B's time is reversed within each length"]


@pytest.mark.parametrize("steps", [1, 2])
def test_states_one_step_late(steps):
    late = np.concatenate([np.zeros((3, steps, 4), np.float32), C[:, :-steps]], axis=1)
    word = "step" if steps == 1 else "steps"
    assert hints(compare({"c": C}, {"c": late})) == [
        f"equal if B is {steps} {word} late: its timestep t + {steps} is A's t"
    ]


def test_states_one_step_early():
    early = np.concatenate([C[:, 1:], np.zeros((3, 1, 4), np.float32)], axis=1)
    assert hints(compare({"c": C}, {"c": early})) == [
        "equal if B is 1 step early: its timestep t is A's t + 1"
    ]


def test_swapped_and_time_major_at_once():
    result = compare({"c": C, "m": M}, {"c": M.swapaxes(0, 1), "m": C.swapaxes(0, 1)})
    assert len(hints(result)) == 1
    assert "change places" in hints(result)[0] or "[h, c]" in hints(result)[0]
    assert "time-major" in hints(result)[0]


def test_shifted_lengths():
    a, b = np.array([5, 4, 2]), np.array([6, 5, 3])
    result = compare({"c": C, "lengths": a}, {"c": C, "lengths": b})
    assert result.verdict == "differ"
    assert result.differences == ("lengths: sequence 0 has 5 steps in A, 6 in B and 2 more",)
    assert "B's lengths are shifted: each is 1 longer than A's" in result.notes
    assert "at the steps that are valid on both sides the states are equal" in result.notes


def test_zeros_past_the_length_against_a_carried_state():
    """Without lengths to go by; only the numbers tell."""
    carried, zeros = C.copy(), C.copy()
    carried[1, 4:], zeros[1, 4:] = C[1, 3], 0
    found = hints(compare({"c": carried}, {"c": zeros}))
    assert len(found) == 1
    assert found[0].startswith("equal up to where B has zeros: its lengths look like 6, 4, 6")


def test_nothing_is_named_that_is_not_equal():
    other = np.tanh(RNG.normal(size=C.shape)).astype(np.float32)
    assert hints(compare({"c": C, "m": M}, {"c": C + 1, "m": other})) == []


# What counts, and what does not.


def test_only_valid_steps_count_unless_padding_is_asked_for():
    lengths = np.array([6, 4, 2])
    c = C.copy()
    c[1, 5] += 1
    pair = {"c": C, "lengths": lengths}, {"c": c, "lengths": lengths}
    assert compare(*pair).verdict == "same"
    result = compare(*pair, padding=True)
    assert array_of(result).first.place == (1, 5, 0)
    assert hints(result) == ["equal at the valid steps: they part only past the length"]


def test_a_mask_with_gaps():
    mask = np.ones((3, 6), np.int8)
    mask[0, 2] = 0
    c = C.copy()
    c[0, 2] = 9
    assert compare({"c": C, "mask": mask}, {"c": c, "mask": mask}).verdict == "same"
    assert compare({"c": C, "mask": mask}, {"c": c}).verdict == "same"


def test_fewer_timesteps_are_a_difference():
    result = compare({"c": C}, {"c": C[:, :5]})
    assert result.verdict == "differ"
    assert array_of(result).problems == ("6 timesteps in A, 5 in B",)
    assert array_of(result).exceed == 0


def test_other_widths_cannot_be_compared_and_differ():
    result = compare({"c": C}, {"c": C[..., :3]})
    assert array_of(result).problems == ("4 units in A, 3 in B",)
    assert result.verdict == "differ"


def test_nan_differs_unless_it_is_allowed():
    c = C.copy()
    c[1, 2, 3] = np.nan
    result = compare({"c": c}, {"c": c})
    found = array_of(result)
    assert result.verdict == "differ"
    assert (found.nonfinite_a, found.nonfinite_b, found.exceed) == (1, 1, 1)
    assert found.first.place == (1, 2, 3)
    assert found.passes_at == ""
    assert found.ulp_max is None
    assert compare({"c": c}, {"c": c}, Tolerances(equal_nan=True)).verdict == "same"
    assert compare({"c": c}, {"c": C}, Tolerances(equal_nan=True)).verdict == "differ"


def test_equal_infinities_are_equal():
    c = C.copy()
    c[0, 0, 0] = np.inf
    assert compare({"c": c}, {"c": c}).verdict == "same"
    assert compare({"c": c}, {"c": C}).verdict == "differ"


def test_tolerances():
    c = (C * (1 + 2e-5)).astype(np.float32)
    assert compare({"c": C}, {"c": c}).verdict == "differ"
    assert compare({"c": C}, {"c": c}, Tolerances(rtol=(("*", 1e-4),))).verdict == "same"
    assert compare({"c": C}, {"c": c}, Tolerances(atol=(("c", 1e-3),))).verdict == "same"
    assert compare({"c": C}, {"c": c}, Tolerances(atol=(("m", 1e-3),))).verdict == "differ"
    assert compare({"c": C}, {"c": c}, Tolerances(ulp=1000)).verdict == "same"
    assert compare({"c": C}, {"c": np.nextafter(C, 9)}, Tolerances(ulp=1)).verdict == "same"
    assert compare({"c": C}, {"c": np.nextafter(C, 9)}, Tolerances(exact=True)).verdict == "differ"


@given(scale=st.floats(1e-6, 1e-2), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_the_tolerance_that_is_named_is_one_at_which_it_passes(scale, seed):
    noise = np.random.default_rng(seed).normal(size=C.shape) * scale
    c = (C + noise).astype(np.float32)
    found = array_of(compare({"c": C}, {"c": c}, Tolerances(exact=True)))
    if found.exceed:
        atol = float(found.passes_at.removeprefix("atol "))
        assert compare({"c": C}, {"c": c}, Tolerances(atol=(("*", atol),))).verdict == "same"
        less = Tolerances(atol=(("*", atol * 0.98),))
        assert compare({"c": C}, {"c": c}, less).verdict == "differ"


def test_ulps_are_those_of_the_narrower_dtype():
    wide = C.astype(np.float64)
    found = array_of(compare({"c": C}, {"c": wide}))
    assert (found.ulp_dtype, found.ulp_max) == ("float32", 0)
    assert (found.dtype_a, found.dtype_b) == ("float32", "float64")


def test_gates_tell_where_a_difference_comes_from():
    gates = {f"gates/{gate}": np.full_like(C, 0.5) for gate in "ifgo"}
    other = {name: array.copy() for name, array in gates.items()}
    other["gates/f"][1, 3, 2] += 0.1
    c = C.copy()
    c[1, 3, 2] += 0.1
    result = compare({"c": C, **gates}, {"c": c, **other})
    assert array_of(result).first.gate == "gate f"
    plain = compare({"c": C, **gates}, {"c": c, **gates})
    assert array_of(plain).first.gate == "none of i, f, g there: the c before"


def test_fail_fast_stops_and_says_so():
    result = compare({"c": C}, {"c": C + 1}, fail_fast=True)
    assert array_of(result).complete is False


@pytest.mark.parametrize(
    ("pattern", "near"),
    [
        ("zz", None),
        ("gatesf", "gates/f"),
        ("l0/cc", "l0/c"),
        ("lo/c", "l0/c"),
        ("final", "final/m"),
    ],
)
@pytest.mark.parametrize("option", ["atol", "rtol"])
def test_a_tolerance_for_an_array_that_there_is_not(option, pattern, near):
    """A misspelt name would leave the array with the default, or let everything pass."""
    held = {"l0/c": C, "l0/m": M}
    with pytest.raises(OptionError) as caught:
        compare(held, held, Tolerances(**{option: ((pattern, 1.0),)}))
    assert caught.value.where == f"{option}={pattern}:1"
    assert caught.value.expected.startswith("one of c, m, final/c, final/m;")
    assert (caught.value.hint or "").removeprefix("did you mean ") == (f"{near}?" if near else "")


@pytest.mark.parametrize("pattern", ["*", "c", "l0/c", "l?/*", "final/*", "gates/f", "outputs"])
def test_a_tolerance_for_an_array_that_there_may_be(pattern):
    """A suite has one set of tolerances for runs with gates and without."""
    held = {"l0/c": C, "l0/m": M}
    assert compare(held, held, Tolerances(atol=((pattern, 1.0),))).verdict == "same"


def test_an_array_of_the_other_that_was_not_read_is_not_said_to_be_missing():
    """Its axes may be either: the two are as many."""
    square = M[:, :3]
    held = {"output": square, "h_n": square[:, 0][None] + 1, "c_n": C[:, 0][None]}
    result = compare({"l0/m": square, "l0/outputs": square + 2, "l0/final/m": held["h_n"][0]}, held)
    assert result.verdict == "same"
    assert result.complete is False
    assert "outputs (in B not read: output)" in result.layers[0].not_compared
    assert headline(result).endswith(
        "; not compared: m (only in A); outputs (in B not read: output); final/c (only in B); "
        "not read: output (in B)"
    )


def test_a_merge_that_the_other_has_no_place_for_is_said(tmp_path):
    export_states(MERGED, ExportRequest("trace", tmp_path / "t.h5"))
    np.savez(tmp_path / "b.npz", **{"fw/c": C, "fw/m": M})
    one, other = recognise(
        (str(tmp_path / "t.h5"), str(tmp_path / "b.npz")), (ReadOptions(), ReadOptions())
    )
    with one.states, other.states:
        result = diff_states(one, other)
    assert (result.verdict, result.outputs_alone_a, result.complete) == ("same", ("merge",), False)
    assert "merge (outputs alone, in A)" in headline(result)


# Layers.


def test_layers_are_matched_by_name_whatever_their_order():
    a = {"l0/c": C, "l1/c": M}
    result = compare(a, {"l1/c": M, "l0/c": C})
    assert [(layer.a, layer.b, layer.matched) for layer in result.layers] == [
        ("l0", "l0", "by name"),
        ("l1", "l1", "by name"),
    ]


def test_layers_with_other_names_are_matched_by_values():
    result = compare({"l0/c": C, "l1/c": C * 2}, {"first/c": C * 2, "second/c": C})
    assert {(layer.a, layer.b, layer.matched) for layer in result.layers} == {
        ("l0", "second", "by values"),
        ("l1", "first", "by values"),
    }
    assert result.verdict == "same"


def test_a_layer_without_a_partner_is_a_difference():
    result = compare({"l0/c": C, "l1/c": M}, {"l0/c": C})
    assert result.only_a == ("l1",)
    assert result.verdict == "differ"


def test_nothing_in_common_is_trouble():
    with pytest.raises(InputError, match="no array in common"):
        compare({"l0/c": C, "l1/c": C}, {"a/final_m": M[:, 0], "b/final_m": M[:, 1]})
