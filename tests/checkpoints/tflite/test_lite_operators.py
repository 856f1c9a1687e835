"""Every operator that is told in ONNX's, against TensorFlow Lite's own kernel of it."""

import numpy as np
import pytest
from lite_files import LiteFile

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.graph.flattening import flatten
from rnnscope.checkpoints.onnx.graph.stored_values import StoredValues
from rnnscope.checkpoints.onnx.graph.tensors import TensorStore
from rnnscope.checkpoints.tflite.model_file import read_lite_model
from rnnscope.checkpoints.tflite.translation.control import control
from rnnscope.checkpoints.tflite.translation.elementwise import ELEMENTWISE
from rnnscope.checkpoints.tflite.translation.linear import LINEAR
from rnnscope.checkpoints.tflite.translation.shapes import SHAPES
from rnnscope.checkpoints.tflite.translation.whole_model import translated
from rnnscope.model.ops import EvaluationError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 4)).astype(np.float32)
Y = RNG.normal(size=(2, 3, 4)).astype(np.float32)
POSITIVE = np.abs(X) + np.float32(0.1)
TRUE = X > 0
IMAGE = RNG.normal(size=(1, 6, 5, 4)).astype(np.float32)
TYPES = {"float32": "FLOAT32", "int32": "INT32", "int64": "INT64", "bool": "BOOL",
         "int8": "INT8"}  # fmt: skip


def i32(*values):
    return np.asarray(values, np.int32)


class C:
    """An input that the file holds."""

    def __init__(self, value, scale=None):
        self.value, self.scale = np.asarray(value), scale


def fill(*shape):
    return C(RNG.normal(size=shape).astype(np.float32))


NO = None
WINDOW = {"strideW": 2, "strideH": 1, "filterWidth": 2, "filterHeight": 3}
PLAIN = {"dilationWFactor": 1, "dilationHFactor": 1}
RELU6 = {"fusedActivationFunction": 3}
CASES = {
    "ABS": [([X], NO, {})],
    "ADD": [([X, Y], "AddOptions", {"fusedActivationFunction": 1}),
            ([X, C(Y[:1])], "AddOptions", {})],
    "ADD_N": [([X, Y, X], NO, {})],
    "ARG_MAX": [([X, C(i32(1))], "ArgMaxOptions", {"outputType": 2})],
    "ARG_MIN": [([X, C(i32(2))], "ArgMinOptions", {"outputType": 2})],
    "AVERAGE_POOL_2D": [
        ([IMAGE], "Pool2DOptions", {"padding": padding, **WINDOW, **RELU6}) for padding in (0, 1)
    ],
    "BATCH_MATMUL": [
        ([X, C(Y[:, :, :3])], "BatchMatMulOptions", {"adjX": True, "adjY": False}),
        ([X, Y], "BatchMatMulOptions", {"adjX": False, "adjY": True}),
    ],
    "BROADCAST_TO": [([X[:1, :, :1], C(i32(2, 3, 4))], NO, {})],
    "CAST": [([X * 3], "CastOptions", {})],
    "CEIL": [([X], NO, {})],
    "CONCATENATION": [([X, Y], "ConcatenationOptions", {"axis": 1, "fusedActivationFunction": 0})],
    "CONV_2D": [
        ([IMAGE, fill(3, 3, 2, 4), fill(3)], "Conv2DOptions",
         {"padding": padding, "strideW": 2, "strideH": 1, **PLAIN, "fusedActivationFunction": 1})
        for padding in (0, 1)
    ],
    "COS": [([X], NO, {})],
    "DEPTHWISE_CONV_2D": [
        ([IMAGE, fill(1, 3, 2, 8), fill(8)], "DepthwiseConv2DOptions",
         {"padding": padding, "strideW": 1, "strideH": 2, "depthMultiplier": 2, **PLAIN,
          "fusedActivationFunction": 0}) for padding in (0, 1)
    ],
    "DEQUANTIZE": [([C((X * 20).astype(np.int8), 0.07)], NO, {})],
    "DIV": [([X, POSITIVE], "DivOptions", {"fusedActivationFunction": 0})],
    "ELU": [([X], NO, {})],
    "EMBEDDING_LOOKUP": [([i32(2, 0, 1), fill(4, 5)], NO, {})],
    "EQUAL": [([np.rint(X), C(np.rint(Y))], NO, {})],
    "EXP": [([X], NO, {})],
    "EXPAND_DIMS": [([X, C(i32(1))], NO, {}), ([X, C(i32(-1))], NO, {})],
    "FILL": [([C(i32(2, 3)), X.ravel()[:1].reshape(())], NO, {})],
    "FLOOR": [([X], NO, {})],
    "FULLY_CONNECTED": [
        ([X, fill(5, 4), fill(5)], "FullyConnectedOptions",
         {"keepNumDims": keep, "fusedActivationFunction": 1, "weightsFormat": 0})
        for keep in (False, True)
    ] + [
        ([X[0], C((RNG.normal(size=(5, 4)) * 40).astype(np.int8), 0.02), fill(5)],
         "FullyConnectedOptions", {"keepNumDims": False, "fusedActivationFunction": 0,
                                   "asymmetricQuantizeInputs": asymmetric})
        for asymmetric in (False, True)
    ],
    "GATHER": [([X, C(i32(2, 0))], "GatherOptions", {"axis": 1, "batchDims": 0})],
    "GREATER": [([X, Y], NO, {})],
    "GREATER_EQUAL": [([X, Y], NO, {})],
    "HARD_SWISH": [([X * 3], NO, {})],
    "LEAKY_RELU": [([X], "LeakyReluOptions", {"alpha": 0.3})],
    "LESS": [([X, Y], NO, {})],
    "LESS_EQUAL": [([X, Y], NO, {})],
    "LOG": [([POSITIVE], NO, {})],
    "LOGICAL_AND": [([TRUE, Y > 0], NO, {})],
    "LOGICAL_NOT": [([TRUE], NO, {})],
    "LOGICAL_OR": [([TRUE, Y > 0], NO, {})],
    "LOGISTIC": [([X], NO, {})],
    "LOG_SOFTMAX": [([X], NO, {})],
    "MAXIMUM": [([X, Y], NO, {})],
    "MAX_POOL_2D": [
        ([IMAGE], "Pool2DOptions", {"padding": padding, **WINDOW, "fusedActivationFunction": 0})
        for padding in (0, 1)
    ],
    "MEAN": [([X, C(i32(1))], "ReducerOptions", {"keepDims": False}),
             ([X, C(i32(0, 2))], "ReducerOptions", {"keepDims": True})],
    "MINIMUM": [([X, Y], NO, {})],
    "MUL": [([X, Y], "MulOptions", {"fusedActivationFunction": 2})],
    "NEG": [([X], NO, {})],
    "NOT_EQUAL": [([np.rint(X), C(np.rint(Y))], NO, {})],
    "PACK": [([X, Y], "PackOptions", {"axis": 1, "valuesCount": 2})],
    "PAD": [([X, C(np.asarray([[0, 0], [1, 2], [0, 1]], np.int32))], NO, {})],
    "PADV2": [([X, C(np.asarray([[0, 0], [1, 2], [0, 1]], np.int32)), C(np.float32(7))], NO, {})],
    "POW": [([POSITIVE, Y], NO, {})],
    "RANGE": [([C(np.int32(1)), C(np.int32(8)), C(np.int32(3))], NO, {})],
    "REDUCE_ALL": [([TRUE, C(i32(1))], "ReducerOptions", {"keepDims": False})],
    "REDUCE_ANY": [([TRUE, C(i32(2))], "ReducerOptions", {"keepDims": True})],
    "REDUCE_MAX": [([X, C(i32(1))], "ReducerOptions", {"keepDims": False})],
    "REDUCE_MIN": [([X, C(i32(1))], "ReducerOptions", {"keepDims": False})],
    "REDUCE_PROD": [([X, C(i32(1))], "ReducerOptions", {"keepDims": False})],
    "RELU": [([X], NO, {})],
    "RELU6": [([X * 5], NO, {})],
    "RELU_0_TO_1": [([X], NO, {})],
    "RELU_N1_TO_1": [([X * 2], NO, {})],
    "RESHAPE": [([X, C(i32(2, -1))], NO, {}), ([X], "ReshapeOptions", {"newShape": [6, 4]})],
    "REVERSE_SEQUENCE": [
        ([X, C(i32(3, 2))], "ReverseSequenceOptions", {"seqDim": 1, "batchDim": 0}),
    ],
    "REVERSE_V2": [([X, C(i32(1))], NO, {})],
    "ROUND": [([X * 4], NO, {})],
    "RSQRT": [([POSITIVE], NO, {})],
    "SELECT": [([TRUE, X, Y], NO, {}), ([TRUE[:, 0, 0], X, Y], NO, {})],
    "SELECT_V2": [([TRUE[:, :, :1], X, Y], NO, {})],
    "SHAPE": [([X], "ShapeOptions", {"outType": 2})],
    "SIGN": [([X], NO, {})],
    "SIN": [([X], NO, {})],
    "SLICE": [([X, C(i32(0, 1, 1)), C(i32(2, -1, 2))], NO, {}),
              ([X, i32(0, 1, 1), i32(2, -1, 2)], NO, {})],
    "SOFTMAX": [([X], "SoftmaxOptions", {"beta": 1.0}), ([X], "SoftmaxOptions", {"beta": 0.5})],
    "SPLIT": [([C(np.int32(2)), X], "SplitOptions", {"numSplits": 2})],
    "SPLIT_V": [([X, C(i32(1, -1)), C(np.int32(2))], "SplitVOptions", {"numSplits": 2})],
    "SQRT": [([POSITIVE], NO, {})],
    "SQUARE": [([X], NO, {})],
    "SQUARED_DIFFERENCE": [([X, Y], NO, {})],
    "SQUEEZE": [([X[:1, :, :1]], "SqueezeOptions", {"squeezeDims": [0]}),
                ([X[:1, :, :1]], "SqueezeOptions", {"squeezeDims": []})],
    "STRIDED_SLICE": [
        ([X, begin, end, C(i32(*steps))], "StridedSliceOptions",
         {"beginMask": b, "endMask": e, "ellipsisMask": 0, "newAxisMask": 0, "shrinkAxisMask": s})
        for begin, end, steps, b, e, s in (
            (C(i32(0, -1, 0)), C(i32(0, 0, 0)), (1, 1, 1), 5, 5, 2),
            (C(i32(1, 0, 0)), C(i32(2, 3, 3)), (1, 2, 1), 0, 0, 1),
            (C(i32(0, 0, 0)), C(i32(0, 0, 0)), (1, -1, 1), 7, 7, 0),
            (i32(0, 1, 0), i32(0, 2, 0), (1, 1, 1), 5, 5, 2),
            (i32(0, 1, 1), i32(2, 3, 3), (1, 1, 1), 0, 0, 0),
        )
    ],
    "SUB": [([X, Y], "SubOptions", {"fusedActivationFunction": 3})],
    "SUM": [([X, C(i32(1))], "ReducerOptions", {"keepDims": True})],
    "TANH": [([X], NO, {})],
    "TILE": [([X, C(i32(1, 2, 2))], NO, {})],
    "TRANSPOSE": [([X, C(i32(2, 0, 1))], NO, {})],
    "UNPACK": [([X], "UnpackOptions", {"axis": 1, "num": 3})],
    "ZEROS_LIKE": [([X], NO, {})],
}  # fmt: skip
"""By operator: inputs (the file holds those in C), the table of options, and options."""

RESULTS = {"ARG_MAX": "INT32", "ARG_MIN": "INT32", "CAST": "INT32", "SHAPE": "INT32",
           "RANGE": "INT32", **dict.fromkeys(
               ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL",
                "LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT", "REDUCE_ANY", "REDUCE_ALL"),
               "BOOL")}  # fmt: skip
OUTPUTS = {"SPLIT": 2, "SPLIT_V": 2, "UNPACK": 3}
OTHERWISE_TESTED = {"QUANTIZE", "CALL_ONCE", "IF", "READ_VARIABLE", "VAR_HANDLE", "WHILE"}
"""Here below, and by whole files."""


def kernel(path, inputs):
    """What the interpreter makes, and the shapes of its results."""
    import tensorflow as tf

    kind = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = tf.lite.Interpreter(str(path), experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    for place, value in inputs.items():
        interpreter.set_tensor(place, value)
    interpreter.invoke()
    return [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]


def written(path, op, inputs, table, options, shapes=None):
    file, fed, places = LiteFile(), {}, []
    for number, value in enumerate(inputs):
        held = isinstance(value, C)
        array = np.asarray(value.value if held else value)
        place = file.tensor(f"in{number}", array.shape, array if held else None,
                            kind=TYPES[str(array.dtype)],
                            scale=value.scale if held else None)  # fmt: skip
        places.append(place)
        if not held:
            fed[place] = array
    kind = RESULTS.get(op, "FLOAT32")
    ends = [file.tensor(f"out{number}", shapes[number] if shapes else (1,), kind=kind)
            for number in range(OUTPUTS.get(op, 1))]  # fmt: skip
    version = {"BROADCAST_TO": 2, "FULLY_CONNECTED": 9}.get(op, 1)
    file.operator(op, places, ends, table, version=version, **options)
    return file.write(path, list(fed), ends), fed


@pytest.mark.parametrize(("op", "number"), [(op, n) for op in CASES for n in range(len(CASES[op]))])
def test_operator(tmp_path, op, number):
    inputs, table, options = CASES[op][number]
    first = [(2, 2, 2)] if op == "SLICE" else None  # the kernel does not ask for its size
    path, fed = written(tmp_path / "shapes.tflite", op, inputs, table, options, first)
    true = kernel(path, fed)
    shapes = [np.shape(one) for one in true]
    path, fed = written(tmp_path / "m.tflite", op, inputs, table, options, shapes)
    model = translated(read_lite_model(path))
    graph = flatten(model, path)
    program = OnnxProgram(graph, StoredValues(graph, TensorStore(path)))
    bound = {f"in{place}": value for place, value in fed.items()}
    for place, expected in enumerate(true):
        made = program.evaluation(bound).value(graph.outputs[place])
        assert made.dtype == expected.dtype
        assert made.shape == expected.shape
        np.testing.assert_allclose(made, expected, rtol=2e-5, atol=2e-6)


def test_a_number_is_not_turned_round(tmp_path):
    """A number has no axes: that ended the program, and the operator is named now."""
    path, _ = written(tmp_path / "m.tflite", "REVERSE_V2", [X[0, 0, 0], C(i32(0))], NO, {})
    (node,) = [
        one for one in translated(read_lite_model(path)).graph.node if "REVERSE" in one.op_type
    ]
    assert node.op_type == "REVERSE_V2 whose parts do not fit"


def held_to_the_kernel(path, x):
    """A whole file against the interpreter."""
    (true,) = kernel(path, {0: x})
    model = translated(read_lite_model(path))
    graph = flatten(model, path)
    program = OnnxProgram(graph, StoredValues(graph, TensorStore(path)))
    made = program.evaluation({"x": x}).value(graph.outputs[0])
    np.testing.assert_allclose(made, true, rtol=2e-5, atol=2e-6)
    return program


@pytest.mark.parametrize("chosen", [True, False])
def test_branches(tmp_path, chosen):
    file = LiteFile()
    x, held = file.tensor("x", (2, 3)), file.tensor("chosen", (), np.asarray(chosen), kind="BOOL")
    y = file.tensor("y", (2, 3))
    file.operator("IF", [held, x], [y], "IfOptions", thenSubgraphIndex=1, elseSubgraphIndex=2)
    file.end([x], [y])
    for op in ("EXP", "NEG"):
        file.begin(op)
        inner, made = file.tensor("x", (2, 3)), file.tensor("made", (2, 3))
        file.operator(op, [inner], [made])
        file.end([inner], [made])
    held_to_the_kernel(file.write(tmp_path / "m.tflite"), X[0, :2, :3])


def variables(path, assigned):
    """A file whose weights are variables that a subgraph gives constants once."""
    weights = [RNG.normal(size=(3, 3)).astype(np.float32) for _ in range(assigned)]
    file = LiteFile()
    x, handle = file.tensor("x", (2, 3)), file.tensor("handle", (), kind="RESOURCE")
    read, y = file.tensor("read", (3, 3)), file.tensor("y", (2, 3))
    names = {"container": "", "sharedName": "dense/kernel"}
    file.operator("CALL_ONCE", [], [], "CallOnceOptions", initSubgraphIndex=1)
    file.operator("VAR_HANDLE", [], [handle], "VarHandleOptions", **names)
    file.operator("READ_VARIABLE", [handle], [read])
    file.operator("BATCH_MATMUL", [x, read], [y], "BatchMatMulOptions", adjX=False, adjY=False)
    file.end([x], [y])
    file.begin("init")
    for number, array in enumerate(weights):
        inner = file.tensor(f"handle{number}", (), kind="RESOURCE")
        held = file.tensor(f"held{number}", (3, 3), array)
        file.operator("VAR_HANDLE", [], [inner], "VarHandleOptions", **names)
        file.operator("ASSIGN_VARIABLE", [inner, held], [])
    file.end([], [])
    return file.write(path)


def test_variables_that_are_given_once(tmp_path):
    held_to_the_kernel(variables(tmp_path / "m.tflite", 1), X[0, :2, :3])


def test_variables_that_are_given_twice_are_not_known(tmp_path):
    path = variables(tmp_path / "m.tflite", 2)
    graph = flatten(translated(read_lite_model(path)), path)
    program = OnnxProgram(graph, StoredValues(graph, TensorStore(path)))
    with pytest.raises(EvaluationError, match="a variable 'dense/kernel'"):
        program.evaluation({"x": X[0, :2, :3]}).value(graph.outputs[0])


def test_every_operator_is_tested():
    told = {*ELEMENTWISE, *SHAPES, *LINEAR, *control(lambda _: None)}
    assert told - CASES.keys() == OTHERWISE_TESTED
