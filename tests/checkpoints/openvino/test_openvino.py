"""OpenVINO's IRs: states equal to those that OpenVINO computes, two versions of it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from checkpoint_truth import DATA

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import RnnscopeError, UnsupportedCellError

FOLDER = DATA / "openvino"
CLOSE = {"atol": 3e-6, "rtol": 0}


def cases():
    for version in ("new", "old"):
        with np.load(FOLDER / ("old" if version == "old" else "") / "truth.npz") as truth:
            for name in sorted({key.split(":")[0] for key in truth}):
                if name not in ("converted", "lstm_lengths", "keras_lstm", "keras_gru"):
                    yield pytest.param(version, name, id=f"{name}-{version}")


def truth_of(name, version="new"):
    folder = FOLDER / ("old" if version == "old" else "")
    with np.load(folder / "truth.npz") as truth:
        own = {key.split(":", 1)[1]: truth[key] for key in truth if key.startswith(f"{name}:")}
    return folder / f"{name}.xml", own


@pytest.mark.parametrize(("version", "name"), [*cases()])
def test_states_are_openvinos_own(version, name):
    path, truth = truth_of(name, version)
    with rnnscope.run(path, truth.pop("x")) as trace:
        for key, expected in truth.items():
            layer, state = key.rsplit(":", 1)
            np.testing.assert_allclose(getattr(trace.layers[layer], state), expected, **CLOSE)


def test_lengths_are_those_of_an_input():
    path, truth = truth_of("lstm_lengths")
    with rnnscope.run(path, truth["x"], lengths=truth["given:lengths"].tolist()) as trace:
        states = trace.layers["back"]
        np.testing.assert_allclose(states.outputs, truth["back:outputs"], **CLOSE)
        np.testing.assert_allclose(states.final["m"], truth["back:final_m"], **CLOSE)
        np.testing.assert_allclose(states.final["c"], truth["back:final_c"], **CLOSE)


def test_what_stands_in_front_and_behind_is_computed():
    """An embedding and a convolution in front, a stack of two directions, a dense layer behind."""
    path, truth = truth_of("converted")
    checkpoint = read_checkpoint(path)
    top = checkpoint.network.recurrent[-1].name.rsplit("/", 1)[0]
    with rnnscope.run(path, truth["x"], ids=True) as trace:
        both = [np.array(trace.layers[f"{top}/{word}"].m) for word in ("forward", "backward")]
    # The weights are stored in 16 bits; OpenVINO widens them as we do.
    np.testing.assert_allclose(np.concatenate(both, -1), truth["top"], atol=2e-5)
    assert any("16 bits" in note for note in checkpoint.notes)


@pytest.mark.parametrize(("name", "states"), [("keras_lstm", 2), ("keras_gru", 1)])
def test_a_loop_that_fills_an_array_row_by_row(name, states):
    """TensorFlow's form of a layer: the array of all outputs is no state, m is."""
    path, truth = truth_of(name)
    with rnnscope.run(path, truth["x"]) as trace:
        (layer,) = trace.layers.values()
        assert len(layer.final) == states
        np.testing.assert_allclose(layer.m, truth["m"], **CLOSE)


def test_inspect_tells_it_in_openvinos_words():
    layers = {node.name: node.recurrent for node in
              read_checkpoint(FOLDER / "lstm_bidirectional.xml").network.recurrent}  # fmt: skip
    layer = layers["both/backward"]
    assert layer.cell.source_class == "OpenVINO LSTMSequence"
    assert layer.cell.stored_gate_order == "f i g o"
    assert layer.cell.options.gate_clip.value == 0.7
    assert layer.state_format.value == "outputs (Ho, Co)"
    assert layer.lengths.value.kind == "unused"
    assert str(layer.evidence).startswith("proved on 3 random steps")
    assert "ONNX" not in " ".join(option.detail for _, option in layer.options())


def test_a_loop_of_one_cell_is_that_layer_and_another_is_evaluated():
    one = read_checkpoint(FOLDER / "iterator.xml").network.recurrent[0].recurrent
    assert (one.cell.kind, one.backward.value) == ("lstm", True)
    assert one.cell.source_class == "OpenVINO TensorIterator of LSTMCell"
    more = read_checkpoint(FOLDER / "iterator_more.xml").network.recurrent[0].recurrent
    assert (more.cell.kind, more.evidence.kind) == ("graph", "evaluated")


def changed(tmp_path, name, old, new, *, count=1):
    """A copy of a model whose text is another."""
    text = (FOLDER / f"{name}.xml").read_text()
    assert old in text
    (tmp_path / "m.xml").write_text(text.replace(old, new, count))
    (tmp_path / "m.bin").write_bytes((FOLDER / f"{name}.bin").read_bytes())
    return tmp_path / "m.xml"


REFUSED = {
    "a cell of the first operation set": (
        "gru_after", 'type="GRUSequence" version="opset5"', 'type="GRUSequence" version="opset1"',
        "GRUSequence",
    ),
    "a recurrent layer of another kind": (
        "gru_after", 'type="GRUSequence"', 'type="AUGRUSequence"', "AUGRUSequence"
    ),
    "an activation that is not known": (
        "rnn_relu", 'activations="relu"', 'activations="cube"', "cube",
    ),
    "parts of two steps": (
        "iterator", 'part_size="1"', 'part_size="2"', "TensorIterator",
    ),
    "a document type": (
        "rnn_relu", "<net ", '<!DOCTYPE net [<!ENTITY a "b">]><net ', "document type",
    ),
    "an edge to nowhere": ("rnn_relu", '<edge from-layer="0"', '<edge from-layer="77"', "edge"),
    "a constant beyond the end": ("rnn_relu", 'offset="0"', 'offset="99999"', "beyond the end"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_understood_is_named(tmp_path, what):
    name, old, new, said = REFUSED[what]
    path = changed(tmp_path, name, old, new, count=-1 if "activation" in what else 1)
    with pytest.raises(RnnscopeError, match=re.escape(said)):
        rnnscope.run(path, np.zeros((2, 5, 4 if name == "iterator" else 3), np.float32))


def test_without_its_constants(tmp_path):
    path = changed(tmp_path, "rnn_relu", "rnn", "rnn")
    path.with_suffix(".bin").unlink()
    with pytest.raises(RnnscopeError, match=r"m\.bin"):
        read_checkpoint(path)


def test_a_graph_without_recurrence_says_what_it_holds(tmp_path):
    path = changed(tmp_path, "gru_after", 'type="GRUSequence"', 'type="Relu"')
    with pytest.raises(UnsupportedCellError, match="OpenVINO model holds no"):
        read_checkpoint(path)
