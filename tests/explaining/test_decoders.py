"""Decoders with inputs of their own, which start from the final state of an encoder."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from explaining.real_cases import draw, program

import rnnscope
from rnnscope.errors import UnsupportedCellError

FEATURES, UNITS = 4, 4  # equal, so that the decoder may read what it returned
RNG = np.random.default_rng(8)
X = RNG.normal(size=(3, 6, FEATURES)).astype("f4")
Y = RNG.normal(size=(3, 5, FEATURES)).astype("f4")
NAMES = ("encoder", "decoder")
WEIGHTS = {
    name: draw(40 + place, (FEATURES, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,))
    for place, name in enumerate(NAMES)
}


def layer(class_name, name, reads=(), **config):
    inbound = [[[one, 0, index, {}] for one, index in reads]] if reads else []
    return {"class_name": class_name, "name": name, "config": {"name": name, **config},
            "inbound_nodes": inbound}  # fmt: skip


@pytest.fixture
def model(tmp_path):
    """What Keras 2 writes of the usual training model of a translator."""
    lstm = {
        "units": UNITS, "activation": "tanh", "recurrent_activation": "sigmoid",
        "return_sequences": True, "return_state": True,
    }  # fmt: skip
    shape = [None, None, FEATURES]
    layers = [
        layer("InputLayer", "x", batch_input_shape=shape, dtype="float32"),
        layer("InputLayer", "y", batch_input_shape=shape, dtype="float32"),
        layer("LSTM", "encoder", [("x", 0)], **lstm),
        layer("LSTM", "decoder", [("y", 0), ("encoder", 1), ("encoder", 2)], **lstm),
    ]
    config = {
        "name": "model", "layers": layers, "input_layers": [["x", 0, 0], ["y", 0, 0]],
        "output_layers": [["decoder", 0, 0]],
    }  # fmt: skip
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        text = json.dumps({"class_name": "Model", "config": config})
        file.attrs["model_config"] = np.bytes_(text.encode())
        file.attrs["keras_version"] = np.bytes_(b"2.4.0")
        for name, arrays in WEIGHTS.items():
            group = file.create_group(f"model_weights/{name}")
            keys = [f"{name}/lstm_cell/{one}:0" for one in ("kernel", "recurrent_kernel", "bias")]
            group.attrs["weight_names"] = np.array(keys, "S")
            for key, array in zip(keys, arrays, strict=True):
                group[key] = array
    np.save(tmp_path / "y.npy", Y)
    return path


def states(*, blocks="ifgo", handed=lambda c, m: (c, m), scale=1.0):
    """C and m of both layers, by the judge's own loop."""
    found = {}
    rows = []
    for x, y in zip(X, Y, strict=True):
        kernel, recurrent, bias = WEIGHTS["encoder"]
        encoder = program(x * scale, kernel.T, recurrent.T, bias, blocks)
        start = handed(encoder["c"][-1], encoder["m"][-1])
        kernel, recurrent, bias = WEIGHTS["decoder"]
        decoder = program(y * scale, kernel.T, recurrent.T, bias, blocks, start=start)
        rows.append({"encoder": encoder, "decoder": decoder})
    for name in NAMES:
        for state in "cm":
            found[f"{name}/{state}"] = np.stack([row[name][state] for row in rows]).astype("f4")
    return found


def explained(model, reference, **options):
    found = rnnscope.explain(
        model, X, reference, decoder_inputs=str(model.parent / "y.npy"), **options
    )
    return [{one.id: one.value for one in fit.reading} for fit in found.fits]


@pytest.mark.parametrize(
    ("made", "reading"),
    [
        ({}, {}),
        ({"blocks": "iofg"}, {"gate-order": "i o f g"}),
        ({"scale": 0.5}, {"input-scale": "factor 0.5"}),
        ({"handed": lambda c, m: (0 * c, 0 * m)}, {"initial-state": "zeros"}),
        ({"handed": lambda c, m: (m, c)}, {"state-order": "c and m swapped at the start"}),
        (
            {"handed": lambda c, m: (m, c), "blocks": "iofg"},
            {"gate-order": "i o f g", "state-order": "c and m swapped at the start"},
        ),
    ],
)
def test_both_layers_are_explained(model, made, reading):
    assert explained(model, states(**made)) == [reading]


def test_the_decoder_alone_is_enough(model):
    reference = {key: array for key, array in states(blocks="igfo").items() if "decoder" in key}
    assert explained(model, reference) == [{"gate-order": "i g f o"}]


def test_layers_without_known_names_are_told_by_their_steps(model):
    """The decoder first, under names that say nothing."""
    made = states()
    reference = {
        f"{ours}/{state}": made[f"{theirs}/{state}"]
        for ours, theirs in (("second", "decoder"), ("first", "encoder"))
        for state in "cm"
    }
    assert explained(model, reference) == [{}]


def test_a_decoder_with_another_start_is_not_explained_by_something_else(model):
    """The encoder agrees, and the decoder from its first step on does not."""
    reference = states(handed=lambda c, m: (c - m, c[::-1] * m))
    found = rnnscope.explain(
        model, X, reference, decoder_inputs=str(model.parent / "y.npy"), budget=2
    )
    assert found.fits == ()
    words = " ".join(found.nearest[0].words)
    assert "encoder c, encoder m agree" in words
    assert "decoder c: differs from its first step on" in words


def test_a_decoder_that_feeds_itself_is_refused(model):
    with pytest.raises(UnsupportedCellError, match="decoder that feeds itself"):
        explained(model, states(), loop_function="identity")


@pytest.mark.parametrize(("loop", "proposed"), [("none", True), ("identity", False)])
def test_a_diff_proposes_to_explain_what_is_explained_alone(model, tmp_path, loop, proposed):
    trace, reference = tmp_path / "t.h5", tmp_path / "theirs.npz"
    np.save(tmp_path / "x.npy", X)
    rnnscope.run(
        model, tmp_path / "x.npy", output=trace, decoder_inputs=str(model.parent / "y.npy"),
        loop_function=loop,
    ).close()  # fmt: skip
    np.savez(reference, **states(blocks="iofg"))
    assert bool(rnnscope.diff(trace, reference).explain) is proposed
