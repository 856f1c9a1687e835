"""ONNX Runtime runs what was written: outputs, final states, and c and m of every step."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from converting.sources import gru_before_reset, one_lstm, source

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.converting.plan import plan_levels
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.model.layers import BidirectionalMerge

SEQUENCES, TIMESTEPS = 3, 8
LENGTHS = np.array([8, 5, 1], np.int32)
MASK = np.arange(TIMESTEPS) < LENGTHS[:, None]

FAMILIES = [
    "keras 2", "keras 3", "keras 2 stack", "keras 2 hard_sigmoid", "keras backward", "torch gru",
    "torch relu", "torch stack, both ways, ids", "onnx lstm", "onnx gru", "onnx rnn",
    "onnx lengths", "tf1 stack",
]  # fmt: skip


def _expected(path, x, mask):
    """The states of every layer and what the last returns, layer after layer."""
    plan = plan_levels(read_checkpoint(path).network, (), path)
    states, values = {}, x
    for step in plan.steps:
        if step not in plan.levels:
            from rnnscope.model.signal import Signal

            values = step.layer(Signal(values, mask)).values
            continue
        parts = []
        for node, layer in zip(step.nodes, step.layers, strict=True):
            made = run_layer(layer, values.astype(layer.cell.dtype), mask)
            states[node.name] = made
            parts.append(made)
        values = parts[0].outputs
        if len(parts) == 2:
            from rnnscope.model.signal import Signal

            merge = BidirectionalMerge(step.merge or "concat")
            values = merge(*(Signal(part.outputs) for part in parts)).values
    return states, values


def _check(path, tmp_path, expected_dtype="float32"):
    out = tmp_path / "out.onnx"
    done = rnnscope.convert(path, "onnx", out, expose_states=True)
    onnx.checker.check_model(onnx.load(out), full_check=True)
    session = onnxruntime.InferenceSession(out)
    inputs = {one.name: one for one in session.get_inputs()}
    rng = np.random.default_rng(3)
    if inputs["x"].type == "tensor(int64)":
        x = rng.integers(1, 5, (SEQUENCES, TIMESTEPS))
    else:
        x = rng.normal(size=(SEQUENCES, TIMESTEPS, inputs["x"].shape[2])).astype(expected_dtype)
    feed, mask = {"x": x}, None
    if "lengths" in inputs:
        feed["lengths"], mask = LENGTHS, MASK
    states, outputs = _expected(path, x, mask)
    names = [one.name for one in session.get_outputs()]
    found = dict(zip(names, session.run(None, feed), strict=True))
    valid = np.ones((SEQUENCES, TIMESTEPS), bool) if mask is None else mask
    if any("from the end" in note for note in done.notes):
        outputs = outputs[:, ::-1]
    np.testing.assert_allclose(found["outputs"][valid], outputs[valid], rtol=0, atol=3e-6)
    for layer in done.layers:
        own = layer.written_as.replace("/", ".")
        for state, values in states[layer.name].states.items():
            np.testing.assert_allclose(
                found[f"{own}.{state}"][valid], values[valid], rtol=0, atol=3e-6
            )
        level, _, direction = layer.written_as.partition("/")
        for key, state in (("Y_h", "m"), ("Y_c", "c")):
            if state in states[layer.name].final:
                final = found[f"{level}.{key}"][1 if direction == "backward" else 0]
                np.testing.assert_allclose(
                    final, states[layer.name].final[state], rtol=0, atol=3e-6
                )
    return done


@pytest.mark.parametrize("family", FAMILIES)
def test_onnx_runtime_gives_the_sources_states(family, tmp_path):
    _check(source(family), tmp_path)


def test_a_gru_whose_reset_gate_comes_first(tmp_path):
    _check(gru_before_reset(tmp_path / "gru.h5"), tmp_path)


@pytest.mark.parametrize(
    ("version", "gates"), [("2.4.0", "hard_sigmoid"), ("3.0.0", "hard_sigmoid")]
)
def test_both_functions_called_hard_sigmoid_are_told_apart(version, gates, tmp_path):
    path = one_lstm(tmp_path / "m.h5", version, recurrent_activation=gates, activation="softsign")
    _check(path, tmp_path)
    slope = {"2.4.0": 0.2, "3.0.0": 1 / 6}[version]
    (lstm,) = [one for one in onnx.load(tmp_path / "out.onnx").graph.node if one.op_type == "LSTM"]
    given = {one.name: onnx.helper.get_attribute_value(one) for one in lstm.attribute}
    assert given["activations"] == [b"HardSigmoid", b"Softsign", b"Softsign"]
    assert given["activation_alpha"] == [pytest.approx(slope)]


def test_linear_activations_become_affine(tmp_path):
    _check(one_lstm(tmp_path / "m.h5", activation="linear"), tmp_path)
