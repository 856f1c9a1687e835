"""Values as words: names without control characters, numbers, shapes, lists."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def printable(text: object) -> str:
    """The text on one line and without anything that could steer a terminal.

    Line breaks and tabs become spaces; other control characters, format characters (such as
    those that turn the direction of writing) and lone surrogates are left out.
    """
    return "".join(
        " " if char in "\t\n\r\v\f\x85\u2028\u2029" else char
        for char in str(text)
        if char in "\t\n\r\v\f\x85" or unicodedata.category(char) not in {"Cc", "Cf", "Cs"}
    )


def number(value: float | None) -> str:
    """Three significant digits; whole numbers as such, nothing for None."""
    if value is None:
        return ""
    if abs(value) < 1e6 and value == int(value):
        return str(int(value))
    return f"{value:.3g}"


def option_value(value: object) -> str:
    """An option's value: ``none`` for None, ``yes`` and ``no`` for booleans."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(value)


def shape(sizes: Sequence[int]) -> str:
    """``2 x 10 x 8``; ``scalar`` for no axes."""
    return " x ".join(str(size) for size in sizes) or "scalar"


def plural(count: int, noun: str) -> str:
    """``1 layer``, ``2 layers``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def some(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(printable(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
