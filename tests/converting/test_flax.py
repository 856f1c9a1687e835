"""What Flax itself computed with parameters that were written: see ``make_converted_flax``."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from data.make_converted_flax import CASES, LENGTHS, ROOT

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.engines.numpy_engine import run_layer


@pytest.mark.parametrize("case", CASES)
def test_flax_computes_the_sources_outputs(case, tmp_path):
    """The bytes are those that Flax restored, and its numbers are those of the source."""
    with np.load(ROOT / "tests/data/converted/flax_truth.npz") as file:
        truth = dict(file)
    path = tmp_path / "out.msgpack"
    done = rnnscope.convert(ROOT / CASES[case], "flax", path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == str(truth[f"{case}:sha256"])
    network = read_checkpoint(ROOT / CASES[case]).network
    mask = np.arange(6) < LENGTHS[:, None]
    for layer in done.layers:
        own = network.node(layer.name).recurrent
        own = replace(own, reversal="within length", padding=replace(own.padding, value="zeros"))
        made = run_layer(own, truth[f"{case}:{layer.written_as}:x"], mask).outputs
        wanted = truth[f"{case}:{layer.written_as}:outputs"]
        np.testing.assert_allclose(made[mask], wanted[mask], rtol=0, atol=3e-6)
