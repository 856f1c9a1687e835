"""REPORTS: what each result can be printed as; and what lets a result print itself.

A result is plain data. It knows its kind, and the modules of `rnnscope.report` know how a kind
looks in a format; they are imported by name when a report is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar, Protocol

from rnnscope.errors import OptionError, spell
from rnnscope.json_values import plain

SCHEMA_VERSION = 1
"""Of the JSON documents: raised when a key changes its meaning or goes. New keys may come."""

REPORTS: dict[tuple[str, str], str] = {
    ("run", "text"): "running.run_text",
    ("run", "json"): "json_document",
    ("runs", "text"): "running.runs_text",
    ("runs", "json"): "json_document",
    ("join", "text"): "running.join_text",
    ("join", "json"): "json_document",
    ("inspect", "text"): "contents.inspect_text",
    ("inspect", "json"): "json_document",
    ("trace", "text"): "contents.trace_text",
    ("trace", "json"): "json_document",
    ("arrays", "text"): "contents.arrays_text",
    ("arrays", "json"): "json_document",
    ("suite", "text"): "checking.suite_text",
    ("suite", "json"): "json_document",
    ("check", "text"): "checking.check_text",
    ("check", "tables"): "checking.check_tables",
    ("check", "json"): "json_document",
    ("check", "markdown"): "checking.check_markdown",
    ("check", "junit"): "checking.check_junit",
    ("check", "github"): "checking.check_github",
    ("diff", "text"): "differences.diff_text",
    ("diff", "json"): "json_document",
    ("diff", "markdown"): "differences.diff_markdown",
    ("diff", "junit"): "differences.diff_junit",
    ("explain", "text"): "explanations.explain_text",
    ("explain", "json"): "json_document",
    ("explain", "markdown"): "explanations.explain_markdown",
    ("vectors", "text"): "vectors.vectors_text",
    ("vectors", "json"): "json_document",
    ("vectors-check", "text"): "vectors.vectors_check_text",
    ("vectors-check", "json"): "json_document",
    ("vectors-check", "markdown"): "vectors.vectors_check_markdown",
    ("pool", "text"): "running.pool_text",
    ("pool", "json"): "json_document",
    ("export", "text"): "conversions.export_text",
    ("export", "json"): "json_document",
    ("convert", "text"): "conversions.convert_text",
    ("convert", "json"): "json_document",
    ("convert", "markdown"): "conversions.convert_markdown",
    ("conform", "text"): "conformance.conform_text",
    ("conform", "json"): "json_document",
    ("conform", "markdown"): "conformance.conform_markdown",
    ("cases", "text"): "conformance.cases_text",
    ("cases", "json"): "json_document",
    ("plot", "text"): "states.plot_text",
    ("plot", "json"): "json_document",
    ("page", "text"): "states.page_text",
    ("page", "json"): "json_document",
    ("show", "text"): "states.show_text",
    ("show", "numbers"): "states.show_numbers",
    ("show", "json"): "json_document",
    ("error", "text"): "errors.error_report",
    ("error", "json"): "json_document",
}
"""Modules of `rnnscope.report` by kind of result and format; the first format is the default.

Each has ``render(result, *, width, color) -> str``."""


class Render(Protocol):
    """Turns a result into text that ends in a newline, and prints nothing.

    ``width`` is in columns; ``color`` asks for terminal colours. Formats without a layout take
    both and leave them.
    """

    def __call__(self, result: Any, *, width: int = 100, color: bool = False) -> str: ...


def formats_of(kind: str) -> tuple[str, ...]:
    """The formats that a kind of result can be printed in; the first is the default."""
    return tuple(format_name for of, format_name in REPORTS if of == kind)


def renderer(kind: str, format_name: str) -> Render:
    """What prints a kind of result in a format.

    Raises
    ------
    OptionError
        There is no such format; it suggests the nearest.
    """
    known = formats_of(kind)
    if format_name not in known:
        from difflib import get_close_matches

        near = get_close_matches(format_name, known, n=1)
        raise OptionError(
            f"A report of {kind} has no such format.",
            where=spell("format", format_name),
            expected=", ".join(known),
            found=format_name,
            hint=f"did you mean {near[0]}?" if near else None,
        )
    render: Render = import_module(f"rnnscope.report.{REPORTS[kind, format_name]}").render
    return render


class Printable:
    """A result that prints itself; its fields are the keys of its JSON document.

    Attributes
    ----------
    report_kind : str
        A kind in `REPORTS`.
    json_properties : tuple of str
        Properties that the JSON document has beside the fields.
    """

    report_kind: ClassVar[str]
    json_properties: ClassVar[tuple[str, ...]] = ()

    def render(self, format_name: str = "text", *, width: int = 100, color: bool = False) -> str:
        """The result in a format of `REPORTS`.

        Parameters
        ----------
        format_name : str
        width : int
            Columns.
        color : bool
            Whether to write terminal colours; the words say the same without.

        Returns
        -------
        str
            It ends in a newline.

        Raises
        ------
        OptionError
            There is no such format.
        """
        return renderer(self.report_kind, format_name)(self, width=width, color=color)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document: ``schema_version``, ``report`` (the kind), properties, fields.

        JSON has no NaN or infinity: such numbers are the strings ``"NaN"``, ``"Infinity"`` and
        ``"-Infinity"``.
        """
        body: dict[str, Any] = plain(self)
        head = {name: body[name] for name in self.json_properties}
        return {"schema_version": SCHEMA_VERSION, "report": self.report_kind} | head | body

    def __str__(self) -> str:
        """What the command prints as text."""
        return self.render().removesuffix("\n")
