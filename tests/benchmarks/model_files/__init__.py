"""Files of every format with some LSTMs, and beside them a table that nobody needs.

A writer takes a path without an ending, how many layers there are and how many rows the table has
(0: there is no table), and returns what was written, with the options that reading it takes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model_files.interface import Write

FAMILIES = ("arrays_by_name", "pytorch", "keras", "tensorflow_1", "graphs")
"""Modules of this package with a table ``WRITERS``."""


def writers() -> dict[str, Write]:
    """Every writer by the name of its format; what it writes with is imported when it writes."""
    found: dict[str, Write] = {}
    for family in FAMILIES:
        found |= import_module(f"model_files.{family}").WRITERS
    return found
