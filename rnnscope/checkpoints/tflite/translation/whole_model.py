"""From a TensorFlow Lite file to the message of a model in ONNX's operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.proto import TABLE
from rnnscope.checkpoints.tflite.lite_model import LiteGraph, LiteModel, LiteOperator, LiteTensor
from rnnscope.checkpoints.tflite.translation.builder import LiteGraphUnderConstruction
from rnnscope.checkpoints.tflite.translation.control import control
from rnnscope.checkpoints.tflite.translation.elementwise import ELEMENTWISE
from rnnscope.checkpoints.tflite.translation.linear import LINEAR
from rnnscope.checkpoints.tflite.translation.recurrent import RECURRENT
from rnnscope.checkpoints.tflite.translation.shapes import MOVING, SHAPES
from rnnscope.checkpoints.tflite.translation.site import DOMAIN, Site, Tell, Values
from rnnscope.checkpoints.tflite.translation.tensor_lists import TENSOR_LISTS
from rnnscope.checkpoints.translated.messages import NUMBERS, NotTranslated
from rnnscope.model.ops import MISFITS

OPSET = 17
MAX_DEPTH = 8
"""How deep subgraphs may be called."""

ON_ANY_GRID = {"QUANTIZE", "DEQUANTIZE", *RECURRENT, "WHILE", "IF"}
"""Operators that say themselves what they do with whole numbers that stand for floats."""


def translated(model: LiteModel) -> Any:
    """The ModelProto that computes what a TensorFlow Lite model does.

    A tensor of whole numbers that stand for floats is those floats here. What has no counterpart
    stays an operator of its own domain, which is named as not computed.
    """
    message = TABLE.message_class("ModelProto")(ir_version=8, producer_name="TensorFlow Lite")
    message.opset_import.add(domain="", version=OPSET)
    message.opset_import.add(domain=DOMAIN, version=1)
    build, graph = LiteGraphUnderConstruction(), model.graphs[0]
    values = Values(model, graph, build, variables=_variables(model))
    for place in graph.inputs:
        _add_input(values, place)
    _Translation().translate(values)
    for place in graph.outputs:
        if place in values.names:
            build.output(values.names[place])
    message.graph.CopyFrom(build.proto)
    return message


def _add_input(values: Values, place: int) -> None:
    tensor = values.graph.tensors[place]
    dtype = np.dtype(np.float32) if tensor.is_quantised else tensor.dtype
    number = None if dtype is None else NUMBERS.get(np.dtype(dtype))
    if number is None:
        values.names[place] = values.build.untyped_input(tensor.name)
        return
    sizes = ["" if is_open else size
             for size, is_open in zip(tensor.shape, tensor.open_axes, strict=True)]  # fmt: skip
    values.names[place] = values.build.input(tensor.name, number, sizes)


def _variables(model: LiteModel) -> dict[str, LiteTensor]:
    """The constants that variables are given, where each is given one alone."""
    given: dict[str, list[LiteTensor]] = {}
    for graph in model.graphs:
        handles = {op.outputs[0]: op.options.shared_name for op in graph.operators
                   if op.op == "VAR_HANDLE" and op.outputs}  # fmt: skip
        for op in graph.operators:
            if op.op == "ASSIGN_VARIABLE" and len(op.inputs) == 2:
                tensor = graph.tensors[op.inputs[1]]
                given.setdefault(handles.get(op.inputs[0], ""), []).append(tensor)
    return {name: found[0] for name, found in given.items()
            if name and len(found) == 1 and found[0].data is not None}  # fmt: skip


class _Translation:
    def __init__(self) -> None:
        self._depth = 0
        self._tell: dict[str, Tell] = {
            **ELEMENTWISE, **SHAPES, **LINEAR, **RECURRENT, **TENSOR_LISTS,
            **control(self.translate),
        }  # fmt: skip

    def translate(self, values: Values) -> None:
        """Add the nodes of a subgraph."""
        if self._depth >= MAX_DEPTH:
            raise NotTranslated("in too many subgraphs within each other")
        self._depth += 1
        try:
            for op in values.graph.operators:
                self._operator(values, op)
        finally:
            self._depth -= 1

    def _operator(self, values: Values, op: LiteOperator) -> None:
        if not op.outputs and op.op != "CALL_ONCE":
            return
        kept = len(values.build.proto.node)
        try:
            _require_told_numbers(values.graph, op)
            self._tell.get(op.op, _not_told)(Site(values, op))
        except (NotTranslated, *MISFITS) as reason:
            del values.build.proto.node[kept:]
            words = str(reason) if isinstance(reason, NotTranslated) else "whose parts do not fit"
            self._own(values, op, words)

    def _own(self, values: Values, op: LiteOperator, reason: str) -> None:
        """An operator of TensorFlow Lite's own, which is not computed."""
        read = [_name_or_none(values, place) for place in op.inputs]
        site = Site(values, op)
        made = [site.named(number) for number in range(len(op.outputs))]
        values.build.add_node(f"{op.op} {reason}".strip(), read, made, domain=DOMAIN)


def _not_told(_: Site) -> None:
    raise NotTranslated("")


def _name_or_none(values: Values, place: int) -> str:
    """The name of a value, empty where nothing makes it."""
    try:
        return values.value(place) if place >= 0 else ""
    except NotTranslated:
        return ""


def _require_told_numbers(graph: LiteGraph, op: LiteOperator) -> None:
    """Refuse whole numbers that stand for floats where an operator would compute with them."""
    made = [graph.tensors[place] for place in op.outputs]
    read = [graph.tensors[place] for place in op.inputs if place >= 0]
    on_grid = [one for one in made if one.is_quantised]
    if op.op in ON_ANY_GRID or (not on_grid and op.op != "CAST"):
        if op.op not in ON_ANY_GRID and any(one.is_quantised and one.data is None for one in read):
            raise NotTranslated("of whole numbers")
        return
    moved = [one for one in read if one.is_quantised]
    if op.op in MOVING and all(one.same_grid(on_grid[0]) for one in (*moved, *on_grid)):
        return
    if on_grid:
        raise NotTranslated("of whole numbers")
