"""tf.keras layers in a graph of TensorFlow 1: the step before their loop is not the layer."""

from pathlib import Path

import numpy as np

import rnnscope

DATA = Path(__file__).parents[2] / "data/keras_in_tf1"


def test_layers_are_the_loops_not_the_step_before_them():
    with np.load(DATA / "truth.npz") as file:
        truth = dict(file)
    with rnnscope.run(DATA / "model.ckpt", truth["x"]) as trace:
        layers = trace.layers
        assert set(layers) == {"gru", "rnn", "rnn/kernel_1"}
        for name, outputs in (("gru", "gru"), ("rnn/kernel_1", "stack")):
            np.testing.assert_allclose(layers[name].outputs[...], truth[outputs], atol=1e-6)
            np.testing.assert_allclose(
                layers[name].final["m"], truth[f"final_{outputs}"], atol=1e-6
            )
        for state in ("c", "m"):
            np.testing.assert_allclose(
                layers["rnn"].final[state], truth[f"final_lstm_{state}"], atol=1e-6
            )


def test_each_layer_is_proved_on_all_of_its_steps():
    model = rnnscope.open_model(DATA / "model.ckpt")
    evidence = [node.recurrent.evidence for node in model.checkpoint.network.recurrent]
    assert {(one.kind, one.steps) for one in evidence} == {("proved", 4)}
    assert "in 2 places" not in " ".join(model.checkpoint.notes)
