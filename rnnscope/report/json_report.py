"""The JSON report.

One object. ``schema_version`` is raised when a key changes its meaning or goes; new keys may come
at any time. ``report`` is ``"run"``, ``"inspect"`` or ``"pool"``; the other keys are the fields of
`RunReport` and `InspectReport` in `rnnscope.report.model`, of `PoolReport` in
`rnnscope.report.pool_model`, and ``status`` (run only) is the worst status of the checks. JSON has
no NaN or infinity: such numbers are the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isfinite, isnan
from typing import Any

from rnnscope.report.interface import AnyReport
from rnnscope.report.model import RunReport

SCHEMA_VERSION = 1


def render(report: AnyReport, *, width: int = 100, color: bool = False) -> str:
    """The report as JSON text; `width` and `color` change nothing.

    Returns
    -------
    str
        ASCII, indented by two, with a newline at the end.
    """
    return json.dumps(document(report), indent=2, allow_nan=False) + "\n"


def document(report: AnyReport) -> dict[str, Any]:
    """The report as an object that `json.dumps` takes."""
    kind = type(report).__name__.removesuffix("Report").lower()
    head: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "report": kind}
    if isinstance(report, RunReport):
        head["status"] = report.status
    return head | plain(report)  # type: ignore[no-any-return]


def plain(value: Any) -> Any:
    """The value in JSON's own types; numpy scalars and paths included."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item"):  # a numpy scalar
        value = value.item()
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else _name(value)
    return str(value)


def _name(value: float) -> str:
    if isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
