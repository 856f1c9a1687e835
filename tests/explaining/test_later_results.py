"""References that are not states at all: what a model makes of them behind its last layer."""

from __future__ import annotations

import numpy as np
import pytest
from explaining.real_cases import (
    ROOT,
    draw,
    keras_weights,
    program,
    save_safetensors,
    sigmoid,
    torch_weights,
)

import rnnscope

KERAS = ROOT / "sample_data" / "keras2_masked"
GATES = ("gate-order", "i o f g")


def readings(found):
    return [
        [(one["id"], one["value"]) for one in fit["reading"]] for fit in found.to_dict()["fits"]
    ]


def softmax(z):
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("logits", lambda z: z),
        ("logits of the last step", lambda z: z[:, -1]),
        ("probabilities of the last step", lambda z: softmax(z[:, -1])),
        ("log-probabilities of one sequence", lambda z: np.log(softmax(z[0, -1]))),
    ],
)
def test_a_dense_layer_that_torch_saved_beside_the_lstm(tmp_path, name, result):
    """A file of weights does not say what follows what: the widths do, and the numbers."""
    w_ih, w_hh, b_ih, b_hh = torch_weights(1, 3, 4)
    kernel, bias = draw(9, (5, 4), (5,))
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    arrays = dict(zip((f"rnn.{one}" for one in names), (w_ih, w_hh, b_ih, b_hh), strict=True))
    arrays |= {"fc.weight": kernel, "fc.bias": bias}
    path = save_safetensors(tmp_path / "tagger.safetensors", arrays)
    (x,) = draw(2, (2, 6, 3))
    m = np.stack([program(one, w_ih, w_hh, b_ih + b_hh, "iofg")["m"] for one in x])
    found = rnnscope.explain(path, x, result(m @ kernel.T + bias))
    assert readings(found) == [[GATES]]


def dense_of_keras(blocks, *, mask):
    """What Dense(1) gives of each sequence, its last valid step or its last of all."""
    w_ih, w_hh, bias = keras_weights(KERAS / "model.h5", "lstm/")
    kernel, offset = keras_weights(KERAS / "model.h5", "dense/")
    rows = []
    for one in np.load(KERAS / "inputs.npz")["x"]:
        steps = int((np.abs(one).sum(axis=1) > 0).sum()) if mask else len(one)
        rows.append(program(one[:steps], w_ih, w_hh, bias, blocks)["m"][-1])
    return sigmoid(np.stack(rows) @ kernel.T + offset)


@pytest.mark.parametrize(
    ("blocks", "mask", "reading"),
    [
        ("ifgo", True, []),
        ("igfo", True, [("gate-order", "i g f o")]),
        ("ifgo", False, [("mask", "ignored")]),
        ("igfo", False, [("gate-order", "i g f o"), ("mask", "ignored")]),
    ],
)
def test_one_probability_of_each_sequence_in_a_model_of_keras(blocks, mask, reading):
    """Three numbers are all there is, and enough."""
    reference = dense_of_keras(blocks, mask=mask)
    assert reference.shape == (3, 1)
    found = rnnscope.explain(KERAS / "model.h5", KERAS / "inputs.npz", reference, budget=60)
    assert readings(found) == [reading]
