"""From a PaddlePaddle program to an ONNX model in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnscope.checkpoints.paddle.old_program import read_old_program
from rnnscope.checkpoints.paddle.operators import PLAIN, Operator, PirScope
from rnnscope.checkpoints.paddle.program import OLD_START, PirOperation, parameters, read_program
from rnnscope.checkpoints.paddle.recurrent import write_rnn
from rnnscope.checkpoints.paddle.stored_params import read_index
from rnnscope.checkpoints.translated.messages import NotTranslated, OnnxModel
from rnnscope.checkpoints.translated.reading import Translation
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import check_time
from rnnscope.model.ops import MISFITS

DOMAIN = "Paddle"
RECURRENT_LIKE = ("rnn", "lstm", "gru", "while", "if")
OPERATORS: dict[str, Operator] = {**PLAIN, "rnn": write_rnn}
"""By kind."""


def translate(path: Path) -> Translation:
    """Write a program in ONNX's operators; its parameters stay where they are.

    Raises
    ------
    CheckpointError
        A file is damaged, or they do not belong to each other.
    """
    with path.open("rb") as file:
        is_old = OLD_START.match(file.read(64)) is not None
    operations, base = read_old_program(path) if is_old else read_program(path)
    model = OnnxModel()
    scope = PirScope(model.graph)
    _write_parameters(scope, operations, path.with_suffix(".pdiparams"))
    for op in operations:
        check_time(path, CheckpointError)
        if op.kind != "p":
            _write(scope, op)
    return Translation(
        model=model.proto,
        path=path,
        framework=f"PaddlePaddle program of version {_version(base)}",
        title="Paddle",
        sources=scope.sources,
        notes=tuple(dict.fromkeys(scope.notes)),
    )


def _version(base: dict[str, Any]) -> str:
    return str(base.get("version", "?"))[:10]


def _write_parameters(scope: PirScope, operations: list[PirOperation], stored: Path) -> None:
    wanted = list(parameters(operations))
    found = read_index(stored)
    if len(wanted) != len(found):
        raise _apart(stored, f"{len(wanted)} parameters", f"{len(found)}")
    for op, one in zip(wanted, found, strict=True):
        name = str(op.attributes["name"])
        if tuple(op.shape()) != one.shape:
            raise _apart(stored, f"'{name}' of shape {tuple(op.shape())}", str(one.shape))
        scope.values[op.outputs[0]] = scope.made.beside(
            name, one.data_type, one.shape, stored.name, one.offset, one.size
        )
        scope.ranks[op.outputs[0]] = len(one.shape)


def _apart(stored: Path, expected: str, found: str) -> CheckpointError:
    return CheckpointError(
        "The program and its parameters do not belong to each other.",
        where=stored,
        expected=expected,
        found=found,
        hint="put the .json and the .pdiparams of one model into one folder",
    )


def _write(scope: PirScope, op: PirOperation) -> None:
    reason = "is not read"
    operator = OPERATORS.get(op.kind)
    made: list[Any] = []
    if operator is not None:
        try:
            made = list(operator(scope, op))
        except NotTranslated as error:
            reason = str(error)
        except MISFITS as error:
            raise CheckpointError(
                "An operation of the PaddlePaddle program is damaged.",
                where=f"operation {op.kind}",
                expected="the attributes and inputs that it is defined to have",
                found=f"{type(error).__name__}: {error}"[:200],
                hint="copy both files of the model again, or save it anew",
            ) from error
    if not made:
        if any(word in op.kind for word in RECURRENT_LIKE):
            scope.notes.append(f"Operation {op.kind} {reason}.")
        reads = [key for number in op.inputs if isinstance(key := scope.values.get(number), str)]
        made = list(
            scope.made.node(op.kind, reads, op.kind, max(1, len(op.outputs)), domain=DOMAIN)
        )
    for place, (number, key) in enumerate(zip(op.outputs, made, strict=False)):
        scope.values[number] = key
        scope.ranks[number] = len(op.shape(place))
