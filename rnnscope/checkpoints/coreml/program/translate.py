"""From the main function of an ML program to an ONNX graph in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnscope.checkpoints.coreml.program.interface import ProgramScope, name_of
from rnnscope.checkpoints.coreml.program.operators import OPERATORS
from rnnscope.checkpoints.coreml.program.values import DATA_TYPES, is_text
from rnnscope.checkpoints.translated.messages import NotTranslated, OnnxModel
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import check_time

DOMAIN = "CoreML"
RECURRENT_LIKE = ("lstm", "gru", "rnn", "loop")


def write_program(program: Any, path: Path, function: str) -> tuple[OnnxModel, ProgramScope]:
    """Write a function of a program in ONNX's operators; its weights stay where they are.

    Raises
    ------
    CheckpointError
        The program has no such function, or a constant of it is damaged.
    """
    name = function or "main"
    if name not in program.functions:
        raise CheckpointError(
            "The ML program lacks its main function.",
            where=path,
            expected=name,
            found=", ".join(sorted(program.functions)[:8]) or "no functions",
        )
    main = program.functions[name]
    if main.opset not in main.block_specializations:
        raise CheckpointError(
            "The ML program lacks the body of its main function.",
            where=path,
            expected=main.opset,
            found=", ".join(sorted(main.block_specializations)[:8]) or "none",
        )
    model = OnnxModel()
    scope = ProgramScope(model.graph, path)
    for value in main.inputs:
        tensor = value.type.tensorType
        dims = [int(dim.constant.size) or "" for dim in tensor.dimensions]
        scope.values[value.name] = model.graph.input(
            value.name, DATA_TYPES.get(tensor.dataType, 0), dims
        )
        scope.types[value.name] = tensor
    block = main.block_specializations[main.opset]
    for op in block.operations:
        check_time(path, CheckpointError)
        _write(scope, op)
    for output in block.outputs:
        if output in scope.values:
            model.graph.output(scope.values[output])
    return model, scope


def _write(scope: ProgramScope, op: Any) -> None:
    if op.type == "const":
        _write_constant(scope, op)
        return
    reason = "is not read"
    made: list[str] = []
    operator = OPERATORS.get(op.type)
    if operator is not None:
        try:
            made = list(operator(scope, op))
        except NotTranslated as error:
            reason = str(error)
    if not made:
        if any(word in op.type for word in RECURRENT_LIKE):
            scope.notes.append(f"Operation '{name_of(op)}' of type {op.type} {reason}.")
        reads = [
            scope.values[one.name]
            for argument in op.inputs.values()
            for one in argument.arguments
            if one.name in scope.values
        ]
        made = list(
            scope.made.node(op.type, reads, name_of(op), max(1, len(op.outputs)), domain=DOMAIN)
        )
    for output, key in zip(op.outputs, made, strict=False):
        scope.values[output.name] = key
        scope.types[output.name] = output.type.tensorType


def _write_constant(scope: ProgramScope, op: Any) -> None:
    if "val" not in op.attributes or not op.outputs:
        return
    value, name = op.attributes["val"], op.outputs[0].name
    scope.stated[name] = value
    scope.types[name] = value.type.tensorType
    if is_text(value):
        return
    try:
        scope.values[name] = scope.store(name, value)
    except NotTranslated:
        scope.values[name] = scope.made.one("const", [], name, domain=DOMAIN)
