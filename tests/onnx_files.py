"""ONNX models built with rnnscope's own message table: the tests need no onnx package."""

from __future__ import annotations

import numpy as np

from rnnscope.checkpoints.onnx.graph.proto import TABLE

TYPES = {"float32": 1, "int64": 7, "float16": 10, "float64": 11, "int32": 6, "int8": 3, "bool": 9}


def tensor(name, array):
    array = np.asarray(array)
    return TABLE.message_class("TensorProto")(
        name=name, dims=array.shape, data_type=TYPES[array.dtype.name], raw_data=array.tobytes()
    )


def attribute(name, value):
    """An AttributeProto; its types are numbered in this order."""
    made = TABLE.message_class("AttributeProto")(name=name)
    fields = ["f", "i", "s", "t", "g", "floats", "ints", "strings"]
    if isinstance(value, (list, tuple)):
        field = {float: "floats", int: "ints", str: "strings"}[type(value[0])]
        value = [part.encode() if field == "strings" else part for part in value]
        getattr(made, field).extend(value)
    elif isinstance(value, (float, int, str)):
        field = {float: "f", int: "i", str: "s"}[type(value)]
        setattr(made, field, value.encode() if field == "s" else value)
    else:
        field = "g" if value.DESCRIPTOR.name == "GraphProto" else "t"
        getattr(made, field).CopyFrom(value)
    made.type = 1 + fields.index(field)
    return made


def node(op, inputs, outputs, name="", domain="", **attributes):
    return TABLE.message_class("NodeProto")(
        op_type=op,
        input=inputs,
        output=outputs,
        name=name,
        domain=domain,
        attribute=[attribute(key, value) for key, value in attributes.items()],
    )


def value(name, shape=None):
    made = TABLE.message_class("ValueInfoProto")(name=name)
    if shape is not None:
        for size in shape:
            dim = made.type.tensor_type.shape.dim.add()
            if size is not None:
                dim.dim_value = size
    made.type.tensor_type.elem_type = 1
    return made


def graph(nodes, inputs=(), outputs=(), arrays=None, tensors=()):
    return TABLE.message_class("GraphProto")(
        name="g",
        node=nodes,
        input=inputs,
        output=outputs,
        initializer=[*(tensor(*pair) for pair in (arrays or {}).items()), *tensors],
    )


def save(path, made, opset=17):
    imported = TABLE.message_class("OperatorSetIdProto")(version=opset)
    model = TABLE.message_class("ModelProto")(ir_version=8, graph=made, opset_import=[imported])
    path.write_bytes(model.SerializeToString())
    return path


def weights(op="LSTM", features=3, units=4, directions=1, seed=0, dtype="f4"):
    """W, R and B of a node, far from zero."""
    rng = np.random.default_rng(seed)
    rows = {"LSTM": 4, "GRU": 3, "RNN": 1}[op] * units
    shapes = {"W": (rows, features), "R": (rows, units), "B": (2 * rows,)}
    return {name: rng.normal(size=(directions, *s)).astype(dtype) for name, s in shapes.items()}


def simple(path, nodes=None, arrays=None, inputs=(("X", (None, None, 3)),), **attributes):
    """A model of one LSTM, or of the nodes given."""
    nodes = nodes or [node("LSTM", ["X", "W", "R", "B"], ["Y", "Y_h"], "lstm", **attributes)]
    made = graph(
        nodes,
        [value(name, shape) for name, shape in inputs],
        [value("Y")],
        weights() if arrays is None else arrays,
    )
    return save(path, made)
