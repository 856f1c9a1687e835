"""What an explanation says: readings that fit, or how far the nearest ones do; plain data."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar, Literal

from rnnscope.deferred_dataclass import dataclass
from rnnscope.printable import Printable

Verdict = Literal["one", "several", "none"]


@dataclass(frozen=True)
class DeviationReport:
    """One thing that the other side does otherwise.

    Attributes
    ----------
    id : str
        A key of `rnnscope.explaining.readings.deviations.IDS`.
    value : str
        What it does.
    """

    id: str
    value: str


@dataclass(frozen=True)
class FitReport:
    """A reading that fits.

    Attributes
    ----------
    reading : tuple of DeviationReport
        Empty: the reference is what rnnscope computes.
    error : float
        The largest difference, in units of the largest value of its array.
    command : str
        The run of rnnscope that gives these numbers, or its plain run where no option does.
    reproduces : bool
        Whether `command` gives the reference's numbers.
    advice : str
        What the other side has to change.
    """

    reading: tuple[DeviationReport, ...]
    error: float
    command: str
    reproduces: bool
    advice: str


@dataclass(frozen=True)
class NearReport:
    """A reading that does not fit, and how much of the reference agrees with it.

    Attributes
    ----------
    reading : tuple of DeviationReport
    agreeing : float
        Part of the reference's values that agree, from 0 to 1.
    error : float
        The largest difference, in units of the largest value of its array.
    words : tuple of str
        Which layers, sequences, steps and units agree, and what is first wrong.
    """

    reading: tuple[DeviationReport, ...]
    agreeing: float
    error: float
    words: tuple[str, ...]


@dataclass(frozen=True)
class Explanation(Printable):
    """The result of `rnnscope.explain`.

    Attributes
    ----------
    verdict : {"one", "several", "none"}
    fits : tuple of FitReport
        Every reading that fits with the fewest deviations, the best first.
    nearest : tuple of NearReport
        Where none fits: the best partial truth.
    separating_input : str or None
        The file with an input on which all that fit differ, where one was written.
    checkpoint, input, reference : str
        What was read.
    read_as : tuple of str
        What had to be found out about the reference: its format, its axes, its steps.
    tolerance : float
        What counts as rounding, in units of the largest value of each array.
    tried : int
        Readings that were computed.
    seconds : float
    complete : bool
        False where the budget ended before every reading was tried.
    notes : tuple of str
    """

    verdict: Verdict
    fits: tuple[FitReport, ...]
    nearest: tuple[NearReport, ...]
    separating_input: str | None
    checkpoint: str
    input: str
    reference: str
    read_as: tuple[str, ...]
    tolerance: float
    tried: int
    seconds: float
    complete: bool
    notes: tuple[str, ...] = field(default=())

    report_kind: ClassVar[str] = "explain"
