"""ONNX models: states as PyTorch and onnxruntime compute them, wiring as the graph has it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from checkpoint_truth import DATA, assert_like_truth, run_network
from onnx_files import graph, node, save, simple, value, weights

from rnnscope.checkpoints import read_checkpoint
from rnnscope.engines.lstm import FoldedLSTM
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import UnsupportedCellError
from rnnscope.model.cells import CELLS
from rnnscope.model.layers import Unsupported

ONNX = DATA / "onnx"
X = np.random.default_rng(5).normal(size=(2, 6, 3)).astype("f4") * 2


@pytest.mark.parametrize("op", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("axes", ["batch", "time"])
def test_exported_by_torch(op, axes):
    last = {"lstm": "rnn/LSTM_1", "gru": "rnn/GRU", "rnn": "rnn/RNN"}[op]
    path = ONNX / f"{op}_{axes}_first.onnx"
    assert_like_truth(path, ONNX / f"{op}_{axes}_first_truth.npz", {"rnn": last})


def test_exported_by_torch_s_new_exporter():
    network = read_checkpoint(ONNX / "lstm_dynamo.onnx").network
    last = network.nodes[-1].name
    assert_like_truth(ONNX / "lstm_dynamo.onnx", ONNX / "lstm_dynamo_truth.npz", {"rnn": last})


def test_an_embedding_a_stack_and_a_gru():
    modules = {"encoder": "encoder/LSTM_1", "top": "top/GRU"}
    assert_like_truth(ONNX / "tagger.onnx", ONNX / "tagger_truth.npz", modules)
    network = read_checkpoint(ONNX / "tagger.onnx").network
    assert network.inputs == ("x",)
    assert [(entry.name, entry.reads) for entry in network.nodes] == [
        ("embedding/Gather", ("x",)),
        ("encoder/LSTM/forward", ("embedding/Gather",)),
        ("encoder/LSTM/backward", ("embedding/Gather",)),
        ("encoder/LSTM", ("encoder/LSTM/forward", "encoder/LSTM/backward")),
        ("encoder/LSTM_1/forward", ("encoder/LSTM",)),
        ("encoder/LSTM_1/backward", ("encoder/LSTM",)),
        ("encoder/LSTM_1", ("encoder/LSTM_1/forward", "encoder/LSTM_1/backward")),
        ("top/GRU", ("encoder/LSTM_1",)),
    ]
    assert {entry.wiring for entry in network.nodes} == {"graph"}


ATTRIBUTES = [
    {},
    {"clip": 0.7},
    {"direction": "reverse"},
    {"direction": "bidirectional", "clip": 1.5},
    {"sequence_lens": [6, 3]},
    {"sequence_lens": [2, 5], "direction": "bidirectional"},
    {"initial": True},
    {"initial": True, "direction": "bidirectional", "sequence_lens": [6, 1]},
]
FUNCTIONS = [
    (["HardSigmoid"], [0.3], [0.4]),
    (["LeakyRelu"], [0.2], None),
    (["LeakyRelu"], None, None),
    (["Elu"], [0.5], None),
    (["ScaledTanh"], [0.8], [1.3]),
    (["Affine"], [0.2], [0.1]),
    (["ThresholdedRelu"], [0.4], None),
    (["Softsign"], None, None),
    (["Softplus"], None, None),
    (["HardSigmoid"], None, None),
]


def case(op, options):
    """A node's arguments and arrays."""
    options = dict(options)
    directions = 2 if options.get("direction") == "bidirectional" else 1
    arrays = weights(op, directions=directions)
    inputs = ["X", "W", "R", "B", "", "", "", ""]
    rng = np.random.default_rng(8)
    if "sequence_lens" in options:
        arrays["lens"] = np.array(options.pop("sequence_lens"), np.int32)
        inputs[4] = "lens"
    if options.pop("initial", False):
        for place, name in ((5, "h0"), (6, "c0"))[: 2 if op == "LSTM" else 1]:
            arrays[name] = rng.normal(size=(directions, 2, 4)).astype("f4")
            inputs[place] = name
    if options.pop("peepholes", False):
        arrays["P"] = rng.normal(size=(directions, 12)).astype("f4")
        inputs[7] = "P"
    while not inputs[-1]:
        inputs.pop()
    return inputs, arrays, options


def like_onnxruntime(tmp_path, op, options):
    runtime = pytest.importorskip("onnxruntime")
    inputs, arrays, attributes = case(op, options)
    outputs = ["Y", "Y_h", "Y_c"][: 3 if op == "LSTM" else 2]
    nodes = [node(op, inputs, outputs, "rec", hidden_size=4, **attributes)]
    made = graph(nodes, [value("X", (6, 2, 3))], [value(name) for name in outputs], arrays)
    path = save(tmp_path / "model.onnx", made)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"X": X.swapaxes(0, 1)})
    entries = [entry.recurrent for entry in read_checkpoint(path).network.recurrent]
    lengths = arrays.get("lens")
    mask = None if lengths is None else np.arange(6) < lengths[:, None]
    for number, layer in enumerate(entries):
        run = run_layer(layer, X, mask, layer.initial_state.value.stored())
        for name, array in zip(outputs, expected, strict=True):
            ours = run.outputs if name == "Y" else run.final["m" if name == "Y_h" else "c"]
            theirs = array[:, number].swapaxes(0, 1) if name == "Y" else array[number]
            np.testing.assert_allclose(ours, theirs, atol=3e-6, rtol=3e-6, err_msg=name)


@pytest.mark.parametrize("options", ATTRIBUTES, ids=str)
@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
def test_attributes_as_onnxruntime_computes_them(tmp_path, op, options):
    like_onnxruntime(tmp_path, op, options)


@pytest.mark.parametrize(
    "options",
    [
        {"input_forget": 1},
        {"input_forget": 1, "clip": 0.6},
        {"peepholes": True},
        {"peepholes": True, "clip": 0.6, "direction": "bidirectional"},
    ],
    ids=str,
)
def test_what_only_an_lstm_has(tmp_path, options):
    like_onnxruntime(tmp_path, "LSTM", options)


def test_linear_before_reset(tmp_path):
    like_onnxruntime(tmp_path, "GRU", {"linear_before_reset": 1, "clip": 0.9})


@pytest.mark.parametrize(("names", "alpha", "beta"), FUNCTIONS, ids=str)
def test_activations_with_their_constants(tmp_path, names, alpha, beta):
    options = {"activations": names}
    options.update({"activation_alpha": alpha} if alpha else {})
    options.update({"activation_beta": beta} if beta else {})
    like_onnxruntime(tmp_path, "RNN", options)


def test_constants_are_consumed_in_order_over_both_directions(tmp_path):
    names = ["HardSigmoid", "LeakyRelu", "Tanh", "Sigmoid", "ScaledTanh", "Elu"]
    path = simple(
        tmp_path / "m.onnx",
        arrays=weights(directions=2),
        direction="bidirectional",
        activations=names,
        activation_alpha=[0.1, 0.2, 0.3, 0.4],
        activation_beta=[0.5, 0.6],
    )
    options = [entry.recurrent.cell.options for entry in read_checkpoint(path).network.recurrent]
    found = [
        (o.recurrent_activation.value, o.activation.value, o.output_activation.value)
        for o in options
    ]
    assert found == [
        ("hard_sigmoid(0.1,0.5)", "leaky_relu(0.2)", "tanh"),
        ("sigmoid", "scaled_tanh(0.3,0.6)", "elu(0.4)"),
    ]


def test_clipped_gates_are_left_to_the_reference_engine(tmp_path):
    def takes(**attributes):
        path = simple(tmp_path / "m.onnx", **attributes)
        return FoldedLSTM.takes(read_checkpoint(path).network.recurrent[0].recurrent.cell)

    assert takes()
    assert not takes(clip=1.0)
    assert not takes(input_forget=1)


def test_a_clip_is_told_to_be_that_of_onnxruntime(tmp_path):
    """By the letter of ONNX an LSTM's clip bounds the c that enters h, too."""

    def notes(**attributes):
        return [note for note in read_checkpoint(simple(tmp_path / "m.onnx", **attributes)).notes
                if "clip" in note]  # fmt: skip

    assert notes() == notes(clip=0.0) == []
    (said,) = notes(clip=0.375)
    assert said.startswith("clip of 'lstm' (0.375): as in ONNX Runtime, what enters the gates'")
    assert said.endswith("by the text of ONNX the c that enters h would be clipped as well.")


def test_layout_1_is_batch_first(tmp_path):
    first = read_checkpoint(simple(tmp_path / "a.onnx", layout=1)).network
    second = read_checkpoint(simple(tmp_path / "b.onnx")).network
    np.testing.assert_array_equal(run_network(first, X)["lstm"], run_network(second, X)["lstm"])


def test_lengths_from_an_input_and_from_none(tmp_path):
    nodes = [
        node("LSTM", ["X", "W", "R", "B", "lens"], ["Y"], "lstm"),
        node("Squeeze", ["Y", "one"], ["S"]),
        node("LSTM", ["S", "W2", "R2", "B2"], ["Y2"], "top"),
    ]
    arrays = {
        **weights(), "one": np.array([1]),
        **{f"{name}2": array for name, array in weights(features=4).items()},
    }  # fmt: skip
    inputs = (("X", (None, None, 3)), ("lens", (None,)))
    lstm, top = read_checkpoint(
        simple(tmp_path / "m.onnx", nodes, arrays, inputs)
    ).network.recurrent
    assert lstm.recurrent.padding.value == "zeros"
    assert (
        str(lstm.recurrent.lengths.value) == "sequence_length from placeholder 'lens' (graph input)"
    )
    assert (top.recurrent.padding.value, str(top.recurrent.lengths.value)) == ("none", "not used")
    assert top.reads == ("lstm",)


def test_a_decoder_starts_from_the_encoder_s_final_state(tmp_path):
    nodes = [
        node("LSTM", ["X", "W", "R", "B"], ["", "Y_h", "Y_c"], "encoder"),
        node("LSTM", ["Z", "W", "R", "B", "", "Y_h", "Y_c"], ["Y"], "decoder"),
    ]
    inputs = (("X", (None, None, 3)), ("Z", (None, None, 3)))
    network = read_checkpoint(simple(tmp_path / "m.onnx", nodes, inputs=inputs)).network
    assert network.node("decoder").recurrent.starts_from_layers == ("encoder",)
    assert network.node("decoder").reads == ("Z",)


def test_an_initial_state_from_outside_is_said(tmp_path):
    nodes = [
        node("Slice", ["state", "zero", "one", "zero"], ["h0"]),
        node("LSTM", ["X", "W", "R", "B", "", "h0", "c0"], ["Y"], "lstm"),
    ]
    arrays = {**weights(), "zero": np.array([0]), "one": np.array([1]),
              "c0": np.full((1, 2, 4), 0.5, "f4")}  # fmt: skip
    inputs = (("X", (None, None, 3)), ("state", (2, 1, 4)))
    layer = read_checkpoint(simple(tmp_path / "m.onnx", nodes, arrays, inputs)).network.recurrent[0]
    assert str(layer.recurrent.initial_state.value) == "placeholder 'state' (graph input)"
    np.testing.assert_array_equal(
        layer.recurrent.initial_state.value.stored()["c"], np.full(4, 0.5)
    )


def test_the_last_state_feeds_a_repeated_layer_through_dense_ones(tmp_path):
    """Y_h of both directions, squeezed apart, joined and multiplied."""
    nodes = [
        node("LSTM", ["X", "W", "R", "B", "lens"], ["Y", "Y_h"], "lstm", direction="bidirectional"),
        node("Split", ["Y"], ["fw", "bw"], axis=1),
        node("Squeeze", ["fw", "one"], ["f"]),
        node("Squeeze", ["bw", "one"], ["b"]),
        node("Sub", ["f", "b"], ["d"], "difference"),
        node("RNN", ["d", "W2", "R2"], ["Y2"], "top"),
    ]
    other = weights("RNN", features=4)
    arrays = {**weights(directions=2), "one": np.array([1]), "W2": other["W"], "R2": other["R"],
              "lens": np.array([6, 4], np.int32)}  # fmt: skip
    network = read_checkpoint(simple(tmp_path / "m.onnx", nodes, arrays)).network
    made = run_network(network, X, lengths=[6, 4])
    np.testing.assert_array_equal(made["difference"], made["lstm/forward"] - made["lstm/backward"])
    assert made["lstm"].shape == (2, 6, 8)
    assert made["top"].shape == (2, 6, 4)


def test_what_is_not_computed_stands_in_the_way_by_name(tmp_path):
    nodes = [
        node("Conv", ["X", "K"], ["conv"], "front/conv"),
        node("Relu", ["conv"], ["relu"], "front/relu"),
        node("LSTM", ["relu", "W", "R", "B"], ["Y"], "lstm"),
    ]
    arrays = {**weights(), "K": np.zeros((3, 3, 1), "f4")}
    network = read_checkpoint(simple(tmp_path / "m.onnx", nodes, arrays)).network
    assert [(entry.name, entry.reads) for entry in network.nodes] == [
        ("front/conv", ("X",)),
        ("lstm", ("front/conv",)),
    ]
    with pytest.raises(UnsupportedCellError, match="'front/conv' of class Conv"):
        network.nodes[0].layer()


def test_weights_that_come_from_outside(tmp_path):
    arrays = weights()
    arrays.pop("W")
    inputs = (("X", (None, None, 3)), ("W", (1, 16, 3)))
    network = read_checkpoint(simple(tmp_path / "m.onnx", None, arrays, inputs)).network
    (entry,) = network.nodes
    assert isinstance(entry.layer, Unsupported)
    assert entry.layer.reason == "takes its W from 'W', which is no constant of the graph"


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"activations": ["Gelu", "Tanh", "Tanh"]}, "has the activation Gelu"),
        ({"activations": ["Sigmoid", "Tanh"]}, "names 2 activations, not 3"),
        ({"activations": ["Affine", "Tanh", "Tanh"]}, "Affine without its alpha and beta"),
        ({"hidden_size": 5}, "has weights of 4 units"),
        ({"direction": "bidirectional"}, "has weights of 1 directions, but is bidirectional"),
        ({"direction": "sideways"}, "has the direction 'sideways'"),
    ],
)
def test_nodes_that_cannot_be_honoured_say_why(tmp_path, attributes, reason):
    network = read_checkpoint(simple(tmp_path / "m.onnx", **attributes)).network
    assert reason in network.nodes[0].layer.reason


def test_both_branches_of_an_if_are_read(tmp_path):
    """As in models that hold one network for each sampling rate."""
    branches = {}
    for name, seed in (("then", 1), ("else", 2)):
        inner = [node("LSTM", ["X", "W", "R", "B"], ["Y"], "rnn")]
        branches[f"{name}_branch"] = graph(inner, (), [value("Y")], weights(seed=seed))
    made = graph(
        [node("If", ["fast"], ["Y"], "switch", **branches)],
        [value("X", (None, None, 3)), value("fast", ())],
        [value("Y")],
    )
    network = read_checkpoint(save(tmp_path / "m.onnx", made)).network
    names = [entry.name for entry in network.recurrent]
    assert names == ["switch/then/rnn", "switch/else/rnn"]
    kernels = [entry.recurrent.cell.weights.kernel for entry in network.recurrent]
    assert not np.array_equal(*kernels)
    assert all(entry.reads == ("X",) for entry in network.recurrent)


def test_weights_in_16_bits_are_widened_and_said(tmp_path):
    checkpoint = read_checkpoint(simple(tmp_path / "m.onnx", arrays=weights(dtype="f2")))
    assert checkpoint.network.recurrent[0].recurrent.cell.dtype == np.float32
    assert any("stored in 16 bits" in note for note in checkpoint.notes)


def test_weights_behind_a_dequantisation(tmp_path):
    arrays = weights()
    arrays["W"] = np.arange(-24, 24, dtype=np.int8).reshape(1, 16, 3)
    arrays["scale"] = np.array(0.25, "f4")
    nodes = [
        node("DequantizeLinear", ["W", "scale"], ["Wf"]),
        node("LSTM", ["X", "Wf", "R", "B"], ["Y"], "lstm"),
    ]
    network = read_checkpoint(simple(tmp_path / "m.onnx", nodes, arrays)).network
    kernel = network.recurrent[0].recurrent.cell.weights.kernel
    assert (kernel.min(), kernel.max()) == (-6.0, 5.75)


def test_a_model_without_recurrent_nodes_says_what_it_has(tmp_path):
    path = simple(tmp_path / "m.onnx", [node("Relu", ["X"], ["Y"])], {})
    with pytest.raises(UnsupportedCellError, match="Relu"):
        read_checkpoint(path)
    path = simple(
        tmp_path / "m.onnx", [node("DeepCpuAttnLstm", ["X"], ["Y"], domain="com.microsoft")], {}
    )
    with pytest.raises(UnsupportedCellError, match=r"com\.microsoft\.DeepCpuAttnLstm"):
        read_checkpoint(path)


def test_every_operator_has_its_cell():
    assert {"lstm", "gru", "simple_rnn"} <= set(CELLS)


def test_onnx_is_not_imported(tmp_path):
    before = "onnx" in sys.modules
    read_checkpoint(simple(tmp_path / "m.onnx"))
    assert ("onnx" in sys.modules) == before
