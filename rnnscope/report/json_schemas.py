"""JSON Schemas of the reports: stored beside this module, made from the classes of the results.

``schemas/KIND.schema.json`` describes what ``--format json`` prints for a kind of `REPORTS`; tests
hold the stored files to `schema_of`, and every report to its file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from importlib.resources import files
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from rnnscope.printable import REPORTS, SCHEMA_VERSION

DRAFT = "https://json-schema.org/draft/2020-12/schema"

RESULTS = {
    "run": "rnnscope.record.results.run_report.RunReport",
    "runs": "rnnscope.record.several_runs.SeveralRuns",
    "join": "rnnscope.record.parts.joining.JoinReport",
    "inspect": "rnnscope.record.results.inspect_report.InspectReport",
    "trace": "rnnscope.record.results.file_contents.TraceContents",
    "arrays": "rnnscope.record.results.file_contents.FileOfArrays",
    "suite": "rnnscope.record.results.file_contents.SuiteContents",
    "check": "rnnscope.checks.result.CheckReport",
    "diff": "rnnscope.comparing.result.DiffResult",
    "explain": "rnnscope.explaining.result.Explanation",
    "pool": "rnnscope.pooling.result.PoolReport",
    "convert": "rnnscope.converting.result.ConversionReport",
    "export": "rnnscope.states.export.ExportResult",
    "conform": "rnnscope.conforming.result.ConformReport",
    "cases": "rnnscope.conforming.result.CaseList",
    "plot": "rnnscope.seeing.picture.PlotReport",
    "page": "rnnscope.seeing.page.result.PageReport",
    "show": "rnnscope.seeing.show.ShownStates",
    "vectors": "rnnscope.vectors.result.VectorsReport",
    "vectors-check": "rnnscope.vectors.result.VectorsCheck",
    "error": "rnnscope.report.errors.error_document.ErrorReport",
}
"""The class of each kind of result in `REPORTS`."""

NUMBER = {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}
"""JSON has no NaN and no infinity: they are these strings."""


def schema_id(kind: str) -> str:
    """The ``$id`` of a kind's schema: a name, and no address that would have to be kept up."""
    return f"urn:rnnscope:report:{kind}:{SCHEMA_VERSION}"


def report_schema(kind: str) -> dict[str, Any]:
    """The stored JSON Schema (draft 2020-12) of a kind of report.

    Parameters
    ----------
    kind : str
        ``"run"``, ``"inspect"``, ``"check"``, ``"diff"`` … or ``"error"``.

    Raises
    ------
    OptionError
        There is no such report; it says which there are.

    Examples
    --------
    >>> import rnnscope
    >>> rnnscope.report_schema("diff")["$id"]
    'urn:rnnscope:report:diff:1'
    """
    from rnnscope.options.interface import accept
    from rnnscope.options.kinds import Choice

    accept(Choice(names=tuple(RESULTS)), kind, called="kind")
    stored = files("rnnscope.report") / "schemas" / f"{kind}.schema.json"
    document: dict[str, Any] = json.loads(stored.read_text("utf-8"))
    return document


class _Class(NamedTuple):
    """A dataclass as JSON has it."""

    name: str
    schema: dict[str, Any]


def schema_of(kind: str) -> dict[str, Any]:
    """The JSON Schema of a kind, made from the fields and types of its class."""
    module, _, name = RESULTS[kind].rpartition(".")
    known: dict[type, _Class] = {}
    body = _object(getattr(import_module(module), name), known)
    head = {"schema_version": {"const": SCHEMA_VERSION}, "report": {"const": kind}}
    formats = ", ".join(format_name for of, format_name in REPORTS if of == kind)
    return {
        "$schema": DRAFT,
        "$id": schema_id(kind),
        "title": f"rnnscope report: {kind}",
        "description": f"One of the formats of a report of {kind} ({formats}). New keys may come "
        "at any time; schema_version is raised when one changes its meaning or goes.",
        "type": "object",
        "required": [*head, *body["required"]],
        "properties": head | body["properties"],
        "$defs": {one.name: one.schema for one in known.values()},
    }


def _object(of: type, known: dict[type, _Class]) -> dict[str, Any]:
    """A dataclass: its fields, and the properties that its JSON has beside them."""
    hints = get_type_hints(of)
    types = {field.name: hints[field.name] for field in fields(of)}
    for name in getattr(of, "json_properties", ()):
        types[name] = get_type_hints(getattr(of, name).fget)["return"]
    return {
        "type": "object",
        "required": list(types),
        "properties": {name: _schema(given, known) for name, given in types.items()},
    }


def _schema(given: Any, known: dict[type, _Class]) -> dict[str, Any]:
    simple = {str: "string", bool: "boolean", int: "integer", NoneType: "null"}
    if given in simple:
        return {"type": simple[given]}
    if given is float:
        return NUMBER
    origin, arguments = get_origin(given), get_args(given)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, UnionType):
        return {"anyOf": [_schema(one, known) for one in arguments]}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(arguments[1], known)}
    if origin is tuple and arguments[-1] is not Ellipsis:
        return {
            "type": "array",
            "prefixItems": [_schema(one, known) for one in arguments],
            "minItems": len(arguments),
            "maxItems": len(arguments),
        }
    if origin is not None and issubclass(origin, (list, tuple)):
        return {"type": "array", "items": _schema(arguments[0], known)}
    if is_dataclass(given):
        return _reference(given, known)  # type: ignore[arg-type]
    return {}  # anything: an option's value, an array


def _reference(of: type, known: dict[type, _Class]) -> dict[str, Any]:
    name = of.__name__
    if of not in known:
        known[of] = _Class(name, {})
        known[of] = _Class(name, _object(of, known))
    return {"$ref": f"#/$defs/{name}"}
