"""kraken's models: the recurrent layers as kraken computes them."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoint_truth import DATA

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.coreml.kraken import _follows

PATH = DATA / "coreml" / "kraken.mlmodel"


def test_states_of_a_stack():
    """A bidirectional layer and one that reads it, dropout between them."""
    with np.load(PATH.with_suffix(".npz")) as truth, rnnscope.run(PATH, truth["x"]) as trace:
        names = {key.split(":")[0] for key in truth if ":" in key}
        assert len(names) == 2
        for name in names:
            parts = [layer for own, layer in trace.layers.items()
                     if own.split("/")[0] == name and "merge" not in repr(layer)]  # fmt: skip
            for state in ("m", "c"):
                made = np.concatenate([np.array(getattr(part, state)) for part in parts], -1)
                np.testing.assert_allclose(made, truth[f"{name}:{state}"], atol=2e-6)


def test_it_is_told_as_krakens():
    checkpoint = read_checkpoint(PATH)
    first = checkpoint.network.recurrent[0].recurrent
    assert first.cell.source_class == "kraken biDirectionalLSTM"
    options = first.cell.options
    assert (options.cell_clip.value, options.gate_clip.value) == (None, None)
    assert any(note.startswith("A model of kraken, [1,8,0,1") for note in checkpoint.notes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1,48,0,1 Cr3,3,8 Lbx10 O1c9]", [False]),
        ("[1,48,0,1 Lbx10 Do0.3,1 Lbx10 Lfx3 O1c9]", [False, True, True]),
        ("[1,48,0,1 Lfys6 Lbx10 Lbx10 O1c9]", [False, False, True]),
        ("[1,48,0,1 Lbxs6 Lbx10 Cr3,3,3 Lbx10]", [False, False, False]),
    ],
)
def test_which_layers_read_each_other(text, expected):
    """Another axis, a summary or a convolution between two layers parts them."""
    assert _follows(text) == expected
