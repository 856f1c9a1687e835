"""Weights of a neural network: floats of 32 or 16 bits, or whole numbers with a scale or a table.

References
----------
coremltools, mlmodel/format/NeuralNetwork.proto, WeightParams and QuantizationParams: the first axis
is that of output channels; values of less than 8 bits follow each other, the highest bit first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.tensors import MAX_BYTES
from rnnscope.errors import CheckpointError
from rnnscope.files.messages.packed_values import MAX_LISTED, PackedValue, unpacked
from rnnscope.files.messages.values_in_file import (
    HeldValue,
    ValueInFile,
    value_in_file,
    whole_value,
)
from rnnscope.model.cell import Array


def read_weights(params: Any, shape: Sequence[int], where: str) -> Array:
    """The array of a WeightParams, float32.

    Raises
    ------
    CheckpointError
        Its values do not fit the shape, or are stored in a way that is not read.
    """
    count = math.prod(shape)
    if count * 4 > MAX_BYTES:
        raise _misfit(where, f"at most {MAX_BYTES} bytes", str(tuple(shape)))
    if params.int8RawValue:
        raise _misfit(where, "floats, or numbers with a scale or table", "int8 without either")
    if params.rawValue:
        flat = _quantised(params, shape, count, where)
    elif params.float16Value:
        in_file = value_in_file(params.float16Value)
        raw = params.float16Value if in_file is None else in_file.read()
        dtype = np.dtype("<f2" if in_file is None else in_file.dtype)
        if len(raw) != dtype.itemsize * count:
            raise _misfit(where, f"{dtype.itemsize * count} bytes", f"{len(raw)} bytes")
        flat = np.frombuffer(raw, dtype).astype(np.float32)
    else:
        flat = np.asarray(params.floatValue, np.float32)
    if flat.size != count:
        raise _misfit(where, f"values of shape {tuple(shape)}", f"{flat.size} values")
    return flat.reshape(tuple(shape))


def weights_in_file(params: Any, shape: Sequence[int]) -> HeldValue | None:
    """The floats of a WeightParams whose values stayed in the file and fit the shape."""
    if params.rawValue:
        return _packed_in_file(params, shape)
    found = value_in_file(params.float16Value)
    fits = found is not None and found.size == math.prod(shape) * np.dtype(found.dtype).itemsize
    return found if fits else None


def _packed_in_file(params: Any, shape: Sequence[int]) -> PackedValue | None:
    """Whole numbers that stayed in the file; None where `read_weights` says what is wrong."""
    stored, count = value_in_file(params.rawValue), math.prod(shape)
    bits = int(params.quantization.numberOfBits)
    if params.int8RawValue or not isinstance(stored, ValueInFile) or not 1 <= bits <= 8:
        return None
    if stored.size != (count * bits + 7) // 8 or count * 4 > MAX_BYTES:
        return None
    rows = shape[0] if len(shape) > 1 else 1
    scale, bias, table = (tuple(one) for one in _lists(params))
    if table:
        fits = 1 << bits <= len(table) <= MAX_LISTED
    else:
        fits = rows <= MAX_LISTED and {len(scale), len(bias)} <= {1, rows}
    return PackedValue(stored, count, bits, count // rows, scale, bias, table) if fits else None


def _lists(params: Any) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
    """Scales, biases and the table: none, or one of both kinds."""
    quantization = params.quantization
    kind = quantization.WhichOneof("QuantizationType")
    if kind == "lookupTableQuantization":
        return (), (), quantization.lookupTableQuantization.floatValue
    if kind != "linearQuantization":
        return (), (), ()
    linear = quantization.linearQuantization
    return linear.scale, linear.bias if len(linear.bias) else (0.0,), ()


def is_quantised(params: Any) -> bool:
    """Whether weights are whole numbers with a scale or a table."""
    return bool(params.rawValue)


def _quantised(params: Any, shape: Sequence[int], count: int, where: str) -> Array:
    quantization = params.quantization
    bits = int(quantization.numberOfBits)
    if not 1 <= bits <= 8:
        raise _misfit(where, "values of 1 to 8 bits", f"{bits} bits")
    raw = np.frombuffer(whole_value(params.rawValue), np.uint8)
    if len(raw) != (count * bits + 7) // 8:
        raise _misfit(where, f"{(count * bits + 7) // 8} bytes", f"{len(raw)} bytes")
    values = unpacked(raw, bits)[:count]
    scale, bias, table = (np.asarray(one, np.float32) for one in _lists(params))
    kind = quantization.WhichOneof("QuantizationType")
    if kind == "lookupTableQuantization":
        if len(table) <= int(values.max(initial=0)):
            raise _misfit(where, f"a table of {1 << bits} values", f"{len(table)} values")
        return table[values]
    if kind != "linearQuantization":
        raise _misfit(where, "a scale or a table", "neither")
    rows = values.astype(np.float32).reshape(shape[0] if len(shape) > 1 else 1, -1)
    if scale.size not in (1, len(rows)) or bias.size not in (1, len(rows)):
        raise _misfit(where, f"one scale, or {len(rows)}", f"{scale.size} and {bias.size}")
    made: Array = rows * scale.reshape(-1, 1) + bias.reshape(-1, 1)
    return made.ravel()


def _misfit(where: str, expected: str, found: str) -> CheckpointError:
    return CheckpointError(
        "Weights of the Core ML model do not fit their layer.",
        where=where,
        expected=expected,
        found=found,
        hint="the file is damaged: copy it again from its source",
    )
