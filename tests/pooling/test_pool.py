"""Pooling is a masked computation, whatever the method, the state and the padding rule."""

from __future__ import annotations

import math
import os

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnscope.errors import OptionError, TraceError
from rnnscope.model.states import LayerFacts, LayerSlice, LayerStates
from rnnscope.pooling import POOLINGS, plan_pool, pool_trace, streaming
from rnnscope.pooling.directions import find_pairs, joined_name
from rnnscope.pooling.files import ArrayFile
from rnnscope.pooling.streaming import pool_layers
from rnnscope.trace import LayerHeader, Trace, TraceHeader, TraceWriter
from rnnscope.trace.pooled import PooledWriter, load_pooled
from rnnscope.trace.stored_layer import StoredLayer

STATES = ("m", "c", "outputs")
RULES = ("zeros", "hold", "none")


def oracle(method, values, valid):
    """One sequence and one unit at a time, in plain Python; `values` (sequence, timestep, unit)."""
    result = []
    for row in range(len(values)):
        steps = [step for step in range(len(valid[row])) if valid[row][step]]
        line = []
        for unit in range(values.shape[2]):
            numbers = [float(values[row, step, unit]) for step in steps]
            empty = {"sum": 0.0, "argmax": -1}.get(method, math.nan)
            line.append(
                empty if not steps
                else math.fsum(numbers) if method == "sum"
                else math.fsum(numbers) / len(numbers) if method == "mean"
                else max(numbers) if method == "max"
                else steps[numbers.index(max(numbers))] if method == "argmax"
                else numbers[-1 if method == "last" else 0]
            )  # fmt: skip
        result.append(line)
    return np.array(result).reshape(len(values), values.shape[2])


def layer_slice(rule, valid, dtype, seed=0, *, units=3, outputs=2, backward=False, **facts):
    """A layer as an engine would leave it: the rule applied at the steps that are not valid."""
    draw = np.random.default_rng(seed)
    rows, times = valid.shape

    def array(width):
        return draw.integers(-3, 4, (rows, times, width)).astype(dtype) / 4

    states = {"c": array(units), "m": array(outputs)}
    out = states["m"].copy()
    if rule != "none":
        for row in range(rows):
            order = range(times - 1, -1, -1) if backward else range(times)
            held = {name: draw.normal(size=state.shape[2]) for name, state in states.items()}
            shown = np.zeros(outputs)
            for step in order:
                if valid[row, step]:
                    held = {name: state[row, step] for name, state in states.items()}
                    shown = out[row, step]
                for name, state in states.items():
                    state[row, step] = held[name]
                out[row, step] = shown if rule == "hold" or valid[row, step] else 0
    return LayerSlice(
        LayerFacts("layer", padding=rule, backward=backward, **facts),
        LayerStates(states, out, {}, {}),
        mask=valid,
    )


def values_of(layer, state):
    return layer.states.outputs if state == "outputs" else layer.states.states[state]


@st.composite
def masks(draw):
    """Lengths from 0 up, or masks with holes, over a few sequences and steps."""
    rows, times = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    if draw(st.booleans()):
        lengths = draw(st.lists(st.integers(0, times), min_size=rows, max_size=rows))
        return np.arange(times) < np.array(lengths)[:, None]
    bits = draw(st.lists(st.booleans(), min_size=rows * times, max_size=rows * times))
    return np.array(bits).reshape(rows, times)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("method", POOLINGS)
@settings(max_examples=25, deadline=None)
@given(valid=masks(), seed=st.integers(0, 99), dtype=st.sampled_from(["float32", "float64"]))
def test_it_is_the_masked_computation(method, state, rule, valid, seed, dtype):
    layer = layer_slice(rule, valid, dtype, seed)
    found = pool_layers(method, state, [layer], valid)
    expected = oracle(method, values_of(layer, state), valid)
    np.testing.assert_allclose(found, expected, rtol=1e-14, equal_nan=True)


@pytest.mark.parametrize("method", POOLINGS)
@settings(max_examples=25, deadline=None)
@given(valid=masks(), seed=st.integers(0, 99))
def test_what_stands_at_other_steps_has_no_influence(method, valid, seed):
    """Not even NaN or infinity."""
    values = np.random.default_rng(seed).normal(size=(*valid.shape, 2))
    before = POOLINGS[method](values, valid)
    for poison in (np.nan, np.inf, -np.inf):
        values[~valid] = poison
        np.testing.assert_array_equal(POOLINGS[method](values, valid), before)


@pytest.mark.parametrize("method", POOLINGS)
@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 0, 2), (2, 3, 0)])
def test_empty_axes(method, shape):
    found = POOLINGS[method](np.zeros(shape), np.ones(shape[:2], bool))
    assert found.shape == (shape[0], shape[2])


def test_a_nan_of_the_states_themselves_is_seen():
    values = np.array([[[1.0], [np.nan], [2.0]]])
    every = np.ones((1, 3), bool)
    for method in ("sum", "mean", "max"):
        assert np.isnan(POOLINGS[method](values, every)).all()
    assert POOLINGS["argmax"](values, every).item() == 1


def test_argmax_never_names_a_masked_step():
    """-inf everywhere is the one case in which a masked step is as large."""
    values = np.full((1, 3, 1), -np.inf)
    assert POOLINGS["argmax"](values, np.array([[False, True, True]])).item() == 1


def test_sums_keep_the_digits_of_float32():
    """A million times 0.1: float32 sums are off in the third digit when taken one by one."""
    values = np.full((1, 1_000_000, 1), 0.1, np.float32)
    every = np.ones((1, 1_000_000), bool)
    assert POOLINGS["mean"](values, every).item() == pytest.approx(np.float32(0.1), rel=1e-12)


def pair_of(valid, rule="zeros", **facts):
    forward = layer_slice(rule, valid, "float32", 1)
    return forward, layer_slice(rule, valid, "float32", 2, backward=True, **facts)


VALID = np.arange(5) < np.array([5, 3, 1, 0])[:, None]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("method", POOLINGS)
def test_directions_are_joined_before_they_are_pooled(method, state):
    forward, backward = pair_of(VALID)
    arrays = [values_of(layer, state) for layer in (forward, backward)]
    for direction, joined in (("concat", np.concatenate(arrays, 2)), ("sum", sum(arrays))):
        found = pool_layers(method, state, (forward, backward), VALID, direction)
        np.testing.assert_allclose(found, oracle(method, joined, VALID), rtol=1e-14)


@pytest.mark.parametrize("rule", ["zeros", "hold"])
def test_the_final_edge_is_each_directions_own_last_step(rule):
    """For a backward layer the first valid step of the input."""
    forward, backward = pair_of(VALID, rule)
    found = pool_layers("last", "c", (forward, backward), VALID, "concat", "final")
    for row, length in enumerate([5, 3, 1]):
        own = [forward.states.c[row, length - 1], backward.states.c[row, 0]]
        np.testing.assert_array_equal(found[row], np.concatenate(own))
    assert np.isnan(found[3]).all()
    first = pool_layers("first", "c", (forward, backward), VALID, "concat", "final")
    np.testing.assert_array_equal(first[1, 3:], backward.states.c[1, 2])


@pytest.mark.parametrize("reversal", ["whole", "within length"])
def test_outputs_in_the_order_of_processing_are_turned(reversal):
    """As of Keras' go_backwards: they are stored last timestep first."""
    layer = layer_slice("hold", VALID, "float64", backward=True, reversal=reversal)
    stored = layer.states.outputs.copy()
    for row, length in enumerate(VALID.sum(axis=1)):
        turned = 5 if reversal == "whole" else length
        stored[row, :turned] = stored[row, :turned][::-1]
    facts = LayerFacts(
        "layer", padding="hold", backward=True, reversal=reversal, outputs_in_input_order=False
    )
    other = LayerSlice(facts, LayerStates(layer.states.states, stored, {}, {}), mask=VALID)
    for method in POOLINGS:
        np.testing.assert_array_equal(
            pool_layers(method, "outputs", [other], VALID),
            pool_layers(method, "outputs", [layer], VALID),
        )


# Whole traces.

FORWARD = LayerHeader(
    "bidi/forward_lstm", 2, {"c": 3, "m": 2}, inputs=("x",),
    facts=LayerFacts("bidi/forward_lstm", padding="zeros"),
)  # fmt: skip
BACKWARD = LayerHeader(
    "bidi/backward_lstm", 2, {"c": 3, "m": 2}, inputs=("x",),
    facts=LayerFacts("bidi/backward_lstm", padding="zeros", backward=True),
)  # fmt: skip
MERGE = LayerHeader("bidi", 4, inputs=(FORWARD.name, BACKWARD.name))
GRU = LayerHeader(
    "top", 2, {"m": 2}, "float64", inputs=("bidi",),
    facts=LayerFacts("top", cell="gru", padding="none"),
)  # fmt: skip
LENGTHS = np.array([5, 3, 1, 0])


def write_trace(path, layers=(FORWARD, BACKWARD, MERGE, GRU), *, valid=VALID, **how):
    """A trace of these layers; the slices that went in, by name."""
    rows, times = valid.shape
    written = {}
    lengths = valid.sum(axis=1)
    prefix = np.array_equal(valid, np.arange(times) < lengths[:, None])
    kind = {"has_lengths": prefix, "has_mask": not prefix}
    with TraceWriter(path, TraceHeader(), layers, rows, times, **kind, **how) as writer:
        writer.write_common(slice(0, rows), lengths, valid, lengths)
        for seed, layer in enumerate(layers):
            if not layer.widths:
                outputs = np.full((rows, times, layer.output_size), 0.5, layer.dtype)
                writer.write_outputs(layer.name, outputs, slice(0, rows))
                continue
            facts = layer.known_facts
            made = layer_slice(
                facts.padding, valid, layer.dtype, seed, units=layer.widths.get("c", 1),
                outputs=layer.output_size, backward=facts.backward,
            )  # fmt: skip
            states = {name: made.states.states[name] for name in layer.widths}
            ends = {name: array[:, 0] for name, array in states.items()}
            states = LayerStates(states, made.states.outputs, ends, ends)
            writer.write_layer(layer.name, states, slice(0, rows))
            written[layer.name] = LayerSlice(facts, states, mask=valid)
    return written


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.h5"


def pool(path, *, states=("m",), methods=("mean",), naive=False, force=False, **how):
    with Trace.open(path) as trace:
        plan = plan_pool(trace, states, methods, **how)
        with PooledWriter(path, plan.headers, force=force) as sink:
            return plan, pool_trace(trace, plan, sink, naive=naive)


def everything(path):
    """Every dataset and attribute of a file, with what pooling adds left out."""
    found = {}

    def visit(name, item):
        if not name.startswith("pooled"):
            found[name] = {key: str(item.attrs[key]) for key in item.attrs if "LIST" not in key}
            if isinstance(item, h5py.Dataset):
                found[name]["data"] = item[()].tobytes()

    with h5py.File(path) as file:
        file.visititems(visit)
        found["/"] = {key: str(value) for key, value in file.attrs.items()}
    return found


@pytest.mark.parametrize("slice_bytes", [1, 1000, 2**26])
@pytest.mark.parametrize("holes", [False, True])
def test_a_trace_is_pooled_in_slices_and_keeps_all_it_held(path, monkeypatch, slice_bytes, holes):
    valid = VALID ^ (np.arange(5) == 1) if holes else VALID
    written = write_trace(path, valid=valid)
    before = everything(path)
    monkeypatch.setattr(streaming, "SLICE_BYTES", slice_bytes)
    _, results = pool(path, states=STATES, methods=tuple(POOLINGS), naive=True)
    assert everything(path) == before
    pooled = load_pooled(path)
    # GRU without c: m and outputs. The merge: outputs.
    assert len(results) == len(pooled) == (3 + 3 + 1 + 2) * 6
    for name, layer in written.items():
        for state in (*layer.states.states, "outputs"):
            for method in POOLINGS:
                found = pooled[f"{name}/{state}/{method}"]
                expected = oracle(method, values_of(layer, state), valid)
                dtype = values_of(layer, state).dtype
                assert found.dtype == (np.int64 if method == "argmax" else dtype)
                np.testing.assert_allclose(found, expected, rtol=2e-7 if dtype == "f4" else 1e-14)
    for result in results:
        assert (result.padded, result.empty) == (
            int((~valid.all(axis=1)).sum()), int((~valid.any(axis=1)).sum())
        )  # fmt: skip
        if result.layer not in written:
            continue
        values = values_of(written[result.layer], result.state)
        every = np.ones_like(valid)
        gap = oracle(result.method, values, valid) - oracle(result.method, values, every)
        differ = (gap != 0).any(axis=1)
        assert result.naive.sequences == differ.sum()
        largest = np.abs(gap[valid.any(axis=1)]).max()
        assert result.naive.difference == pytest.approx(largest, rel=1e-6)
        if largest:
            at = (result.naive.place.sequence, result.naive.place.unit)
            assert abs(gap[at]) == pytest.approx(largest, rel=1e-6)
            assert result.naive.pooled - result.naive.naive == pytest.approx(gap[at], rel=1e-5)


def test_no_lengths_means_every_step(path):
    layer = LayerHeader("lstm", 2, {"c": 3, "m": 2})
    with TraceWriter(path, TraceHeader(), [layer], 4, 5) as writer:
        made = layer_slice("none", np.ones((4, 5), bool), "float32").states
        ends = {"c": np.zeros((4, 3), "f4"), "m": np.zeros((4, 2), "f4")}
        writer.write_layer("lstm", LayerStates(made.states, made.outputs, ends, ends), slice(0, 4))
    _, (result,) = pool(path, naive=True)
    assert (result.padded, result.naive.sequences) == (0, 0)
    np.testing.assert_allclose(load_pooled(path)["lstm/m/mean"], made.m.mean(axis=1), rtol=1e-6)


def test_joined_directions_have_a_name_for_both(path):
    written = write_trace(path)
    plan, _ = pool(path, states=("c",), methods=("last",), direction="concat", edge="final")
    (key,) = load_pooled(path)
    assert key == "bidi/concat_lstm/c/last"
    expected = pool_layers(
        "last", "c", [written[FORWARD.name], written[BACKWARD.name]], VALID, "concat", "final"
    )
    np.testing.assert_array_equal(load_pooled(path)[key], expected)
    assert "top has no c: it was left out." in plan.notes
    with h5py.File(path) as file:
        group = file["pooled/bidi/concat_lstm/c"]
        assert group.attrs["layers"].tolist() == [FORWARD.name, BACKWARD.name]
        assert (group.attrs["direction"], group["last"].attrs["edge"]) == ("concat", "final")


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        (None, [FORWARD.name, BACKWARD.name, "top", "bidi"]),
        ("forward", [FORWARD.name, "top"]),
        ("backward", [BACKWARD.name, "top"]),
        ("concat", ["bidi/concat_lstm", "top"]),
        ("sum", ["bidi/sum_lstm", "top"]),
    ],
)
def test_directions_take_the_place_of_the_pair_and_its_merge(path, direction, expected):
    write_trace(path)
    with Trace.open(path) as trace:
        plan = plan_pool(trace, ["outputs"], ["mean"], direction=direction)
    assert [job.source.name for job in plan.jobs] == expected


@pytest.mark.parametrize("glob", ["bidi", "bidi/f*", "bidi/backward_lstm", "bidi/sum_*"])
def test_a_pair_is_meant_by_any_of_its_names(path, glob):
    write_trace(path)
    with Trace.open(path) as trace:
        plan = plan_pool(trace, ["m"], ["mean"], direction="sum", layers=[glob])
    assert [job.source.name for job in plan.jobs] == ["bidi/sum_lstm"]


@pytest.mark.parametrize(
    ("forward", "backward", "name"),
    [
        ("bidi/forward_lstm", "bidi/backward_lstm", "bidi/concat_lstm"),
        ("b/fw/multi/cell_0/lstm", "b/bw/multi/cell_0/lstm", "b/concat/multi/cell_0/lstm"),
        ("rnn_l0", "rnn_l0_reverse", "rnn_l0/concat"),
    ],
)
def test_names_of_both(forward, backward, name):
    assert joined_name(forward, backward, "concat") == name


def test_pairs_in_stacks_of_each_direction_are_found_by_their_names():
    """Each cell reads the one below it: only names tell which two belong together."""

    def layer(way, number):
        name = f"bidirectional_rnn/{way}/cell_{number}/lstm_cell"
        reads = f"bidirectional_rnn/{way}/cell_{number - 1}/lstm_cell" if number else "x"
        return LayerHeader(
            name, 2, {"m": 2}, inputs=(reads,), facts=LayerFacts(name, backward=way == "bw")
        )

    layers = [layer(way, number) for way in ("fw", "bw") for number in (0, 1)]
    assert find_pairs(layers) == [(layers[0], layers[2]), (layers[1], layers[3])]
    assert find_pairs(layers[:2]) == []
    # Two forward layers on one input are no pair, nor is a backward one with two of them.
    assert find_pairs([FORWARD, LayerHeader("other", 2, {"m": 2}, inputs=("x",))]) == []


def test_notes_say_what_the_numbers_do_not(path):
    write_trace(path)
    with Trace.open(path) as trace:
        notes = "\n".join(plan_pool(trace, ["outputs"], ["last"]).notes)
        assert "top computed every step (padding rule none); the valid steps are still" in notes
        assert (
            "bidi/backward_lstm: last is the last valid step of the input, where this backward "
            "layer has seen one step only; edge=final takes its own last step." in notes
        )
        assert "bidi: last is the last valid step of the input, where the backward half" in notes
        joined = plan_pool(trace, ["m"], ["last"], direction="concat").notes
        assert any("the backward half has seen one step only" in note for note in joined)
        final = plan_pool(trace, ["m"], ["last"], direction="concat", edge="final").notes
        assert "bidi/concat_lstm: last is each direction's own last step (edge=final)." in final


def test_unequal_widths_have_no_sum(path):
    wider = LayerHeader(
        "bidi/backward_lstm", 2, {"c": 4, "m": 2}, inputs=("x",), facts=BACKWARD.facts
    )
    write_trace(path, (FORWARD, wider))
    with Trace.open(path) as trace, pytest.raises(OptionError, match="different widths"):
        plan_pool(trace, ["c"], ["mean"], direction="sum")


def test_a_part_of_the_timesteps_is_not_pooled(path):
    """The mean of every second step is not the mean."""
    from rnnscope.trace import parse_selection

    write_trace(path, selection=parse_selection(["steps=::2"]))
    with Trace.open(path) as trace, pytest.raises(TraceError, match="in part") as caught:
        plan_pool(trace, ["m"], ["mean"])
    assert caught.value.found == "select=steps=::2"


def test_states_that_were_not_kept_are_named(path):
    from rnnscope.trace import parse_selection

    write_trace(path, selection=parse_selection(["states=c"]))
    with Trace.open(path) as trace:
        assert [job.state for job in plan_pool(trace, ["c"], ["mean"]).jobs] == ["c", "c"]
        with pytest.raises(TraceError, match="has the state m") as caught:
            plan_pool(trace, ["m"], ["mean"])
    assert caught.value.expected == "one of c"


def test_a_ragged_trace_is_pooled_like_a_padded_one(path, tmp_path):
    layers = (FORWARD, BACKWARD)
    write_trace(path, layers)
    write_trace(tmp_path / "ragged.h5", layers, ragged=LENGTHS)
    found = []
    for file in (path, tmp_path / "ragged.h5"):
        pool(file, states=STATES, methods=tuple(POOLINGS))
        found.append(load_pooled(file))
    assert found[0].keys() == found[1].keys()
    for key, array in found[0].items():
        np.testing.assert_array_equal(array, found[1][key])


# Writing.


def test_xarray_opens_the_result(path):
    xr = pytest.importorskip("xarray")
    write_trace(path)
    pool(path, states=STATES, methods=tuple(POOLINGS))
    pool(path, states=STATES, methods=("mean",), direction="concat", layers=["bidi"])
    for engine in ("h5netcdf", "netcdf4"):
        with xr.open_datatree(path, engine=engine) as tree:
            assert tree["pooled/bidi/forward_lstm/c/mean"].dims == ("sequence", "unit")
            assert tree["pooled/bidi/concat_lstm/m/mean"].sizes == {"sequence": 4, "output": 4}
            assert tree["bidi/forward_lstm/c"].dims == ("sequence", "timestep", "unit")


def test_existing_results_are_replaced_with_force_alone(path):
    write_trace(path)
    pool(path, methods=("last",))
    before = path.read_bytes()
    with pytest.raises(TraceError, match="already") as caught:
        pool(path, methods=("mean", "last"), edge="final")
    assert "/pooled/bidi/forward_lstm/m/last" in caught.value.found
    assert path.read_bytes() == before
    old = load_pooled(path)
    pool(path, methods=("mean", "last"), edge="final", force=True)
    new = load_pooled(path)
    assert new.keys() > old.keys()
    assert (new["bidi/backward_lstm/m/last"][:3] != old["bidi/backward_lstm/m/last"][:3]).any()


def fail_writing(monkeypatch):
    def write(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py.Dataset, "__setitem__", write)


def copy_by_hand(monkeypatch):
    """As where the system copies nothing: another file system, or no Linux."""

    def copy(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.copy_file_range", copy, raising=False)


def fail_copying_by_system(monkeypatch):
    done = []

    def copy(source, target, length):
        if done:
            raise OSError(28, "No space left on device")
        done.append(os.write(target, os.read(source, 100)))
        return done[0]

    monkeypatch.setattr("os.copy_file_range", copy, raising=False)


def fail_copying(monkeypatch):
    copy_by_hand(monkeypatch)

    def copy(source, target, length):
        target.write(source.read(100))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rnnscope.trace.pooled.shutil.copyfileobj", copy)


def fail_publishing(monkeypatch):
    def publish(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("rnnscope.trace.pooled.publish", publish)


@pytest.mark.parametrize(
    "fail", [fail_writing, fail_copying, fail_copying_by_system, fail_publishing]
)
def test_a_failed_write_leaves_the_trace_as_it_was(path, monkeypatch, fail):
    write_trace(path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        fail(patch)
        with pytest.raises(TraceError, match="cannot be written"):
            pool(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    pool(path)  # and nothing stands in the way of the next one


def test_a_trace_that_the_system_cannot_copy_is_copied_by_hand(path, monkeypatch):
    write_trace(path)
    before = everything(path)
    copy_by_hand(monkeypatch)
    pool(path)
    assert everything(path) == before
    assert len(load_pooled(path)) == 3


@pytest.mark.parametrize("state", STATES)
def test_only_what_is_pooled_is_read(path, monkeypatch, state):
    write_trace(path)
    read = []
    over_time = StoredLayer._over_time

    def noted(self, name, *rest):
        read.append(name)
        return over_time(self, name, *rest)

    monkeypatch.setattr(StoredLayer, "_over_time", noted)
    with Trace.open(path) as trace:
        plan = plan_pool(trace, [state], ["mean"])
        read.clear()
        with PooledWriter(path, plan.headers) as sink:
            pool_trace(trace, plan, sink)
    assert set(read) == {state}


def test_an_interrupt_leaves_the_trace_as_it_was(path):
    write_trace(path)
    before = path.read_bytes()
    with Trace.open(path) as trace:
        headers = plan_pool(trace, ["m"], ["mean"]).headers
    with pytest.raises(KeyboardInterrupt), PooledWriter(path, headers):
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_what_a_killed_process_left_is_no_trace_and_is_replaced(path):
    """The copy says that it is not complete; the next pooling takes its place."""
    write_trace(path)
    with Trace.open(path) as trace:
        headers = plan_pool(trace, ["m"], ["mean"]).headers
    with PooledWriter(path, headers):
        (left,) = (file for file in path.parent.iterdir() if file != path)
        assert left.name == ".t.h5.pooled.partial"
        copy = left.read_bytes()
    path.unlink()
    write_trace(path)
    left.write_bytes(copy)
    with pytest.raises(TraceError):
        Trace.open(left)
    pool(path)
    assert list(path.parent.iterdir()) == [path]


def test_one_at_a_time_and_never_over_a_changed_trace(path):
    write_trace(path)
    with Trace.open(path) as trace:
        headers = plan_pool(trace, ["m"], ["mean"]).headers
    with PooledWriter(path, headers), pytest.raises(TraceError, match="Another run"):
        PooledWriter(path, headers, force=True).__enter__()

    def replaced_meanwhile():
        with PooledWriter(path, headers, force=True):
            path.unlink()
            write_trace(path)

    with pytest.raises(TraceError, match="was changed"):
        replaced_meanwhile()
    assert load_pooled(path) == {}


def test_a_layer_called_pooled_gives_way(path):
    layer = LayerHeader("pooled/lstm", 2, {"c": 3, "m": 2}, facts=LayerFacts("pooled/lstm"))
    write_trace(path, (layer,))
    pool(path)
    assert list(load_pooled(path)) == ["pooled_layer/lstm/m/mean"]
    with Trace.open(path) as trace:
        assert [layer.name for layer in trace.layers] == ["pooled/lstm"]


def test_links_to_other_files_are_not_followed(path, tmp_path):
    write_trace(path)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other.create_group("pooled")
    with h5py.File(path, "r+") as file:
        file["pooled"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/pooled")
    with pytest.raises(TraceError, match="link"):
        pool(path)


@pytest.mark.parametrize("name", ["p.npy", "p.npz"])
def test_files_of_their_own(path, tmp_path, name):
    write_trace(path)
    states = ("m",) if name == "p.npy" else STATES
    pool(path, states=states, layers=["bidi/f*"])
    before = path.read_bytes()
    with Trace.open(path) as trace:
        plan = plan_pool(trace, states, ["mean"], layers=["bidi/f*"])
        with ArrayFile(tmp_path / name, plan.headers, trace.sequences) as sink:
            results = pool_trace(trace, plan, sink)
    assert path.read_bytes() == before
    expected = load_pooled(path)
    if name == "p.npy":
        np.testing.assert_array_equal(np.load(tmp_path / name), *expected.values())
        assert results[0].array == str(tmp_path / name)
    else:
        with np.load(tmp_path / name) as found:
            assert {*found} == {*expected}
            for key in found:
                np.testing.assert_array_equal(found[key], expected[key])
    assert {file.name for file in tmp_path.iterdir()} == {"t.h5", name}


def test_a_failed_file_leaves_nothing(path, tmp_path):
    write_trace(path)
    with Trace.open(path) as trace:
        plan = plan_pool(trace, ["m"], ["mean"])

        def interrupted():
            with ArrayFile(tmp_path / "p.npz", plan.headers, trace.sequences) as sink:
                pool_trace(trace, plan, sink)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            interrupted()
    assert list(tmp_path.iterdir()) == [path]
