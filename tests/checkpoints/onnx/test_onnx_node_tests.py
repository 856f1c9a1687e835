"""The ONNX project's own LSTM, GRU and RNN node tests, from the installed ``onnx`` package.

Each makes one node and its expected outputs with a reference of theirs. Their weights are inputs
of the graph; here they become initializers, as models that people ship have them.
"""

from __future__ import annotations

import numpy as np
import pytest
from onnx_node_cases import node_cases

from rnnscope.checkpoints import read_checkpoint
from rnnscope.engines.numpy_engine import run_layer

onnx = pytest.importorskip("onnx")


CASES = [
    (case.name, case.node, case.inputs, case.outputs) for case in node_cases("lstm", "gru", "rnn")
]


def test_all_of_them_are_there():
    ops = [node.op_type for _, node, _, _ in CASES]
    assert min(ops.count(op) for op in ("LSTM", "GRU", "RNN")) >= 4


def save(path, node, inputs):
    """A model whose only input is X."""
    names = [name for name in node.input if name]
    arrays = dict(zip(names, inputs, strict=True))
    x = arrays.pop("X")
    described = onnx.helper.make_tensor_value_info("X", onnx.TensorProto.FLOAT, x.shape)
    results = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in node.output
        if name
    ]
    held = [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()]
    graph = onnx.helper.make_graph([node], "test", [described], results, held)
    opset = onnx.helper.make_opsetid("", 14)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset]), path)
    return x


@pytest.mark.parametrize(
    ("node", "inputs", "outputs"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_node(tmp_path, node, inputs, outputs):
    path = tmp_path / "model.onnx"
    x = save(path, node, inputs)
    batch_first = any(attribute.name == "layout" and attribute.i for attribute in node.attribute)
    if not batch_first:
        x = x.swapaxes(0, 1)
    layers = [entry.recurrent for entry in read_checkpoint(path).network.recurrent]
    runs = []
    for layer in layers:
        lengths = layer.lengths.value.values
        mask = None if lengths is None else np.arange(x.shape[1]) < lengths[:, None]
        runs.append(
            run_layer(layer, np.ascontiguousarray(x), mask, layer.initial_state.value.stored())
        )
    made = {
        "Y": np.stack([run.outputs for run in runs]),  # (direction, sequence, timestep, unit)
        "Y_h": np.stack([run.final["m"] for run in runs]),
        "Y_c": np.stack([run.final.get("c", run.final["m"]) for run in runs]),
    }
    for place, array in zip([name for name in node.output if name], outputs, strict=True):
        ours = made[place]
        if place == "Y":
            ours = ours.transpose((1, 2, 0, 3) if batch_first else (2, 0, 1, 3))
        elif batch_first:
            ours = ours.swapaxes(0, 1)
        np.testing.assert_allclose(ours, array, atol=1e-6, err_msg=place)
