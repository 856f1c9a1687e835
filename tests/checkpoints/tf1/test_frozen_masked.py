"""A masked LSTM of Keras in frozen graphs: the cell outside its loop is not the layer."""

from pathlib import Path

import numpy as np
import pytest

import rnnscope

DATA = Path(__file__).parents[2] / "data/frozen_masked"


@pytest.mark.parametrize("name", ["lowered", "functions"])
def test_outputs_are_those_of_keras(name):
    with np.load(DATA / "truth.npz") as truth, rnnscope.run(DATA / f"{name}.pb", truth["x"]) as run:
        (layer,) = run.layers.values()
        np.testing.assert_allclose(layer.outputs[...], truth["y"], atol=1e-6)
        held = layer.m[1, 4]
        np.testing.assert_array_equal(layer.m[1, 5:], np.broadcast_to(held, (2, 5)))
