"""Programs of PaddlePaddle before 3.0 (``.pdmodel``), told in the operations of later ones.

References
----------
PaddlePaddle 2.6: paddle/fluid/framework/framework.proto (a test compares the table with Paddle's
own messages).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnscope.checkpoints.paddle.old_operations import Telling
from rnnscope.checkpoints.paddle.program import PirOperation
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.proto_table import MessageTable

SCHEMA = """
ProgramDesc
  blocks=1 *BlockDesc  version=4 Version
Version
  version=1 int64
BlockDesc
  idx=1 int32  parent_idx=2 int32  vars=3 *VarDesc  ops=4 *OpDesc
OpDesc
  type=3 string  inputs=1 *OpDesc.Var  outputs=2 *OpDesc.Var  attrs=4 *OpDesc.Attr
OpDesc.Var
  parameter=1 string  arguments=2 *string
OpDesc.Attr
  name=1 string  type=2 int32  i=3 int32  f=4 float  s=5 string  ints=6 *int32  floats=7 *float
  strings=8 *string  b=10 bool  bools=11 *bool  l=13 int64  longs=15 *int64
VarDesc
  name=1 string  type=2 VarType  persistable=3 bool
VarType
  type=1 int32  lod_tensor=3 VarType.LoDTensorDesc
VarType.LoDTensorDesc
  tensor=1 VarType.TensorDesc
VarType.TensorDesc
  data_type=1 int32  dims=2 *int64
"""

TABLE = MessageTable("paddle_framework", SCHEMA)

DENSE_TENSOR = 7

MAX_BYTES = 2**31 - 1


def read_old_program(path: Path) -> tuple[list[PirOperation], dict[str, Any]]:
    """The operations of a program's only block, and its version.

    Raises
    ------
    CheckpointError
        The file is damaged, or the program has blocks within others.
    """
    from google.protobuf.message import DecodeError

    try:
        if path.stat().st_size > MAX_BYTES:
            raise DecodeError("larger than a protocol message can be")  # noqa: TRY301 - one error
        program = TABLE.message_class("ProgramDesc").FromString(path.read_bytes())
    except DecodeError as error:
        raise _damaged(path, "a ProgramDesc", str(error)) from error
    if len(program.blocks) != 1:
        raise _damaged(path, "a program of one block, without loops", f"{len(program.blocks)}")
    block = program.blocks[0]
    telling = Telling({one.name: one.type for one in block.vars})
    for one in sorted(block.vars, key=lambda one: str(one.name)):
        if one.persistable and one.type.type == DENSE_TENSOR:
            telling.add("p", {"name": one.name, "kept": True}, [], [one.name])
    for op in block.ops:
        telling.tell(op)
    return telling.made, {"version": program.version.version}


def _damaged(path: Path, expected: str, found: str) -> CheckpointError:
    return CheckpointError(
        "The PaddlePaddle program is not read.",
        where=path,
        expected=expected,
        found=found[:200],
        hint="copy both files of the model again; a program with loops cannot be read",
    )
