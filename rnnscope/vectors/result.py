"""What was written as vectors, and what an implementation made of them; plain data."""

from __future__ import annotations

from typing import ClassVar, Literal

from rnnscope.deferred_dataclass import dataclass
from rnnscope.explaining.result import DeviationReport
from rnnscope.printable import Printable


@dataclass(frozen=True)
class NotSeparated:
    """A reading that no input that was tried tells from the right one by enough.

    Attributes
    ----------
    part : str
        The layer, or ``model`` for all of them together.
    id, value : str
        As `explain` names it.
    reason : str
    """

    part: str
    id: str
    value: str
    reason: str


@dataclass(frozen=True)
class LeftOut:
    """A layer, or the whole model, that has no vectors.

    Attributes
    ----------
    name, reason : str
    """

    name: str
    reason: str


@dataclass(frozen=True)
class CaseReport:
    """One case.

    Attributes
    ----------
    name : str
    layer : str
        Empty for all layers together.
    sequences, timesteps, inputs, units : int
        Units are those of the outputs.
    lengths : tuple of int
    tolerance : float
        That of this case's input alone; at most that of all.
    """

    name: str
    layer: str
    sequences: int
    timesteps: int
    inputs: int
    units: int
    lengths: tuple[int, ...]
    tolerance: float


@dataclass(frozen=True)
class WrittenFile:
    """A file of the folder.

    Attributes
    ----------
    name : str
    size : int
        Bytes.
    """

    name: str
    size: int


@dataclass(frozen=True)
class VectorsReport(Printable):
    """The result of `rnnscope.vectors`.

    Attributes
    ----------
    checkpoint : str
    target : str
        The folder.
    dtype : str
        Of the expected numbers.
    tolerance : float
        In units of the largest value of each expected array.
    readings : int
        Misreadings that mean something to the model, by name, over all its parts.
    not_separated : tuple of NotSeparated
        Those of them that differ by less than a hundred tolerances.
    cases : tuple of CaseReport
    files : tuple of WrittenFile
    left_out : tuple of LeftOut
    notes : tuple of str
    """

    checkpoint: str
    target: str
    dtype: str
    tolerance: float
    readings: int
    not_separated: tuple[NotSeparated, ...]
    cases: tuple[CaseReport, ...]
    files: tuple[WrittenFile, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    report_kind: ClassVar[str] = "vectors"


@dataclass(frozen=True)
class FirstWrong:
    """The first value that is wrong, in the order in which a step is computed.

    Attributes
    ----------
    layer : str
        Of the model.
    array : str
        A gate, a state, ``outputs``, or ``final/c`` and ``final/m``.
    sequence, timestep, unit : int
        From 0; timestep is -1 of a final state.
    expected, got : float
    tolerances : float
        By how many tolerances they differ.
    """

    layer: str
    array: str
    sequence: int
    timestep: int
    unit: int
    expected: float
    got: float
    tolerances: float


@dataclass(frozen=True)
class CheckedCase:
    """One case, compared.

    Attributes
    ----------
    name, layer : str
    status : {"pass", "fail", "skip"}
        Skipped where nothing of it is there.
    compared, wrong, missing : tuple of str
        Arrays, by name.
    misshapen : tuple of str
        Arrays of another shape, with both shapes.
    first_wrong : FirstWrong or None
    """

    name: str
    layer: str
    status: Literal["pass", "fail", "skip"]
    compared: tuple[str, ...]
    wrong: tuple[str, ...]
    missing: tuple[str, ...]
    misshapen: tuple[str, ...]
    first_wrong: FirstWrong | None


@dataclass(frozen=True)
class ExplainedReading:
    """A reading that gives an implementation's numbers.

    Attributes
    ----------
    reading : tuple of DeviationReport
    advice : str
        What the implementation has to change.
    """

    reading: tuple[DeviationReport, ...]
    advice: str


@dataclass(frozen=True)
class ExplainedCase:
    """What `explain` says of a case that is wrong.

    Attributes
    ----------
    case : str
    verdict : {"one", "several", "none", "not asked"}
    fits : tuple of ExplainedReading
    words : tuple of str
        Where none fits, what agrees and what is first wrong; or why it was not asked.
    """

    case: str
    verdict: Literal["one", "several", "none", "not asked"]
    fits: tuple[ExplainedReading, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class VectorsCheck(Printable):
    """The result of `rnnscope.check_vectors`.

    Attributes
    ----------
    vectors, theirs : str
    status : {"pass", "fail", "skip"}
        It passes where every array that is there is right; skipped where none is there.
    tolerance : float
        In units of the largest value of each expected array.
    cases : tuple of CheckedCase
    explained : tuple of ExplainedCase
    agreed : tuple of ExplainedReading
        The readings that fit every case that was explained.
    notes : tuple of str
    """

    vectors: str
    theirs: str
    status: Literal["pass", "fail", "skip"]
    tolerance: float
    cases: tuple[CheckedCase, ...]
    explained: tuple[ExplainedCase, ...] = ()
    agreed: tuple[ExplainedReading, ...] = ()
    notes: tuple[str, ...] = ()

    report_kind: ClassVar[str] = "vectors-check"
