"""A program may change its folder between opening a file and reading what is in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_files as of
import pytest

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.onnx.graph.proto import parse_model
from rnnscope.checkpoints.onnx.graph.tensors import TensorStore
from rnnscope.files.containers.opening import open_container
from rnnscope.files.messages.values_in_file import LARGE_BYTES

RIGHT = np.arange(LARGE_BYTES, dtype=np.float32)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two folders, the first of them the current one; what goes to the second."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "first")
    return lambda: monkeypatch.chdir(tmp_path / "second")


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
@pytest.mark.parametrize("same_name", [False, True])
def test_an_input(folders, tmp_path, name, same_name):
    """Another file of that name must not be read in its place."""
    save = np.save if name.endswith(".npy") else np.savez
    save(tmp_path / "first" / name, RIGHT)
    if same_name:
        save(tmp_path / "second" / name, -RIGHT)
    opened = open_container(Path(name))
    folders()
    (array,) = opened.names
    np.testing.assert_array_equal(opened.array(array).read(), RIGHT)
    opened.close()


def test_a_large_tensor(folders):
    made = of.graph([of.node("Identity", ["t"], ["y"])], [], [of.value("y")], {"t": RIGHT})
    of.save(Path("m.onnx"), made)
    (tensor,) = parse_model(Path("m.onnx")).graph.initializer
    folders()
    np.testing.assert_array_equal(TensorStore(Path("m.onnx")).array(tensor), RIGHT)


def test_what_is_behind_the_layers(folders):
    """The file is read once more for it."""
    head = [of.node("LSTM", ["X", "W", "R", "B"], ["Y"], "lstm", hidden_size=4),
            of.node("Squeeze", ["Y", "second"], ["s"]),
            of.node("MatMul", ["s", "M"], ["p"], "end")]  # fmt: skip
    dense = {"M": np.eye(4, 5, dtype="f4"), "second": np.int64([1])}
    made = of.graph(head, [of.value("X", (None, None, 3))], [of.value("p")], of.weights() | dense)
    of.save(Path("m.onnx"), made)
    found = read_checkpoint(Path("m.onnx"))
    folders()
    assert [node.name for node in found.later_results()] == ["p"]
