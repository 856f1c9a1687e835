"""sLSTM layers of xLSTM: states equal to those that the package xlstm computes."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoint_truth import DATA

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.xlstm.slstm import BIAS, KERNEL, PROJECTIONS, SLSTMLayer
from rnnscope.errors import UnsupportedCellError

FOLDER = DATA / "xlstm"
FILES = {"layer.pt": "layer", "cuda.safetensors": "layer", "plain.pt": "plain"}
STATES = ("c", "n", "m", "stabilizer")


@pytest.mark.parametrize("file", FILES)
def test_states(file):
    """c, n, m and the stabilizer of every step; with the convolution, without, and as CUDA's."""
    with np.load(FOLDER / "truth.npz") as truth:
        own = {key.split(":")[1]: truth[key] for key in truth if key.split(":")[0] == FILES[file]}
    with rnnscope.run(FOLDER / file, own["x"], model_input=True) as trace:
        (layer,) = trace.layers.values()
        for state in STATES:
            made = trace.stored.read_array(layer.name, state, slice(None))
            np.testing.assert_allclose(made, own[state], atol=3e-6, rtol=3e-6)


def test_what_it_says():
    checkpoint = read_checkpoint(FOLDER / "cuda.safetensors")
    (node,) = checkpoint.network.recurrent
    assert node.name == "blocks.0.xlstm"
    assert node.recurrent.cell.source_class == "xlstm sLSTMLayer"
    assert node.recurrent.evidence.kind == "by name"
    assert {one.name for one in checkpoint.left_out} == {
        "lm_head.weight", "blocks.0.xlstm.group_norm.weight"
    }  # fmt: skip
    assert any("made by 'fgate'" in note for note in checkpoint.notes)


def arrays(heads=2, width=3):
    units = heads * width
    return {
        KERNEL: np.zeros((heads, 4 * width, width), np.float32),
        BIAS: np.zeros(4 * units, np.float32),
        **{role: np.zeros((heads, width, width), np.float32) for role in PROJECTIONS},
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda own: own.pop("igate.weight"), "no igate.weight"),
        (lambda own: own.update({BIAS: np.zeros(9, np.float32)}), r"_bias_ of shape \(9,\)"),
        (lambda own: own.update({"fgate.bias": np.zeros(6)}), "'fgate.bias'"),
        (lambda own: own.update({KERNEL: np.zeros((2, 9, 3), np.float32)}), "_recurrent_kernel_"),
        (lambda own: own.update({"conv1d.conv.weight": np.zeros((6, 1, 4))}), "without its bias"),
    ],
)
def test_a_layer_that_is_none_that_is_known(change, said):
    own = arrays()
    assert SLSTMLayer.of("x", own, "file").units == 6
    change(own)
    with pytest.raises(UnsupportedCellError, match=said):
        SLSTMLayer.of("x", own, "file")
