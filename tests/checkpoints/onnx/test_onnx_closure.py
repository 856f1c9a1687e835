"""Everything between inputs and layers is computed, or the layer is refused by the op's name."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoint_truth import run_network
from onnx_files import graph, node, save, simple, tensor, value, weights

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.onnx.network import cells
from rnnscope.errors import InputError, RnnscopeError, UnsupportedCellError
from rnnscope.model.initial_state import OutsideState, StoredState, UncomputedState
from rnnscope.model.layers import Unsupported
from rnnscope.model.layers.evaluated import EvaluatedMask, EvaluatedPiece

RNG = np.random.default_rng(12)
X = RNG.normal(size=(2, 6, 3)).astype("f4")
LSTM = node("LSTM", ["x", "W", "R", "B"], ["Y"], "lstm", hidden_size=4)


def axis(*numbers):
    return np.array(numbers, np.int64)


def received(path, x, given=None):
    """What onnxruntime hands to the LSTM: its input ``x``, (sequence, timestep, feature)."""
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["x"], {"X": x, **(given or {})})[0].swapaxes(0, 1)


def model(tmp_path, front, arrays=None, shape=(None, None, 3), inputs=(), cell=LSTM):
    """A model of some nodes that make ``x``, and an LSTM that reads it."""
    made = graph(
        [*front, cell],
        [value("X", shape), *inputs],
        [value("Y"), value("x")],
        {**weights(), **(arrays or {})},
    )
    return save(tmp_path / "m.onnx", made)


FRONTS = {
    "clip and scale": [
        node("Clip", ["X", "low", "high"], ["a"]),
        node("Mul", ["a", "high"], ["x"]),
    ],
    "an activation that no layer has": [node("HardSwish", ["X"], ["x"])],
    "a sum over features put beside them": [
        node("ReduceMax", ["X"], ["a"], axes=[2]),
        node("Sub", ["X", "a"], ["x"]),
    ],
    "the steps turned round": [node("Slice", ["X", "end", "start", "zero", "back"], ["x"])],
    "a convolution over time": [
        node("Transpose", ["X"], ["a"], perm=[1, 2, 0]),
        node("Conv", ["a", "K"], ["b"], pads=[1, 1]),
        node("Relu", ["b"], ["c"]),
        node("Transpose", ["c"], ["x"], perm=[2, 0, 1]),
    ],
    "a reshape by sizes of the input": [
        node("Shape", ["X"], ["s"]),
        node("Reshape", ["X", "flat"], ["a"]),
        node("Relu", ["a"], ["b"]),
        node("Reshape", ["b", "s"], ["x"]),
    ],
    "a branch that is constant": [
        node("If", ["yes"], ["x"], "switch",
             then_branch=graph([node("Neg", ["X"], ["n"])], (), [value("n")]),
             else_branch=graph([node("Abs", ["X"], ["p"])], (), [value("p")])),
    ],
}  # fmt: skip
FRONT_ARRAYS = {
    "low": np.array(-0.5, "f4"), "high": np.array(0.75, "f4"), "last": axis(-1), "zero": axis(0),
    "end": axis(-1), "start": axis(-99), "back": axis(-1), "flat": axis(-1),
    "K": RNG.normal(size=(3, 3, 3)).astype("f4"), "yes": np.array(True),
}  # fmt: skip


@pytest.mark.parametrize("name", FRONTS)
def test_what_stands_in_front_is_evaluated(tmp_path, name):
    path = model(tmp_path, FRONTS[name], FRONT_ARRAYS)
    network = read_checkpoint(path).network
    (layer,) = network.recurrent
    assert layer.recurrent.evidence.kind == "proved"
    made = run_network(network, X)
    expected = received(path, X.swapaxes(0, 1))
    np.testing.assert_allclose(made[layer.reads[0]], expected, atol=1e-6)


def test_a_piece_names_its_operators_and_passes_a_mask(tmp_path):
    network = read_checkpoint(model(tmp_path, FRONTS["clip and scale"], FRONT_ARRAYS)).network
    piece = network.nodes[0].layer
    assert isinstance(piece, EvaluatedPiece)
    assert piece.kind == "Clip, Mul"


UNCOMPUTED = {
    "an operator that is not known": (
        [node("GridSample", ["X", "X"], ["x"], "warp")], "op GridSample (node 'warp')"
    ),
    "randomness": ([node("RandomNormalLike", ["X"], ["x"], "noise")], "op RandomNormalLike"),
    "an operator of another domain": (
        [node("Fused", ["X"], ["x"], "fused", domain="com.example")], "op com.example.Fused"
    ),
    "sequences that depend on each other": (
        [node("Softmax", ["X"], ["x"], "over", axis=1)], "sequences"
    ),
    "dropout in training": (
        [node("Dropout", ["X", "low", "yes"], ["x"], "drop")], "Dropout"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNCOMPUTED)
def test_what_is_not_computed_refuses_the_layer_by_its_name(tmp_path, name):
    front, words = UNCOMPUTED[name]
    path = model(tmp_path, front, FRONT_ARRAYS)
    network = read_checkpoint(path).network
    (layer,) = network.recurrent
    stand_in = network.node(layer.reads[0]).layer
    assert isinstance(stand_in, Unsupported)
    assert words in stand_in.reason
    np.save(tmp_path / "x.npy", X.swapaxes(0, 1))
    with pytest.raises(UnsupportedCellError) as caught:
        rnnscope.run(path, tmp_path / "x.npy", model_input=True)
    assert words in str(caught.value)
    assert "trust" not in str(caught.value)


def test_the_layer_behind_it_still_runs_on_what_it_receives_itself(tmp_path):
    path = model(tmp_path, UNCOMPUTED["randomness"][0])
    np.save(tmp_path / "x.npy", X)
    with rnnscope.run(path, tmp_path / "x.npy") as trace:
        assert list(trace.layers) == ["lstm"]


def test_a_layer_that_gives_other_states_than_its_operator_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "LSTM_GATES", ("i", "f", "o", "g"))  # as a bug would have it
    network = read_checkpoint(simple(tmp_path / "m.onnx")).network
    (entry,) = network.nodes
    assert isinstance(entry.layer, Unsupported)
    assert "gives other states here than the operator" in entry.layer.reason


def test_the_proof_says_how_near_it_came(tmp_path):
    (entry,) = read_checkpoint(simple(tmp_path / "m.onnx")).network.nodes
    evidence = entry.recurrent.evidence
    assert evidence.kind == "proved"
    assert evidence.steps >= 3
    assert evidence.difference < 1e-5


def test_features_that_no_shape_tells_are_those_that_a_dense_layer_reads(tmp_path):
    """OpenVINO's converter leaves every size open; a proof of the cell alone looked at no front."""
    front = [node("MatMul", ["X", "D"], ["x"], "dense")]
    arrays = {"D": RNG.normal(size=(5, 3)).astype("f4")}
    path = model(tmp_path, front, arrays, shape=(None, None, None))
    (layer,) = read_checkpoint(path).network.recurrent
    assert (layer.recurrent.evidence.kind, layer.recurrent.evidence.detail) == ("proved", "")


def test_proofs_in_64_bits_are_held_to_their_rounding(tmp_path):
    x = value("X", (None, None, 3))
    x.type.tensor_type.elem_type = 11
    cell = node("LSTM", ["X", "W", "R", "B"], ["Y"], "lstm")
    path = save(tmp_path / "m.onnx", graph([cell], [x], [value("Y")], weights(dtype="f8")))
    (entry,) = read_checkpoint(path).network.nodes
    assert entry.recurrent.evidence.kind == "proved"
    assert entry.recurrent.evidence.difference < 1e-12


def test_a_model_for_one_number_of_sequences_is_run_in_groups(tmp_path):
    """The graph reshapes to two sequences; five are run two by two."""
    front = [
        node("Reshape", ["X", "shape"], ["a"]),
        node("HardSwish", ["a"], ["x"]),
    ]
    path = model(tmp_path, front, {"shape": axis(6, 2, 3)}, (6, 2, 3))
    network = read_checkpoint(path).network
    many = RNG.normal(size=(5, 6, 3)).astype("f4")
    made = run_network(network, many)[network.recurrent[0].reads[0]]
    expected = [received(path, many[rows].swapaxes(0, 1)) for rows in ([0, 1], [2, 3], [4, 4])]
    np.testing.assert_allclose(made, np.concatenate(expected)[:5], atol=1e-6)
    with pytest.raises(InputError, match="cannot be computed for this input"):
        network.nodes[0].layer.__call__(*[_signal(many[:, :4])])


def _signal(values):
    from rnnscope.model.signal import Signal

    return Signal(values)


def test_functions_of_the_model_are_put_in_their_place(tmp_path):
    from rnnscope.checkpoints.onnx.graph import proto

    path = model(tmp_path, [node("Twice", ["X"], ["x"], "twice", domain="own", by=3.0)])
    table = proto.TABLE.message_class
    read = table("ModelProto").FromString(path.read_bytes())
    inner = node("LeakyRelu", ["a"], ["b"])
    inner.attribute.append(table("AttributeProto")(name="alpha", ref_attr_name="by", type=1))
    function = table("FunctionProto")(
        name="Twice", domain="own", input=["a"], output=["c"], attribute=["by"],
        node=[inner, node("Add", ["b", "b"], ["c"])],
    )  # fmt: skip
    read.functions.append(function)
    path.write_bytes(read.SerializeToString())
    network = read_checkpoint(path).network
    made = run_network(network, X)[network.recurrent[0].reads[0]]
    np.testing.assert_allclose(made, 2 * np.where(X > 0, X, 3 * X), atol=1e-6)


# Lengths


def test_sequences_turned_round_within_their_lengths(tmp_path):
    front = [node("ReverseSequence", ["X", "lens"], ["x"], time_axis=0, batch_axis=1)]
    cell = node("LSTM", ["x", "W", "R", "B", "lens"], ["Y"], "lstm")
    lens = value("lens", (None,))
    lens.type.tensor_type.elem_type = 7
    path = model(tmp_path, front, None, inputs=[lens], cell=cell)
    network = read_checkpoint(path).network
    layer = network.recurrent[0]
    assert layer.recurrent.evidence.kind == "proved"
    made = run_network(network, X, lengths=[6, 2])[layer.reads[0]]
    np.testing.assert_array_equal(made[1], [*X[1, 1::-1], *X[1, 2:]])
    np.testing.assert_array_equal(made[0], X[0, ::-1])


def test_lengths_that_the_graph_computes(tmp_path):
    """The steps that are not all zero, as exporters of Keras count them."""
    front = [
        node("Abs", ["X"], ["a"]),
        node("ReduceSum", ["a", "last"], ["b"], keepdims=0),
        node("Greater", ["b", "none"], ["c"]),
        node("Cast", ["c"], ["d"], to=6),
        node("ReduceSum", ["d", "zero"], ["lens"], keepdims=0),
        node("Identity", ["X"], ["x"]),
    ]
    cell = node("LSTM", ["x", "W", "R", "B", "lens"], ["Y"], "lstm")
    arrays = {**FRONT_ARRAYS, "none": np.array(0, "f4")}
    path = model(tmp_path, front, arrays, cell=cell)
    checkpoint = read_checkpoint(path)
    mask = next(n for n in checkpoint.network.nodes if isinstance(n.layer, EvaluatedMask))
    assert mask.reads == ("X", "X")
    x = X.copy()
    x[1, 4:] = 0
    np.save(tmp_path / "x.npy", x)
    with rnnscope.run(path, tmp_path / "x.npy") as trace:
        outputs = np.asarray(trace.layers["lstm"].outputs)
    assert not outputs[1, 4:].any()
    assert outputs[0].all()
    assert outputs[1, :4].all()


def sorted_before(tmp_path, both):
    """An LSTM behind a sort by length, with initial states for the sequences as they are given."""
    cell = node("LSTM", ["x", "W", "R", "B", "lens"], ["Y"], "lstm")
    front = [
        node("Shape", ["L"], ["k"]),
        node("TopK", ["L", "k"], ["sorted", "order"], axis=0),
        node("Cast", ["sorted"], ["lens"], to=6),
        node("Gather", ["X", "order"], ["x"], axis=1) if both else node("Neg", ["X"], ["x"]),
    ]
    lengths = value("L", (None,))
    lengths.type.tensor_type.elem_type = 7
    return model(tmp_path, front, inputs=[lengths], cell=cell)


def test_lengths_that_are_sorted_go_with_sequences_that_are(tmp_path):
    network = read_checkpoint(sorted_before(tmp_path, both=True)).network
    assert network.recurrent[0].recurrent.evidence.kind == "proved"
    assert network.recurrent[0].recurrent.lengths.value.input == "L"
    np.save(tmp_path / "x.npy", X)
    rnnscope.run(tmp_path / "m.onnx", tmp_path / "x.npy").close()


def test_lengths_that_are_sorted_alone_refuse_the_layer(tmp_path):
    """They would be joined with other sequences."""
    path = sorted_before(tmp_path, both=False)
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(UnsupportedCellError, match="sorted by length"):
        rnnscope.run(path, tmp_path / "x.npy")


# Initial states


def with_states(tmp_path, layout=0, inputs=None):
    """A bidirectional LSTM whose states are inputs of the model, in ONNX's own layout."""
    shape = (None, 2, 4) if layout else (2, None, 4)
    made = graph(
        [node("LSTM", ["X", "W", "R", "B", "", "h0", "c0"], ["Y"], "lstm",
              direction="bidirectional", layout=layout)],
        [value("X", (None, None, 3)), value("h0", shape), value("c0", shape)],
        [value("Y")],
        weights(directions=2),
    )  # fmt: skip
    return save(tmp_path / "m.onnx", made)


@pytest.mark.parametrize("layout", [0, 1])
def test_states_given_under_the_model_s_own_names(tmp_path, layout):
    path = with_states(tmp_path, layout)
    h, c = RNG.normal(size=(2, 2, 2, 4)).astype("f4")
    np.savez(tmp_path / "in.npz", x=X, h0=h, c0=c)
    with rnnscope.run(path, tmp_path / "in.npz") as trace:
        for direction, name in enumerate(("lstm/forward", "lstm/backward")):
            initial = trace.layers[name].initial
            own = (h[:, direction], c[:, direction]) if layout else (h[direction], c[direction])
            np.testing.assert_array_equal(np.asarray(initial["m"]), own[0])
            np.testing.assert_array_equal(np.asarray(initial["c"]), own[1])


def test_a_state_of_the_wrong_shape_is_refused_by_its_name(tmp_path):
    path = with_states(tmp_path)
    np.savez(tmp_path / "in.npz", x=X, h0=np.zeros((3, 2, 4), "f4"))
    with pytest.raises(InputError, match="does not fit the model's input") as caught:
        rnnscope.run(path, tmp_path / "in.npz")
    assert "h0" in str(caught.value)


def test_states_that_the_graph_computes_are_constants_or_refused(tmp_path):
    nodes = [
        node("Shape", ["X"], ["s"]),
        node("Slice", ["s", "one", "two"], ["n"]),
        node("Concat", ["one", "n", "four"], ["size"], axis=0),
        node("Expand", ["half", "size"], ["h"]),
        node("Cos", ["h"], ["h0"]),
        node("ReduceMean", ["X"], ["mean"], axes=[0], keepdims=0),
        node("MatMul", ["mean", "P"], ["p"]),
        node("Unsqueeze", ["p", "zero"], ["c0"], "start"),
        node("LSTM", ["X", "W", "R", "B", "", "h0"], ["Y"], "constant"),
        node("LSTM", ["X", "W", "R", "B", "", "", "c0"], ["Z"], "computed"),
    ]
    arrays = {
        **weights(), "one": axis(1), "two": axis(2), "four": axis(4), "zero": axis(0),
        "half": np.array(0.5, "f4"), "P": RNG.normal(size=(3, 4)).astype("f4"),
    }  # fmt: skip
    made = graph(nodes, [value("X", (None, None, 3))], [value("Y"), value("Z")], arrays)
    network = read_checkpoint(save(tmp_path / "m.onnx", made)).network
    constant, computed = (node.recurrent.initial_state.value.parts for node in network.recurrent)
    assert isinstance(constant["m"], StoredState)
    np.testing.assert_allclose(constant["m"].values, np.cos(0.5), rtol=1e-6)
    assert isinstance(computed["c"], UncomputedState)
    assert network.uncomputed_start(network.node("computed")) is not None


def test_a_state_that_is_not_given_is_said(tmp_path):
    layer = read_checkpoint(with_states(tmp_path)).network.recurrent[0].recurrent
    part = layer.initial_state.value.parts["m"]
    assert isinstance(part, OutsideState)
    assert part.taken is not None


# Axes of the model's input


def ran(path, tmp_path, x, **options):
    np.save(tmp_path / "x.npy", x)
    with rnnscope.run(path, tmp_path / "x.npy", **options) as trace:
        return np.asarray(trace.layers["lstm"].m)


def test_the_model_s_own_input_has_the_axes_of_its_file(tmp_path):
    path = simple(tmp_path / "m.onnx")
    assert read_checkpoint(path).input_axes == {"X": ("timestep", "sequence", "feature")}
    own = ran(path, tmp_path, X.swapaxes(0, 1), model_input=True)
    np.testing.assert_array_equal(own, ran(path, tmp_path, X))


def test_features_before_timesteps(tmp_path):
    path = model(tmp_path, [node("Transpose", ["X"], ["x"], perm=[2, 0, 1])], None, (None, 3, None))
    checkpoint = read_checkpoint(path)
    assert checkpoint.input_axes == {"X": ("sequence", "feature", "timestep")}
    own = ran(path, tmp_path, X.swapaxes(1, 2), model_input=True)
    np.testing.assert_array_equal(own, ran(path, tmp_path, X))


def test_an_input_without_features_is_not_taken_for_one_sequence(tmp_path):
    arrays = {**weights(features=1), "last": axis(2)}
    nodes = [
        node("Transpose", ["X"], ["a"], perm=[1, 0]),
        node("Unsqueeze", ["a", "last"], ["x"]),
        LSTM,
    ]
    path = simple(tmp_path / "m.onnx", nodes, arrays, (("X", (None, None)),))
    with pytest.raises(InputError, match="not the axes of the model's own input"):
        ran(path, tmp_path, X[:, :, 0], model_input=True)


def test_a_damaged_tensor_that_nothing_reads_does_no_harm(tmp_path):
    held = tensor("other", np.zeros(4, "f4"))
    held.raw_data = b"\0"
    made = graph([LSTM], [value("x", (None, None, 3))], [value("Y")], weights(), [held])
    (entry,) = read_checkpoint(save(tmp_path / "m.onnx", made)).network.nodes
    assert entry.recurrent.evidence.kind == "proved"


def test_a_graph_that_would_take_too_long_is_read_all_the_same(tmp_path):
    front = [
        node("Expand", ["X", "wide"], ["a"]),
        node("ReduceMax", ["a"], ["x"], axes=[0], keepdims=0),
    ]
    arrays = {**FRONT_ARRAYS, "wide": axis(1 << 26, 1, 1, 1)}
    network = read_checkpoint(model(tmp_path, front, arrays)).network
    stand_in = network.node(network.recurrent[0].reads[0]).layer
    assert isinstance(stand_in, Unsupported)
    with pytest.raises(RnnscopeError):
        ran(tmp_path / "m.onnx", tmp_path, X.swapaxes(0, 1), model_input=True)


def test_a_normalisation_in_training_is_refused_however_old_it_is(tmp_path):
    """From operator set 7 to 13 it is one by handing on the means that it computes."""
    norm = node("BatchNormalization", ["X", "s", "o", "m", "v"], ["x", "m1", "v1"], "norm")
    arrays = {name: np.full(2, n, "f4") for name, n in zip("somv", (1, 0, 0, 1), strict=True)}
    made = graph([norm, LSTM], [value("X", (None, 2, 3))], [value("Y")], {**weights(), **arrays})
    network = read_checkpoint(save(tmp_path / "m.onnx", made, opset=9)).network
    front = next(n for n in network.nodes if n.name == network.recurrent[0].reads[0])
    assert isinstance(front.layer, Unsupported)
    assert "training mode" in front.layer.reason


def test_sequences_of_a_group_that_depend_on_each_other_refuse_the_layer(tmp_path):
    """A model for two at once would give another number for every pair that it is run in."""
    front = [
        node("LSTM", ["X", "W", "R", "B"], ["Z"], "which tells the axes"),
        node("ReduceMean", ["X"], ["a"], axes=[1]),
        node("Sub", ["X", "a"], ["x"], "centred"),
    ]
    network = read_checkpoint(model(tmp_path, front, shape=(None, 2, 3))).network
    reader = next(n for n in network.recurrent if n.name == "lstm")
    front = next(n for n in network.nodes if n.name == reader.reads[0])
    assert isinstance(front.layer, Unsupported)
    assert "depend on each other" in front.layer.reason
