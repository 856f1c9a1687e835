"""The fused LSTMs of TensorFlow Lite against its own kernels: every variant, every step."""

from pathlib import Path

import numpy as np
import pytest
from lite_files import (
    LSTM_INPUTS,
    STATES,
    LiteFile,
    add_weights,
    eight_bits,
    interpreted,
    lstm_weights,
    states,
)

import rnnscope
from rnnscope.checkpoints import read_checkpoint

INPUTS, UNITS, STEPS = 5, 6, 4
OPTIONS = "UnidirectionalSequenceLSTMOptions"
BOTH = "BidirectionalSequenceLSTMOptions"
TANH = 4


def one_direction(path, weights, steps=STEPS, **options):
    """A file of one operator; its path, and the numbers of the outputs and of c."""
    file = LiteFile()
    units, inputs = _array(weights["kernel_f"]).shape
    out = len(_array(weights["projection"])) if "projection" in weights else units
    time_major = options.get("timeMajor", False)
    shape = (steps, 1) if time_major else (1, steps)
    x = file.tensor("x", (*shape, inputs))
    places = add_weights(file, weights) | states(file, 1, units, out)
    y = file.tensor("y", (*shape, out))
    every = [x, *([-1] * 23)]
    for role, place in places.items():
        every[LSTM_INPUTS[role]] = place
    options = {"fusedActivationFunction": TANH, "cellClip": 0.0, "projClip": 0.0, **options}
    file.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", every, [y], OPTIONS, version=3, **options)
    return file.write(path, [x], [y]), y, places["state_c"]


def _array(weight):
    return weight[0] if isinstance(weight, tuple) else weight


VARIANTS = {
    "plain": ({}, {}),
    "clipped": ({}, {"cellClip": 0.3}),
    "peepholes": ({"peepholes": True}, {}),
    "projected": ({"proj": 3}, {"projClip": 0.25, "cellClip": 0.5}),
    "projected with a bias": ({"proj": 3, "proj_bias": True}, {}),
    "coupled": ({"coupled": True}, {}),
    "coupled with peepholes and a clip": ({"coupled": True, "peepholes": True}, {"cellClip": 0.4}),
    "normalised": ({"norm": True}, {}),
    "normalised with all": (
        {"norm": True, "peepholes": True, "proj": 4, "proj_bias": True}, {"cellClip": 0.5},
    ),
    "relu": ({}, {"fusedActivationFunction": 1}),
    "relu6": ({}, {"fusedActivationFunction": 3}),
}  # fmt: skip
"""By name: what is drawn, and the options."""

KINDS = {"plain": "lstm", "clipped": "lstm", "peepholes": "lstm", "projected": "lstm",
         "coupled": "coupled_lstm", "relu": "lstm"}  # fmt: skip
"""Variants that are cells of rnnscope; the others are stepped as the operator is defined."""


def held_to_the_kernel(tmp_path, weights, limit, **options):
    """Outputs of all steps, and c after every prefix, as the interpreter has them."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(3, STEPS, INPUTS)).astype(np.float32)
    x[1, 2:] = 0
    path, y, _ = one_direction(tmp_path / "whole.tflite", weights, **options)
    trace = rnnscope.run(path, x)
    (layer,) = trace.layers.values()
    outputs = interpreted(path, x, [y])[y]
    np.testing.assert_allclose(layer.outputs[...], outputs, atol=limit)
    for steps in (1, STEPS - 1, STEPS):
        part, _, c = one_direction(tmp_path / f"{steps}.tflite", weights, steps, **options)
        true = interpreted(part, x[:, :steps], [c])[c]
        np.testing.assert_allclose(layer.c[:, steps - 1], true, atol=limit)
    trace.close()
    return read_checkpoint(path).network.recurrent[0].recurrent


@pytest.mark.parametrize("variant", VARIANTS)
def test_floats(tmp_path, variant):
    drawn, options = VARIANTS[variant]
    weights = lstm_weights(np.random.default_rng(1), INPUTS, UNITS, **drawn)
    layer = held_to_the_kernel(tmp_path, weights, 2e-6, **options)
    kind = KINDS.get(variant, "graph")
    assert layer.cell.kind == kind
    assert layer.evidence.kind == ("by operator" if kind == "graph" else "proved")


@pytest.mark.parametrize("asymmetric", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_eight_bit_weights(tmp_path, variant, asymmetric):
    """Each row of x and of m is quantised by its own range, symmetric or not."""
    drawn, options = VARIANTS[variant]
    weights = eight_bits(lstm_weights(np.random.default_rng(2), INPUTS, UNITS, **drawn))
    options = {**options, "asymmetricQuantizeInputs": asymmetric}
    layer = held_to_the_kernel(tmp_path, weights, 5e-6, **options)
    assert layer.cell.source_class == "TensorFlow Lite LSTM (hybrid)"


def test_what_is_quantised_matters(tmp_path):
    """Floats in the place of 8-bit numbers would be far beyond the limit of the test above."""
    drawn = lstm_weights(np.random.default_rng(2), INPUTS, UNITS)
    x = np.random.default_rng(7).normal(size=(3, STEPS, INPUTS)).astype(np.float32)
    hybrid, y, _ = one_direction(tmp_path / "hybrid.tflite", eight_bits(drawn))
    real = {role: one[0] * np.float32(one[1]) if isinstance(one, tuple) else one
            for role, one in eight_bits(drawn).items()}  # fmt: skip
    floats, _, _ = one_direction(tmp_path / "floats.tflite", real)
    apart = np.abs(interpreted(hybrid, x, [y])[y] - interpreted(floats, x, [y])[y]).max()
    assert apart > 1e-3


def test_both_directions(tmp_path):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, STEPS, INPUTS)).astype(np.float32)
    for merged in (True, False):
        file = LiteFile()
        entry = file.tensor("x", (1, STEPS, INPUTS))
        every = [entry, *([-1] * 47)]
        for at, (way, first) in enumerate((("fw", 0), ("bw", 17))):
            weights = lstm_weights(rng, INPUTS, UNITS, peepholes=True)
            places = add_weights(file, weights, f"{way}/")
            for role, place in places.items():
                every[LSTM_INPUTS[role] + first] = place
            for number, place in enumerate(states(file, 1, UNITS, UNITS, f"{way}/").values()):
                every[35 + 2 * at + number] = place
        widths = (2 * UNITS,) if merged else (UNITS, UNITS)
        ends = [file.tensor(f"y{n}", (1, STEPS, width)) for n, width in enumerate(widths)]
        file.operator("BIDIRECTIONAL_SEQUENCE_LSTM", every, ends, BOTH, version=3, cellClip=0.0,
                      projClip=0.0, fusedActivationFunction=TANH, mergeOutputs=merged,
                      timeMajor=False)  # fmt: skip
        path = file.write(tmp_path / f"{merged}.tflite", [entry], ends)
        true = interpreted(path, x, ends)
        outputs = np.concatenate([true[end] for end in ends], axis=-1)
        trace = rnnscope.run(path, x)
        forward, backward = (trace.layers[f"y0/{way}"] for way in ("forward", "reverse"))
        np.testing.assert_allclose(forward.m[...], outputs[..., :UNITS], atol=2e-6)
        np.testing.assert_allclose(backward.m[...], outputs[..., UNITS:], atol=2e-6)
        np.testing.assert_array_equal(backward.final["m"], backward.m[:, 0])
        trace.close()


@pytest.mark.parametrize("activation", [1, TANH])
def test_simple_rnn(tmp_path, activation):
    rng = np.random.default_rng(3)
    file = LiteFile()
    entry, end = file.tensor("x", (1, STEPS, INPUTS)), file.tensor("y", (1, STEPS, UNITS))
    arrays = [rng.normal(scale=0.4, size=shape).astype(np.float32)
              for shape in ((UNITS, INPUTS), (UNITS, UNITS), (UNITS,))]  # fmt: skip
    held = [file.tensor(f"w{n}", array.shape, array) for n, array in enumerate(arrays)]
    state = file.tensor("state", (1, UNITS), variable=True)
    file.operator("UNIDIRECTIONAL_SEQUENCE_RNN", [entry, *held, state], [end],
                  "SequenceRNNOptions", timeMajor=False,
                  fusedActivationFunction=activation)  # fmt: skip
    path = file.write(tmp_path / "m.tflite", [entry], [end])
    x = rng.normal(size=(3, STEPS, INPUTS)).astype(np.float32)
    with rnnscope.run(path, x) as trace:
        (layer,) = trace.layers.values()
        np.testing.assert_allclose(layer.outputs[...], interpreted(path, x, [end])[end], atol=2e-6)
    assert read_checkpoint(path).network.recurrent[0].recurrent.evidence.kind == "proved"


def test_time_major(tmp_path):
    weights = lstm_weights(np.random.default_rng(4), INPUTS, UNITS)
    path, _, _ = one_direction(tmp_path / "m.tflite", weights, timeMajor=True)
    x = np.random.default_rng(5).normal(size=(STEPS, 1, INPUTS)).astype(np.float32)
    trace = rnnscope.run(path, x.swapaxes(0, 1))
    (layer,) = trace.layers.values()
    other, z, _ = one_direction(tmp_path / "n.tflite", weights)
    true = interpreted(other, x.swapaxes(0, 1), [z])[z]
    np.testing.assert_allclose(layer.outputs[...], true, atol=2e-6)
    trace.close()


def test_no_state_but_a_variable_is_taken_for_zeros(tmp_path):
    """The interpreter keeps its variables; a note says that a run begins anew."""
    weights = lstm_weights(np.random.default_rng(1), INPUTS, UNITS)
    path, *_ = one_direction(tmp_path / "m.tflite", weights)
    assert any("reset_all_variables" in note for note in read_checkpoint(path).notes)
    assert set(STATES) == {"state_m", "state_c"}
    assert isinstance(path, Path)
