"""``.pdiparams``: the parameters of a program, one behind the other, without their names.

References
----------
PaddlePaddle: paddle/phi/core/framework/dense_tensor_serialize.cc and dense_tensor_tostream.cc: a
version, the level of detail, a version, a TensorDesc message with its size in front, the values.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.proto_fields import BYTES, VARINT, read_varint

DATA_TYPES = {0: 9, 1: 5, 2: 6, 3: 7, 4: 10, 5: 1, 6: 11, 20: 2, 21: 3, 22: 16}
"""VarType.Type as ONNX's data types."""

SIZES = {9: 1, 5: 2, 6: 4, 7: 8, 10: 2, 1: 4, 11: 8, 2: 1, 3: 1, 16: 2}
MAX_DESC = 4096
MAX_LEVELS = 16


@dataclass(frozen=True)
class StoredParameter:
    """Where the values of a parameter lie.

    Attributes
    ----------
    data_type : int
        As ONNX numbers them.
    shape : tuple of int
    offset, size : int
    """

    data_type: int
    shape: tuple[int, ...]
    offset: int
    size: int


def read_index(path: Path) -> list[StoredParameter]:
    """The parameters of a file, in its order.

    Raises
    ------
    CheckpointError
        The file is not there, or damaged.
    """
    try:
        size = path.stat().st_size
        found = []
        with path.open("rb") as file:
            while file.tell() < size:
                found.append(_parameter(file, size))
    except OSError as error:
        raise CheckpointError(
            "The parameters of a PaddlePaddle program cannot be read.",
            where=path,
            expected="the .pdiparams file beside the .json file",
            found=error.strerror,
            hint="put both files of the model into one folder, under the names they had",
        ) from error
    except (ValueError, struct.error) as error:
        raise CheckpointError(
            "The parameters of a PaddlePaddle program are damaged.",
            where=path,
            expected="one tensor behind the other",
            found=str(error),
            hint="the file is cut off: copy it again",
        ) from error
    return found


def _parameter(file: BinaryIO, size: int) -> StoredParameter:
    version, levels = struct.unpack("<IQ", file.read(12))
    if version or levels > MAX_LEVELS:
        raise ValueError(f"version {version}, {levels} levels of detail")
    for _ in range(levels):
        (length,) = struct.unpack("<Q", file.read(8))
        if file.tell() + length > size:
            raise ValueError(f"a level of detail of {length} bytes")
        file.seek(length, 1)
    version, length = struct.unpack("<Ii", file.read(8))
    if version or not 0 <= length <= MAX_DESC:
        raise ValueError(f"version {version}, a description of {length} bytes")
    kind, shape = _description(file, length)
    if kind not in DATA_TYPES:
        raise ValueError(f"a tensor of type {kind}")
    count = SIZES[DATA_TYPES[kind]]
    for one in shape:
        count *= one
    offset = file.tell()
    if count < 0 or offset + count > size:
        raise ValueError(f"a tensor {shape} of {count} bytes at {offset}, in {size} bytes")
    file.seek(count, 1)
    return StoredParameter(DATA_TYPES[kind], shape, offset, count)


def _description(file: BinaryIO, length: int) -> tuple[int, tuple[int, ...]]:
    """Type and sizes of a TensorDesc: fields 1 and 2, packed or not."""
    kind, shape = -1, list[int]()
    end = file.tell() + length
    while file.tell() < end:
        number, wire = divmod(read_varint(file), 8)
        value = read_varint(file)
        if (number, wire) == (1, VARINT):
            kind = value
        elif (number, wire) == (2, VARINT):
            shape.append(value)
        elif (number, wire) == (2, BYTES):
            stop = file.tell() + value
            while file.tell() < min(stop, end):
                shape.append(read_varint(file))
        else:
            raise ValueError(f"a field {number} in a description")
    return kind, tuple(shape)
