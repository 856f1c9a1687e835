"""Whole models as PyTorch exports them: the states of every step, through the command's own way."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from checkpoint_truth import DATA

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import RnnscopeError

MODELS = DATA / "onnx_models"


def states_of(trace):
    """Every layer of a trace that has states, as arrays."""
    found = []
    for view in trace.layers.values():
        try:
            arrays = {"m": np.asarray(view.m), "outputs": np.asarray(view.outputs)}
        except (KeyError, RnnscopeError):
            continue  # a join of two directions
        with contextlib.suppress(KeyError, RnnscopeError):
            arrays["c"] = np.asarray(view.c)
        found.append(arrays)
    return found


def assert_states(trace, truth):
    """Every true layer is among those of the trace, at every valid step."""
    layers = states_of(trace)
    valid = None
    if "lengths" in truth:
        valid = np.arange(truth["true_fw_l0_m"].shape[1]) < truth["lengths"][:, None]
    for name in {key[:-1] for key in truth if key.startswith("true_") and key.endswith("_m")}:
        kinds = [key.removeprefix(name) for key in truth if key.startswith(name)]
        gaps = [
            max(
                np.abs((arrays[kind] - truth[name + kind])[... if valid is None else valid]).max()
                if kind in arrays else 9.0
                for kind in kinds
            )
            for arrays in layers
        ]  # fmt: skip
        assert min(gaps) < 5e-6, name


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.onnx")), ids=lambda path: path.stem)
def test_states_as_pytorch_computes_them(tmp_path, path):
    """X has the axes of the model's own input; states and lengths go by the model's names."""
    with np.load(path.with_name(f"{path.stem}_truth.npz")) as file:
        truth = dict(file)
    given = {name: array for name, array in truth.items() if not name.startswith("true_")}
    np.savez(tmp_path / "inputs.npz", **given)
    trace = rnnscope.run(path, tmp_path / "inputs.npz", model_input=True)
    assert_states(trace, truth)
    evidence = {node.recurrent.evidence.kind for node in read_checkpoint(path).network.recurrent}
    assert evidence <= {"proved", "evaluated"}
