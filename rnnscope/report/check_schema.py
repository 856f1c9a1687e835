"""``check.schema.json``: the JSON Schema of what checks are printed as."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a `CheckReport`'s document."""
    text = files("rnnscope.report").joinpath("check.schema.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
