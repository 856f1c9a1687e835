"""What an entry of OPERATIONS is, and how entries read a node's attributes and inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.graph.tensors import HALF_FLOATS, STORED
from rnnscope.model.ops import OPS, EvaluationError

Evaluate = Callable[[OnnxNode, list[Any]], Any]
"""``evaluate(node, inputs) -> value``, or a tuple of values for several outputs.

An input that is left out is None. A sequence of tensors is a list. What it raises need not name the
node, which the evaluation does.
"""


def plain(name: str) -> Evaluate:
    """An operator that is an operation of OPS on its inputs, without attributes."""
    operation = OPS[name]
    return lambda _, inputs: operation(*inputs)


def given(inputs: list[Any], number: int) -> Any:
    """An input, or None if left out."""
    return inputs[number] if number < len(inputs) else None


def ints(node: OnnxNode, inputs: list[Any], attribute: str, number: int) -> list[int] | None:
    """Integers that are an attribute in old operator sets and an input in new ones."""
    stated = node.ints(attribute)
    if stated is not None:
        return list(stated)
    value = given(inputs, number)
    return None if value is None else [int(one) for one in np.ravel(value)]


def dtype_of(number: int) -> Any:
    """The numpy dtype of a TensorProto.DataType, which is wider for 16-bit floats.

    Raises
    ------
    EvaluationError
        It is none that OPS knows.
    """
    if number in HALF_FLOATS:
        return np.dtype(np.float32)
    if number not in STORED:
        raise EvaluationError(f"it makes values of type {number}")
    return np.dtype(STORED[number][0])


def cast(value: Any, number: int) -> Any:
    """A value as one of a TensorProto.DataType: what goes to 16 bits is rounded to them.

    Raises
    ------
    EvaluationError
        It is none that OPS knows.
    """
    if number in HALF_FLOATS:
        return OPS["round_to_half"](value, to=HALF_FLOATS[number])
    return OPS["cast"](value, dtype=dtype_of(number))


def scalar(value: Any) -> Any:
    """The one number of an array."""
    return np.ravel(value)[0].item()
