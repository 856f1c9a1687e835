"""Graphs of operators: ONNX, TensorFlow Lite, Core ML, OpenVINO, PaddlePaddle."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from model_files.interface import UNITS, WIDTH, Write, Written, drawn

sys.path.insert(
    0, str(Path(__file__).parents[2])
)  # where the tests keep what writes files of these


def _onnx(layers: int, rows: int, listed: bool = False, table: str = "float32") -> Any:
    """A stack of LSTM nodes; the table has as many bytes however it is stored."""
    from onnx import helper, numpy_helper

    def stored(array: Any, name: str) -> Any:
        if listed and array.dtype == np.float32:
            return helper.make_tensor(name, 1, array.shape, array.ravel())
        return numpy_helper.from_array(array, name)

    nodes, kept, last = [], [stored(np.array([1]), "axes")], "X"
    inputs = [helper.make_tensor_value_info("X", 1, [None, None, UNITS])]
    if rows:
        values = np.tile(drawn(rows, WIDTH), ({"float32": 1, "float16": 2, "int8": 4}[table], 1))
        kept.append(stored(values.astype(table), "table"))
        if table == "float16":
            nodes.append(helper.make_node("Cast", ["table"], ["wide"], to=1))
        if table == "int8":
            kept.append(stored(np.float32(0.1), "scale"))
            nodes.append(helper.make_node("DequantizeLinear", ["table", "scale"], ["wide"]))
        from_ = "table" if table == "float32" else "wide"
        nodes.append(helper.make_node("Gather", [from_, "ids"], ["rows"]))
        inputs.append(helper.make_tensor_value_info("ids", 7, [None, None]))
    for number in range(layers):
        kept += [stored(drawn(1, 4 * UNITS, UNITS), f"{name}{number}") for name in "WR"]
        reads = [last, f"W{number}", f"R{number}"]
        nodes.append(helper.make_node("LSTM", reads, [f"Y{number}"], hidden_size=UNITS))
        last = f"m{number}"
        nodes.append(helper.make_node("Squeeze", [f"Y{number}", "axes"], [last]))
    outputs = [helper.make_tensor_value_info(name, 1, None)
               for name in (last, *(["rows"] if rows else []))]  # fmt: skip
    graph = helper.make_graph(nodes, "stack", inputs, outputs, kept)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def onnx(path: Path, layers: int, rows: int) -> Written:
    """Weights as raw bytes within the file."""
    path = path.with_suffix(".onnx")
    path.write_bytes(_onnx(layers, rows).SerializeToString())
    return Written(path)


def onnx_listed(path: Path, layers: int, rows: int) -> Written:
    """Weights as lists of floats within the file."""
    path = path.with_suffix(".onnx")
    path.write_bytes(_onnx(layers, rows, listed=True).SerializeToString())
    return Written(path)


def onnx_narrow(path: Path, layers: int, rows: int, table: str) -> Written:
    """A table in fewer bits, widened by an operator before rows are taken."""
    path = path.with_suffix(".onnx")
    path.write_bytes(_onnx(layers, rows, table=table).SerializeToString())
    return Written(path)


def onnx_external(path: Path, layers: int, rows: int) -> Written:
    """Weights in a file beside it."""
    import onnx as format_

    path = path.with_suffix(".onnx")
    format_.save(_onnx(layers, rows), str(path), save_as_external_data=True, size_threshold=64,
                 location=f"{path.name}.data")  # fmt: skip
    return Written(path)


def tflite(path: Path, layers: int, rows: int, stored: str = "FLOAT32") -> Written:
    """A stack of fused LSTMs."""
    from lite_files import LSTM_INPUTS, STATES, LiteFile, add_weights, lstm_weights

    file = LiteFile()
    last = file.tensor("x", (1, 5, UNITS), open_batch=True)
    inputs, outputs = [last], []
    if rows:
        inputs.append(file.tensor("ids", (1, 5), kind="INT32"))
        outputs.append(file.tensor("rows", (1, 5, WIDTH)))
        _lite_rows(file, rows, stored, inputs[-1], outputs[-1])
    rng = np.random.default_rng(0)
    for number in range(layers):
        places = add_weights(file, lstm_weights(rng, UNITS, UNITS), f"lstm_{number}/")
        for state in STATES:
            places[state] = file.tensor(f"lstm_{number}/{state}", (1, UNITS), variable=True)
        reads = [last] + [-1] * 23
        for role, place in LSTM_INPUTS.items():
            reads[place] = places.get(role, -1)
        last = file.tensor(f"m_{number}", (1, 5, UNITS), open_batch=True)
        file.operator(
            "UNIDIRECTIONAL_SEQUENCE_LSTM", reads, [last], "UnidirectionalSequenceLSTMOptions",
            fusedActivationFunction=4, timeMajor=False,
        )  # fmt: skip
    return Written(file.write(path.with_suffix(".tflite"), inputs, [last, *outputs]))


def _lite_rows(file: Any, rows: int, stored: str, ids: int, result: int) -> None:
    """Rows of a table, of as many bytes however they are stored."""
    each = {"FLOAT32": 1, "FLOAT16": 2, "INT8": 4}[stored]
    values, scale = drawn(rows, WIDTH), None
    if stored == "INT8":
        values, scale = np.rint(values * 20).astype(np.int8), 0.05
    values = np.tile(values.astype(stored.lower()), (each, 1))
    table = file.tensor("table", values.shape, values, kind=stored, scale=scale)
    if stored == "FLOAT16":  # as the converter has it: widened first
        wide = file.tensor("wide", values.shape)
        file.operator("DEQUANTIZE", [table], [wide])
        table = wide
    found = result
    if stored == "INT8":  # and here, rows of whole numbers
        found = file.tensor("whole rows", (1, 5, WIDTH), kind=stored, scale=scale)
    file.operator("GATHER", [table, ids], [found], "GatherOptions", axis=0)
    if stored == "INT8":
        file.operator("DEQUANTIZE", [found], [result])


def coreml(path: Path, layers: int, rows: int, bits: int = 32) -> Written:
    """A network of uniDirectionalLSTM; the table has as many bytes however it is stored."""
    from rnnscope.checkpoints.coreml.proto import TABLE

    path = path.with_suffix(".mlmodel")
    model = TABLE.message_class("Model")(specificationVersion=4)
    features = [("x", [5, 1, UNITS])] + ([("ids", [5, 1, 1])] if rows else [])
    for name, shape in features:
        one = model.description.input.add(name=name)
        one.type.multiArrayType.shape.extend(shape)
        one.type.multiArrayType.dataType = 65568
    network = model.neuralNetwork
    network.arrayInputShapeMapping = 1
    if rows:
        layer = network.layers.add(name="table", input=["ids"], output=["rows"])
        table, count = layer.embeddingND, rows * 32 // bits
        table.vocabSize, table.embeddingSize = count, WIDTH
        if bits == 32:
            table.weights.floatValue.extend(drawn(rows * WIDTH))
        else:
            table.weights.rawValue = drawn(rows * WIDTH).tobytes()
            table.weights.quantization.numberOfBits = bits
            table.weights.quantization.linearQuantization.scale.extend([0.01] * WIDTH)
    last = "x"
    gates = ("inputGate", "forgetGate", "blockInput", "outputGate")
    for number in range(layers):
        layer = network.layers.add(name=f"lstm_{number}", input=[last], output=[f"m_{number}"])
        lstm = layer.uniDirectionalLSTM
        lstm.inputVectorSize = lstm.outputVectorSize = UNITS
        lstm.params.sequenceOutput, lstm.params.cellClipThreshold = True, 5e4
        for activation in ("sigmoid", "tanh", "tanh"):
            getattr(lstm.activations.add(), activation).SetInParent()
        for gate in gates:
            for role in ("Weight", "Recursion"):
                held = getattr(lstm.weightParams, f"{gate}{role}Matrix")
                held.floatValue.extend(drawn(UNITS * UNITS))
        last = f"m_{number}"
    for name in (last, *(["rows"] if rows else [])):
        model.description.output.add(name=name).type.multiArrayType.dataType = 65568
    path.write_bytes(model.SerializeToString())
    return Written(path)


class _Ir:
    """An OpenVINO graph: layers, edges, and the constants beside it."""

    def __init__(self) -> None:
        self.layers: list[str] = []
        self.edges: list[str] = []
        self.data = bytearray()

    def add(self, name: str, kind: str, reads: list[tuple[int, int]], outputs: list[list[int]],
            version: str = "opset1", precision: str = "FP32", **data: Any) -> int:  # fmt: skip
        own = len(self.layers)
        held = "".join(f' {key}="{value}"' for key, value in data.items())
        ports = "".join(f'<port id="{place}" />' for place in range(len(reads)))
        made = "".join(
            f'<port id="{len(reads) + place}" precision="{precision}">'
            + "".join(f"<dim>{size}</dim>" for size in shape) + "</port>"
            for place, shape in enumerate(outputs)
        )  # fmt: skip
        self.layers.append(
            f'<layer id="{own}" name="{name}" type="{kind}" version="{version}"><data{held} />'
            f"<input>{ports}</input><output>{made}</output></layer>"
        )
        self.edges += [
            f'<edge from-layer="{layer}" from-port="{port}" to-layer="{own}" to-port="{place}" />'
            for place, (layer, port) in enumerate(reads)
        ]
        return own

    def constant(self, name: str, array: Any) -> tuple[int, int]:
        kind, precision = {"float32": ("f32", "FP32"), "int64": ("i64", "I64"),
                           "int32": ("i32", "I32")}[array.dtype.name]  # fmt: skip
        start = len(self.data)
        self.data += array.tobytes()
        shape = ", ".join(map(str, array.shape))
        made = self.add(name, "Const", [], [list(array.shape)], precision=precision,
                        element_type=kind, shape=shape, offset=start,
                        size=array.nbytes)  # fmt: skip
        return made, 0

    def write(self, path: Path) -> Path:
        layers, edges = "".join(self.layers), "".join(self.edges)
        head = '<?xml version="1.0"?><net name="stack" version="11">'
        text = f"{head}<layers>{layers}</layers><edges>{edges}</edges></net>"
        path.with_suffix(".xml").write_text(text)
        path.with_suffix(".bin").write_bytes(self.data)
        return path.with_suffix(".xml")


def openvino(path: Path, layers: int, rows: int) -> Written:
    """A stack of LSTMSequence."""
    ir = _Ir()
    last = (
        ir.add("x", "Parameter", [], [[2, 5, UNITS]], shape=f"2,5,{UNITS}", element_type="f32"),
        0,
    )
    ends = []
    if rows:
        ids = ir.add("ids", "Parameter", [], [[2, 5]], precision="I64", shape="2,5",
                     element_type="i64")  # fmt: skip
        table = ir.constant("table", drawn(rows, WIDTH))
        axis = ir.constant("axis", np.array(0, np.int64))
        found = ir.add("gather", "Gather", [table, (ids, 0), axis], [[2, 5, WIDTH]],
                       version="opset8", batch_dims=0)  # fmt: skip
        ends.append((found, 3, [2, 5, WIDTH]))
    lengths = ir.constant("lengths", np.array([5, 5], np.int64))
    zeros = ir.constant("zeros", np.zeros((2, 1, UNITS), np.float32))
    direction = ir.constant("direction", np.array([1], np.int64))
    for number in range(layers):
        w, r = (ir.constant(f"{name}_{number}", drawn(1, 4 * UNITS, UNITS)) for name in "WR")
        b = ir.constant(f"B_{number}", drawn(1, 4 * UNITS))
        lstm = ir.add(
            f"lstm_{number}", "LSTMSequence", [last, zeros, zeros, lengths, w, r, b],
            [[2, 1, 5, UNITS], [2, 1, UNITS], [2, 1, UNITS]], version="opset5",
            direction="forward", hidden_size=UNITS, activations="sigmoid, tanh, tanh",
            activations_alpha="", activations_beta="", clip=0,
        )  # fmt: skip
        last = ir.add(f"squeeze_{number}", "Squeeze", [(lstm, 7), direction], [[2, 5, UNITS]]), 2
    ends.append((*last, [2, 5, UNITS]))
    for number, (layer, port, _) in enumerate(ends):
        ir.add(f"result_{number}", "Result", [(layer, port)], [])
    return Written(ir.write(path))


WRITERS: dict[str, Write] = {
    "ONNX": onnx, "ONNX, lists of floats": onnx_listed, "ONNX, external data": onnx_external,
    "ONNX, float16": partial(onnx_narrow, table="float16"),
    "ONNX, int8": partial(onnx_narrow, table="int8"),
    "TensorFlow Lite": tflite, "TensorFlow Lite, float16": partial(tflite, stored="FLOAT16"),
    "TensorFlow Lite, int8": partial(tflite, stored="INT8"), "Core ML": coreml,
    "Core ML, 4 bits": partial(coreml, bits=4),
    "OpenVINO": openvino,
}  # fmt: skip
