"""Tables that an operator widens stay in their file, and give onnxruntime's rows."""

from __future__ import annotations

import numpy as np
import pytest

import rnnscope
from rnnscope.checkpoints import read_checkpoint
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.values_in_file import LARGE_BYTES
from rnnscope.model.layers import Embedding
from rnnscope.model.layers.deferred_table import DeferredTable

WIDTH, UNITS = 16, 3
ROWS = LARGE_BYTES // WIDTH + 3
RNG = np.random.default_rng(8)
NUMBERS = RNG.integers(-128, 128, (ROWS, WIDTH)).astype(np.int8)
HALVES = RNG.normal(size=(ROWS, WIDTH)).astype(np.float16)
SCALES = RNG.uniform(0.01, 0.1, WIDTH).astype(np.float32)
ZEROS = RNG.integers(-9, 9, WIDTH).astype(np.int8)
IDS = RNG.integers(0, ROWS, (2, 5))
KINDS = {
    "halves": ({"table": HALVES}, ("Cast", {"to": 1}), HALVES.astype(np.float32)),
    "scaled": ({"table": NUMBERS, "scale": np.float32(0.1)}, ("DequantizeLinear", {}),
               NUMBERS * np.float32(0.1)),
    "by column": ({"table": NUMBERS, "scale": SCALES, "zero": ZEROS},
                  ("DequantizeLinear", {"axis": 1}),
                  (NUMBERS.astype(np.int32) - ZEROS).astype(np.float32) * SCALES),
}  # fmt: skip
"""By name: what is stored, the operator, and its result."""


def written(path, arrays, widened, rows_first=False):
    """A model that looks rows up in a widened table, or widens rows, and reads them."""
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    op, attributes = widened
    table, *others = arrays
    if rows_first:
        nodes = [helper.make_node("Gather", [table, "ids"], ["found"]),
                 helper.make_node(op, ["found", *others], ["rows"], **attributes)]  # fmt: skip
    else:
        nodes = [helper.make_node(op, [table, *others], ["wide"], **attributes),
                 helper.make_node("Identity", ["wide"], ["same"]),
                 helper.make_node("Gather", ["same", "ids"], ["rows"])]  # fmt: skip
    weights = {name: np.random.default_rng(9).normal(size=(1, 4 * UNITS, size)).astype(np.float32)
               for name, size in (("W", WIDTH), ("R", UNITS))}  # fmt: skip
    nodes += [helper.make_node("Transpose", ["rows"], ["X"], perm=[1, 0, 2]),
              helper.make_node("LSTM", ["X", "W", "R"], ["Y"], hidden_size=UNITS)]  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("ids", 7, ["batch", "time"])],
        [helper.make_tensor_value_info("Y", 1, None)],
        [numpy_helper.from_array(np.asarray(array), name)
         for name, array in {**arrays, **weights}.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))
    return path


def table_of(path):
    """What stands for the table in the network."""
    nodes = read_checkpoint(path).network.nodes
    (found,) = [node.layer.table for node in nodes if isinstance(node.layer, Embedding)]
    assert isinstance(found, DeferredTable)
    return found


def onnxruntimes(path):
    """What onnxruntime makes of the ids, (batch, time, unit).

    As the graph is written: with its optimiser (1.32) the rows that are widened after they were
    looked up come out of the Transpose with other numbers.
    """
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    (made,) = onnxruntime.InferenceSession(path, options).run(None, {"ids": IDS})
    return made[:, 0].swapaxes(0, 1)


def held_to_onnxruntime(path):
    true = onnxruntimes(path)
    with rnnscope.run(path, IDS, model_input=True) as trace:
        (layer,) = [one for one in trace.layers.values() if one.outputs.shape == true.shape]
        np.testing.assert_allclose(layer.outputs[...], true, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_a_widened_table(tmp_path, kind):
    arrays, widened, true = KINDS[kind]
    path = written(tmp_path / "m.onnx", arrays, widened)
    table = table_of(path)
    assert table.shape == (ROWS, WIDTH)
    np.testing.assert_array_equal(table[IDS], true[IDS])
    held_to_onnxruntime(path)


def test_rows_of_whole_numbers_that_are_widened_then(tmp_path):
    arrays, widened, _ = KINDS["scaled"]
    held_to_onnxruntime(written(tmp_path / "m.onnx", arrays, widened, rows_first=True))


def test_scales_that_do_not_fit_their_table(tmp_path):
    arrays = {"table": NUMBERS, "scale": SCALES[:5]}
    path = written(tmp_path / "m.onnx", arrays, ("DequantizeLinear", {"axis": 1}))
    with pytest.raises(CheckpointError, match="does not fit the operator"):
        table_of(path)[0]
