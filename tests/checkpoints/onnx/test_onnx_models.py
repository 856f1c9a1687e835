"""Whole models as PyTorch exports them: the states of every step, through the command's own way."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from checkpoint_truth import DATA

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import RnnscopeError
from rnnscope.model.signal import Signal

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


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.onnx")), ids=lambda path: path.stem)
def test_what_the_whole_model_returns(tmp_path, path):
    """What stands behind the layers, of a run's own outputs, is what onnxruntime returns."""
    runtime = pytest.importorskip("onnxruntime")
    with np.load(path.with_name(f"{path.stem}_truth.npz")) as file:
        given = {name: file[name] for name in file.files if not name.startswith("true_")}
    np.savez(tmp_path / "inputs.npz", **given)
    trace = rnnscope.run(path, tmp_path / "inputs.npz", model_input=True)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    fed = {one.name: given["x" if one.name == "input" else one.name]
           for one in session.get_inputs()}  # fmt: skip
    names = [one.name for one in session.get_outputs()]
    returned = dict(zip(names, session.run(names, fed), strict=True))
    mask = None
    if "lengths" in given:
        mask = np.arange(np.asarray(next(iter(trace.layers.values())).m).shape[1])
        mask = mask < given["lengths"][:, None]
    found = read_checkpoint(path).later_results()
    assert [one.name for one in found] == names[: 0 if path.stem.startswith("cell") else 1]
    for one in found:
        signals = [Signal(np.asarray(trace.layers[name].outputs), mask) for name in one.reads]
        ours, theirs = one.layer(*signals).values, returned[one.name]
        if ours.shape != theirs.shape:
            theirs = theirs.swapaxes(0, 1)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-6)
