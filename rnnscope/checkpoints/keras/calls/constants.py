"""Arrays that a call of a Keras layer is given as values: a constant mask or initial state.

tf.keras writes them as nested lists, Keras 3 as ``{"class_name": "__numpy__" | "__tensor__",
"config": {"value": […], "dtype": …}}``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array

MAX_DEPTH = 8


@dataclass(frozen=True, eq=False)
class ConstantArray:
    """An array of the configuration.

    Attributes
    ----------
    values : ndarray
        bool or float64.
    """

    values: Array


def constant_array(value: Any) -> ConstantArray | None:
    """The array that a value spells, of one axis or more; None for anything else."""
    if isinstance(value, dict):
        config = value.get("config")
        if value.get("class_name") not in ("__numpy__", "__tensor__"):
            return None
        value = config.get("value") if isinstance(config, dict) else None
    if not isinstance(value, list) or not _numbers(value):
        return None
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        return None
    if array.dtype.kind not in "bfiu":
        return None
    return ConstantArray(array if array.dtype.kind == "b" else array.astype(np.float64))


def constant_arrays(value: Any) -> list[ConstantArray] | None:
    """Arrays (sequence, width) in a value, in order: one, or lists of them; None for another.

    Nested lists do not say where one array ends: a state has two axes.
    """
    found: list[ConstantArray] = []
    return found if _gather(value, found, 0) and found else None


def _gather(value: Any, found: list[ConstantArray], depth: int) -> bool:
    array = constant_array(value) if _axes(value) == 2 else None
    if array is not None:
        found.append(array)
        return True
    if not isinstance(value, list) or depth > MAX_DEPTH or not value:
        return False
    return all(_gather(part, found, depth + 1) for part in value)


def _axes(value: Any) -> int:
    """How deep lists nest, as their first entries tell."""
    if isinstance(value, dict):
        config = value.get("config")
        value = config.get("value") if isinstance(config, dict) else None
    axes = 0
    while isinstance(value, list) and value and axes < MAX_DEPTH:
        axes, value = axes + 1, value[0]
    return axes


def _numbers(value: Any, depth: int = 0) -> bool:
    """Whether nested lists hold numbers and truth values alone."""
    if isinstance(value, list):
        return depth < MAX_DEPTH and all(_numbers(part, depth + 1) for part in value)
    return isinstance(value, (bool, int, float))
