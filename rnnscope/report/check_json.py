"""Checks as JSON; ``check.schema.json`` beside this module is its JSON Schema."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from rnnscope.checks.result import CheckReport
from rnnscope.json_values import plain
from rnnscope.report.json_report import SCHEMA_VERSION


def render(report: CheckReport, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The checks as one JSON object; `width` and `color` change nothing."""
    return json.dumps(document(report), indent=2, allow_nan=False) + "\n"


def document(report: CheckReport) -> dict[str, Any]:
    """The checks as an object that `json.dumps` takes."""
    body = plain(report)
    for subject, written in zip(report.subjects, body["subjects"], strict=True):
        written["status"] = subject.status
    return {
        "schema_version": SCHEMA_VERSION,
        "report": "check",
        "status": report.status,
        "counts": report.counts(),
        **body,
    }


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of `document`."""
    text = files("rnnscope.report").joinpath("check.schema.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
