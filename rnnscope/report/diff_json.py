"""A comparison as JSON: the fields of `rnnscope.comparing.result.DiffResult`, and the verdicts."""

from __future__ import annotations

import json
from typing import Any

from rnnscope.comparing.result import DiffResult
from rnnscope.json_values import plain
from rnnscope.report.json_report import SCHEMA_VERSION


def render(result: DiffResult, *, width: int = 100, color: bool = False) -> str:  # noqa: ARG001
    """The comparison as one JSON object; `width` and `color` change nothing."""
    return json.dumps(document(result), indent=2, allow_nan=False) + "\n"


def document(result: DiffResult) -> dict[str, Any]:
    """The comparison as an object that `json.dumps` takes."""
    head: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "report": "diff",
        "verdict": result.verdict,
        "complete": result.complete,
    }
    body = plain(result)
    for layer, written in zip(result.layers, body["layers"], strict=True):
        written["verdict"] = layer.verdict
        written["not_compared"] = list(layer.not_compared)
    return head | dict(body)
