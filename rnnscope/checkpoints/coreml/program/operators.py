"""OPERATORS: the operations of an ML program by type, each written in ONNX's operators.

References
----------
coremltools, converters/mil/mil/ops/defs (iOS15 to iOS18): inputs, defaults and meaning.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from rnnscope.checkpoints.coreml.program.interface import Operator, ProgramScope, name_of
from rnnscope.checkpoints.coreml.program.moving import MOVING
from rnnscope.checkpoints.coreml.program.recurrent import RECURRENT
from rnnscope.checkpoints.translated.messages import NotTranslated

UNARY = {
    "abs": "Abs", "acos": "Acos", "asin": "Asin", "atan": "Atan", "atanh": "Atanh",
    "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "erf": "Erf", "exp": "Exp", "floor": "Floor",
    "identity": "Identity", "logical_not": "Not", "relu": "Relu", "sigmoid": "Sigmoid",
    "sign": "Sign", "sin": "Sin", "sinh": "Sinh", "softplus": "Softplus", "softsign": "Softsign",
    "sqrt": "Sqrt", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip
"""Of x alone."""

BINARY = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "real_div": "Div", "maximum": "Max",
    "minimum": "Min", "pow": "Pow", "equal": "Equal", "less": "Less",
    "less_equal": "LessOrEqual", "greater": "Greater", "greater_equal": "GreaterOrEqual",
    "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor",
}  # fmt: skip
"""Of x and y, broadcast."""

REDUCTIONS = {
    "reduce_sum": "ReduceSum", "reduce_mean": "ReduceMean", "reduce_max": "ReduceMax",
    "reduce_min": "ReduceMin", "reduce_prod": "ReduceProd", "reduce_l1_norm": "ReduceL1",
    "reduce_l2_norm": "ReduceL2",
}  # fmt: skip

CASTS = {
    "fp16": 10, "fp32": 1, "fp64": 11, "int32": 6, "int64": 7, "bool": 9, "int8": 3, "uint8": 2,
    "int16": 5, "uint16": 4,
}  # fmt: skip


def _unary(kind: str, scope: ProgramScope, op: Any) -> Sequence[str]:
    return [scope.made.one(kind, [scope.key(op, "x")], name_of(op))]


def _binary(kind: str, scope: ProgramScope, op: Any) -> Sequence[str]:
    return [scope.made.one(kind, [scope.key(op, "x"), scope.key(op, "y")], name_of(op))]


def _not_equal(scope: ProgramScope, op: Any) -> Sequence[str]:
    (equal,) = _binary("Equal", scope, op)
    return [scope.made.one("Not", [equal], f"{name_of(op)}/not")]


def _silu(scope: ProgramScope, op: Any) -> Sequence[str]:
    x = scope.key(op, "x")
    gate = scope.made.one("Sigmoid", [x], f"{name_of(op)}/gate")
    return [scope.made.one("Mul", [x, gate], name_of(op))]


def _square(scope: ProgramScope, op: Any) -> Sequence[str]:
    x = scope.key(op, "x")
    return [scope.made.one("Mul", [x, x], name_of(op))]


def _shifted(kind: str, default: float, scope: ProgramScope, op: Any) -> Sequence[str]:
    """A function of x and a small number that is added to it first."""
    small = _like(scope, op, scope.number(op, "epsilon", default))
    x = scope.made.one("Add", [scope.key(op, "x"), small], f"{name_of(op)}/shifted")
    if kind == "Rsqrt":
        root = scope.made.one("Sqrt", [x], f"{name_of(op)}/root")
        return [scope.made.one("Reciprocal", [root], name_of(op))]
    return [scope.made.one(kind, [x], name_of(op))]


def _like(scope: ProgramScope, op: Any, value: float) -> str:
    """A number of the dtype of x."""
    stored = scope.made.stored(f"{name_of(op)}/number", np.asarray(value))
    return scope.made.one("CastLike", [stored, scope.key(op, "x")], f"{name_of(op)}/number")


def _sloped(kind: str, defaults: dict[str, float], scope: ProgramScope, op: Any) -> Sequence[str]:
    """An activation with constants."""
    constants = {role: scope.number(op, role, default) for role, default in defaults.items()}
    return [scope.made.one(kind, [scope.key(op, "x")], name_of(op), **constants)]


def _scaled(scope: ProgramScope, op: Any) -> Sequence[str]:
    """``alpha x + beta``, or alpha tanh(beta x)."""
    made, name, x = scope.made, name_of(op), scope.key(op, "x")
    alpha, beta = (_like(scope, op, scope.number(op, role, 1.0)) for role in ("alpha", "beta"))
    if op.type == "scaled_tanh":
        inner = made.one("Tanh", [made.one("Mul", [x, beta], f"{name}/inner")], f"{name}/tanh")
        return [made.one("Mul", [inner, alpha], name)]
    return [made.one("Add", [made.one("Mul", [x, alpha], f"{name}/scaled"), beta], name)]


def _clip(scope: ProgramScope, op: Any) -> Sequence[str]:
    low, high = (0.0, 6.0)
    if op.type == "clip":
        low, high = (scope.number(op, role, 0.0) for role in ("alpha", "beta"))
    bounds = [_like(scope, op, low), _like(scope, op, high)]
    return [scope.made.one("Clip", [scope.key(op, "x"), *bounds], name_of(op))]


def _gelu(scope: ProgramScope, op: Any) -> Sequence[str]:
    mode = scope.text(op, "mode", "EXACT")
    form = {"EXACT": "none", "TANH_APPROXIMATION": "tanh"}.get(mode)
    if form is None:
        raise NotTranslated(f"has the mode {mode}")
    return [scope.made.one("Gelu", [scope.key(op, "x")], name_of(op), approximate=form)]


def _select(scope: ProgramScope, op: Any) -> Sequence[str]:
    keys = [scope.key(op, role) for role in ("cond", "a", "b")]
    return [scope.made.one("Where", keys, name_of(op))]


def _linear(scope: ProgramScope, op: Any) -> Sequence[str]:
    made, name = scope.made, name_of(op)
    weight = made.one("Transpose", [scope.key(op, "weight")], f"{name}/weight", perm=[1, 0])
    bias = scope.key(op, "bias")
    if not bias:
        return [made.one("MatMul", [scope.key(op, "x"), weight], name)]
    product = made.one("MatMul", [scope.key(op, "x"), weight], f"{name}/product")
    return [made.one("Add", [product, bias], name)]


def _matmul(scope: ProgramScope, op: Any) -> Sequence[str]:
    keys = []
    for role in ("x", "y"):
        key, rank = scope.key(op, role), scope.rank(op, role)
        if scope.true(op, f"transpose_{role}"):
            if rank < 2:
                raise NotTranslated(f"turns {role}, whose axes are not known")
            perm = [*range(rank - 2), rank - 1, rank - 2]
            key = scope.made.one("Transpose", [key], f"{name_of(op)}/{role}", perm=perm)
        keys.append(key)
    return [scope.made.one("MatMul", keys, name_of(op))]


def _conv(scope: ProgramScope, op: Any) -> Sequence[str]:
    kind = scope.text(op, "pad_type", "valid")
    auto = {"valid": "VALID", "same": "SAME_UPPER", "same_lower": "SAME_LOWER", "custom": None}
    if kind not in auto:
        raise NotTranslated(f"pads by the rule '{kind}'")
    pads = scope.ints(op, "pad") if kind == "custom" else None
    keys = [scope.key(op, role) for role in ("x", "weight")]
    keys += [scope.key(op, "bias")] if "bias" in op.inputs else []
    return [
        scope.made.one(
            "Conv", keys, name_of(op), strides=scope.ints(op, "strides"),
            dilations=scope.ints(op, "dilations"), group=int(scope.number(op, "groups", 1)),
            auto_pad=auto[kind],
            # Core ML pairs the ends of each axis; ONNX lists all beginnings first.
            pads=None if pads is None else [*pads[::2], *pads[1::2]],
        )
    ]  # fmt: skip


def _softmax(scope: ProgramScope, op: Any) -> Sequence[str]:
    axis = int(scope.number(op, "axis", -1))
    return [scope.made.one("Softmax", [scope.key(op, "x")], name_of(op), axis=axis)]


def _reduction(kind: str, scope: ProgramScope, op: Any) -> Sequence[str]:
    axes = scope.ints(op, "axes")
    keys = [scope.key(op, "x")] + ([] if axes is None else [scope.made.ints(axes)])
    keep = int(scope.true(op, "keep_dims"))
    return [scope.made.one(kind, keys, name_of(op), keepdims=keep)]


def _cast(scope: ProgramScope, op: Any) -> Sequence[str]:
    wanted = scope.text(op, "dtype")
    if wanted not in CASTS:
        raise NotTranslated(f"makes values of type {wanted}")
    return [scope.made.one("Cast", [scope.key(op, "x")], name_of(op), to=CASTS[wanted])]


def _batch_norm(scope: ProgramScope, op: Any) -> Sequence[str]:
    made, name = scope.made, name_of(op)
    mean, variance = scope.key(op, "mean"), scope.key(op, "variance")
    none = made.one("Sub", [mean, mean], f"{name}/none")
    ones = made.one("Exp", [none], f"{name}/ones")
    gamma, beta = scope.key(op, "gamma") or ones, scope.key(op, "beta") or none
    keys = [scope.key(op, "x"), gamma, beta, mean, variance]
    return [made.one("BatchNormalization", keys, name, epsilon=scope.number(op, "epsilon", 1e-5))]


def _layer_norm(scope: ProgramScope, op: Any) -> Sequence[str]:
    made, name, x = scope.made, name_of(op), scope.key(op, "x")
    axes = scope.ints(op, "axes")
    if axes is None:
        raise NotTranslated("normalises axes that it does not state")
    where = made.ints(axes)
    centred = made.one(
        "Sub", [x, made.one("ReduceMean", [x, where], f"{name}/mean", keepdims=1)], f"{name}/x"
    )
    square = made.one("Mul", [centred, centred], f"{name}/square")
    variance = made.one("ReduceMean", [square, where], f"{name}/variance", keepdims=1)
    shifted = made.one(
        "Add", [variance, _like(scope, op, scope.number(op, "epsilon", 1e-5))], f"{name}/shifted"
    )
    made_of = made.one("Div", [centred, made.one("Sqrt", [shifted], f"{name}/size")], name)
    for role, kind in (("gamma", "Mul"), ("beta", "Add")):
        if role in op.inputs:
            made_of = made.one(kind, [made_of, scope.key(op, role)], f"{name}/{role}")
    return [made_of]


BYTES = {21, 31}
"""MIL's DataType of whole numbers of 8 bits, with a sign and without."""


def _affine_dequantize(scope: ProgramScope, op: Any) -> Sequence[str]:
    """Whole numbers as ``scale (q - zero_point)``, along an axis."""
    made, name = scope.made, name_of(op)
    values = {role: op.attributes[role] for role in ("quantized_data", "scale", "zero_point")
              if role in op.attributes}  # fmt: skip
    if len(values) != 3 or "axis" not in op.attributes:
        raise NotTranslated("is compressed in another way than by a scale and a zero point")
    rank = len(values["quantized_data"].type.tensorType.dimensions)
    axis = int(op.attributes["axis"].immediateValue.tensor.ints.values[0]) % max(rank, 1)
    stored = [scope.store(f"{name}/{role}", value) for role, value in values.items()]
    ranks = {len(value.type.tensorType.dimensions) for value in (*values.values(),)[1:]}
    kinds = {values[role].type.tensorType.dataType for role in ("quantized_data", "zero_point")}
    if ranks <= {0, 1} and len(kinds) == 1 and kinds <= BYTES:
        return [made.one("DequantizeLinear", stored, name, axis=axis)]  # a table stays in its file
    parts = {}
    for key, (role, value) in zip(stored, values.items(), strict=True):
        wide = made.one("Cast", [key], f"{name}/{role}", to=1)
        if role != "quantized_data" and len(value.type.tensorType.dimensions) == 1:
            shape = made.ints([-1 if number == axis else 1 for number in range(rank)])
            wide = made.one("Reshape", [wide, shape], f"{name}/{role}")
        parts[role] = wide
    gap = made.one("Sub", [parts["quantized_data"], parts["zero_point"]], f"{name}/gap")
    return [made.one("Mul", [gap, parts["scale"]], name)]


OPERATORS: dict[str, Operator] = {
    **{name: partial(_unary, kind) for name, kind in UNARY.items()},
    **{name: partial(_binary, kind) for name, kind in BINARY.items()},
    **{name: partial(_reduction, kind) for name, kind in REDUCTIONS.items()},
    "not_equal": _not_equal,
    "silu": _silu,
    "square": _square,
    "log": partial(_shifted, "Log", 1e-45),
    "rsqrt": partial(_shifted, "Rsqrt", 1e-12),
    "inverse": partial(_shifted, "Reciprocal", 1e-4),
    "leaky_relu": partial(_sloped, "LeakyRelu", {"alpha": 0.01}),
    "elu": partial(_sloped, "Elu", {"alpha": 1.0}),
    "sigmoid_hard": partial(_sloped, "HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
    "linear_activation": _scaled,
    "scaled_tanh": _scaled,
    "clip": _clip,
    "relu6": _clip,
    "gelu": _gelu,
    "select": _select,
    "linear": _linear,
    "matmul": _matmul,
    "conv": _conv,
    "softmax": _softmax,
    "cast": _cast,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "constexpr_affine_dequantize": _affine_dequantize,
    **MOVING,
    **RECURRENT,
}
"""By type."""
