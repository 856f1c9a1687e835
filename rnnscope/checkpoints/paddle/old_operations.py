"""What each operation of a program of PaddlePaddle before 3.0 is in those of later ones.

References
----------
PaddlePaddle 2.6: paddle/fluid/operators, what each operator takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any

from rnnscope.checkpoints.paddle.program import PirOperation
from rnnscope.deferred_dataclass import dataclass

FIELDS = {0: "i", 1: "f", 2: "s", 3: "ints", 4: "floats", 5: "strings", 6: "b", 7: "bools",
          9: "l", 11: "longs"}  # fmt: skip
"""Where an attribute of each type keeps its value."""

TYPES = {0: "0.t_bool", 1: "0.t_i16", 2: "0.t_i32", 3: "0.t_i64", 4: "0.t_f16", 5: "0.t_f32",
         6: "0.t_f64", 20: "0.t_ui8", 21: "0.t_i8", 22: "0.t_bf16"}  # fmt: skip
"""VarType.Type in the words of later programs."""


@dataclass(eq=False)
class Telling:
    """Makes operations of later programs of those of a block."""

    types: dict[str, Any]
    made: list[PirOperation] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """The number of a variable; 0 for none."""
        return self.numbers.setdefault(name, len(self.numbers) + 1) if name else 0

    def fresh(self, role: str) -> str:
        """A name that no variable has."""
        return f"{role} {len(self.numbers)}"

    def add(
        self, kind: str, attributes: dict[str, Any], inputs: list[str], outputs: list[str]
    ) -> None:
        """Add an operation."""
        self.made.append(
            PirOperation(
                kind,
                attributes,
                tuple(self.number(name) for name in inputs),
                tuple(self.number(name) for name in outputs),
                tuple(self._type(name) for name in outputs),
            )
        )

    def _type(self, name: str) -> dict[str, Any]:
        if name not in self.types:
            return {}
        tensor = self.types[name].lod_tensor.tensor
        return {"D": [{"#": TYPES.get(tensor.data_type, "")}, list(tensor.dims)]}

    def ints(self, values: list[int]) -> str:
        """A variable of whole numbers."""
        name = self.fresh("ints")
        self.add("full_int_array", {"value": values}, [], [name])
        return name

    def tell(self, stored: Any) -> None:
        """Tell one operation."""
        op = _Op(stored)
        how = HOW.get(op.kind)
        if how is None or not how(self, op):
            self.add(op.kind, {}, op.all_inputs, op.all_outputs)


class _Op:
    """An operation as stored."""

    def __init__(self, stored: Any) -> None:
        self.kind = str(stored.type)
        self.inputs = {one.parameter: list(one.arguments) for one in stored.inputs}
        self.outputs = {one.parameter: list(one.arguments) for one in stored.outputs}
        self.attributes = {
            one.name: _held(getattr(one, FIELDS[one.type]))
            for one in stored.attrs
            if one.type in FIELDS
        }

    @property
    def all_inputs(self) -> list[str]:
        return [name for several in self.inputs.values() for name in several]

    @property
    def all_outputs(self) -> list[str]:
        return [name for several in self.outputs.values() for name in several]

    def given(self, *parameters: str) -> list[str]:
        """The variables of some parameters."""
        return [name for one in parameters for name in self.inputs.get(one, [])]

    def out(self) -> list[str]:
        return self.outputs.get("Out", self.outputs.get("Y", []))[:1]

    def has(self, *parameters: str) -> bool:
        """Whether any of these parameters is given."""
        return bool(self.given(*parameters))


def _held(value: Any) -> Any:
    return list(value) if hasattr(value, "extend") else value


How = Callable[[Telling, _Op], bool]
"""``how(telling, op) -> bool``: tells an operation; False where it takes what is not read."""


def _plain(kind: str, inputs: tuple[str, ...], **renamed: str) -> How:
    """An operation of other names alone; `renamed` are attributes, ours by Paddle's."""

    def how(telling: Telling, op: _Op) -> bool:
        attributes = {ours: op.attributes[theirs] for ours, theirs in renamed.items()
                      if theirs in op.attributes}  # fmt: skip
        telling.add(kind, attributes, op.given(*inputs), op.out())
        return True

    return how


def _elementwise(kind: str) -> How:
    def how(telling: Telling, op: _Op) -> bool:
        if op.attributes.get("axis", -1) != -1:
            return False
        telling.add(kind, {}, op.given("X", "Y"), op.out())
        return True

    return how


def _with_ints(kind: str, attribute: str, *others: str) -> How:
    """An operation whose attribute of whole numbers became an input."""

    def how(telling: Telling, op: _Op) -> bool:
        if op.has(*others):
            return False
        values = op.attributes[attribute]
        listed = values if isinstance(values, list) else [values]
        telling.add(kind, {}, [*op.given("X"), telling.ints(listed)], op.out())
        return True

    return how


def _feed(telling: Telling, op: _Op) -> bool:
    telling.add("data", {"name": op.out()[0]}, [], op.out())
    return True


def _slice(telling: Telling, op: _Op) -> bool:
    if op.has("StartsTensor", "EndsTensor", "StartsTensorList", "EndsTensorList"):
        return False
    bounds = [telling.ints(op.attributes[key]) for key in ("starts", "ends")]
    attributes = {key: op.attributes.get(key, []) for key in ("axes", "decrease_axis")}
    telling.add("slice", attributes, [*op.given("Input"), *bounds], op.out())
    return True


def _fill_constant(telling: Telling, op: _Op) -> bool:
    told = op.attributes.get("str_value") or op.attributes.get("value", 0.0)
    attributes = {"value": float(told), "shape": op.attributes.get("shape", [])}
    if op.has("ValueTensor"):
        return False
    if not op.has("ShapeTensor", "ShapeTensorList"):
        telling.add("full", attributes, [], op.out())
        return True
    number = telling.fresh("number")
    telling.types[number] = telling.types[op.out()[0]]
    telling.add("full", {**attributes, "shape": [1]}, [], [number])
    (shape,) = op.given("ShapeTensor") or [""]
    if not shape:
        several, shape = telling.fresh("sizes"), telling.fresh("shape")
        telling.add("combine", {}, op.given("ShapeTensorList"), [several])
        telling.add("stack", {"axis": 0}, [several], [shape])
    telling.add("full_with_tensor", {}, [number, shape], op.out())
    return True


def _scale(telling: Telling, op: _Op) -> bool:
    if op.has("ScaleTensor"):
        return False
    factor = telling.fresh("factor")
    telling.types[factor] = telling.types[op.out()[0]]
    scale = float(op.attributes.get("scale", 1.0))
    telling.add("full", {"value": scale, "shape": []}, [], [factor])
    attributes = {key: op.attributes[key] for key in ("bias", "bias_after_scale")
                  if key in op.attributes}  # fmt: skip
    telling.add("scale", attributes, [*op.given("X"), factor], op.out())
    return True


def _joined(telling: Telling, op: _Op) -> bool:
    if op.has("AxisTensor"):
        return False
    several, axis = telling.fresh("several"), int(op.attributes.get("axis", 0))
    telling.add("combine", {}, op.given("X"), [several])
    if op.kind == "concat":
        telling.add("concat", {}, [several, telling.ints([axis])], op.out())
    else:
        telling.add("stack", {"axis": axis}, [several], op.out())
    return True


def _dropout(telling: Telling, op: _Op) -> bool:
    """Dropout does nothing where a model is used, unless it scales then."""
    if op.attributes.get("dropout_implementation") != "upscale_in_train":
        return False
    telling.add("assign", {}, op.given("X"), op.out())
    return True


def _rnn(telling: Telling, op: _Op) -> bool:
    held = {role: telling.fresh(role) for role in ("states", "weights", "finals")}
    telling.add("combine", {}, op.given("PreState"), [held["states"]])
    telling.add("combine", {}, op.given("WeightList"), [held["weights"]])
    lengths = op.given("SequenceLength")[:1] or [""]
    attributes = {**op.attributes, "struct_name": op.out()[0].partition(".")[0]}
    telling.add(
        "rnn", attributes, [*op.given("Input"), held["states"], held["weights"], *lengths],
        [*op.out(), telling.fresh("dropout"), held["finals"], telling.fresh("reserve")],
    )  # fmt: skip
    telling.add("split", {}, [held["finals"]], op.outputs.get("State", []))
    return True


HOW: dict[str, How] = {
    "feed": _feed,
    "fetch": _plain("fetch", ("X",)),
    "lookup_table_v2": _plain("embedding", ("Ids", "W"), padding_idx="padding_idx"),
    "shape": _plain("shape", ("Input",)),
    "transpose2": _plain("transpose", ("X",), perm="axis"),
    "matmul_v2": _plain("matmul", ("X", "Y"), transpose_x="trans_x", transpose_y="trans_y"),
    "softmax": _plain("softmax", ("X",), axis="axis"),
    "cast": _plain("cast", ("X",)),
    **{kind: _plain(kind, ("X",)) for kind in ("relu", "sigmoid", "tanh", "exp", "sqrt", "assign")},
    "elementwise_add": _elementwise("add"),
    "elementwise_sub": _elementwise("subtract"),
    "elementwise_mul": _elementwise("multiply"),
    "elementwise_div": _elementwise("divide"),
    "reshape2": _with_ints("reshape", "shape", "Shape", "ShapeTensor"),
    "squeeze2": _with_ints("squeeze", "axes"),
    "unsqueeze2": _with_ints("unsqueeze", "axes", "AxesTensor", "AxesTensorList"),
    "slice": _slice,
    "fill_constant": _fill_constant,
    "scale": _scale,
    "concat": _joined,
    "stack": _joined,
    "dropout": _dropout,
    "rnn": _rnn,
}
"""By kind of operation. What is not here keeps its name, and is named where it is needed."""
