"""Options that ONNX alone has, from one ONNX file into another: ONNX Runtime judges both."""

from __future__ import annotations

import numpy as np
import onnx_files
import onnxruntime
import pytest

import rnnscope

OPTIONS = {
    "plain": {},
    "clip": {"clip": 0.4},
    "coupled": {"input_forget": 1},
    "three activations": {"activations": ["Sigmoid", "Relu", "Softsign"]},
    "constants": {
        "activations": ["HardSigmoid", "ScaledTanh", "Elu"],
        "activation_alpha": [0.25, 1.5, 0.7],
        "activation_beta": [0.4, 0.6],
    },
    "affine": {
        "activations": ["Sigmoid", "Affine", "LeakyRelu"],
        "activation_alpha": [0.3, 0.1],
        "activation_beta": [0.05],
    },
}


def _run(path, x):
    """The outputs and final states of a model, whatever its axes are called."""
    session = onnxruntime.InferenceSession(path)
    names = [one.name for one in session.get_outputs()]
    feed = {session.get_inputs()[0].name: x}
    return dict(zip(names, session.run(None, feed), strict=True))


@pytest.mark.parametrize("peepholes", [False, True])
@pytest.mark.parametrize("case", OPTIONS)
def test_onnx_runtime_computes_the_same_from_both(case, peepholes, tmp_path):
    options = {"hidden_size": 4, **OPTIONS[case]}
    arrays = onnx_files.weights()
    inputs = ["X", "W", "R", "B"]
    if peepholes:
        arrays["P"] = np.random.default_rng(1).normal(size=(1, 12)).astype("f4")
        inputs += ["", "", "", "P"]
    node = onnx_files.node("LSTM", inputs, ["Y"], "lstm", **options)
    source = onnx_files.simple(tmp_path / "in.onnx", [node], arrays)
    done = rnnscope.convert(source, "onnx", tmp_path / "out.onnx", expose_states=True)
    x = np.random.default_rng(2).normal(size=(5, 2, 3)).astype("f4")
    wanted = _run(source, x)["Y"][:, 0].swapaxes(0, 1)
    found = _run(tmp_path / "out.onnx", x.swapaxes(0, 1))
    np.testing.assert_allclose(found["outputs"], wanted, rtol=0, atol=2e-6)
    name = done.layers[0].written_as
    np.testing.assert_allclose(found[f"{name}.m"], wanted, rtol=0, atol=2e-6)
    np.testing.assert_allclose(
        found[f"{name}.c"][:, -1], found[f"{name}.Y_c"][0], rtol=0, atol=2e-6
    )


@pytest.mark.parametrize("reset", [0, 1])
def test_both_grus_and_their_clip(reset, tmp_path):
    node = onnx_files.node(
        "GRU", ["X", "W", "R", "B"], ["Y"], "gru",
        hidden_size=4, linear_before_reset=reset, clip=0.7,
    )  # fmt: skip
    source = onnx_files.simple(tmp_path / "in.onnx", [node], onnx_files.weights("GRU"))
    rnnscope.convert(source, "onnx", tmp_path / "out.onnx")
    x = np.random.default_rng(2).normal(size=(5, 2, 3)).astype("f4")
    wanted = _run(source, x)["Y"][:, 0].swapaxes(0, 1)
    found = _run(tmp_path / "out.onnx", x.swapaxes(0, 1))["outputs"]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("keras", "'lstm' has gate_clip=0.4"),
        ("tf1", "'lstm' has gate_clip=0.4"),
        ("torch", "'lstm' has gate_clip=0.4"),
    ],
)
def test_a_clip_of_gates_is_onnx_alone(to, words, tmp_path):
    source = onnx_files.simple(tmp_path / "in.onnx", clip=0.4, hidden_size=4)
    with pytest.raises(rnnscope.RnnscopeError) as refused:
        rnnscope.convert(source, to, dry_run=True)
    assert refused.value.found == words
    assert refused.value.hint == "these could: to=onnx"


def test_a_coupled_gate_and_an_activation_of_c_are_onnx_alone(tmp_path):
    source = onnx_files.simple(
        tmp_path / "in.onnx",
        hidden_size=4,
        input_forget=1,
        activations=["Sigmoid", "Tanh", "Relu"],
    )
    with pytest.raises(rnnscope.RnnscopeError) as refused:
        rnnscope.convert(source, "keras", dry_run=True)
    assert refused.value.found == (
        "'lstm' has output_activation=relu beside activation=tanh; 'lstm' has a forget gate that "
        "is 1 - i (coupled)"
    )


def _learned(path, **options):
    """An LSTM of two directions that starts from constants."""
    rng = np.random.default_rng(6)
    arrays = onnx_files.weights(directions=2)
    arrays |= {key: rng.normal(size=(2, 1, 4)).astype("f4") for key in ("h", "c")}
    nodes = [
        onnx_files.node(
            "LSTM", ["X", "W", "R", "B", "", "hs", "cs"], ["Y"], "lstm",
            hidden_size=4, direction="bidirectional", **options,
        )
    ]  # fmt: skip
    arrays["shape"] = np.array([2, 3, 4])
    nodes[:0] = [
        onnx_files.node("Expand", [key, "shape"], [f"{key}s"], f"expand_{key}") for key in "hc"
    ]
    return onnx_files.simple(path, nodes, arrays)


def test_a_stored_start_goes_into_onnx_alone(tmp_path):
    """A learned initial state would be lost in weights alone."""
    source = _learned(tmp_path / "in.onnx")
    with pytest.raises(rnnscope.RnnscopeError) as refused:
        rnnscope.convert(source, "torch", dry_run=True)
    told = "'lstm' starts from values that the file holds: m, c (initial_state)"
    assert refused.value.found == told
    assert refused.value.hint == "these could: to=onnx"
    done = rnnscope.convert(source, "onnx", tmp_path / "out.onnx", expose_states=True)
    x = np.random.default_rng(2).normal(size=(5, 3, 3)).astype("f4")
    wanted = _run(source, x)["Y"]
    found = _run(tmp_path / "out.onnx", x.swapaxes(0, 1))
    for number, layer in enumerate(done.layers):
        own = layer.written_as.replace("/", ".")
        steps = wanted[:, number].swapaxes(0, 1)
        np.testing.assert_allclose(found[f"{own}.m"], steps, rtol=0, atol=2e-6)
    assert rnnscope.open_model(tmp_path / "out.onnx").layers["lstm/forward"]
