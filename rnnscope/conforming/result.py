"""How an engine did on the corpus."""

from __future__ import annotations

from typing import ClassVar, Literal

from rnnscope.conforming.engines.interface import Failure
from rnnscope.conforming.judging import Place
from rnnscope.deferred_dataclass import dataclass
from rnnscope.printable import Printable

Status = Literal["agree", "differs", "failed", "not offered"]


@dataclass(frozen=True)
class CaseVerdict:
    """One case.

    Attributes
    ----------
    case, family, cell, dtype : str
    status : str
        ``"agree"``, ``"differs"``, ``"failed"`` (no answer, or none of the right shapes), or
        ``"not offered"`` (the engine cannot express it).
    reason : str
        What was seen where it failed, why it was not offered, what was missing.
    failure : str or None
        What was wrong with the answer, where it failed.
    error : float
        The largest difference as a part of the tolerance: up to 1 agrees.
    difference : float
        The same difference itself.
    tolerance : float
        The largest right difference, as a part of an array's largest value.
    first : Place or None
        Where it is first wrong.
    wrong_part : str
        How far the fault reaches in that array.
    wrong_in_step : str
        How far it reaches in that step; empty for final states.
    cause : str
        What the engine did instead, where that gives just its numbers; else empty.
    not_given : tuple of str
        States that it did not give, and that were not judged.
    """

    case: str
    family: str
    cell: str
    dtype: str
    status: Status
    reason: str = ""
    failure: Failure | None = None
    error: float = 0.0
    difference: float = 0.0
    tolerance: float = 0.0
    first: Place | None = None
    wrong_part: str = ""
    wrong_in_step: str = ""
    cause: str = ""
    not_given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """The cases of a cell that have a feature in common; `error` is the largest of all."""

    family: str
    cases: int
    agree: int
    differ: int
    not_offered: int
    error: float


@dataclass(frozen=True)
class ConformReport(Printable):
    """How an engine did.

    Attributes
    ----------
    engine : str
        The engine and its version, or the command.
    gives : str
        What of the states it returns, in words.
    seed : int
    only : str
        The pattern of the cases that ran.
    cases : tuple of CaseVerdict
    """

    report_kind: ClassVar[str] = "conform"
    json_properties: ClassVar[tuple[str, ...]] = ("verdict", "families")

    engine: str
    gives: str
    seed: int
    only: str
    cases: tuple[CaseVerdict, ...]

    @property
    def verdict(self) -> Literal["agree", "differ", "nothing offered"]:
        """Whether every case that was offered agrees."""
        kinds = {case.status for case in self.cases}
        if kinds & {"differs", "failed"}:
            return "differ"
        return "agree" if "agree" in kinds else "nothing offered"

    @property
    def families(self) -> tuple[Family, ...]:
        """By family, in the order of the corpus."""
        groups: dict[str, list[CaseVerdict]] = {}
        for case in self.cases:
            groups.setdefault(case.family, []).append(case)
        return tuple(_family(name, group) for name, group in groups.items())


def _family(name: str, group: list[CaseVerdict]) -> Family:
    count = [case.status for case in group].count
    return Family(
        family=name,
        cases=len(group),
        agree=count("agree"),
        differ=count("differs") + count("failed"),
        not_offered=count("not offered"),
        error=max(case.error for case in group),
    )


@dataclass(frozen=True)
class ListedCase:
    """A case in a list."""

    case: str
    dtype: str
    units: int
    features: int
    sequences: int
    timesteps: int


@dataclass(frozen=True)
class CaseList(Printable):
    """The cases of the corpus: what ``--list`` shows."""

    report_kind: ClassVar[str] = "cases"

    seed: int
    only: str
    cases: tuple[ListedCase, ...]
