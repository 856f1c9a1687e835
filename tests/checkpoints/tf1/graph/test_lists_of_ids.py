"""TensorFlow's seq2seq functions of old, which take a list of ids: a placeholder a step."""

from pathlib import Path

import numpy as np
import pytest

import rnnscope

DATA = Path(__file__).parents[3] / "data" / "legacy_seq2seq"


@pytest.mark.parametrize("name", ["taught", "fed_back"])
def test_encoder_and_decoder_are_tensorflows(name, tmp_path):
    with np.load(DATA / "truth.npz") as file:
        truth = dict(file)
    given = tmp_path / "ids.npz"
    np.savez(given, ids=truth["source"], target=truth["target"])
    with rnnscope.run(DATA / f"{name}.pb", given, decoder_inputs=f"{given}::target") as trace:
        encoder, decoder = trace.layers.values()
        assert encoder.m.shape == (3, 6, 5)
        assert decoder.m.shape == (3, 4, 5)
        for state in decoder.final:
            np.testing.assert_allclose(decoder.final[state], truth[f"{name}_{state}"], atol=1e-6)
        for layer in trace.report.layers:
            assert layer.evidence.kind == "proved"


def test_steps_that_all_read_one_placeholder_are_no_sequence_of_it(tf, tf1):
    """What a step reads has to be its own: else each would be fed what only the first one is."""

    def build():
        ids = tf1.v1.placeholder("int32", (None,), "ids")
        x = tf.nn.embedding_lookup(tf1.v1.get_variable("table", (9, 3)), ids)
        return tf1.v1.nn.static_rnn(tf1.cell(4), [x] * 4, dtype="float32")[0]

    prefix, _ = tf1.save(build)
    notes = " ".join(rnnscope.open_model(prefix).checkpoint.notes)
    assert "reads another x than 'table'" in notes
