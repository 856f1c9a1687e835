"""Reports: pure functions from results to text, by the name that ``--format`` takes."""

from __future__ import annotations

from rnnscope.report import json_report, text
from rnnscope.report.interface import ReportFormat

REPORTS: dict[str, ReportFormat] = {
    entry.name: entry
    for entry in (
        ReportFormat("text", "tables for people", text.render),
        ReportFormat("json", "one JSON document, with a schema_version", json_report.render),
    )
}
"""Every report format by name; the first is the default."""
