"""An error as a document: what ``--format json`` prints where there is no report."""

from __future__ import annotations

from typing import ClassVar

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import RnnscopeError
from rnnscope.printable import Printable


@dataclass(frozen=True)
class ErrorReport(Printable):
    """What went wrong.

    Attributes
    ----------
    command : str
        As given.
    kind : str
        The class of the error: ``"InputError"``; ``"UsageError"`` for a line that is none,
        another name for a bug.
    what : str
        One sentence.
    where, expected, found, next : str or None
    """

    report_kind: ClassVar[str] = "error"

    command: str
    kind: str
    what: str
    where: str | None = None
    expected: str | None = None
    found: str | None = None
    next: str | None = None

    @classmethod
    def of(cls, error: RnnscopeError, command: str, hint: str | None) -> ErrorReport:
        """The document of an error; `hint` where the error has none."""
        return cls(
            command,
            type(error).__name__,
            error.what,
            error.where,
            error.expected,
            error.found,
            error.hint or hint,
        )
