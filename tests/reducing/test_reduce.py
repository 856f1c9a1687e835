"""``diff --reduce``: the smallest pair that still differs, found and written whole."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reducing.pairs import (
    LENGTHS,
    STEPS,
    UNITS,
    lstm_step,
    read_case,
    states_of,
    torch_weights,
    traced,
)

import rnnscope
from rnnscope.errors import RnnscopeError


@pytest.fixture(scope="module")
def lstm(tmp_path_factory):
    return traced(tmp_path_factory.mktemp("lstm"))


@pytest.fixture(scope="module")
def gru(tmp_path_factory):
    return traced(tmp_path_factory.mktemp("gru"), "gru")


def changed(states, array, place, by=0.25):
    """The states with one value changed; finals are those of the steps."""
    copy = {name: values.copy() for name, values in states.items() if "/" not in name}
    copy[array][place] += by
    return copy


@given(
    sequence=st.integers(0, 2),
    timestep=st.integers(0, STEPS - 1),
    unit=st.integers(0, UNITS - 1),
    array=st.sampled_from(["c", "m"]),
    swapped=st.booleans(),
)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_planted_value_is_found_and_is_all_the_case_holds(
    lstm, tmp_path, sequence, timestep, unit, array, swapped
):
    """Whatever its place, and whichever side is the trace: one step, one unit, one number."""
    timestep %= LENGTHS[sequence]
    place = (sequence, timestep, unit)
    theirs = changed(lstm.states, array, place)
    operands = (theirs, lstm.trace) if swapped else (lstm.trace, theirs)
    path = tmp_path / "case.npz"
    found = rnnscope.diff(*operands, reduce=path, force=True)
    told = found.reduced
    assert (told.array, told.sequence, told.timesteps, told.unit) == (
        array, sequence, (timestep,), unit,
    )  # fmt: skip
    assert (told.after.sequences, told.after.timesteps, told.after.units) == (1, 1, 1)
    own, other = ("b", "a") if swapped else ("a", "b")
    assert told.recomputed == (own.upper(),)
    case = read_case(path)
    for name in ("c", "m"):
        value, given_ = case[f"{own}/{name}"].item(), case[f"{other}/{name}"].item()
        assert value == lstm.states[name][place]
        assert given_ - value == (theirs[name][place] - value if name == array else 0)
    start = (case[f"{own}/initial_c"][0], case[f"{own}/initial_m"][0])
    weights = [case[f"weights/{own}/{one}"] for one in ("kernel", "recurrent_kernel", "bias")]
    c, m = lstm_step(case["x"][0, 0], *start, *weights)
    assert (c.item(), m.item()) == pytest.approx(
        (lstm.states["c"][place], lstm.states["m"][place]), abs=1e-13
    )


@pytest.mark.parametrize("unit", [0, 4])
def test_a_gru_is_cut_to_one_unit(gru, tmp_path, unit):
    """The reset gate multiplies a product of m: what others add to it is a constant of the case."""
    theirs = changed(gru.states, "m", (1, 2, unit))
    told = rnnscope.diff(gru.trace, theirs, reduce=tmp_path / "case.npz").reduced
    assert (told.unit, told.after.units) == (unit, 1)
    case = read_case(tmp_path / "case.npz")
    kernel, recurrent, bias, second = (
        case[f"weights/a/{one}"] for one in ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    )
    m = case["a/initial_m"][0]
    r_x, z_x, n_x = np.split(case["x"][0, 0] @ kernel + bias, 3)
    r_m, z_m, n_m = np.split(m @ recurrent + second, 3)
    r, z = 1 / (1 + np.exp(-(r_x + r_m))), 1 / (1 + np.exp(-(z_x + z_m)))
    again = z * m + (1 - z) * np.tanh(n_x + r * n_m)
    np.testing.assert_allclose(again, gru.states["m"][1, 2, [unit]], atol=1e-13)


def test_rnnscope_runs_the_case_and_finds_the_same_difference(lstm, tmp_path):
    theirs = changed(lstm.states, "c", (2, 3, 1))
    path = tmp_path / "case.npz"
    whole = rnnscope.diff(lstm.trace, theirs, reduce=path)
    again = rnnscope.diff(f"{path}::a", f"{path}::b")
    (array,) = (one for one in again.layers[0].arrays if one.verdict == "differ")
    first = whole.layers[0].arrays[0].first
    assert (array.name, array.exceed, array.compared) == ("c", 1, 1)
    assert (array.first.a, array.first.b) == (first.a, first.b)
    trace = rnnscope.run(path, path)
    assert rnnscope.diff(trace, f"{path}::a").verdict == "same"
    assert rnnscope.diff(trace, f"{path}::b").verdict == "differ"
    trace.close()


def test_two_traces_are_both_computed_again(lstm, tmp_path):
    """A port without its second bias: both functions are in the case, and part in it."""
    weights = dict(lstm.weights)
    weights["lstm.bias_hh_l0"] = np.zeros_like(weights["lstm.bias_hh_l0"])
    port = traced(tmp_path, weights=weights, name="port")
    path = tmp_path / "case.npz"
    told = rnnscope.diff(lstm.trace, port.trace, reduce=path).reduced
    assert told.recomputed == ("A", "B")
    assert (told.timesteps, told.start, told.after.units) == ((0,), "beginning", 1)
    assert told.units == UNITS
    trace = rnnscope.run(path, path)
    for side in "ab":
        layer = trace.layers[side]
        case = read_case(path)
        np.testing.assert_allclose(layer.c[0], case[f"{side}/c"][0], rtol=0, atol=1e-13)
    assert abs(layer.c[0, 0, 0] - trace.layers["a"].c[0, 0, 0]) == pytest.approx(told.difference)
    trace.close()


@pytest.mark.parametrize("in_memory", [False, True])
def test_two_checkpoints_over_an_input(lstm, tmp_path, in_memory):
    """Before and after a conversion that lost a bias: no trace has to be made by hand."""
    for name, factor in (("before", 1), ("after", 0)):
        weights = dict(lstm.weights)
        weights["lstm.bias_hh_l0"] = weights["lstm.bias_hh_l0"] * factor
        np.savez(tmp_path / f"{name}.npz", **weights)
    np.save(tmp_path / "x.npy", lstm.x)
    x = lstm.x if in_memory else str(tmp_path / "x.npy")
    told = rnnscope.diff(
        tmp_path / "before.npz", tmp_path / "after.npz", input=x, layout="torch",
        reduce=tmp_path / "case.npz",
    ).reduced  # fmt: skip
    assert (told.recomputed, told.timesteps, told.after.units) == (("A", "B"), (0,), 1)
    case = read_case(tmp_path / "case.npz")
    assert {"weights/a/bias", "weights/b/bias"} <= case.keys()
    assert np.abs(case["a/c"] - case["b/c"]).max() == pytest.approx(told.difference)


def drifting(pair, by, first=0):
    """The layer by the tests' own loop, from a step on a little added to c at every step."""
    w = pair.weights
    kernel, recurrent = w["lstm.weight_ih_l0"].T, w["lstm.weight_hh_l0"].T
    bias = w["lstm.bias_ih_l0"] + w["lstm.bias_hh_l0"]
    c = m = np.zeros((len(pair.x), UNITS))
    found = {"c": [], "m": []}
    for step in range(STEPS):
        c, m = lstm_step(pair.x[:, step], c, m, kernel, recurrent, bias)
        c = c + by * (step >= first)
        found["c"].append(c)
        found["m"].append(m)
    return {name: np.stack(values, axis=1) for name, values in found.items()}


@pytest.mark.parametrize("first", [0, 3])
def test_a_difference_that_grows_keeps_the_steps_in_which_it_grows(tmp_path, first):
    """Each step is within the tolerance; only several of them together are not."""
    weights = torch_weights("lstm")
    weights["lstm.bias_ih_l0"][UNITS : 2 * UNITS] += 4  # remembers nearly all
    pair = traced(tmp_path, weights=weights, lengths=None)
    by, atol = 1e-4, 2.5e-4
    theirs = drifting(pair, by, first)
    path = tmp_path / "case.npz"
    told = rnnscope.diff(pair.trace, theirs, atol=atol, reduce=path).reduced
    assert told.timesteps == (first, first + 1, first + 2)
    assert told.start == ("B" if first else "beginning")
    assert told.difference > atol
    assert any("grown over" in note for note in told.notes)
    case = read_case(path)
    kernel, recurrent, bias = (
        case[f"weights/a/{one}"] for one in ("kernel", "recurrent_kernel", "bias")
    )

    def reached(c, m, steps):
        for x in steps:
            c, m = lstm_step(x[None], c, m, kernel, recurrent, bias)
        return c, m

    c, m = reached(case["a/initial_c"], case["a/initial_m"], case["x"][0])
    np.testing.assert_allclose(c[0], case["a/c"][0, -1], atol=1e-12)
    assert np.abs(c[0] - case["b/c"][0, -1]).max() > atol
    # One step fewer, from where B stands then, is within the tolerance.
    c, m = reached(case["b/c"][:, 0], case["b/m"][:, 0], case["x"][0, 1:])
    assert np.abs(c[0] - case["b/c"][0, -1]).max() <= atol
    assert np.abs(m[0] - case["b/m"][0, -1]).max() <= atol


def test_without_their_c_the_steps_before_are_kept(lstm, tmp_path):
    """Their m alone does not tell whether c was the same before: nothing is claimed of it."""
    theirs = {"m": changed(lstm.states, "m", (0, 3, 2))["m"]}
    told = rnnscope.diff(lstm.trace, theirs, reduce=tmp_path / "case.npz").reduced
    assert told.timesteps == (0, 1, 2, 3)
    assert (told.start, told.after.units) == ("beginning", UNITS)
    assert any("does not hold its whole state before step 3" in note for note in told.notes)
    case = read_case(tmp_path / "case.npz")
    assert case["x"].shape == (1, 4, 3)
    apart = np.argwhere(case["a/m"] != case["b/m"]).tolist()
    assert apart == [[0, 3, 2]]


def test_final_states_alone_keep_the_shortest_sequence(lstm, tmp_path):
    """PyTorch returns h_n and c_n: which step was wrong is not known."""
    theirs = {"final/c": lstm.states["final/c"] + 0.5, "final/m": lstm.states["final/m"]}
    told = rnnscope.diff(lstm.trace, theirs, reduce=tmp_path / "case.npz").reduced
    assert (told.sequence, told.array) == (1, "final/c")
    assert told.timesteps == tuple(range(LENGTHS[1]))
    trace = rnnscope.run(tmp_path / "case.npz", tmp_path / "case.npz")
    assert rnnscope.diff(trace, f"{tmp_path}/case.npz::a").verdict == "same"
    trace.close()


def test_initial_states_that_differ_come_first(lstm, tmp_path):
    theirs = {name: array.copy() for name, array in lstm.states.items()}
    theirs["initial/c"] = np.zeros((3, UNITS))
    theirs["initial/c"][2, 4] = 1
    theirs["c"][0, 0, 0] += 1
    told = rnnscope.diff(lstm.trace, theirs, reduce=tmp_path / "case.npz").reduced
    assert (told.array, told.sequence, told.unit, told.b) == ("initial/c", 2, 4, 1.0)


@pytest.mark.parametrize("options", [{"proj": True}, {"reset": True}])
def test_units_that_need_each_other_stay_together(options, tmp_path):
    """A projection makes m of all units; with the reset gate first, r of all enters one sum."""
    if "proj" in options:
        weights = torch_weights("lstm", units=UNITS)
        weights["lstm.weight_hh_l0"] = weights["lstm.weight_hh_l0"][:, :2].copy()
        weights["lstm.weight_hr_l0"] = np.ones((2, UNITS)) / 3
        pair, word = traced(tmp_path, weights=weights), "projection"
    else:
        from converting.sources import gru_before_reset

        gru_before_reset(tmp_path / "gru.h5")
        np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(2, 4, 3)).astype("f4"))
        rnnscope.run(tmp_path / "gru.h5", tmp_path / "x.npy", output=tmp_path / "t.h5").close()
        from reducing.pairs import Pair

        pair = Pair(tmp_path / "t.h5", states_of(tmp_path / "t.h5"), {}, None)
        word = "reset gates"
    theirs = changed(pair.states, "m", (1, 2, 1))
    told = rnnscope.diff(pair.trace, theirs, reduce=tmp_path / "case.npz").reduced
    assert told.after.units == pair.states.get("c", pair.states["m"]).shape[-1]
    assert any(note.startswith("All units are kept") and word in note for note in told.notes)
    case = read_case(tmp_path / "case.npz")
    assert np.argwhere(case["a/m"] != case["b/m"]).tolist() == [[0, 0, 1]]


def test_a_layer_that_reads_from_the_end(tmp_path):
    """Its first step is the last of the input; in the case it reads forward."""
    weights = torch_weights("lstm")
    weights |= {f"{name}_reverse": array[::-1].copy() for name, array in weights.items()}
    np.savez(tmp_path / "m.npz", **weights)
    x = np.random.default_rng(7).normal(size=(3, STEPS, 3))
    np.savez(tmp_path / "x.npz", x=x, lengths=np.array(LENGTHS))
    trace = tmp_path / "t.h5"
    rnnscope.run(tmp_path / "m.npz", tmp_path / "x.npz", layout="torch", output=trace).close()
    with rnnscope.open_trace(trace) as opened:
        theirs = {
            f"{name}/{state}": np.array(getattr(layer, state))
            for name, layer in opened.layers.items()
            if len(layer.initial)
            for state in ("c", "m")
        }
        (name,) = (name for name, layer in opened.layers.items() if layer.backward)
    theirs[f"{name}/c"][1, 2, 3] += 1  # the second step that a sequence of 4 is read in
    theirs[f"{name}/c"][1, 0, 0] += 1  # and later
    theirs[f"{name}/m"][1, 1, 4] += 1
    told = rnnscope.diff(trace, theirs, reduce=tmp_path / "case.npz").reduced
    assert (told.layer, told.sequence, told.timesteps, told.unit) == (name, 1, (2,), 3)
    case = read_case(tmp_path / "case.npz")
    assert case["x"][0, 0, :3].tolist() == x[1, 2].tolist()
    with rnnscope.open_trace(trace) as opened:
        assert case["a/initial_c"][0, 0] == opened.layers[name].c[1, 3, 3]
    theirs[f"{name}/m"][1, 3, 4] += 1  # the first of all
    told = rnnscope.diff(trace, theirs, reduce=tmp_path / "other.npz").reduced
    assert (told.array, told.timesteps, told.unit, told.start) == ("m", (3,), 4, "beginning")


def test_steps_past_the_length(lstm, tmp_path):
    """With ``padding`` what stands past a length is compared, and shown by the last valid step."""
    theirs = changed(lstm.states, "c", (1, 5, 2))
    told = rnnscope.diff(lstm.trace, theirs, padding=True, reduce=tmp_path / "case.npz").reduced
    assert (told.sequence, told.timesteps, told.unit) == (1, (5,), 2)
    case = read_case(tmp_path / "case.npz")
    assert case["mask"].tolist() == [[False]]
    np.testing.assert_array_equal(case["a/c"][0, 0], lstm.states["c"][1, 3])


def test_masked_steps_are_left_out(tmp_path):
    """The state stands still at steps that do not count: the case does not need them."""
    weights = torch_weights("lstm")
    np.savez(tmp_path / "m.npz", **weights)
    x = np.random.default_rng(7).normal(size=(2, STEPS, 3))
    mask = np.ones((2, STEPS), bool)
    mask[1, [1, 3]] = False
    np.savez(tmp_path / "x.npz", x=x, mask=mask)
    trace = tmp_path / "t.h5"
    rnnscope.run(tmp_path / "m.npz", tmp_path / "x.npz", layout="torch", output=trace).close()
    theirs = {"m": states_of(trace)["m"].copy(), "mask": mask}
    theirs["m"][1, 4, 0] += 1
    told = rnnscope.diff(trace, theirs, reduce=tmp_path / "case.npz").reduced
    assert (told.sequence, told.timesteps) == (1, (0, 2, 4))
    np.testing.assert_array_equal(read_case(tmp_path / "case.npz")["x"][0], x[1, [0, 2, 4]])


def test_the_lower_of_two_layers_is_reduced(tmp_path):
    """What a layer hands on wrongly makes all above it differ, too."""
    from converting.sources import source

    np.save(tmp_path / "x.npy", np.random.default_rng(1).normal(size=(2, 5, 5)).astype("f4"))
    trace = tmp_path / "t.h5"
    rnnscope.run(source("keras 2 stack"), tmp_path / "x.npy", output=trace).close()
    with rnnscope.open_trace(trace) as opened:
        names = list(opened.layers)
        theirs = {
            f"{name}/{state}": np.array(getattr(opened.layers[name], state))
            for name in names
            for state in opened.layers[name].initial
        }
    above = {
        name: array + 0.1 for name, array in theirs.items() if not name.startswith(f"{names[0]}/")
    }
    low = {name: array.copy() for name, array in theirs.items() if name.startswith(f"{names[0]}/")}
    low[f"{names[0]}/m"][0, 3, 1] += 0.1
    told = rnnscope.diff(trace, low | above, reduce=tmp_path / "case.npz").reduced
    assert (told.layer, told.timesteps) == (names[0], (3,))
    told = rnnscope.diff(trace, above, reduce=tmp_path / "other.npz").reduced
    assert told.layer == names[1]
    assert any(f"holds nothing of '{names[0]}'" in note for note in told.notes)


def test_a_trace_in_memory(lstm, tmp_path):
    np.savez(tmp_path / "m.npz", **lstm.weights)
    trace = rnnscope.run(tmp_path / "m.npz", lstm.x, layout="torch", lengths=list(LENGTHS))
    theirs = changed(lstm.states, "c", (0, 1, 0))
    assert rnnscope.diff(trace, theirs, reduce=tmp_path / "case.npz").reduced.timesteps == (1,)
    trace.close()


def test_nothing_differs(lstm, tmp_path):
    found = rnnscope.diff(lstm.trace, lstm.states, reduce=tmp_path / "case.npz")
    assert (found.verdict, found.reduced.case, found.reduced.reason) == (
        "same", "", "nothing differs",
    )  # fmt: skip
    assert not [*tmp_path.iterdir()]


def test_what_no_step_shows_is_said(lstm, tmp_path):
    """Lengths that differ are a difference, and none of a state."""
    theirs = {"c": lstm.states["c"], "m": lstm.states["m"], "lengths": np.array([7, 4, 5])}
    found = rnnscope.diff(lstm.trace, theirs, reduce=tmp_path / "case.npz")
    assert (found.verdict, found.reduced.case) == ("differ", "")
    assert "lengths: sequence 2 has 6 steps in A, 5 in B" in found.reduced.reason
    assert not [*tmp_path.iterdir()]


def test_sides_of_other_lengths_have_no_common_last_step(lstm, tmp_path):
    """Final states that follow from steps are those of different steps: no pair of numbers."""
    theirs = {name: lstm.states[name][:, :5] for name in ("c", "m")}
    found = rnnscope.diff(lstm.trace, theirs, reduce=tmp_path / "case.npz")
    assert (found.verdict, found.reduced.case) == ("differ", "")
    assert "c: 7 timesteps in A, 5 in B" in found.reduced.reason


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_the_largest_difference(lstm, tmp_path, value):
    theirs = changed(lstm.states, "c", (0, 2, 1), 0.25)
    theirs["c"][0, 2, 4] = value
    told = rnnscope.diff(lstm.trace, theirs, reduce=tmp_path / "case.npz").reduced
    assert (told.timesteps, told.unit, told.units, told.after.units) == ((2,), 4, 2, 1)
    np.testing.assert_array_equal(told.b, value)


def test_gates_and_outputs_are_reduced_as_states_are(tmp_path):
    pair = traced(tmp_path, gates=True)
    with rnnscope.open_trace(pair.trace) as opened:
        (layer,) = opened.layers.values()
        gate = np.array(layer.gates["i"])
    gate[2, 1, 3] += 0.1
    theirs = {"gates/i": gate, "c": pair.states["c"], "m": pair.states["m"]}
    told = rnnscope.diff(pair.trace, theirs, reduce=tmp_path / "case.npz").reduced
    assert (told.array, told.sequence, told.timesteps, told.unit) == ("gates/i", 2, (1,), 3)
    theirs = {"outputs": pair.states["m"] + (np.arange(STEPS) == 4)[:, None]}
    told = rnnscope.diff(pair.trace, theirs, reduce=tmp_path / "other.npz").reduced
    assert (told.array, told.sequence, told.timesteps[-1]) == ("outputs", 0, 4)


def refused(*operands, **options):
    with pytest.raises(RnnscopeError) as told:
        rnnscope.diff(*operands, **options)
    assert told.value.hint
    return told.value


def test_refusals_name_the_next_step(lstm, tmp_path):
    theirs = changed(lstm.states, "c", (0, 1, 0))
    case = tmp_path / "case.npz"
    assert "Neither side" in refused(lstm.states, theirs, reduce=case).what
    assert "another kind" in refused(lstm.trace, theirs, reduce=tmp_path / "case.h5").what
    assert "does not exist" in refused(lstm.trace, theirs, reduce=tmp_path / "no/case.npz").what
    for name, value in (("weights", True), ("fail_fast", True)):
        assert (
            "do not go together" in refused(lstm.trace, theirs, reduce=case, **{name: value}).what
        )
    with pytest.raises(RnnscopeError, match="none is asked for"):
        rnnscope.diff(lstm.trace, theirs, force=True)
    assert not case.exists()


def test_an_older_case_stays_unless_it_may_go(lstm, tmp_path):
    theirs = changed(lstm.states, "c", (0, 1, 0))
    case = tmp_path / "case.npz"
    case.write_bytes(b"older")
    assert "exists already" in refused(lstm.trace, theirs, reduce=case).what
    assert case.read_bytes() == b"older"
    rnnscope.diff(lstm.trace, theirs, reduce=case, force=True)
    assert case.read_bytes()[:2] == b"PK"
    assert [*tmp_path.iterdir()] == [case]


def test_no_file_that_is_compared_is_replaced(lstm, tmp_path):
    theirs = tmp_path / "theirs.npz"
    np.savez(theirs, **changed(lstm.states, "c", (0, 1, 0)))
    before = theirs.read_bytes()
    error = refused(lstm.trace, f"{theirs}::c", reduce=theirs, force=True)
    assert "would replace a file that the run reads" in error.what
    assert theirs.read_bytes() == before


def test_a_checkpoint_that_was_changed_is_no_proof(lstm, tmp_path):
    """Its recipe would give other numbers than the trace holds: nothing is written."""
    pair = traced(tmp_path)
    weights = {name: array * 1.5 for name, array in pair.weights.items()}
    np.savez(tmp_path / "ours.npz", **weights)
    error = refused(pair.trace, changed(pair.states, "c", (0, 1, 0)), reduce=tmp_path / "case.npz")
    assert "run again, does not give what A holds" in error.what
    assert not (tmp_path / "case.npz").exists()


def test_the_recipe_of_a_case_is_readable_and_says_where_it_is_from(lstm, tmp_path):
    rnnscope.diff(lstm.trace, changed(lstm.states, "c", (2, 3, 1)), reduce=tmp_path / "case.npz")
    recipe = json.loads(str(read_case(tmp_path / "case.npz")["recipe"]))
    assert recipe["rnnscope_case"] == 1
    assert recipe["layers"]["a"]["options"]["forget_bias"]["value"] == 0
    assert recipe["what"]["timesteps"] == [3]
    assert recipe["what"]["versions"]["rnnscope"] == rnnscope.__version__
    assert recipe["what"]["source"]["checkpoint"] == "ours.npz"
