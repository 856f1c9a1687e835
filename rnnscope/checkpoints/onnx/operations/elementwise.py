"""ONNX's operators on single elements."""

from __future__ import annotations

from functools import reduce
from typing import Any

from rnnscope.checkpoints.onnx.graph.element_types import LIKE
from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.graph.tensors import PACKED
from rnnscope.checkpoints.onnx.operations.interface import Evaluate, cast, given, plain
from rnnscope.model.ops import OPS


def _of_two(name: str) -> Evaluate:
    """An operator on two arrays; before operator set 7 the second one may be laid at an axis."""
    operation = OPS[name]

    def evaluate(node: OnnxNode, inputs: list[Any]) -> Any:
        left, right = inputs
        if node.opset < 7 and node.integer("broadcast") and "axis" in node.attributes:
            axis = node.integer("axis") % left.ndim
            right = right.reshape(right.shape + (1,) * (left.ndim - axis - right.ndim))
        return operation(left, right)

    return evaluate


def _with_numbers(name: str, **defaults: float) -> Evaluate:
    """An operator with constants of its own, which go by the same names in OPS."""
    operation = OPS[name]

    def evaluate(node: OnnxNode, inputs: list[Any]) -> Any:
        numbers = {key: node.number(key, default) for key, default in defaults.items()}
        return operation(inputs[0], **numbers)

    return evaluate


def _of_many(name: str) -> Evaluate:
    operation = OPS[name]
    return lambda _, inputs: reduce(operation, inputs)


def _mean(_: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["add_all"](*inputs) / inputs[0].dtype.type(len(inputs))


def _clip(node: OnnxNode, inputs: list[Any]) -> Any:
    low, high = given(inputs, 1), given(inputs, 2)
    if node.opset < 11:
        low, high = node.number("min"), node.number("max")
    return OPS["clip"](inputs[0], low, high)


def _cast(node: OnnxNode, inputs: list[Any]) -> Any:
    return cast(inputs[0], node.integer("to"))


def _cast_like(node: OnnxNode, inputs: list[Any]) -> Any:
    x, like = inputs
    narrow = node.integer(LIKE)
    if narrow and (like.dtype.kind == "f" or narrow in PACKED):
        return cast(x, narrow)
    return OPS["cast"](x, dtype=like.dtype)


def _modulo(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["truncated_modulo" if node.integer("fmod") else "floor_modulo"](*inputs)


def _power(_: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["power"](*inputs).astype(inputs[0].dtype)


def _gelu(node: OnnxNode, inputs: list[Any]) -> Any:
    return OPS["gelu"](inputs[0], approximate=node.text("approximate", "none") == "tanh")


def _is_inf(node: OnnxNode, inputs: list[Any]) -> Any:
    found = OPS["is_inf"](inputs[0])
    if not node.integer("detect_negative", 1):
        found = found & (inputs[0] > 0)
    if not node.integer("detect_positive", 1):
        found = found & (inputs[0] < 0)
    return found


def _prelu(node: OnnxNode, inputs: list[Any]) -> Any:
    x, slope = inputs
    if node.opset < 7 and slope.ndim == 1 and x.ndim > 1:  # one for each channel
        slope = slope.reshape(-1, *(1,) * (x.ndim - 2))
    return OPS["prelu"](x, slope)


ELEMENTWISE: dict[str, Evaluate] = {
    **{
        op: plain(name)
        for op, name in {
            "Abs": "absolute", "Acos": "arccos", "Acosh": "arccosh", "Asin": "arcsin",
            "Asinh": "arcsinh", "Atan": "arctan", "Atanh": "arctanh", "Ceil": "ceil",
            "Cos": "cos", "Cosh": "cosh", "Erf": "erf", "Exp": "exp", "Floor": "floor",
            "HardSwish": "hard_swish", "Identity": "identity", "IsNaN": "is_nan", "Log": "log",
            "Mish": "mish", "Neg": "negative", "Not": "logical_not", "Reciprocal": "reciprocal",
            "Relu": "relu", "Round": "round", "Sigmoid": "sigmoid", "Sign": "sign", "Sin": "sin",
            "Sinh": "sinh", "Softplus": "softplus", "Softsign": "softsign", "Sqrt": "sqrt",
            "Sum": "add_all", "Tan": "tan", "Tanh": "tanh", "Where": "where",
        }.items()
    },
    **{
        op: _of_two(name)
        for op, name in {
            "Add": "add", "And": "logical_and", "Div": "divide", "Equal": "equal",
            "Greater": "greater", "GreaterOrEqual": "greater_equal", "Less": "less",
            "LessOrEqual": "less_equal", "Mul": "multiply", "Or": "logical_or",
            "Sub": "subtract", "Xor": "logical_xor",
        }.items()
    },
    "Max": _of_many("maximum"),
    "Min": _of_many("minimum"),
    "Mean": _mean,
    "Clip": _clip,
    "Cast": _cast,
    "CastLike": _cast_like,
    "Mod": _modulo,
    "Pow": _power,
    "Gelu": _gelu,
    "IsInf": _is_inf,
    "PRelu": _prelu,
    "Celu": _with_numbers("celu", alpha=1.0),
    "Elu": _with_numbers("elu", alpha=1.0),
    "HardSigmoid": _with_numbers("hard_sigmoid", alpha=0.2, beta=0.5),
    "LeakyRelu": _with_numbers("leaky_relu", alpha=0.01),
    "Selu": _with_numbers("selu", alpha=1.6732631921768188, gamma=1.0507010221481323),
    "Shrink": _with_numbers("shrink", bias=0.0, lambd=0.5),
    "Swish": _with_numbers("swish", alpha=1.0),
    "ThresholdedRelu": _with_numbers("thresholded_relu", alpha=1.0),
}  # fmt: skip
"""By operator."""
