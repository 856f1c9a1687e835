"""Keras 3's operations, which a Functional model lists among its layers, as plain layers.

One call is ``{"args": [tensor or number, …], "kwargs": {…}}``; slices of an index are
``{"class_name": "__slice__", "config": {"start": …, "stop": …, "step": …}}``.
"""

from __future__ import annotations

import math
from typing import Any

from rnnscope.checkpoints.keras.dialect import Dialect
from rnnscope.files.messages.json_config import ConfigView
from rnnscope.model.layers import GetItem, Join, Operation
from rnnscope.model.layers.operations import ARITHMETIC
from rnnscope.model.signal import Layer


def operation_layer(
    class_name: str, config: ConfigView, call: Any, dialect: Dialect
) -> Layer | None:
    """What computes one call of an operation; None for one that is not computed.

    Parameters
    ----------
    class_name : str
        Keras' class of the operation.
    config : ConfigView
    call : object
        The call as stored.
    dialect : Dialect
    """
    if not isinstance(call, dict) or dialect.number < (3,) or call.get("kwargs"):
        return None
    arguments = call.get("args")
    if not isinstance(arguments, list):
        return None
    if class_name == "GetItem" and len(arguments) == 2:
        index = _index(arguments[1])
        return GetItem(index) if _is_tensor(arguments[0]) and index is not None else None
    if class_name == "Concatenate" and len(arguments) == 1:
        axis = config.raw("axis", -1)
        lists = isinstance(arguments[0], list) and all(map(_is_tensor, arguments[0]))
        sound = isinstance(axis, int) and not isinstance(axis, bool) and axis != 0
        return Join(axis) if lists and sound else None
    if class_name not in ARITHMETIC or len(arguments) != _operands(class_name):
        return None
    numbers = [None if _is_tensor(argument) else _number(argument) for argument in arguments]
    sound = all(
        number is not None or _is_tensor(argument)
        for number, argument in zip(numbers, arguments, strict=True)
    )
    return Operation(class_name, tuple(numbers)) if sound and None in numbers else None


def _operands(class_name: str) -> int:
    return 1 if class_name in ("Negative", "Tanh", "Sigmoid", "Relu") else 2


def _is_tensor(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class_name") == "__keras_tensor__"


def _number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _index(value: Any) -> tuple[Any, ...] | None:
    """An index as stored, if it leaves the axis of sequences whole."""
    parts = value if isinstance(value, list) else [value]
    index: list[Any] = []
    for part in parts:
        if isinstance(part, int) and not isinstance(part, bool):
            index.append(part)
            continue
        name = part.get("class_name") if isinstance(part, dict) else None
        if name == "__ellipsis__" and ... not in index:
            index.append(...)
        elif name == "__slice__" and isinstance(part.get("config"), dict):
            ends = [part["config"].get(end) for end in ("start", "stop", "step")]
            whole = all(end is None or type(end) is int for end in ends)
            if not whole or ends[2] == 0:
                return None
            index.append(slice(*ends))
        else:
            return None
    return tuple(index) if index and index[0] in (slice(None), ...) else None
