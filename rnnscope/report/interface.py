"""What a report format is: a pure function from a result to text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rnnscope.pooling.result import PoolReport
from rnnscope.record.results import InspectReport, RunReport

AnyReport = RunReport | InspectReport | PoolReport


class Render(Protocol):
    """Turns a report into text that ends in a newline; formats without a layout ignore the rest.

    ``width`` is in columns; ``color`` asks for terminal colours.
    """

    def __call__(self, report: AnyReport, *, width: int = 100, color: bool = False) -> str: ...


@dataclass(frozen=True)
class ReportFormat:
    """One entry of REPORTS.

    Attributes
    ----------
    name : str
        What ``--format`` takes.
    title : str
        One line for people.
    render : callable
        ``render(report, *, width, color) -> str``. It prints nothing.
    """

    name: str
    title: str
    render: Render
