"""OPS as ONNX's operators call it: ONNX's own node tests, and onnx's ReferenceEvaluator."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import numpy as np
import pytest
from onnx_node_cases import assert_alike, evaluate, node_cases

from rnnscope.checkpoints.onnx.evaluation.control import CONTROL
from rnnscope.checkpoints.onnx.operations import OPERATIONS
from rnnscope.model.ops import OPS, EvaluationError, check_size
from rnnscope.model.ops.interface import at_most

onnx = pytest.importorskip("onnx")

NOT_COMPUTED = {
    "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True",
    "test_batchnorm_example_training_mode", "test_batchnorm_epsilon_training_mode",
    "test_convtranspose_output_shape", "test_dequantizelinear_blocked",
    "test_training_dropout_default", "test_training_dropout_default_mask",
    "test_training_dropout", "test_training_dropout_mask",
    "test_maxpool_with_argmax_2d_precomputed_pads",
    "test_maxpool_with_argmax_2d_precomputed_strides",
    "test_quantizelinear_blocked_asymmetric", "test_reduce_max_empty_set",
    "test_reduce_max_empty_set_bool", "test_reduce_min_empty_set",
}  # fmt: skip
"""Cases of ONNX that are refused by name: training, blocks of scales, indices of pooling, extremes
of nothing."""

ROUNDED = {"test_averagepool_2d_ceil_last_window_starts_on_pad"}
"""Cases whose expected values were written with four digits."""


def computed_in_numpy(arrays):
    """Whether all are of dtypes that rnnscope reads as they are."""
    return all(
        isinstance(array, list)
        or (np.asarray(array).dtype.kind in "fiub" and np.asarray(array).dtype != np.float16)
        for array in arrays
    )


@cache
def node_cases_by_operator():
    """ONNX's cases that can be held to OPS; made as they are asked for, not by whoever collects."""
    found = defaultdict(list)
    for case in node_cases():
        known = case.node.op_type in OPERATIONS and not case.node.domain
        if known and computed_in_numpy([*case.inputs, *case.outputs]):
            found[case.node.op_type].append(case)
    return found


def run(node, inputs, opset):
    """The outputs of a node, in order."""
    names = [name for name in node.input if name]
    arrays = {
        name: array if isinstance(array, list) else np.asarray(array)
        for name, array in zip(names, inputs, strict=True)
    }
    made = evaluate(node, arrays, opset)
    return [made[name] for name in node.output if name]


@pytest.mark.parametrize("op", sorted(OPERATIONS))
def test_as_onnx_s_node_tests_have_it(op):
    seen = 0
    for case in node_cases_by_operator().get(op, ()):
        if case.name in ROUNDED:
            continue
        if case.name in NOT_COMPUTED:
            with pytest.raises(EvaluationError, match=op):
                run(case.node, case.inputs, case.opset)
            continue
        for ours, theirs in zip(run(case.node, case.inputs, case.opset), case.outputs, strict=True):
            assert_alike(ours, theirs)
        seen += 1
    assert seen or op in ("Cast", "CastLike", *SEQUENCES)  # tested below


RNG = np.random.default_rng(4)


def floats(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def ids(*numbers):
    return np.array(numbers, np.int64)


X, WIDE, ROW = floats(2, 3, 4), floats(3, 2, 5, 6), floats(4)

# (op, inputs, attributes, operator set)
VERSIONS = [
    ("Add", [X, ROW], {}, 13),
    ("Cast", [X * 3], {"to": 7}, 13),
    ("Cast", [X > 0], {"to": 1}, 13),
    ("Cast", [X], {"to": 11}, 9),
    ("CastLike", [X * 3, ids(1)], {}, 15),
    ("Clip", [X, np.float32(-0.5), np.float32(0.5)], {}, 13),
    ("Concat", [X, X], {"axis": 1}, 4),
    ("Dropout", [X], {}, 10),
    ("Dropout", [X, np.float32(0.5)], {}, 13),
    ("Gather", [X, ids(0, -1)], {"axis": 1}, 11),
    ("Hardmax", [X], {"axis": 1}, 11),
    ("Hardmax", [X], {"axis": 1}, 13),
    ("LogSoftmax", [X], {"axis": 1}, 11),
    ("LogSoftmax", [X], {"axis": 1}, 13),
    ("Pad", [X, ids(0, 1, 0, 0, 0, 2), np.float32(7)], {}, 13),
    ("Pad", [X, ids(1, 2), np.float32(0), ids(-1)], {}, 18),
    ("ReduceMean", [X], {"axes": [1], "keepdims": 0}, 13),
    ("ReduceMean", [X, ids(1)], {"keepdims": 0}, 18),
    ("ReduceSum", [X], {"axes": [0, 2]}, 11),
    ("ReduceSum", [X, ids(0, 2)], {}, 13),
    ("ReduceSum", [X], {"noop_with_empty_axes": 1}, 13),
    ("Reshape", [X, ids(0, -1)], {}, 13),
    ("Slice", [X], {"starts": [1], "ends": [9], "axes": [2]}, 9),
    ("Slice", [X, ids(-1), ids(-99), ids(1), ids(-2)], {}, 13),
    ("Softmax", [X], {"axis": 1}, 11),
    ("Softmax", [X], {}, 11),
    ("Softmax", [X], {"axis": 1}, 13),
    ("Split", [X], {"axis": 2, "split": [1, 3]}, 11),
    ("Split", [X, ids(3, 1)], {"axis": 2}, 13),
    ("Split", [floats(5, 2)], {"num_outputs": 2}, 18),
    ("Squeeze", [floats(1, 3, 1)], {"axes": [0]}, 11),
    ("Squeeze", [floats(1, 3, 1), ids(-1)], {}, 13),
    ("TopK", [X, ids(2)], {}, 11),
    ("Unsqueeze", [X], {"axes": [0, 4]}, 11),
    ("Unsqueeze", [X, ids(0, -1)], {}, 13),
    ("Where", [X > 0, X, ROW], {}, 9),
    ("Gemm", [floats(2, 3), floats(4, 3), ROW], {"transB": 1, "alpha": 0.5, "beta": 2.0}, 11),
    ("MatMul", [X, floats(4, 2)], {}, 13),
    ("Conv", [WIDE, floats(4, 1, 2, 3), ROW], {"group": 2, "strides": [2, 1]}, 11),
    ("MaxPool", [WIDE], {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER"}, 12),
    ("BatchNormalization", [WIDE, floats(2), floats(2), floats(2), np.abs(floats(2))], {}, 15),
    ("Einsum", [X, floats(2, 4, 5)], {"equation": "bij,bjk->bik"}, 12),
]  # fmt: skip


def by_reference(model, arrays):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, arrays)


def by_onnxruntime(model, arrays):
    """For operators of which onnx's reference knows the newest version alone."""
    runtime = pytest.importorskip("onnxruntime")
    for result in model.graph.output:
        result.type.tensor_type.elem_type = 1
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, arrays)


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "opset"), VERSIONS,
    ids=[f"{case[0]}-{case[3]}-{number}" for number, case in enumerate(VERSIONS)],
)  # fmt: skip
def test_as_onnx_s_reference_evaluator(op, inputs, attributes, opset):
    arrays = {f"in{n}": np.asarray(array) for n, array in enumerate(inputs)}
    outputs = ["out0", "out1"] if op in ("Split", "TopK") else ["out0"]
    node = onnx.helper.make_node(op, list(arrays), outputs, **attributes)
    described = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in arrays.items()
    ]
    results = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = onnx.helper.make_graph([node], "case", described, results)
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    rows = op in ("Hardmax", "LogSoftmax", "Softmax") and opset < 13
    expected = (by_onnxruntime if rows else by_reference)(model, arrays)
    for ours, theirs in zip(run(node, inputs, opset), expected, strict=True):
        assert_alike(ours, theirs)


def test_clip_before_operator_set_11_has_attributes():
    node = onnx.helper.make_node("Clip", ["x"], ["y"], min=-0.5, max=0.25)
    (made,) = run(node, [X], 6)
    np.testing.assert_array_equal(made, np.clip(X, np.float32(-0.5), np.float32(0.25)))


def test_operators_before_operator_set_7_lay_the_second_array_at_an_axis():
    node = onnx.helper.make_node("Add", ["x", "b"], ["y"], broadcast=1, axis=1)
    bias = floats(3)
    (made,) = run(node, [X, bias], 6)
    np.testing.assert_array_equal(made, X + bias[:, None])


SEQUENCES = {
    "SequenceConstruct": ([X, ROW], {}, [[X, ROW]]),
    "SequenceEmpty": ([], {}, [[]]),
    "SequenceAt": ([[X, ROW], ids(-1)], {}, [ROW]),
    "SequenceErase": ([[X, ROW], ids(0)], {}, [[ROW]]),
    "SequenceLength": ([[X, ROW]], {}, [np.int64(2)]),
    "ConcatFromSequence": ([[X, X]], {"axis": 1}, [np.concatenate([X, X], 1)]),
}


@pytest.mark.parametrize("op", SEQUENCES)
def test_sequences(op):
    inputs, attributes, expected = SEQUENCES[op]
    names = [f"in{n}" for n in range(len(inputs))]
    node = onnx.helper.make_node(op, names, ["out"], **attributes)
    for ours, theirs in zip(run(node, inputs, 13), expected, strict=True):
        assert_alike(ours, theirs)


def test_stacked_sequences():
    node = onnx.helper.make_node("ConcatFromSequence", ["s"], ["out"], axis=-1, new_axis=1)
    (made,) = run(node, [[X, X]], 13)
    np.testing.assert_array_equal(made, np.stack([X, X], axis=-1))


def test_every_operator_is_tested():
    tested = node_cases_by_operator().keys() - {"Cast", "CastLike"}
    tested |= {case[0] for case in VERSIONS} | SEQUENCES.keys()
    assert OPERATIONS.keys() <= tested
    assert set(CONTROL) == {"Loop", "Scan"}


def test_an_operator_that_is_not_known_is_named():
    node = onnx.helper.make_node("RandomNormal", [], ["y"], name="noise", shape=[2])
    with pytest.raises(EvaluationError, match=r"op RandomNormal \(node 'noise'\) is not computed"):
        evaluate(node, {}, 13)


@pytest.mark.parametrize(
    ("op", "inputs", "attributes"),
    [
        ("Reshape", [X, ids(5, 5)], {}),
        ("Gather", [X, ids(9)], {"axis": 0}),
        ("MatMul", [X, X], {}),
        ("Expand", [ROW, ids(1 << 40, 4)], {}),
        ("Tile", [ROW, ids(1 << 40)], {}),
        ("Range", [ids(0)[0], ids(1 << 60)[0], ids(1)[0]], {}),
        ("Transpose", [X], {"perm": [0, 0, 1]}),
        ("Pad", [ROW, ids(0, 1 << 40)], {}),
        ("OneHot", [ids(1), ids(1 << 40), np.array([0.0, 1.0], np.float32)], {}),
    ],
)
def test_what_does_not_fit_or_is_too_large_is_refused_by_the_node_s_name(op, inputs, attributes):
    names = [f"in{n}" for n in range(len(inputs))]
    node = onnx.helper.make_node(op, names, ["out"], name="here", **attributes)
    with pytest.raises(EvaluationError, match="here"):
        run(node, inputs, 13)


@pytest.mark.parametrize(
    ("op", "inputs", "attributes"),
    [
        ("Pad", [X[0, 0, 0], ids(), np.float32(0), ids(0)], {}),
        ("Split", [ROW], {"num_outputs": 0}),
        ("GroupNormalization", [X[:0], ROW[:0], ROW[:0]], {"num_groups": 0}),
        ("LayerNormalization", [X[0, 0, 0], ROW[0]], {}),
        ("RMSNormalization", [X[0, 0, 0], ROW[0]], {}),
    ],
)
def test_a_division_by_no_axes_or_parts_is_refused_by_the_node_s_name(op, inputs, attributes):
    """A ZeroDivisionError ended the program."""
    names = [f"in{n}" for n in range(len(inputs))]
    node = onnx.helper.make_node(op, names, ["out"], name="here", **attributes)
    with pytest.raises(EvaluationError, match="here"):
        run(node, inputs, 23)


N = 1 << 18
BROAD, TALL = (np.broadcast_to(np.int8(1), shape) for shape in ((1, N), (N, 1)))
SCALE = np.broadcast_to(np.float32(1), (N, 1, 1))


@pytest.mark.parametrize(
    ("name", "arrays", "options"),
    [
        ("dequantize", [BROAD, SCALE], {}),
        ("dequantize", [BROAD, np.float32(1), TALL], {}),
        ("quantize", [BROAD, SCALE], {}),
        ("quantize", [BROAD, np.float32(1), TALL], {}),
        ("matmul_whole", [TALL, BROAD], {}),
        ("matmul_whole", [BROAD, TALL, TALL], {}),
        ("matmul_whole", [BROAD, TALL, None, BROAD], {}),
        ("clip", [BROAD, TALL], {}),
        ("clip", [BROAD, None, TALL], {}),
        ("bias_add", [BROAD, TALL], {}),
        ("bias_add", [SCALE, BROAD], {"channels_first": True}),
        ("gather_elements", [BROAD, TALL], {"axis": 0}),
        ("one_hot", [BROAD, 8, TALL[:, :, None]], {}),
    ],
)
def test_no_operation_grows_beyond_the_limit_by_broadcasting(name, arrays, options):
    """A scale of (262144, 1, 1) made 64 GiB of a row: a file of a megabyte was enough."""
    with pytest.raises(EvaluationError):
        OPS[name](*arrays, **options)


def test_a_table_may_be_larger_than_what_an_evaluation_makes():
    """Tables of quantised numbers are widened as a whole, whatever their size is."""
    rows = np.ones((64, 8), np.int8)
    with at_most(1024):
        made = OPS["dequantize"](rows, np.ones(8, np.float32), np.ones(8, np.int8))
    assert made.shape == rows.shape


def test_sizes_have_a_limit():
    with pytest.raises(EvaluationError, match="larger than"):
        check_size((1 << 20, 1 << 20), np.float32)
    with pytest.raises(EvaluationError, match="cannot be made"):
        check_size((-1,), np.float32)


def test_nothing_random_and_nothing_that_reads_or_writes():
    words = ("random", "file", "read", "write", "print", "py_func", "variable", "assign")
    assert [name for name in OPS if any(word in name for word in words)] == []
