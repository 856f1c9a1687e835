"""TF_OPERATIONS: TensorFlow's ops, by name, as calls of OPS.

An entry takes the node, for its attributes, and the values of its data inputs. Control flow,
variables, placeholders and lists of tensors are the evaluator's own.

References
----------
tensorflow/core/ops/{math,array,nn,rnn}_ops.cc: inputs, attributes and defaults of each op.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.evaluation.values.attributes import (
    Evaluate,
    dtype_of,
    integers,
    text,
)
from rnnscope.checkpoints.tf1.graph.evaluation.values.convolutions import CONVOLUTIONS
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode
from rnnscope.files.tensorflow.protos import HALF_FLOATS
from rnnscope.model.ops import OPS, EvaluationError


def _plain(name: str, count: int | None = None) -> Evaluate:
    """An op that is an operation of OPS on its inputs, without attributes."""
    operation = OPS[name]
    return lambda _, inputs: operation(*inputs[:count])


def _reduction(name: str) -> Evaluate:
    operation = OPS[name]

    def evaluate(node: GraphNode, inputs: list[Any]) -> Any:
        keep = node.flag("keep_dims") or node.flag("keepdims")
        return operation(inputs[0], inputs[1], keepdims=keep)

    return evaluate


def _match(inputs: list[Any]) -> list[Any]:
    """The old Select: a condition of one axis chooses rows."""
    condition, yes, no = inputs
    if np.ndim(condition) == 1 and np.ndim(yes) > 1:
        condition = np.reshape(condition, (-1,) + (1,) * (np.ndim(yes) - 1))
    return [condition, yes, no]


def _strided_slice(node: GraphNode, inputs: list[Any]) -> Any:
    x, begins, ends, strides = (np.asarray(value) for value in inputs)
    masks = {key: node.integer(f"{key}_mask")
             for key in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}  # fmt: skip
    index: list[Any] = []
    triples = zip(np.ravel(begins), np.ravel(ends), np.ravel(strides), strict=True)
    for place, (begin, end, stride) in enumerate(triples):
        bit = 1 << place
        if masks["ellipsis"] & bit:
            index.append(...)
        elif masks["new_axis"] & bit:
            index.append(None)
        elif masks["shrink_axis"] & bit:
            index.append(int(begin))
        else:
            first = None if masks["begin"] & bit else int(begin)
            last = None if masks["end"] & bit else int(end)
            index.append(slice(first, last, int(stride)))
    try:
        return x[tuple(index)]
    except IndexError as error:
        raise EvaluationError(f"node '{node.name}' picks outside of its input: {error}") from error


def _matmul(node: GraphNode, inputs: list[Any]) -> Any:
    left = node.flag("transpose_a") or node.flag("adj_x")
    right = node.flag("transpose_b") or node.flag("adj_y")
    return OPS["matmul"](inputs[0], inputs[1], turn_left=left, turn_right=right)


def _bias_add(node: GraphNode, inputs: list[Any]) -> Any:
    first = text(node, "data_format", "NHWC").startswith("NC")
    return OPS["bias_add"](inputs[0], inputs[1], channels_first=first)


def _split(node: GraphNode, inputs: list[Any]) -> Any:
    return OPS["split"](inputs[1], count=node.integer("num_split", 1), axis=int(inputs[0]))


def _squeeze(node: GraphNode, inputs: list[Any]) -> Any:
    axes = integers(node, "squeeze_dims") or integers(node, "axis")
    return OPS["squeeze"](inputs[0], axes)


def _one_hot(node: GraphNode, inputs: list[Any]) -> Any:
    return OPS["one_hot"](*inputs, axis=node.integer("axis", -1))


def _arg(name: str) -> Evaluate:
    operation = OPS[name]
    return lambda node, inputs: operation(
        inputs[0], axis=int(inputs[1]) if len(inputs) > 1 else 0,
        dtype=dtype_of(node, "output_type", 9),
    )  # fmt: skip


def _pad(_: GraphNode, inputs: list[Any]) -> Any:
    value = inputs[2] if len(inputs) > 2 else 0
    return OPS["pad"](inputs[0], inputs[1], value=value)


def _mirror_pad(node: GraphNode, inputs: list[Any]) -> Any:
    return OPS["pad"](inputs[0], inputs[1], mode=text(node, "mode").lower())


def _gather(node: GraphNode, inputs: list[Any]) -> Any:
    axis = int(inputs[2]) if len(inputs) > 2 else 0
    return OPS["gather"](inputs[0], inputs[1], axis=axis, batch=node.integer("batch_dims"))


def _reverse_sequence(node: GraphNode, inputs: list[Any]) -> Any:
    time, batch = node.integer("seq_dim"), node.integer("batch_dim")
    return OPS["reverse_sequence"](inputs[0], inputs[1], time_axis=time, batch_axis=batch)


def _top_k(node: GraphNode, inputs: list[Any]) -> Any:
    return OPS["top_k"](inputs[0], inputs[1] if len(inputs) > 1 else node.integer("k"))


def _sized(name: str) -> Evaluate:
    operation = OPS[name]
    return lambda node, inputs: operation(inputs[0], dtype=dtype_of(node, "out_type", 3))


def _cast(node: GraphNode, inputs: list[Any]) -> Any:
    if node.flag("Truncate"):
        raise EvaluationError("it cuts floats off in the place of rounding them")
    number = int(node.attr["DstT"].type) if "DstT" in node.attr else 0
    if number in HALF_FLOATS:
        return OPS["round_to_half"](inputs[0], to=HALF_FLOATS[number])
    return OPS["cast"](inputs[0], dtype=dtype_of(node, "DstT"))


def _cumulative_sum(node: GraphNode, inputs: list[Any]) -> Any:
    return OPS["cumulative_sum"](
        inputs[0], inputs[1], exclusive=node.flag("exclusive"), reverse=node.flag("reverse")
    )


def _log_softmax(_: GraphNode, inputs: list[Any]) -> Any:
    return OPS["log_softmax"](inputs[0])


def _in_axis(name: str, key: str = "axis") -> Evaluate:
    operation = OPS[name]
    return lambda node, inputs: operation(*inputs, axis=node.integer(key))


def _l2_loss(_: GraphNode, inputs: list[Any]) -> Any:
    return np.sum(np.square(inputs[0])) / 2


def _broadcast_args(_: GraphNode, inputs: list[Any]) -> Any:
    shapes = (tuple(int(size) for size in np.ravel(value)) for value in inputs)
    return np.array(np.broadcast_shapes(*shapes), np.asarray(inputs[0]).dtype)


TF_OPERATIONS: dict[str, Evaluate] = {
    **CONVOLUTIONS,
    **{op: _plain("identity", 1) for op in (
        "Identity", "RefIdentity", "StopGradient", "PreventGradient", "CheckNumerics", "Snapshot",
        "EnsureShape", "ReadVariableOp", "DeepCopy", "Print", "PlaceholderWithDefault",
        "OptimizationBarrier",
    )},
    "Add": _plain("add"),
    "AddV2": _plain("add"),
    "Sub": _plain("subtract"),
    "Mul": _plain("multiply"),
    "RealDiv": _plain("divide"),
    "Div": _plain("divide"),
    "TruncateDiv": _plain("divide"),
    "DivNoNan": lambda _, v: np.where(v[1] == 0, np.zeros((), v[0].dtype),
                                      v[0] / np.where(v[1] == 0, 1, v[1])).astype(v[0].dtype),
    "MulNoNan": lambda _, v: np.where(v[1] == 0, np.zeros((), v[0].dtype), v[0] * v[1]),
    "FloorDiv": _plain("floor_divide"),
    "FloorMod": _plain("floor_modulo"),
    "Mod": _plain("truncated_modulo"),
    "TruncateMod": _plain("truncated_modulo"),
    "Pow": _plain("power"),
    "Maximum": _plain("maximum"),
    "Minimum": _plain("minimum"),
    "SquaredDifference": _plain("squared_difference"),
    "AddN": _plain("add_all"),
    "AccumulateNV2": _plain("add_all"),
    "Neg": _plain("negative"),
    "Abs": _plain("absolute"),
    "Sign": _plain("sign"),
    "Exp": _plain("exp"),
    "Expm1": _plain("expm1"),
    "Log": _plain("log"),
    "Log1p": _plain("log1p"),
    "Sqrt": _plain("sqrt"),
    "Rsqrt": _plain("rsqrt"),
    "Reciprocal": _plain("reciprocal"),
    "Inv": _plain("reciprocal"),
    "Square": _plain("square"),
    "Floor": _plain("floor"),
    "Ceil": _plain("ceil"),
    "Round": _plain("round"),
    "Rint": _plain("round"),
    "Sin": _plain("sin"),
    "Cos": _plain("cos"),
    "Tan": _plain("tan"),
    "Asin": _plain("arcsin"),
    "Acos": _plain("arccos"),
    "Atan": _plain("arctan"),
    "Atan2": _plain("arctan2"),
    "Sinh": _plain("sinh"),
    "Cosh": _plain("cosh"),
    "Tanh": _plain("tanh"),
    "Erf": _plain("erf"),
    "Sigmoid": _plain("sigmoid"),
    "Softplus": _plain("softplus"),
    "Softsign": _plain("softsign"),
    "Relu": _plain("relu"),
    "Relu6": _plain("relu6"),
    "Elu": _plain("elu"),
    "Selu": _plain("selu"),
    "LeakyRelu": lambda node, v: OPS["leaky_relu"](v[0], alpha=node.number("alpha", 0.2)),
    "ClipByValue": _plain("clip"),
    "Select": lambda _, inputs: OPS["where"](*_match(inputs)),
    "SelectV2": _plain("where"),
    "Cast": _cast,
    "Equal": _plain("equal"),
    "NotEqual": _plain("not_equal"),
    "Less": _plain("less"),
    "LessEqual": _plain("less_equal"),
    "Greater": _plain("greater"),
    "GreaterEqual": _plain("greater_equal"),
    "LogicalAnd": _plain("logical_and"),
    "LogicalOr": _plain("logical_or"),
    "LogicalNot": _plain("logical_not"),
    "IsNan": _plain("is_nan"),
    "IsFinite": _plain("is_finite"),
    "IsInf": _plain("is_inf"),
    "Reshape": _plain("reshape"),
    "Transpose": _plain("transpose"),
    "ExpandDims": _plain("expand_dims"),
    "Squeeze": _squeeze,
    "ConcatV2": lambda _, v: OPS["concat"](*v[:-1], axis=int(v[-1])),
    "Concat": lambda _, v: OPS["concat"](*v[1:], axis=int(v[0])),
    "Pack": _in_axis("stack"),
    "Stack": _in_axis("stack"),
    "ParallelStack": _plain("stack"),
    "Unpack": _in_axis("unstack"),
    "Unstack": _in_axis("unstack"),
    "Split": _split,
    "SplitV": lambda _, v: OPS["split_sizes"](v[0], sizes=np.ravel(v[1]), axis=int(v[2])),
    "Slice": _plain("slice_from"),
    "StridedSlice": _strided_slice,
    "Gather": _gather,
    "GatherV2": _gather,
    "ResourceGather": lambda node, v: OPS["gather"](v[0], v[1], batch=node.integer("batch_dims")),
    "GatherNd": _plain("gather_nd"),
    "ScatterNd": _plain("scatter_nd"),
    "Pad": _pad,
    "PadV2": _pad,
    "MirrorPad": _mirror_pad,
    "Tile": _plain("tile"),
    "BroadcastTo": _plain("broadcast_to"),
    "BroadcastArgs": _broadcast_args,
    "ReverseV2": _plain("reverse"),
    "Reverse": lambda _, v: OPS["reverse"](v[0], np.flatnonzero(v[1])),
    "ReverseSequence": _reverse_sequence,
    "Fill": _plain("fill"),
    "Range": _plain("arange"),
    "OneHot": _one_hot,
    "Where": _plain("nonzero"),
    "MatrixBandPart": _plain("band_part"),
    "Shape": _sized("shape"),
    "Size": _sized("size"),
    "Rank": _plain("rank"),
    "ZerosLike": _plain("zeros_like"),
    "OnesLike": _plain("ones_like"),
    "Sum": _reduction("sum"),
    "Mean": _reduction("mean"),
    "Prod": _reduction("product"),
    "Max": _reduction("max"),
    "Min": _reduction("min"),
    "Any": _reduction("any"),
    "All": _reduction("all"),
    "ArgMax": _arg("argmax"),
    "ArgMin": _arg("argmin"),
    "Softmax": _plain("softmax"),
    "LogSoftmax": _log_softmax,
    "Cumsum": _cumulative_sum,
    "TopK": _top_k,
    "TopKV2": _top_k,
    "L2Loss": _l2_loss,
    "MatMul": _matmul,
    "BatchMatMul": _matmul,
    "BatchMatMulV2": _matmul,
    "Einsum": lambda node, v: OPS["einsum"](*v, equation=text(node, "equation")),
    "BiasAdd": _bias_add,
    "BiasAddV1": _bias_add,
}  # fmt: skip
"""Ops without control flow, lists, variables or randomness."""
