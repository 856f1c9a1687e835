"""What ``rnnscope inspect`` reports of files that are no models: a trace, arrays, a suite."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar

from rnnscope.deferred_dataclass import dataclass
from rnnscope.printable import Printable
from rnnscope.seeing.summary import TraceSummary


@dataclass(frozen=True)
class TraceContents(Printable):
    """What a trace holds, and what made it.

    Attributes
    ----------
    trace : TraceSummary
    recipe : mapping
        The run's checkpoint, input and options; empty where the trace keeps none.
    """

    report_kind: ClassVar[str] = "trace"

    trace: TraceSummary
    recipe: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ArrayContents:
    """One array of a file.

    Attributes
    ----------
    name : str
        Empty where the file holds one without a name.
    shape : tuple of int
    dtype : str
    role : str
        What ``rnnscope run`` takes it for; empty where that is for the user to say.
    not_finite : int
        Values that are NaN or infinite.
    is_zero : bool
        Whether every value is 0.
    minimum, maximum : float or None
        Of the finite values; None where there are none.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str = ""
    not_finite: int = 0
    is_zero: bool = False
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class FileOfArrays(Printable):
    """A file of arrays, such as an input.

    Attributes
    ----------
    path, kind : str
    arrays : tuple of ArrayContents
    notes : tuple of str
    """

    report_kind: ClassVar[str] = "arrays"

    path: str
    kind: str
    arrays: tuple[ArrayContents, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CaseContents:
    """A case of a suite: its recipe in words, the checks that are done, its golden trace."""

    name: str
    recipe: str
    checks: int
    golden: str = ""


@dataclass(frozen=True)
class SuiteContents(Printable):
    """The cases of a suite."""

    report_kind: ClassVar[str] = "suite"

    path: str
    cases: tuple[CaseContents, ...]
