"""OPERATORS: OpenVINO's layers by type, each written in ONNX's operators.

A type that is not here, or an attribute that an entry does not take, leaves the layer under its own
name: what needs it is refused by that name.

References
----------
OpenVINO documentation, "Operation sets": inputs, attributes and defaults of each operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from rnnscope.checkpoints.openvino.interface import ELEMENT_TYPES, IrScope, Operator
from rnnscope.checkpoints.openvino.ir_graph import IrLayer
from rnnscope.checkpoints.openvino.loops import LOOPS
from rnnscope.checkpoints.openvino.moving import MOVING
from rnnscope.checkpoints.openvino.recurrent import RECURRENT
from rnnscope.checkpoints.openvino.windows import WINDOWS
from rnnscope.checkpoints.translated.messages import NotTranslated

SAME = {
    "Abs": "Abs", "Acos": "Acos", "Acosh": "Acosh", "Asin": "Asin", "Asinh": "Asinh",
    "Atan": "Atan", "Atanh": "Atanh", "Ceiling": "Ceil", "Cos": "Cos", "Cosh": "Cosh",
    "Erf": "Erf", "Exp": "Exp", "Floor": "Floor", "HSwish": "HardSwish", "Identity": "Identity",
    "IsInf": "IsInf", "IsNaN": "IsNaN", "Log": "Log", "LogicalNot": "Not", "Mish": "Mish",
    "Negative": "Neg", "PRelu": "PRelu", "ReLU": "Relu", "Relu": "Relu", "Sigmoid": "Sigmoid",
    "Sign": "Sign", "Sin": "Sin", "Sinh": "Sinh", "SoftPlus": "Softplus", "SoftSign": "Softsign",
    "Sqrt": "Sqrt", "Tan": "Tan", "Tanh": "Tanh",
}  # fmt: skip
"""Without attributes, of one meaning in both."""

BROADCASTING = {
    "Add": "Add", "Subtract": "Sub", "Multiply": "Mul", "Divide": "Div", "Power": "Pow",
    "Maximum": "Max", "Minimum": "Min", "Equal": "Equal", "Greater": "Greater",
    "GreaterEqual": "GreaterOrEqual", "Less": "Less", "LessEqual": "LessOrEqual",
    "LogicalAnd": "And", "LogicalOr": "Or", "LogicalXor": "Xor", "Select": "Where",
}  # fmt: skip
"""Of several inputs that are broadcast, as numpy does unless ``auto_broadcast`` says otherwise."""

REDUCTIONS = {
    "ReduceSum": "ReduceSum", "ReduceMean": "ReduceMean", "ReduceMax": "ReduceMax",
    "ReduceMin": "ReduceMin", "ReduceProd": "ReduceProd", "ReduceL1": "ReduceL1",
    "ReduceL2": "ReduceL2",
}  # fmt: skip


def _same(op: str, scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    return [scope.made.one(op, inputs, layer.name)]


def _require_numpy(layer: IrLayer) -> None:
    how = layer.data.get("auto_broadcast", "numpy")
    if how not in ("numpy", "none"):
        raise NotTranslated(f"broadcasts by the rule '{how}'")


def _broadcasting(op: str, scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    _require_numpy(layer)
    return [scope.made.one(op, inputs, layer.name)]


def _divide(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    """Divide of whole numbers rounds down, unless it says that it cuts off."""
    _require_numpy(layer)
    if layer.outputs[0].precision.startswith("I") and layer.true("m_pythondiv", True):
        name = f"{layer.name}/exact"
        quotient = scope.made.one(
            "Div", [scope.made.one("Cast", [key], name, to=11) for key in inputs], name
        )
        down = scope.made.one("Floor", [quotient], name)
        return [scope.made.one("Cast", [down], layer.name, to=_number(layer))]
    return [scope.made.one("Div", inputs, layer.name)]


def _number(layer: IrLayer) -> int:
    """ONNX's number of the type of a layer's first output."""
    precisions = {
        "FP32": "f32", "FP64": "f64", "FP16": "f16", "BF16": "bf16", "BOOL": "boolean",
    }  # fmt: skip
    precision = layer.outputs[0].precision if layer.outputs else ""
    named = precisions.get(precision, precision.lower())
    if named not in ELEMENT_TYPES:
        raise NotTranslated(f"makes values of type {precision or 'unknown'}")
    return ELEMENT_TYPES[named]


def _not_equal(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    _require_numpy(layer)
    equal = scope.made.one("Equal", inputs, f"{layer.name}/equal")
    return [scope.made.one("Not", [equal], layer.name)]


def _squared_difference(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    _require_numpy(layer)
    gap = scope.made.one("Sub", inputs, f"{layer.name}/difference")
    return [scope.made.one("Mul", [gap, gap], layer.name)]


def _mod(fmod: int, scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    _require_numpy(layer)
    if not fmod and layer.outputs[0].precision.startswith(("F", "B")):
        raise NotTranslated("takes the floored remainder of floats")
    return [scope.made.one("Mod", inputs, layer.name, fmod=fmod)]


def _swish(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    scaled = inputs[0]
    if len(inputs) > 1 and inputs[1]:
        scaled = scope.made.one("Mul", inputs[:2], f"{layer.name}/scaled")
    gate = scope.made.one("Sigmoid", [scaled], f"{layer.name}/gate")
    return [scope.made.one("Mul", [inputs[0], gate], layer.name)]


def _elu(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    (alpha,) = layer.floats("alpha") or [1.0]
    return [scope.made.one("Elu", inputs, layer.name, alpha=alpha)]


def _gelu(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    how = layer.data.get("approximation_mode", "ERF").upper()
    form = {"ERF": "none", "TANH": "tanh"}.get(how)
    if form is None:
        raise NotTranslated(f"has the approximation {how}")
    return [scope.made.one("Gelu", inputs, layer.name, approximate=form)]


def _clamp(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    bounds = []
    for key in ("min", "max"):
        (bound,) = layer.floats(key)
        like = scope.made.stored(f"{layer.name}/{key}", np.asarray(bound))
        bounds.append(scope.made.one("CastLike", [like, inputs[0]], f"{layer.name}/{key}"))
    return [scope.made.one("Clip", [inputs[0], *bounds], layer.name)]


def _softmax(op: str, scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    return [scope.made.one(op, inputs, layer.name, axis=layer.integer("axis", 1))]


def _reduction(op: str, scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    if op == "ReduceMean" and layer.outputs[0].precision.startswith(("I", "U")):
        raise NotTranslated("takes the mean of whole numbers")
    axes = scope.made.one("Cast", [inputs[1]], f"{layer.name}/axes", to=7)
    flat = scope.made.one("Reshape", [axes, scope.made.ints([-1])], f"{layer.name}/axes")
    keep = int(layer.true("keep_dims"))
    return [scope.made.one(op, [inputs[0], flat], layer.name, keepdims=keep)]


def _matmul(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    turned = []
    for number, (key, flag) in enumerate(zip(inputs, ("transpose_a", "transpose_b"), strict=True)):
        rank = len(layer.inputs[number].dims)
        if layer.true(flag) and rank > 1:
            perm = [*range(rank - 2), rank - 1, rank - 2]
            key = scope.made.one("Transpose", [key], f"{layer.name}/{flag}", perm=perm)  # noqa: PLW2901
        turned.append(key)
    return [scope.made.one("MatMul", turned, layer.name)]


def _convert(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    wanted = layer.data.get("destination_type", "")
    if wanted not in ELEMENT_TYPES:
        raise NotTranslated(f"makes values of type {wanted or 'unknown'}")
    return [scope.made.one("Cast", inputs, layer.name, to=ELEMENT_TYPES[wanted])]


def _const(scope: IrScope, layer: IrLayer, _: list[str]) -> Sequence[str]:
    kind, shape, offset, size = scope.stored(layer)
    return [scope.made.beside(layer.name, kind, shape, scope.constants.name, offset, size)]


def _parameter(scope: IrScope, layer: IrLayer, _: list[str]) -> Sequence[str]:
    port = layer.outputs[0]
    name = port.names[0] if port.names else layer.name
    dims = [size if size >= 0 else "" for size in port.dims]
    if layer.data.get("shape") == "...":
        return [scope.made.input(name, _number(layer), None)]
    return [scope.made.input(name, _number(layer), dims)]


def _result(scope: IrScope, _: IrLayer, inputs: list[str]) -> Sequence[str]:
    scope.made.output(inputs[0])
    return inputs


def _read_value(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    """What a model keeps from call to call: before the first call, what it starts with."""
    if not inputs or not inputs[0]:
        raise NotTranslated("keeps a value from call to call, and no first one")
    scope.notes.append(
        f"'{layer.name}' keeps a value from one call to the next; here every run is a first call."
    )
    return [scope.made.one("Identity", inputs[:1], layer.name)]


def _assign(_: IrScope, __: IrLayer, inputs: list[str]) -> Sequence[str]:
    return inputs[:1]


def _mvn(scope: IrScope, layer: IrLayer, inputs: list[str]) -> Sequence[str]:
    """(x - mean) / (sqrt(variance + eps)), or eps outside of the root."""
    made, name = scope.made, layer.name
    (eps,) = layer.floats("eps") or [1e-9]
    if len(inputs) < 2:
        raise NotTranslated("normalises axes that it does not state")
    axes = made.one("Cast", [inputs[1]], f"{name}/axes", to=7)
    mean = made.one("ReduceMean", [inputs[0], axes], f"{name}/mean", keepdims=1)
    centred = made.one("Sub", [inputs[0], mean], f"{name}/centred")
    if not layer.true("normalize_variance"):
        return [centred]
    square = made.one("Mul", [centred, centred], f"{name}/square")
    variance = made.one("ReduceMean", [square, axes], f"{name}/variance", keepdims=1)
    small = made.one(
        "CastLike", [made.stored(f"{name}/eps", np.asarray(eps)), variance], f"{name}/eps"
    )
    inside = layer.data.get("eps_mode", "inside_sqrt").lower() == "inside_sqrt"
    if inside:
        size = made.one("Sqrt", [made.one("Add", [variance, small], f"{name}/sum")], f"{name}/size")
    else:
        size = made.one(
            "Add", [made.one("Sqrt", [variance], f"{name}/root"), small], f"{name}/size"
        )
    return [made.one("Div", [centred, size], name)]


OPERATORS: dict[str, Operator] = {
    **{name: partial(_same, op) for name, op in SAME.items()},
    **{name: partial(_broadcasting, op) for name, op in BROADCASTING.items()},
    **{name: partial(_reduction, op) for name, op in REDUCTIONS.items()},
    "Divide": _divide,
    "NotEqual": _not_equal,
    "SquaredDifference": _squared_difference,
    "Mod": partial(_mod, 1),
    "FloorMod": partial(_mod, 0),
    "Swish": _swish,
    "Elu": _elu,
    "Gelu": _gelu,
    "Clamp": _clamp,
    "Softmax": partial(_softmax, "Softmax"),
    "SoftMax": partial(_softmax, "Softmax"),
    "LogSoftmax": partial(_softmax, "LogSoftmax"),
    "MatMul": _matmul,
    "MVN": _mvn,
    "Convert": _convert,
    "Const": _const,
    "Parameter": _parameter,
    "Result": _result,
    "ReadValue": _read_value,
    "Assign": _assign,
    **MOVING,
    **WINDOWS,
    **RECURRENT,
    **LOOPS,
}
"""By type."""
