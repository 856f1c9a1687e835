"""What reports on checks are made from; the field names are the keys of the JSON report."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar, Literal

from rnnscope.checks.interface import STATUS_ORDER, Finding
from rnnscope.checks.padding_verdict import PaddingVerdict
from rnnscope.checks.streamed import StreamedOutputs
from rnnscope.deferred_dataclass import dataclass
from rnnscope.printable import Printable

CheckStatus = Literal["pass", "warn", "fail", "skip", "error"]


@dataclass(frozen=True)
class Subject:
    """What was checked: a trace, bare arrays, or a case of a suite.

    Attributes
    ----------
    name : str
        A path, or the case's name.
    checkpoint, input : str
        What the states come from, as far as it is known.
    findings : tuple of Finding
        In the order of layers, then of CHECKS.
    padding : tuple of PaddingVerdict
    notes : tuple of str
    changed : tuple of str
        What was written to a golden trace, and what it changed.
    error : str
        Why it could not be checked; empty if it could.
    seconds : float
    picture : str
        The file with a picture of the first divergence from a stored trace; empty if there is none.
    streamed : StreamedOutputs or None
        What was found of outputs that somebody streamed.
    """

    json_properties: ClassVar[tuple[str, ...]] = ("status",)

    name: str
    checkpoint: str = ""
    input: str = ""
    findings: tuple[Finding, ...] = ()
    padding: tuple[PaddingVerdict, ...] = ()
    notes: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    error: str = ""
    seconds: float = 0.0
    picture: str = ""
    streamed: StreamedOutputs | None = None

    @property
    def status(self) -> CheckStatus:
        """The worst status; ``error`` above all, ``skip`` if nothing was judged."""
        if self.error:
            return "error"
        statuses = [finding.status for finding in self.findings]
        return max(statuses, key=STATUS_ORDER.index, default="skip")


@dataclass(frozen=True)
class CheckReport(Printable):
    """What ``rnnscope check`` found.

    Attributes
    ----------
    command : str
        As given.
    subjects : tuple of Subject
    notes : tuple of str
        What is to be said of the whole: golden traces that no case uses.
    """

    report_kind: ClassVar[str] = "check"
    json_properties: ClassVar[tuple[str, ...]] = ("status", "counts")

    command: str
    subjects: tuple[Subject, ...]
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> CheckStatus:
        """The worst status of all: error, fail, warn, pass, skip."""
        order = (*STATUS_ORDER, "error")
        statuses: list[CheckStatus] = [subject.status for subject in self.subjects]
        return max(statuses, key=order.index, default="skip")

    @property
    def counts(self) -> dict[str, int]:
        """How many findings have each status, and how many subjects could not be checked."""
        by_status = Counter(
            finding.status for subject in self.subjects for finding in subject.findings
        )
        errors = sum(bool(subject.error) for subject in self.subjects)
        return {**{status: by_status[status] for status in reversed(STATUS_ORDER)}, "error": errors}
