"""Exports of Keras whose variables do not name directions, against Keras' own outputs.

A model that is a class of its own exports `model/kernel`, not `bidirectional/backward_lstm/…`:
which layer is turned back stands in the graph alone. It exports ids as floats, too, and casts them.
"""

from __future__ import annotations

import numpy as np
import pytest

import rnnscope

RNG = np.random.default_rng(31)
X = RNG.normal(size=(3, 6, 4)).astype(np.float32)
IDS = RNG.integers(1, 9, (3, 6)).astype(np.int32)
IDS_WITH_PADDING = np.where(np.arange(6) < [[6], [4], [3]], IDS, 0)


@pytest.fixture(scope="module")
def keras(tf):
    return pytest.importorskip("keras")


def shaken(model, x):
    """A model that was called once, with other weights than Keras begins with."""
    model(x)
    for weight in model.weights:
        if len(weight.shape) and "float" in str(weight.dtype):
            weight.assign(RNG.normal(size=weight.shape).astype(np.float32) * 0.5)
    return model


def returned(folder, x):
    """What each layer returns that rnnscope reads in an export, in the order of the network."""
    with rnnscope.run(folder, x, ids=x.ndim == 2) as trace:
        return {name: layer.outputs[...] for name, layer in trace.layers.items()}


@pytest.mark.parametrize("given", ["features", "ids", "padded ids"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_what_reads_both_directions_of_a_class_of_ones_own(keras, tmp_path, kind, given):
    layers = keras.layers

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            if given != "features":
                self.table = layers.Embedding(9, 4, mask_zero=given == "padded ids")
            self.both = layers.Bidirectional(getattr(layers, kind)(5, return_sequences=True))
            self.top = layers.GRU(3, return_sequences=True)

        def call(self, x):
            return self.top(self.both(x if given == "features" else self.table(x)))

    x = {"features": X, "ids": IDS, "padded ids": IDS_WITH_PADDING}[given]
    model = shaken(Model(), x)
    model.export(tmp_path / "export", verbose=False)
    found = returned(tmp_path / "export", x)
    forward, backward, top = found.values()
    both = np.asarray(model.both(x if given == "features" else model.table(x)))
    np.testing.assert_allclose(forward, both[..., :5], atol=5e-6)
    np.testing.assert_allclose(backward, both[..., 5:], atol=5e-6)
    np.testing.assert_allclose(top, np.asarray(model(x)), atol=5e-6)


def test_layers_behind_one_that_goes_backwards_read_it_as_it_returns(keras, tmp_path):
    layers = keras.layers
    stack = [
        layers.LSTM(5, go_backwards=True, return_sequences=True),
        layers.LSTM(4, return_sequences=True),
        layers.GRU(3, return_sequences=True),
    ]
    model = shaken(keras.Sequential([keras.Input((6, 4)), *stack]), X)
    model.export(tmp_path / "export", verbose=False)
    value = X
    for layer, found in zip(stack, returned(tmp_path / "export", X).values(), strict=True):
        value = np.asarray(layer(value))
        np.testing.assert_allclose(found, value, atol=5e-6)
    nodes = rnnscope.open_model(tmp_path / "export").network.recurrent
    assert [node.recurrent.backward.value for node in nodes] == [True, False, False]


def test_what_is_turned_back_by_hand_is_returned_in_the_order_of_the_input(tf, keras, tmp_path):
    """Outputs that the model turns are so returned; those that it leaves come as they are made."""
    layers = keras.layers

    class Model(keras.Model):
        def __init__(self, *, turns):
            super().__init__()
            self.turns = turns
            self.back = layers.LSTM(5, go_backwards=True, return_sequences=True)

        def call(self, x):
            made = self.back(x)
            return tf.reverse(made, [1]) if self.turns else made

    for turns in (False, True):
        model = shaken(Model(turns=turns), X)
        model.export(tmp_path / str(turns), verbose=False)
        (found,) = returned(tmp_path / str(turns), X).values()
        np.testing.assert_allclose(found, np.asarray(model(X)), atol=5e-6)
