"""Results as JSON's own types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isfinite, isnan
from typing import Any


def plain(value: Any) -> Any:
    """The value in JSON's own types; numpy scalars, arrays and paths included.

    A dataclass becomes an object of its fields, and of the properties that its attribute
    ``json_properties`` names.
    """
    if is_dataclass(value):
        names = [field.name for field in fields(value)]
        names += getattr(value, "json_properties", ())
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # a numpy scalar, or an array
        return plain(value.tolist())
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else _name(value)
    return str(value)


def _name(value: float) -> str:
    if isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
