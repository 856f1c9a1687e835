"""Loops and written-out steps: their states as onnxruntime and numpy compute them."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoint_truth import run_network
from onnx_files import graph, node, save, value

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.onnx.evaluation import control
from rnnscope.checkpoints.onnx.graph.nodes import Body, OnnxNode
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import InputError, RnnscopeError, UnsupportedCellError
from rnnscope.model.layers import Unsupported
from rnnscope.model.ops import EvaluationError

RNG = np.random.default_rng(6)
X = RNG.normal(size=(3, 5, 2)).astype("f4")
W, R = (RNG.normal(size=shape).astype("f4") for shape in ((2, 16), (4, 16)))
WEIGHTS = {"W": W, "R": R}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm(x, h=None, c=None):
    """H and c of every step of an LSTM whose gates lie in the order i f g o."""
    h = np.zeros((len(x), 4), "f4") if h is None else h
    c = np.zeros((len(x), 4), "f4") if c is None else c
    states = []
    for step in range(x.shape[1]):
        i, f, g, o = np.split(x[:, step] @ W + h @ R, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append((h, c))
    return [np.stack(part, axis=1) for part in zip(*states, strict=True)]


def step(x, h, c, prefix=""):
    """The nodes of one step: ``h`` and ``c`` become ``{prefix}h1`` and ``{prefix}c1``."""
    names = [f"{prefix}{part}" for part in
             ("xw", "hr", "z", "i", "f", "g", "o", "si", "sf", "tg", "so", "a", "b", "c1", "tc",
              "h1")]  # fmt: skip
    xw, hr, z, i, f, g, o, si, sf, tg, so, a, b, c1, tc, h1 = names
    return [
        node("MatMul", [x, "W"], [xw]), node("MatMul", [h, "R"], [hr]),
        node("Add", [xw, hr], [z]), node("Split", [z], [i, f, g, o], axis=1),
        node("Sigmoid", [i], [si]), node("Sigmoid", [f], [sf]), node("Tanh", [g], [tg]),
        node("Sigmoid", [o], [so]), node("Mul", [sf, c], [a]), node("Mul", [si, tg], [b]),
        node("Add", [a, b], [c1]), node("Tanh", [c1], [tc]), node("Mul", [so, tc], [h1]),
    ]  # fmt: skip


ZEROS = [
    node("Shape", ["X"], ["shape"]),
    node("Slice", ["shape", "one", "two"], ["batch"]),
    node("Concat", ["batch", "units"], ["size"], axis=0),
    node("ConstantOfShape", ["size"], ["zeros"]),
]
SIZES = {"one": np.array([1]), "two": np.array([2]), "units": np.array([4])}


def scan(**attributes):
    """A Scan over X (timestep, sequence, feature) that carries h and c, and writes h."""
    body = graph(
        [*step("x", "h", "c"), node("Identity", ["h1"], ["y"])],
        [value("h"), value("c"), value("x")],
        [value("h1"), value("c1"), value("y")],
    )
    return node("Scan", ["zeros", "zeros", "X"], ["hn", "cn", "Y"], "scan", body=body,
                num_scan_inputs=1, **attributes)  # fmt: skip


def scan_model(path, last=None, first=()):
    nodes = [*ZEROS, *first, last or scan()]
    made = graph(nodes, [value("X", (None, None, 2))], [value("Y")], {**WEIGHTS, **SIZES})
    return save(path, made)


def states(path, x=X):
    (entry,) = read_checkpoint(path).network.recurrent
    return entry, run_layer(entry.recurrent, x)


def test_a_scan_is_a_layer_with_c_and_m(tmp_path):
    entry, made = states(scan_model(tmp_path / "m.onnx"))
    h, c = lstm(X)
    np.testing.assert_allclose(made.m, h, atol=1e-6)
    np.testing.assert_allclose(made.c, c, atol=1e-6)
    np.testing.assert_allclose(made.outputs, h, atol=1e-6)
    np.testing.assert_allclose(made.final["c"], c[:, -1], atol=1e-6)
    assert (entry.name, entry.reads, entry.recurrent.cell.kind) == ("scan", ("X",), "graph")
    assert entry.recurrent.evidence.kind == "evaluated"
    assert entry.recurrent.cell.variables == ("W", "R")


def test_a_scan_as_onnxruntime_computes_it(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    path = scan_model(tmp_path / "m.onnx")
    _, made = states(path)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (y,) = session.run(["Y"], {"X": X.swapaxes(0, 1)})
    np.testing.assert_allclose(made.outputs, y.swapaxes(0, 1), atol=1e-6)


def test_a_scan_from_the_last_step(tmp_path):
    last = scan(scan_input_directions=[1], scan_output_directions=[1])
    entry, made = states(scan_model(tmp_path / "m.onnx", last))
    assert entry.recurrent.backward.value
    h, c = lstm(X[:, ::-1])
    np.testing.assert_allclose(made.m, h[:, ::-1], atol=1e-6)
    np.testing.assert_allclose(made.final["c"], c[:, -1], atol=1e-6)


def test_other_initial_states(tmp_path):
    path = scan_model(tmp_path / "m.onnx")
    (entry,) = read_checkpoint(path).network.recurrent
    h, c = RNG.normal(size=(2, 3, 4)).astype("f4")
    made = run_layer(entry.recurrent, X, initial={"m": h, "c": c})
    for ours, theirs in zip((made.m, made.c), lstm(X, h, c), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_array_equal(made.initial["c"], c)


@pytest.mark.parametrize("batch", [None, 1])
def test_a_scan_that_starts_from_what_it_reads(tmp_path, batch):
    """The state before the first step is another for every input, whatever the model is for."""
    body = graph(
        [node("Add", ["h", "x"], ["a"]), node("Tanh", ["a"], ["h1"]),
         node("Identity", ["h1"], ["y"])],
        [value("h"), value("x")], [value("h1"), value("y")],
    )  # fmt: skip
    nodes = [
        node("Gather", ["X", "first"], ["f"]),
        node("Tanh", ["f"], ["h0"]),
        node("Scan", ["h0", "X"], ["H", "Y"], "scan", body=body, num_scan_inputs=1),
    ]
    made = graph(nodes, [value("X", (None, batch, 2))], [value("Y")], {"first": np.array(0)})
    path = save(tmp_path / "m.onnx", made)
    x = X[: batch or len(X)]
    np.save(tmp_path / "x.npy", x)
    h, expected = np.tanh(x[:, 0]), []
    for t in range(x.shape[1]):
        h = np.tanh(h + x[:, t])
        expected.append(h)
    with rnnscope.run(path, tmp_path / "x.npy") as trace:
        layer = trace.layers["scan"]
        np.testing.assert_allclose(np.asarray(layer.m), np.stack(expected, axis=1), atol=1e-6)
        np.testing.assert_allclose(np.asarray(layer.initial["m"]), np.tanh(x[:, 0]), atol=1e-6)
    start = read_checkpoint(path).network.recurrent[0].recurrent.initial_state.value
    assert str(start) == "what the graph computes"


def test_what_stands_in_front_of_a_scan_is_evaluated(tmp_path):
    last = scan()
    last.input[2] = "scaled"
    first = [node("Mul", ["X", "half"], ["scaled"])]
    nodes = [*ZEROS, *first, last]
    arrays = {**WEIGHTS, **SIZES, "half": np.array(0.5, "f4")}
    path = save(
        tmp_path / "m.onnx", graph(nodes, [value("X", (None, None, 2))], [value("Y")], arrays)
    )
    network = read_checkpoint(path).network
    np.testing.assert_allclose(run_network(network, X)["scan"], lstm(X * 0.5)[0], atol=1e-6)
    np.save(tmp_path / "x.npy", X.swapaxes(0, 1))
    with rnnscope.run(path, tmp_path / "x.npy", model_input=True) as trace:
        np.testing.assert_allclose(np.asarray(trace.layers["scan"].c), lstm(X * 0.5)[1], atol=1e-6)


def loop_model(path, **more):
    """A Loop that gathers x by the turn's number from outside."""
    body = graph(
        [
            node("Gather", ["X", "turn"], ["x"]),
            *step("x", "h", "c"),
            node("Identity", ["h1"], ["y"]),
            node("Identity", ["goes"], ["still"]),
        ],
        [value("turn"), value("goes"), value("h"), value("c")],
        [value("still"), value("h1"), value("c1"), value("y")],
    )
    nodes = [
        *ZEROS,
        node("Gather", ["shape", "zero"], ["count"]),
        node("Loop", ["count", "", "zeros", "zeros"], ["", "", "Y"], "loop", body=body),
    ]
    arrays = {**WEIGHTS, **SIZES, "zero": np.array(0), **more}
    return save(path, graph(nodes, [value("X", (None, None, 2))], [value("Y")], arrays))


def test_a_loop(tmp_path):
    entry, made = states(loop_model(tmp_path / "m.onnx"))
    assert entry.name == "loop"
    for ours, theirs in zip((made.m, made.c), lstm(X), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def unrolled(path, steps=5, backward=False, more=()):
    """The steps one after another, joined at the end."""
    order = range(steps)[::-1] if backward else range(steps)
    nodes, arrays = [*ZEROS], {**WEIGHTS, **SIZES}
    h = c = "zeros"
    for at in order:
        arrays[f"n{at}"] = np.array(at)
        nodes.append(node("Gather", ["X", f"n{at}"], [f"s{at}x"]))
        nodes += step(f"s{at}x", h, c, f"s{at}")
        nodes.append(node("Unsqueeze", [f"s{at}h1", "front"], [f"u{at}"]))
        h, c = f"s{at}h1", f"s{at}c1"
    arrays["front"] = np.array([0])
    joined = [f"u{at}" for at in range(steps)]
    nodes += [node("Concat", joined, ["Y"], "join", axis=0), *more]
    return save(path, graph(nodes, [value("X", (steps, None, 2))], [value("Y")], arrays))


@pytest.mark.parametrize("backward", [False, True])
def test_steps_that_are_written_out(tmp_path, backward):
    entry, made = states(unrolled(tmp_path / "m.onnx", backward=backward))
    assert entry.recurrent.backward.value == backward
    x = X[:, ::-1] if backward else X
    for ours, theirs in zip((made.m, made.c), lstm(x), strict=True):
        np.testing.assert_allclose(ours, theirs[:, ::-1] if backward else theirs, atol=1e-6)


def test_written_out_steps_are_as_many_as_they_are(tmp_path):
    path = unrolled(tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", X[:, :4])
    with pytest.raises(RnnscopeError) as caught:
        rnnscope.run(path, tmp_path / "x.npy")
    assert isinstance(caught.value, InputError)


def test_a_join_of_what_is_not_recurrent_is_no_cell(tmp_path):
    parts = [node("Gather", ["X", f"n{at}"], [f"g{at}"]) for at in range(4)]
    nodes = [*parts, node("Concat", [f"g{at}" for at in range(4)], ["Y"], axis=0)]
    arrays = {f"n{at}": np.array([at]) for at in range(4)}
    made = graph(nodes, [value("X", (4, None, 2))], [value("Y")], arrays)
    with pytest.raises(UnsupportedCellError, match="holds no LSTM, GRU or RNN node"):
        read_checkpoint(save(tmp_path / "m.onnx", made))


DENSE = [
    *(node(op, [f"g{at}"], [f"g{at + 1}"]) for at, op in enumerate(("Tanh", "Relu", "Exp"))),
    node("Concat", ["g1", "g2", "g3"], ["D"], "dense", axis=0),
]
"""Each part is made of the one before, by other operators every time."""


def test_a_join_of_steps_that_are_not_alike_is_no_cell(tmp_path):
    made = graph(DENSE, [value("g0", (None, 2))], [value("D")], {})
    with pytest.raises(UnsupportedCellError, match="holds no LSTM, GRU or RNN node"):
        read_checkpoint(save(tmp_path / "m.onnx", made))


def test_a_join_of_steps_that_are_not_alike_is_named_beside_a_cell(tmp_path):
    more = [node("Identity", ["Y"], ["g0"]), *DENSE]
    network = read_checkpoint(unrolled(tmp_path / "m.onnx", more=more)).network
    named = {entry.name: entry.layer for entry in network.nodes}
    assert isinstance(named["dense"], Unsupported)
    assert [entry.name for entry in network.recurrent] == ["join"]


def test_a_loop_that_is_random_is_named(tmp_path):
    body = graph(
        [node("RandomNormalLike", ["h"], ["n"], "noise"), node("Add", ["n", "x"], ["h1"])],
        [value("h"), value("x")],
        [value("h1")],
    )
    last = node("Scan", ["zeros", "X"], ["Y"], "scan", body=body, num_scan_inputs=1)
    path = scan_model(tmp_path / "m.onnx", last)
    with pytest.raises(UnsupportedCellError, match="Scan"):
        read_checkpoint(path)


def test_onnx_s_own_scan_and_loop_cases():
    from onnx_node_cases import assert_alike, evaluate, node_cases

    seen = 0
    for case in node_cases("scan", "loop"):
        if case.name in ("test_scan_sum", "test_loop16_seq_none"):
            continue  # of an operator set before 9; of optional values
        arrays = dict(zip(filter(None, case.node.input), case.inputs, strict=True))
        made = evaluate(case.node, arrays, case.opset)
        for name, theirs in zip(filter(None, case.node.output), case.outputs, strict=True):
            assert_alike(made[name], theirs)
        seen += 1
    assert seen >= 4


def test_a_loop_without_a_limit_is_not_cut_off_in_silence(monkeypatch):
    monkeypatch.setattr(control, "MAX_TURNS", 4)
    body = Body(("number", "goes", "x"), ("goes", "y"), frozenset())
    loop = OnnxNode("Loop", "loop", ("", "", "x"), ("y",), {})

    def run(turns):
        def turn(handed):
            return [np.array(handed[0] + 1 < turns), handed[2] + 1]

        return control.CONTROL["Loop"](loop, [None, None, np.zeros(1)], body, turn)

    assert run(4)[0] == 4
    with pytest.raises(EvaluationError, match="more than 4 turns"):
        run(5)
