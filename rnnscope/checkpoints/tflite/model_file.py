"""A TensorFlow Lite file, read: tensors, operators and subgraphs that fit each other."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.checkpoints.tflite.lite_model import LiteGraph, LiteModel, LiteOperator, LiteTensor
from rnnscope.checkpoints.tflite.schema import DTYPES, IDENTIFIER, OPERATORS, PLACEHOLDER, SCHEMA
from rnnscope.errors import CheckpointError
from rnnscope.files.archives.inner_file import map_file
from rnnscope.files.messages.values_in_file import (
    LARGE_BYTES,
    Grid,
    HeldValue,
    ValueInFile,
    WidenedValue,
)
from rnnscope.model.cell import Array
from rnnscope.wording import plural

MAX_BYTES = 1 << 31
"""No FlatBuffer is larger."""

MAX_TENSORS = 500_000

MAPPED_BYTES = 16 * 2**20
"""A file from this size on is mapped: tensors that nobody asks for then take no memory."""


def sniff_tflite(path: Path) -> bool:
    """Whether a file has the identifier of TensorFlow Lite. Never raises."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(8)[4:] == IDENTIFIER
    except OSError:
        return False


def read_lite_model(path: Path) -> LiteModel:
    """Read a file.

    Raises
    ------
    CheckpointError
        It is larger than one can be, damaged, or its parts do not fit each other.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise CheckpointError(
            "The TensorFlow Lite file is larger than one can be.",
            where=path, expected=f"at most {MAX_BYTES} bytes", found=f"{size} bytes",
        )  # fmt: skip
    data = map_file(path) if size >= MAPPED_BYTES else path.read_bytes()
    model = SCHEMA.read(data, "Model", path)
    parts = _Parts(path, data, model)
    graphs = tuple(parts.graph(number, one) for number, one in enumerate(model.subgraphs or ()))
    if not graphs:
        raise parts.damaged("it holds no subgraph")
    return LiteModel(graphs, model.description or "")


class _Parts:
    def __init__(self, path: Path, data: Any, model: Any) -> None:
        self._path = path
        self._data = data
        self._buffers = model.buffers or []
        self._ops = [_operator_name(code) for code in model.operator_codes or ()]
        self._tensors = 0

    def damaged(self, found: str) -> CheckpointError:
        return CheckpointError(
            "The TensorFlow Lite file is damaged: its parts do not fit each other.",
            where=self._path,
            expected="a model as TensorFlow's converter writes it",
            found=found,
            hint="copy or download the file again, and compare its size with the original",
        )

    def graph(self, number: int, stored: Any) -> LiteGraph:
        name = stored.name or f"subgraph {number}"
        self._tensors += len(stored.tensors or ())
        if self._tensors > MAX_TENSORS:
            raise self.damaged(f"more than {MAX_TENSORS} tensors")
        tensors = tuple(self._tensor(one) for one in stored.tensors or ())
        operators = tuple(self._operator(one, len(tensors)) for one in stored.operators or ())
        ends = [self._numbers(one, len(tensors)) for one in (stored.inputs, stored.outputs)]
        return LiteGraph(name, tensors, operators, ends[0], ends[1])

    def _numbers(self, stored: Array | None, count: int) -> tuple[int, ...]:
        numbers = () if stored is None else tuple(int(one) for one in stored)
        if any(not -1 <= one < count for one in numbers):
            raise self.damaged(f"an operator reads tensor {max(numbers)} of {count}")
        return numbers

    def _operator(self, stored: Any, count: int) -> LiteOperator:
        if stored.opcode_index >= len(self._ops):
            raise self.damaged(f"operator code {stored.opcode_index} of {len(self._ops)}")
        inputs, outputs, intermediates = (
            self._numbers(one, count)
            for one in (stored.inputs, stored.outputs, stored.intermediates)
        )
        op = self._ops[stored.opcode_index]
        return LiteOperator(op, inputs, outputs, intermediates, stored.builtin_options or _NONE)

    def _tensor(self, stored: Any) -> LiteTensor:
        shape = () if stored.shape is None else tuple(int(size) for size in stored.shape)
        signature = shape
        if stored.shape_signature is not None and len(stored.shape_signature) == len(shape):
            signature = tuple(int(size) for size in stored.shape_signature)
        empty = np.zeros(0, np.float32)
        scale = zero = empty
        axis = 0
        q = stored.quantization
        if q is not None and q.scale is not None:
            scale, axis = np.asarray(q.scale), q.quantized_dimension
            zero = np.zeros(len(scale), np.int64) if q.zero_point is None else q.zero_point
            if scale.size > 1 and not (0 <= axis < len(shape) and shape[axis] == scale.size):
                raise self.damaged(f"tensor '{stored.name}' has {scale.size} scales")
            if len(zero) not in {0, 1, scale.size}:
                raise self.damaged(f"tensor '{stored.name}' has {len(zero)} zero points and "
                                   f"{plural(scale.size, 'scale')}")  # fmt: skip
            if scale.size and DTYPES.get(stored.type) == "<u8":
                raise self.damaged(f"tensor '{stored.name}' of uint64 has a scale")
        data = self._stored_values(stored, shape)
        place = None if data is None or data.nbytes < LARGE_BYTES else self._place(data)
        in_file: HeldValue | None = place
        if data is not None and place is not None and scale.size and data.dtype.kind in "iu":
            in_file = WidenedValue(place, shape, self._grid(scale, zero, axis))
        elif data is not None and place is not None and data.dtype == np.float16:
            in_file = WidenedValue(place, shape)
        return LiteTensor(
            name=stored.name or "tensor",
            shape=shape,
            open_axes=tuple(size < 0 for size in signature),
            kind=stored.type,
            data=data,
            scale=scale,
            zero=np.asarray(zero),
            axis=axis,
            is_variable=stored.is_variable,
            place=place,
            in_file=in_file,
        )

    def _place(self, view: Array) -> ValueInFile:
        """Where numbers lie that are a view of the file."""
        whole = np.frombuffer(self._data, np.uint8)
        start = view.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
        return ValueInFile.at(str(self._path), start, view.nbytes, view.dtype.str)

    def _grid(self, scale: Array, zero: Array, axis: int) -> Grid:
        """The grid of a large tensor; lists of scales stay where they are, too."""
        if scale.size == 1:
            return Grid(float(scale[0]), int(zero[0]) if len(zero) else 0)
        return Grid(self._place(scale), self._place(zero) if zero.any() else 0, axis=axis)

    def _stored_values(self, stored: Any, shape: tuple[int, ...]) -> Array | None:
        if stored.buffer >= len(self._buffers):
            raise self.damaged(f"tensor '{stored.name}' in buffer {stored.buffer}")
        buffer = self._buffers[stored.buffer]
        raw = buffer.data
        if buffer.offset > 1:  # the data of large models lies behind the tables
            if buffer.offset + buffer.size > len(self._data):
                raise self.damaged(f"tensor '{stored.name}' beyond the end of the file")
            raw = np.frombuffer(self._data, np.uint8, buffer.size, buffer.offset)
        if raw is None or not len(raw) or stored.type not in DTYPES:
            return None
        dtype = np.dtype(DTYPES[stored.type])
        if any(size < 0 for size in shape):
            raise self.damaged(f"tensor '{stored.name}' of shape {shape}")
        if stored.sparsity is not None or math.prod(shape) * dtype.itemsize != len(raw):
            if stored.sparsity is not None:
                return None  # whoever reads it says that it is not there
            raise self.damaged(f"tensor '{stored.name}' of shape {shape} in {len(raw)} bytes")
        # Large ones stay where they are; the others are moved to where their numbers are aligned.
        flat = raw.view(dtype) if len(raw) >= LARGE_BYTES else np.frombuffer(raw.tobytes(), dtype)
        return flat.reshape(shape)


class _Nothing:
    """Options of an operator that has none."""


_NONE = _Nothing()


def _operator_name(code: Any) -> str:
    number = code.deprecated_builtin_code
    if number in (PLACEHOLDER, -1) or code.builtin_code > number:
        number = code.builtin_code
    name = OPERATORS[number] if 0 <= number < len(OPERATORS) else f"operator {number}"
    return f"CUSTOM {code.custom_code}" if name == "CUSTOM" else name
