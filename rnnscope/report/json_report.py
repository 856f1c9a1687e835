"""The JSON report.

One object. ``schema_version`` is raised when a key changes its meaning or goes; new keys may come
at any time. ``report`` is ``"run"``, ``"inspect"`` or ``"pool"``; the other keys are the fields of
`RunReport` and `InspectReport` in `rnnscope.record.results`, of `PoolReport` in
`rnnscope.pooling.result`, and ``status`` (run only) is the worst status of the checks. JSON has
no NaN or infinity: such numbers are the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.
"""

from __future__ import annotations

import json
from typing import Any

from rnnscope.json_values import plain
from rnnscope.record.results import RunReport
from rnnscope.report.interface import AnyReport

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
