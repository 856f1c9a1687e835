"""What must hold of every run, whatever the cell: properties of the numpy engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from lstm_cases import layer_of

from rnnscope.checks import run_checks
from rnnscope.engines.choose import LayerEngine, prefix_lengths
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.model.cell import LSTMWeights, Option
from rnnscope.model.network import Node
from rnnscope.model.states import LayerSlice
from rnnscope.running.prepare import layer_facts

FEATURES, UNITS = 3, 4
RULES = ("zeros", "hold", "none")


def make_layer(
    rng, *, dtype="float64", proj=None, peepholes=False, padding="none", backward=False,
    reversal="whole", in_input_order=True, **values,
):  # fmt: skip
    """A random layer; further keywords are LSTM options."""
    output = proj or UNITS

    def draw(*shape):
        return rng.normal(scale=0.7, size=shape).astype(dtype)

    diagonals = {f"peephole_{gate}": draw(UNITS) for gate in "ifo"} if peepholes else {}
    settings_ = {
        "forget_bias": 1.0,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "output_activation": "tanh",
        "cell_clip": None,
        "proj_clip": None,
        **values,
    }
    weights = LSTMWeights(
        draw(FEATURES, 4 * UNITS),
        draw(output, 4 * UNITS),
        draw(4 * UNITS),
        projection=draw(UNITS, proj) if proj else None,
        **diagonals,
    )
    return layer_of(
        weights, settings_, padding=padding, backward=backward, reversal=reversal,
        in_input_order=in_input_order,
    )  # fmt: skip


@st.composite
def cases(draw, **fixed):
    """A layer, an input, a mask (or None) and an initial state (or nothing)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = {
        "dtype": st.sampled_from(["float32", "float64"]),
        "proj": st.sampled_from([None, 2]),
        "peepholes": st.booleans(),
        "padding": st.sampled_from(RULES),
        "backward": st.booleans(),
        "reversal": st.sampled_from(["whole", "within length"]),
        "in_input_order": st.booleans(),
        "cell_clip": st.sampled_from([None, 0.3]),
        "proj_clip": st.sampled_from([None, 0.2]),
        "activation": st.sampled_from(["tanh", "softsign"]),
        "recurrent_activation": st.sampled_from(["sigmoid", "hard_sigmoid"]),
    }
    chosen = {name: fixed[name] if name in fixed else draw(kind) for name, kind in kinds.items()}
    layer = make_layer(rng, **chosen)
    sequences, timesteps = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    x = rng.normal(size=(sequences, timesteps, FEATURES)).astype(chosen["dtype"])
    masks = {
        "none": None,
        "lengths": np.arange(timesteps) < rng.integers(0, timesteps + 1, (sequences, 1)),
        "holes": rng.random((sequences, timesteps)) < 0.6,
    }
    mask = masks[draw(st.sampled_from(fixed.get("masks", list(masks))))]
    initial = {}
    if draw(st.booleans()):
        initial = {
            "c": rng.normal(size=(sequences, UNITS)).astype(chosen["dtype"]),
            "m": rng.normal(size=(sequences, layer.cell.output_size)).astype(chosen["dtype"]),
        }
    return layer, x, mask, initial


def arrays(states):
    """Everything a run returned, by name."""
    return {
        **states.states,
        "outputs": states.outputs,
        **{f"final {name}": array for name, array in states.final.items()},
        **states.gates,
    }


def assert_same(ours, theirs):
    for name, array in arrays(ours).items():
        np.testing.assert_array_equal(array, arrays(theirs)[name], err_msg=name)


@given(cases())
def test_every_array_keeps_the_dtype_of_the_weights(case):
    layer, x, mask, initial = case
    states = run_layer(layer, x, mask, initial, gates=True)
    assert {array.dtype for array in arrays(states).values()} == {layer.cell.dtype}


@given(cases())
def test_a_run_again_is_the_same_bit_for_bit_and_leaves_its_arguments_alone(case):
    layer, x, mask, initial = case
    copies = x.copy(), {name: array.copy() for name, array in initial.items()}
    assert_same(run_layer(layer, x, mask, initial), run_layer(layer, x, mask, initial))
    np.testing.assert_array_equal(x, copies[0])
    for name, array in initial.items():
        np.testing.assert_array_equal(array, copies[1][name])


@given(cases(backward=False, padding="none"), st.data())
def test_a_run_split_in_two_in_time_is_the_whole_run(case, data):
    layer, x, _, initial = case
    assume(x.shape[1] > 1)
    cut = data.draw(st.integers(1, x.shape[1] - 1))
    whole = run_layer(layer, x, None, initial, gates=True)
    first = run_layer(layer, x[:, :cut], None, initial, gates=True)
    second = run_layer(layer, x[:, cut:], None, first.final, gates=True)
    for name in ("c", "m", "outputs", *"ifgo"):
        parts = [arrays(half)[name] for half in (first, second)]
        atol = 64 * np.finfo(x.dtype).eps
        np.testing.assert_allclose(np.concatenate(parts, 1), arrays(whole)[name], atol=atol, rtol=0)
    np.testing.assert_array_equal(first.final["c"], first.c[:, -1])


def test_a_split_run_is_the_whole_run_bit_for_bit():
    """With enough rows on both sides the matrix product takes the same path for each row."""
    rng = np.random.default_rng(1)
    layer = make_layer(rng, peepholes=True, proj=2)
    x = rng.normal(size=(16, 12, FEATURES))
    whole = run_layer(layer, x)
    first = run_layer(layer, x[:, :6])
    second = run_layer(layer, x[:, 6:], None, first.final)
    np.testing.assert_array_equal(np.concatenate([first.c, second.c], 1), whole.c)
    np.testing.assert_array_equal(np.concatenate([first.m, second.m], 1), whole.m)


@given(cases(), st.randoms(use_true_random=False))
def test_sequences_do_not_see_each_other(case, random):
    """Any order, and any slice, of sequences gives the same states, masks with holes included."""
    layer, x, mask, initial = case
    order = list(range(len(x)))
    random.shuffle(order)
    whole = run_layer(layer, x, mask, initial, gates=True)
    for rows in (order, order[:1]):
        part = run_layer(
            layer,
            x[rows],
            None if mask is None else mask[rows],
            {name: array[rows] for name, array in initial.items()},
            gates=True,
        )
        for name, array in arrays(part).items():
            atol = 64 * np.finfo(array.dtype).eps
            np.testing.assert_allclose(array, arrays(whole)[name][rows], atol=atol, rtol=0)


@given(cases())
def test_what_stands_in_the_padding_does_not_matter(case):
    layer, x, mask, initial = case
    assume(mask is not None and layer.padding.value != "none")
    other = np.where(mask[..., None], x, 1e3).astype(x.dtype)
    assert_same(
        run_layer(layer, x, mask, initial, gates=True),
        run_layer(layer, other, mask, initial, gates=True),
    )


@given(cases(backward=True, reversal="whole"))
def test_a_backward_layer_is_a_forward_layer_over_turned_time(case):
    layer, x, mask, initial = case
    forward = replace(layer, backward=Option(False, "graph"), outputs_in_input_order=True)
    turned_mask = None if mask is None else mask[:, ::-1]
    backward = run_layer(layer, x, mask, initial, gates=True)
    turned = run_layer(forward, np.ascontiguousarray(x[:, ::-1]), turned_mask, initial, gates=True)
    for name in ("c", "m", *"ifgo"):
        np.testing.assert_array_equal(arrays(backward)[name], arrays(turned)[name][:, ::-1])
    way = slice(None, None, -1) if layer.outputs_in_input_order else slice(None)
    np.testing.assert_array_equal(backward.outputs[:, way], turned.outputs)
    np.testing.assert_array_equal(backward.final["c"], backward.c[:, 0])


@given(cases(backward=True, reversal="within length", masks=["lengths"], in_input_order=True))
def test_turned_within_its_length_a_sequence_is_as_if_alone(case):
    """As reverse_sequence: the padding stays at the end, the final state is at timestep 0."""
    layer, x, mask, initial = case
    assume(layer.padding.value != "none")
    states = run_layer(layer, x, mask, initial)
    for row, length in enumerate(mask.sum(axis=1)):
        before = {name: array[row : row + 1] for name, array in initial.items()}
        if length == 0:
            for name, array in states.final.items():
                np.testing.assert_array_equal(array[row], states.initial[name][row])
            continue
        alone = run_layer(layer, x[row : row + 1, :length], None, before)
        atol = 64 * np.finfo(x.dtype).eps
        np.testing.assert_allclose(states.c[row, :length], alone.c[0], atol=atol, rtol=0)
        np.testing.assert_array_equal(states.final["m"][row], states.m[row, 0])
        np.testing.assert_array_equal(
            states.c[row, length:],
            np.broadcast_to(states.final["c"][row], (x.shape[1] - length, UNITS)),
        )


def test_a_mask_with_holes_turns_up_to_the_last_valid_step_of_its_own_sequence():
    rng = np.random.default_rng(5)
    layer = make_layer(rng, padding="zeros", backward=True, reversal="within length")
    x = rng.normal(size=(3, 5, FEATURES))
    mask = np.array([[1, 0, 1, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
    states = run_layer(layer, x, mask)
    # The steps that count, in the order of processing, as a sequence of their own.
    for row, taken in ((0, [2, 0]), (1, [1, 0])):
        forward = replace(layer, backward=Option(False, "graph"))
        alone = run_layer(forward, x[row : row + 1, taken])
        np.testing.assert_allclose(states.c[row, taken], alone.c[0], atol=1e-14)
    np.testing.assert_array_equal(states.c[0, 1], states.c[0, 2])
    assert not states.outputs[0, [1, 3, 4]].any()
    assert not states.final["c"][2].any()


@given(cases(masks=["lengths", "holes"], in_input_order=True, backward=False))
def test_the_three_padding_rules(case):
    layer, x, mask, initial = case
    states = run_layer(layer, x, mask, initial, gates=True)
    if layer.padding.value == "none":
        assert_same(states, run_layer(layer, x, None, initial, gates=True))
        return
    for row in range(len(x)):
        before = {name: array[row] for name, array in states.initial.items()}
        output = np.zeros(layer.cell.output_size)
        for t in range(x.shape[1]):
            if mask[row, t]:
                output = states.m[row, t]
            else:
                for name, array in before.items():
                    np.testing.assert_array_equal(states.states[name][row, t], array)
                held = output if layer.padding.value == "hold" else np.zeros_like(output)
                np.testing.assert_array_equal(states.outputs[row, t], held)
                assert not any(states.gates[gate][row, t].any() for gate in "ifgo")
            before = {name: array[row, t] for name, array in states.states.items()}


@given(cases(padding="none", backward=False, cell_clip=None, proj=None, activation="tanh"))
def test_the_gates_make_the_states(case):
    """That is, c = f * c_prev + i * g and m = o * tanh(c), from what was returned."""
    layer, x, _, initial = case
    states = run_layer(layer, x, None, initial, gates=True)
    i, f, g, o = (states.gates[gate] for gate in "ifgo")
    before = np.concatenate([states.initial["c"][:, None], states.c[:, :-1]], axis=1)
    np.testing.assert_array_equal(f * before + i * g, states.c)
    np.testing.assert_array_equal(o * np.tanh(states.c), states.m)


@given(cases())
def test_gates_cost_nothing_else(case):
    layer, x, mask, initial = case
    plain = run_layer(layer, x, mask, initial)
    assert not plain.gates
    assert_same(plain, run_layer(layer, x, mask, initial, gates=True))


@given(cases())
def test_no_check_fails_on_what_the_engine_returns(case):
    """Engine and checks read the padding table and the directions alike."""
    layer, x, mask, initial = case
    states = run_layer(layer, x, mask, initial, gates=True)
    # An initial m may lie outside of what the activation allows.
    facts = layer_facts(Node("l", layer, ("x",)))
    found = run_checks(LayerSlice(facts, states, None, mask))
    failed = [finding for finding in found if finding.status == "fail"]
    if initial:
        failed = [finding for finding in failed if finding.check != "m-bound"]
    assert not failed


def test_an_initial_state_may_be_one_row_for_all_and_only_one_of_two():
    rng = np.random.default_rng(2)
    layer = make_layer(rng)
    x = rng.normal(size=(3, 4, FEATURES))
    row = np.array([0.1, -0.2, 0.3, 0.4])
    states = run_layer(layer, x, None, {"c": row})
    np.testing.assert_array_equal(states.initial["c"], np.tile(row, (3, 1)))
    assert not states.initial["m"].any()
    same = run_layer(layer, x, None, {"c": np.tile(row, (3, 1)), "m": np.zeros((3, UNITS))})
    assert_same(states, same)


def test_zero_weights_give_zero_states():
    layer = make_layer(np.random.default_rng(3))
    weights = layer.cell.weights
    for array in (weights.kernel, weights.recurrent_kernel, weights.bias):
        array[...] = 0
    states = run_layer(layer, np.ones((2, 3, FEATURES)))
    assert not states.c.any()
    assert not states.outputs.any()


@given(cases(), st.booleans())
def test_the_fast_loop_computes_what_the_reference_does(case, gates):
    layer, x, mask, initial = case
    # No framework turns within lengths and returns the outputs turned: Keras turns everything.
    assume(layer.outputs_in_input_order or layer.reversal == "whole")
    ours = LayerEngine(layer, gates=gates, engine="numpy").run(
        x, mask, prefix_lengths(mask), initial
    )
    reference = run_layer(layer, x, mask, initial, gates=gates)
    for name, array in arrays(reference).items():
        atol = 64 * np.finfo(array.dtype).eps
        np.testing.assert_allclose(arrays(ours)[name], array, atol=atol, rtol=0, err_msg=name)
