"""OPERATORS: the operations of a PaddlePaddle program by kind, in ONNX's operators.

References
----------
PaddlePaddle 3.3: paddle/phi/ops/yaml/ops.yaml, what each operation takes and makes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from functools import partial

import numpy as np

from rnnscope.checkpoints.onnx.graph.tensors import STORED
from rnnscope.checkpoints.paddle.program import ELEMENT_TYPES, PirOperation
from rnnscope.checkpoints.translated.messages import GraphUnderConstruction, NotTranslated
from rnnscope.checkpoints.translated.reading import SourceOperator
from rnnscope.deferred_dataclass import dataclass

Held = str | list[str]
"""The key of a value, or those of several that are handed on together."""


@dataclass(eq=False)
class PirScope:
    """A program on its way into an ONNX graph.

    Attributes
    ----------
    made : GraphUnderConstruction
    values : dict of int to str or list of str
    ints : dict of int to list of int
        Whole numbers that the program states, by value.
    ranks : dict of int to int
        How many axes each value has.
    sources : dict of str to SourceOperator
    notes : list of str
    """

    made: GraphUnderConstruction
    values: dict[int, Held] = field(default_factory=dict)
    ints: dict[int, list[int]] = field(default_factory=dict)
    ranks: dict[int, int] = field(default_factory=dict)
    sources: dict[str, SourceOperator] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def key(self, op: PirOperation, place: int) -> str:
        """The key of an input; empty if it is left out."""
        held = self.values.get(op.inputs[place], "") if place < len(op.inputs) else ""
        if not isinstance(held, str):
            raise NotTranslated("reads several values at once")
        return held

    def several(self, op: PirOperation, place: int) -> list[str]:
        """The keys of an input that holds several values."""
        held = self.values.get(op.inputs[place], []) if place < len(op.inputs) else []
        return held if isinstance(held, list) else [held]

    def stated(self, op: PirOperation, place: int) -> list[int]:
        """Whole numbers that an input states."""
        if place >= len(op.inputs) or op.inputs[place] not in self.ints:
            raise NotTranslated(f"takes its input {place} from what is no constant")
        return self.ints[op.inputs[place]]


Operator = Callable[[PirScope, PirOperation], Sequence[Held]]
"""``operator(scope, operation) -> keys`` of its outputs. It raises `NotTranslated`."""

UNARY = {
    "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "exp": "Exp", "sqrt": "Sqrt",
    "abs": "Abs", "log": "Log", "erf": "Erf", "floor": "Floor", "softsign": "Softsign",
    "square": "", "assign": "Identity",
}  # fmt: skip
BINARY = {
    "add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div", "maximum": "Max",
    "minimum": "Min", "less_than": "Less", "equal": "Equal", "greater_than": "Greater",
}  # fmt: skip


def _name(op: PirOperation) -> str:
    """The layer that an operation is part of, where the program says so, and its kind."""
    own = str(op.attributes.get("struct_name", "")).strip("/")
    return f"{own}/{op.kind}" if own else op.kind


def _unary(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    x = scope.key(op, 0)
    if op.kind == "square":
        return [scope.made.one("Mul", [x, x], _name(op))]
    return [scope.made.one(UNARY[op.kind], [x], _name(op))]


def _binary(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    keys = [scope.key(op, 0), scope.key(op, 1)]
    return [scope.made.one(BINARY[op.kind], keys, _name(op))]


def _matmul(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    keys = []
    for place, flag in enumerate(("transpose_x", "transpose_y")):
        key = scope.key(op, place)
        rank = scope.ranks.get(op.inputs[place], 0)
        if op.attributes.get(flag) and rank > 1:
            perm = [*range(rank - 2), rank - 1, rank - 2]
            key = scope.made.one("Transpose", [key], f"{_name(op)}/{flag}", perm=perm)
        keys.append(key)
    return [scope.made.one("MatMul", keys, _name(op))]


def _embedding(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    padding = op.attributes.get("padding_idx", -1)
    if padding not in (-1, None):
        raise NotTranslated(f"gives zeros for the id {padding}")
    return [scope.made.one("Gather", [scope.key(op, 1), scope.key(op, 0)], _name(op), axis=0)]


def _transpose(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    perm = [int(axis) for axis in op.attributes["perm"]]
    return [scope.made.one("Transpose", [scope.key(op, 0)], _name(op), perm=perm)]


def _full(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    kind, shape = op.element_type(), [int(size) for size in op.attributes["shape"]]
    if kind not in STORED or any(size < 0 or size > 1 << 24 for size in shape):
        raise NotTranslated("makes values of a type that is not read")
    value = np.asarray(op.attributes["value"]).astype(STORED[kind][0])
    if value.dtype.kind in "iu" and int(np.prod(shape)) == 1:
        scope.ints[op.outputs[0]] = [int(value)]
    whole = scope.made.ints(shape or np.zeros(0, np.int64).tolist())
    stored = scope.made.stored("number", value)
    return [scope.made.one("Expand", [stored, whole], "full")] if shape else [stored]


def _full_int_array(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    values = [int(one) for one in op.attributes["value"]]
    scope.ints[op.outputs[0]] = values
    return [scope.made.ints(values)]


def _full_with_tensor(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    """One number, as often as a shape says."""
    shape = scope.made.one("Cast", [scope.key(op, 1)], "shape", to=7)
    flat = scope.made.one("Reshape", [scope.key(op, 0), scope.made.ints([1])], "number")
    return [scope.made.one("Expand", [flat, shape], _name(op))]


def _shape(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    shape = scope.made.one("Shape", [scope.key(op, 0)], _name(op))
    return [shape if op.kind == "shape64" else scope.made.one("Cast", [shape], "shape", to=6)]


def _slice(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    axes = [int(axis) for axis in op.attributes["axes"]]
    bounds = [scope.stated(op, place) for place in (1, 2)]
    parts = [scope.made.ints(part) for part in (*bounds, axes)]
    gone = [int(axis) for axis in op.attributes.get("decrease_axis") or []]
    sliced = scope.made.one("Slice", [scope.key(op, 0), *parts], _name(op))
    if not gone:
        return [sliced]
    return [scope.made.one("Squeeze", [sliced, scope.made.ints(gone)], _name(op))]


def _combine(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    return [[scope.key(op, place) for place in range(len(op.inputs))]]


def _apart(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    """The values that were handed on together."""
    return scope.several(op, 0)


def _joined(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    """``concat``, whose axis is an input, or ``stack``."""
    keys = scope.several(op, 0)
    if op.kind == "concat":
        (axis,) = scope.stated(op, 1)
        return [scope.made.one("Concat", keys, _name(op), axis=axis)]
    axis = int(op.attributes.get("axis", 0))
    where = scope.made.ints([axis])
    parts = [scope.made.one("Unsqueeze", [key, where], "part") for key in keys]
    return [scope.made.one("Concat", parts, _name(op), axis=axis)]


def _reshape(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    shape = scope.made.ints(scope.stated(op, 1))
    return [scope.made.one("Reshape", [scope.key(op, 0), shape], _name(op))]


def _axes(kind: str, scope: PirScope, op: PirOperation) -> Sequence[Held]:
    axes = scope.made.ints(scope.stated(op, 1))
    return [scope.made.one(kind, [scope.key(op, 0), axes], _name(op))]


def _cast(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    kind = op.element_type()
    if kind not in ELEMENT_TYPES.values():
        raise NotTranslated("makes values of a type that is not read")
    return [scope.made.one("Cast", [scope.key(op, 0)], _name(op), to=kind)]


def _softmax(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    axis = int(op.attributes.get("axis", -1))
    return [scope.made.one("Softmax", [scope.key(op, 0)], _name(op), axis=axis)]


def _scale(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    """``scale x + bias``, or ``scale (x + bias)``."""
    made, x = scope.made, scope.key(op, 0)
    stored = made.stored("bias", np.asarray(float(op.attributes.get("bias", 0.0))))
    bias = made.one("CastLike", [stored, x], "bias")
    factor = made.one("CastLike", [scope.key(op, 1), x], "scale")
    if op.attributes.get("bias_after_scale", True):
        return [made.one("Add", [made.one("Mul", [x, factor], "scaled"), bias], _name(op))]
    return [made.one("Mul", [made.one("Add", [x, bias], "shifted"), factor], _name(op))]


def _fetch(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    scope.made.output(scope.key(op, 0))
    return [scope.key(op, 0)]


def _data(scope: PirScope, op: PirOperation) -> Sequence[Held]:
    dims = [size if size >= 0 else "" for size in op.shape()]
    return [scope.made.input(str(op.attributes["name"]), op.element_type(), dims)]


PLAIN: dict[str, Operator] = {
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(BINARY, _binary),
    "matmul": _matmul,
    "embedding": _embedding,
    "transpose": _transpose,
    "full": _full,
    "full_int_array": _full_int_array,
    "full_with_tensor": _full_with_tensor,
    "shape": _shape,
    "shape64": _shape,
    "slice": _slice,
    "combine": _combine,
    "split": _apart,
    "concat": _joined,
    "stack": _joined,
    "reshape": _reshape,
    "squeeze": partial(_axes, "Squeeze"),
    "unsqueeze": partial(_axes, "Unsqueeze"),
    "cast": _cast,
    "softmax": _softmax,
    "scale": _scale,
    "fetch": _fetch,
    "data": _data,
}
"""By kind; ``split`` is that of values handed on together, which the reader tells apart."""
