"""DynamicQuantizeLSTM against ONNX Runtime with one thread: every variant of its weights."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import rnnscope
from rnnscope.checkpoints import read_checkpoint

INPUTS, UNITS, STEPS, SEQUENCES = 4, 3, 6, 8


def quantised(rng, rows, directions, *, signed, columns):
    """Random weights (direction, row, 4·unit) as 8-bit numbers, their scales and zeros."""
    real = rng.normal(scale=0.6, size=(directions, rows, 4 * UNITS)).astype(np.float32)
    over = (1,) if columns else (1, 2)
    if signed:
        # Seven bits: on a CPU that has AVX2 alone, ONNX Runtime's sums of two products of signed
        # weights end at 32,767, and it gives other states than on others.
        scale = np.abs(real).max(axis=over) / 63
        zero = np.zeros(scale.shape, np.int8)
    else:
        low, high = np.minimum(real.min(axis=(1, 2)), 0), np.maximum(real.max(axis=(1, 2)), 0)
        scale = (high - low) / 255
        zero = np.rint(-low / scale).astype(np.uint8)
        if columns:
            scale = np.repeat(scale[:, None], 4 * UNITS, axis=1)
            zero = np.repeat(zero[:, None], 4 * UNITS, axis=1)
    shape = (directions, 1, -1)
    numbers = np.rint(real / scale.reshape(shape)) + zero.reshape(shape)
    bounds = np.iinfo(zero.dtype)
    numbers = np.clip(numbers, bounds.min, bounds.max).astype(zero.dtype)
    return numbers, scale.astype(np.float32), zero


def model(path, *, direction="forward", signed=True, columns=False, lengths=False, start=False,
          peepholes=False, **attributes):  # fmt: skip
    rng = np.random.default_rng(1)
    directions = 2 if direction == "bidirectional" else 1
    w, w_scale, w_zero = quantised(rng, INPUTS, directions, signed=signed, columns=columns)
    r, r_scale, r_zero = quantised(rng, UNITS, directions, signed=signed, columns=columns)
    arrays = {
        "W": w, "R": r, "B": rng.normal(size=(directions, 8 * UNITS)).astype(np.float32),
        "h": rng.normal(size=(directions, SEQUENCES, UNITS)).astype(np.float32),
        "c": rng.normal(size=(directions, SEQUENCES, UNITS)).astype(np.float32),
        "P": rng.normal(size=(directions, 3 * UNITS)).astype(np.float32),
        "W_scale": w_scale, "W_zero": w_zero, "R_scale": r_scale, "R_zero": r_zero,
    }  # fmt: skip
    names = ["X", "W", "R", "B", "lengths" if lengths else "", "h" if start else "",
             "c" if start else "", "P" if peepholes else "", "W_scale", "W_zero", "R_scale",
             "R_zero"]  # fmt: skip
    node = helper.make_node(
        "DynamicQuantizeLSTM", names, ["Y", "Y_h", "Y_c"], "lstm", domain="com.microsoft",
        hidden_size=UNITS, direction=direction, **attributes,
    )  # fmt: skip
    inputs = [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["t", "b", INPUTS])]
    if lengths:
        inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, ["b"]))
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
               for name in ("Y", "Y_h", "Y_c")]  # fmt: skip
    graph = helper.make_graph(
        [node], "g", inputs, outputs,
        [numpy_helper.from_array(arrays[name], name) for name in names if name in arrays],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 14), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def runtime(path, given):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, given)


VARIANTS = {
    "signed": {},
    "unsigned": {"signed": False},
    "a scale for every column": {"columns": True},
    "unsigned columns": {"signed": False, "columns": True},
    "both ways": {"direction": "bidirectional"},
    "backwards": {"direction": "reverse"},
    "lengths": {"lengths": True, "direction": "bidirectional"},
    "given states": {"start": True},
    "peepholes": {"peepholes": True},
    "coupled": {"input_forget": 1},
    "clipped": {"clip": 0.7},
    "activations": {"activations": ["HardSigmoid", "Relu", "Tanh"]},
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_states(tmp_path, variant):
    chosen = VARIANTS[variant]
    path = model(tmp_path / "m.onnx", **chosen)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(SEQUENCES, STEPS, INPUTS)).astype(np.float32)
    given, options = {"X": x.swapaxes(0, 1)}, {}
    if chosen.get("lengths"):
        options["lengths"] = rng.integers(1, STEPS, SEQUENCES)
        given["lengths"] = options["lengths"].astype(np.int32)
        x[0, -1] = 40  # beyond all lengths: no range may see it
    y, h, c = runtime(path, given)
    trace = rnnscope.run(path, x, **options)
    layers = list(trace.layers.values())
    assert len(layers) >= y.shape[1]
    for number in range(y.shape[1]):
        layer = layers[number]
        np.testing.assert_allclose(layer.outputs[...], y[:, number].swapaxes(0, 1), atol=2e-6)
        np.testing.assert_allclose(layer.final["m"], h[number], atol=2e-6)
        np.testing.assert_allclose(layer.final["c"], c[number], atol=2e-6)
    trace.close()


def test_more_sequences_than_a_slice_has(tmp_path):
    """All are computed at once. Of so many numbers one may lie where rounding turns."""
    path = model(tmp_path / "m.onnx")
    x = np.random.default_rng(3).normal(size=(300, STEPS, INPUTS)).astype(np.float32)
    y = runtime(path, {"X": x.swapaxes(0, 1)})[0][:, 0].swapaxes(0, 1)
    with rnnscope.run(path, x) as trace:
        apart = np.abs(trace.layers["lstm"].outputs[...] - y)
    assert np.quantile(apart, 0.9) < 2e-6
    assert apart.max() < 0.02


def test_sequences_depend_on_each_other(tmp_path):
    """The range of all of x decides what each number becomes; a run alone gives other states."""
    path = model(tmp_path / "m.onnx")
    x = np.random.default_rng(2).normal(size=(3, STEPS, INPUTS)).astype(np.float32)
    x[2] *= 30
    with rnnscope.run(path, x) as together, rnnscope.run(path, x[:1]) as alone:
        apart = np.abs(together.layers["lstm"].m[:1] - alone.layers["lstm"].m[...]).max()
    assert apart > 1e-3
    y = runtime(path, {"X": x[:1].swapaxes(0, 1)})[0]
    with rnnscope.run(path, x[:1]) as alone:
        np.testing.assert_allclose(alone.layers["lstm"].m[...], y[:, 0].swapaxes(0, 1), atol=2e-6)


def test_how_it_is_known(tmp_path):
    layer = read_checkpoint(model(tmp_path / "m.onnx")).network.recurrent[0].recurrent
    assert layer.evidence.kind == "by operator"
    assert dict(layer.cell.options.items())["quantisation"].detail.endswith("with one thread")
    assert layer.cell.variables == ("W", "R", "B", "W_scale", "W_zero", "R_scale", "R_zero")
