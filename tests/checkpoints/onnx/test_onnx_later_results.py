"""What an ONNX model makes of its layers' outputs: as onnxruntime computes it, or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_files import graph, node, save, value, weights

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import InputError
from rnnscope.model.signal import Signal

RNG = np.random.default_rng(7)
X = RNG.normal(size=(6, 2, 3)).astype("f4")
"""(timestep, sequence, feature), as ONNX has it."""

DENSE = {
    "M": RNG.normal(size=(4, 5)).astype("f4"),
    "both": RNG.normal(size=(8, 5)).astype("f4"),
    "n": RNG.normal(size=5).astype("f4"),
    "flat": np.array([0, 0, -1], np.int64),
    "rows": np.array([-1, 4], np.int64),
    "first": np.array([0], np.int64),
    "second": np.array([1], np.int64),
    "last": np.array([-1], np.int64),
    "leading": np.array([0, 1], np.int64),
    "back": RNG.normal(size=(4, 3)).astype("f4"),
    "of_x": RNG.normal(size=(3, 2)).astype("f4"),
    "all": np.array([-1, 24], np.int64),
    "wide": RNG.normal(size=(24, 2)).astype("f4"),
}
SQUEEZED = node("Squeeze", ["Y", "second"], ["s"])
LOGITS = [node("MatMul", ["s", "M"], ["a"]), node("Add", ["a", "n"], ["logits"])]
WHOLE = [
    SQUEEZED,
    node("Transpose", ["s"], ["t"], perm=[1, 0, 2]),
    node("Reshape", ["t", "all"], ["r"]),
    node("MatMul", ["r", "wide"], ["out"]),
]
"""A dense layer over all steps, of which there have to be six."""

JOINED = [node("Transpose", ["Y"], ["t"], perm=[2, 0, 1, 3]), node("Reshape", ["t", "flat"], ["j"])]


def model(tmp_path, tail, *, shape=(None, None, 3), outputs=("out",), inputs=(), more=(), **cell):
    """A model of an LSTM and some nodes behind it; it returns Y, too."""
    directions = 2 if cell.get("direction") == "bidirectional" else 1
    arrays = {**weights(directions=directions), **DENSE}
    lstm = node("LSTM", ["X", "W", "R", "B", *more], ["Y", "h", "c"], "lstm", hidden_size=4, **cell)
    returned = [value(name) for name in ("Y", *outputs)]
    return save(tmp_path / "m.onnx", graph([lstm, *tail], [value("X", shape), *inputs], returned,
                                           arrays))  # fmt: skip


def results(path):
    """The later results by name."""
    return {one.name: one for one in read_checkpoint(path).later_results()}


def computed(path, found, x=X, lengths=None, dtype="f4"):
    """What a later result is of the outputs that onnxruntime has, and what onnxruntime says."""
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = {"X": x} if lengths is None else {"X": x, "lens": np.array(lengths, np.int32)}
    y, said = session.run(["Y", found.name], given)
    signals = {"X": Signal(x.swapaxes(0, 1).astype(dtype))}
    for number, name in enumerate(one for one in found.reads if one != "X"):
        mask = None
        if lengths is not None:
            mask = np.arange(len(x)) < np.array(lengths)[:, None]
        signals[name] = Signal(y[:, number].swapaxes(0, 1).astype(dtype), mask)
    made = found.layer(*(signals[name] for name in found.reads))
    return made.values, said


def equal(ours, theirs):
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_probabilities_over_time(tmp_path, dtype):
    """(timestep, sequence, class) comes with sequences in front; so does what Softmax reads."""
    tail = [SQUEEZED, *LOGITS, node("Softmax", ["logits"], ["out"], axis=-1)]
    path = model(tmp_path, tail)
    found = results(path)
    assert set(found) == {"out", "logits"}
    assert found["out"].reads == ("lstm",)
    assert found["out"].layer.kind == "Squeeze, MatMul, Add, Softmax"
    assert found["out"].layer.step_by_step
    ours, theirs = computed(path, found["out"], dtype=dtype)
    equal(ours, theirs.swapaxes(0, 1))


def test_the_final_output_behind_a_dense_layer(tmp_path):
    """Y_h is the output of the last valid step of each sequence."""
    tail = [
        node("Squeeze", ["h", "first"], ["s"]), *LOGITS, node("Sigmoid", ["logits"], ["out"])
    ]  # fmt: skip
    lens = value("lens", (None,))
    lens.type.tensor_type.elem_type = 6
    path = model(tmp_path, tail, inputs=[lens], more=["lens"])
    found = results(path)["out"]
    assert found.reads == ("lstm",)
    assert not found.layer.step_by_step
    equal(*computed(path, found, lengths=[6, 4]))


def test_both_directions_joined_and_averaged(tmp_path):
    """Both directions are read, each by its own name."""
    tail = [
        *JOINED,
        node("ReduceMean", ["j"], ["s"], axes=[1], keepdims=0),
        node("Gemm", ["s", "both", "n"], ["out"]),
    ]
    path = model(tmp_path, tail, direction="bidirectional")
    found = results(path)["out"]
    assert found.reads == ("lstm/forward", "lstm/backward")
    equal(*computed(path, found))


@pytest.mark.parametrize("turned", [False, True])
def test_sequences_and_timesteps_in_one_axis(tmp_path, turned):
    """Language models make one axis of both: (sequence, timestep, class) comes out."""
    tail = [SQUEEZED, node("Transpose", ["s"], ["u"], perm=[1, 0, 2])]
    tail += [
        node("Reshape", ["u" if turned else "s", "rows"], ["r"]),
        node("MatMul", ["r", "M"], ["a"]),
        node("LogSoftmax", ["a"], ["out"], axis=-1),
    ]
    path = model(tmp_path, tail)
    ours, theirs = computed(path, results(path)["out"])
    both = (2, 6, 5) if turned else (6, 2, 5)
    expected = theirs.reshape(both)
    equal(ours, expected if turned else expected.swapaxes(0, 1))


def test_a_model_for_one_sequence_takes_several(tmp_path):
    """(timestep, class) without an axis of sequences, of a graph for one sequence."""
    tail = [SQUEEZED, node("Squeeze", ["s", "second"], ["r"]), node("MatMul", ["r", "M"], ["out"])]
    path = model(tmp_path, tail, shape=(None, 1, 3))
    found = results(path)["out"]
    rows = [computed(path, found, X[:, one : one + 1]) for one in (0, 1)]
    for ours, theirs in rows:
        equal(ours, theirs[None])
    y = RNG.normal(size=(3, 6, 4)).astype("f4")
    equal(found.layer(Signal(y)).values, y @ DENSE["M"])


def test_a_model_for_one_step_is_called_for_each(tmp_path):
    """A streaming model takes one step: over time, there is a result for each."""
    tail = [
        node("Reshape", ["Y", "rows"], ["r"]),
        node("MatMul", ["r", "M"], ["a"]),
        node("ReduceMax", ["a"], ["out"], axes=[1], keepdims=0),
    ]
    path = model(tmp_path, tail, shape=(1, 1, 3))
    found = results(path)["out"]
    assert found.layer.step_by_step
    y = RNG.normal(size=(2, 6, 4)).astype("f4")
    equal(found.layer(Signal(y)).values, (y @ DENSE["M"]).max(axis=-1, keepdims=True))


def test_what_is_added_to_the_input(tmp_path):
    """A result may read the input that a layer reads, as a residual does."""
    tail = [SQUEEZED, node("MatMul", ["s", "back"], ["a"]), node("Add", ["a", "X"], ["out"])]
    path = model(tmp_path, tail)
    found = results(path)["out"]
    assert set(found.reads) == {"lstm", "X"}
    ours, theirs = computed(path, found)
    equal(ours, theirs.swapaxes(0, 1))


def test_the_shape_of_the_input_is_no_part_of_it(tmp_path):
    """Exporters reshape to (timestep, sequence, unit) of the input."""
    tail = [
        node("Shape", ["X"], ["sizes"]),
        node("Gather", ["sizes", "leading"], ["two"]),
        node("Concat", ["two", "last"], ["target"], axis=0),
        node("Reshape", ["Y", "target"], ["s"]),
        *LOGITS,
        node("Tanh", ["logits"], ["out"]),
    ]
    path = model(tmp_path, tail)
    found = results(path)["out"]
    assert found.reads == ("lstm",)
    ours, theirs = computed(path, found)
    equal(ours, theirs.swapaxes(0, 1))


LEFT_OUT = {
    "a mean over sequences": [
        SQUEEZED, node("ReduceMean", ["s"], ["a"], axes=[1]), node("Sub", ["s", "a"], ["out"])],
    "the outputs in another order of axes": [
        SQUEEZED, node("Transpose", ["s"], ["out"], perm=[1, 0, 2])],
    "the final c": [node("Squeeze", ["c", "first"], ["s"]), node("MatMul", ["s", "M"], ["out"])],
    "the state as it is": [node("Concat", ["h", "c"], ["out"], axis=0)],
    "an operator that nobody knows": [
        SQUEEZED, node("Magic", ["s"], ["out"], domain="com.example")],
    "random numbers": [
        SQUEEZED, node("RandomNormalLike", ["s"], ["a"]), node("Add", ["s", "a"], ["out"])],
    "labels": [SQUEEZED, node("ArgMax", ["s"], ["out"], axis=-1)],
    "the shape of the outputs": [
        node("Shape", ["Y"], ["a"]), node("Cast", ["a"], ["out"], to=1)],
    "nothing of the layer": [node("MatMul", ["X", "of_x"], ["out"])],
}  # fmt: skip


@pytest.mark.parametrize("tail", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_no_result_of_apart_sequences_is_left_out(tmp_path, tail):
    """No results; the layer itself is read as it was before."""
    path = model(tmp_path, tail)
    assert results(path) == {}
    assert [one.name for one in read_checkpoint(path).network.recurrent] == ["lstm"]


def test_a_graph_for_one_number_of_steps_says_so(tmp_path):
    """A dense layer over all steps takes no other number of them."""
    path = model(tmp_path, WHOLE, shape=(6, None, 3))
    found = results(path)["out"]
    equal(*computed(path, found))
    with pytest.raises(InputError) as caught:
        found.layer(Signal(np.zeros((2, 5, 4))))
    assert caught.value.where == "out"
    assert "one size of input" in caught.value.hint


def test_behind_a_front_that_takes_long_inputs_alone(tmp_path):
    """Where no small random input goes through the front, the tail is tried by itself."""
    arrays = {**weights(), **DENSE, "K": RNG.normal(size=(3, 1, 900)).astype("f4")}
    nodes = [
        node("Conv", ["wave", "K"], ["c"], strides=[50]),
        node("Transpose", ["c"], ["X"], perm=[2, 0, 1]),
        node("LSTM", ["X", "W", "R", "B"], ["Y"], "lstm", hidden_size=4),
        SQUEEZED, *LOGITS, node("Softmax", ["logits"], ["out"], axis=-1),
    ]  # fmt: skip
    returned = [value(name) for name in ("Y", "out")]
    path = save(tmp_path / "m.onnx", graph(nodes, [value("wave", (None, 1, None))], returned,
                                           arrays))  # fmt: skip
    found = results(path)
    assert set(found) == {"out", "logits"}
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wave = RNG.normal(size=(2, 1, 1300)).astype("f4")
    y, out = session.run(["Y", "out"], {"wave": wave})
    made = found["out"].layer(Signal(y[:, 0].swapaxes(0, 1)))
    equal(made.values, out.swapaxes(0, 1))


def test_reading_keeps_nothing_for_them(tmp_path):
    """Reading a checkpoint computes nothing behind its layers, and keeps nothing for it."""
    tail = [SQUEEZED, *LOGITS, node("Softmax", ["logits"], ["out"], axis=-1)]
    checkpoint = read_checkpoint(model(tmp_path, tail))
    assert [one.name for one in checkpoint.network.nodes] == ["lstm"]
    assert checkpoint.later_results.args == (checkpoint.path,)


def test_behind_a_loop_that_is_no_operator(tmp_path):
    """A Scan that is a layer hands over what it writes, and its last step."""
    body = graph(
        [node("MatMul", ["x", "back_t"], ["a"]), node("Add", ["a", "h"], ["b"]),
         node("Tanh", ["b"], ["h1"]), node("Identity", ["h1"], ["y"])],
        [value("h"), value("x")], [value("h1"), value("y")],
    )  # fmt: skip
    nodes = [
        node("Shape", ["X"], ["sizes"]),
        node("Gather", ["sizes", "second"], ["count"]),
        node("Concat", ["count", "four"], ["size"], axis=0),
        node("ConstantOfShape", ["size"], ["zeros"]),
        node("Scan", ["zeros", "X"], ["end", "Y"], "scan", body=body, num_scan_inputs=1),
        node("MatMul", ["Y", "M"], ["over"]),
        node("MatMul", ["end", "M"], ["ending"]),
        node("Add", ["ending", "X0"], ["mixed"]),
    ]
    nodes.insert(5, node("ReduceSum", ["X"], ["X0"], keepdims=0))
    arrays = {**DENSE, "back_t": DENSE["back"].T.copy(), "four": np.array([4], np.int64)}
    returned = [value(name) for name in ("Y", "over", "ending", "mixed")]
    made = graph(nodes, [value("X", (None, None, 3))], returned, arrays)
    path = save(tmp_path / "m.onnx", made)
    found = results(path)
    assert {name: one.reads for name, one in found.items()} == {
        "over": ("scan_2",), "ending": ("scan_2",)
    }  # fmt: skip
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    y, over, ending = session.run(["Y", "over", "ending"], {"X": X})
    outputs = Signal(y.swapaxes(0, 1))
    equal(found["over"].layer(outputs).values, over.swapaxes(0, 1))
    equal(found["ending"].layer(outputs).values, ending)


def test_log_probabilities_tell_the_gate_order(tmp_path):
    """The only reference is what stands behind a dense layer and a softmax."""
    tail = [SQUEEZED, *LOGITS, node("LogSoftmax", ["logits"], ["out"], axis=-1)]
    path = model(tmp_path, tail)
    x = X.swapaxes(0, 1)
    z = program(x, "ifgo") @ DENSE["M"] + DENSE["n"]
    said = explained(path, x, z - np.log(np.exp(z).sum(axis=-1, keepdims=True)))
    assert said == ("one", [[{"id": "gate-order", "value": "i f g o"}]])


def program(x, blocks="iofg"):
    """Outputs (sequence, timestep, unit) of a program that takes the blocks for these gates."""
    w, r, b = (weights()[name][0].astype("f8") for name in "WRB")
    m = c = np.zeros((len(x), 4))
    rows = []
    for step in x.swapaxes(0, 1).astype("f8"):
        z = step @ w.T + m @ r.T + b[:16] + b[16:]
        gates = dict(zip(blocks, np.split(z, 4, axis=1), strict=True))
        i, f, o = (1 / (1 + np.exp(-gates[name])) for name in "ifo")
        c = f * c + i * np.tanh(gates["g"])
        m = o * np.tanh(c)
        rows.append(m)
    return np.stack(rows, axis=1)


def explained(path, x, reference):
    found = rnnscope.explain(path, x, reference, budget=20).to_dict()
    return found["verdict"], [fit["reading"] for fit in found["fits"]]


def test_what_is_solved_for_behind_a_softmax_over_time(tmp_path):
    """The first steps of such a result say nothing without the rest."""
    tail = [SQUEEZED, *LOGITS, node("Softmax", ["logits"], ["out"], axis=0)]
    path = model(tmp_path, tail)
    x = X.swapaxes(0, 1)
    z = np.exp(program(0.375 * x) @ DENSE["M"] + DENSE["n"])
    said = explained(path, x, z / z.sum(axis=1, keepdims=True))
    assert said == ("one", [[{"id": "input-scale", "value": "factor 0.375"}]])


def test_readings_that_a_graph_for_one_number_of_steps_cannot_take(tmp_path):
    """Time and batch changed over, say: they fit nothing, and the others are tried."""
    path = model(tmp_path, WHOLE, shape=(6, None, 3))
    x = X.swapaxes(0, 1)
    said = explained(path, x, program(x, "ifgo").reshape(2, 24) @ DENSE["wide"])
    assert said == ("one", [[{"id": "gate-order", "value": "i f g o"}]])
