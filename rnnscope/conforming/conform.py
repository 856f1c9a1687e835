"""Runs an engine over the corpus and holds what it computes to the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rnnscope.conforming.case import Answer, Case, shapes
from rnnscope.conforming.corpus import DEFAULT_SEED, cases, descriptions
from rnnscope.conforming.documents import case_document, case_line
from rnnscope.conforming.engines.interface import Engine, Failed, NotOffered
from rnnscope.conforming.expected import expected
from rnnscope.conforming.judging import judge, tolerance
from rnnscope.conforming.readings import cause
from rnnscope.conforming.result import CaseList, CaseVerdict, ConformReport, ListedCase
from rnnscope.errors import OptionError, RnnscopeError, spell_command

Progress = Callable[[str, int, int], None]
"""``progress(case, number, of how many)``."""


def conform(
    engine: Engine,
    *,
    seed: int = DEFAULT_SEED,
    only: str = "*",
    progress: Progress | None = None,
) -> ConformReport:
    """Run an engine over the cases whose name fits.

    Parameters
    ----------
    engine : Engine
    seed : int
    only : str
        A pattern of a case's name or family.
    progress : callable, optional

    Raises
    ------
    OptionError
        No case has such a name, or the seed is negative.
    """
    count = len(_chosen(seed, only))
    found = []
    for number, case in enumerate(cases(seed, only)):
        if progress is not None:
            progress(case.name, number, count)
        found.append(verdict_of(case, engine))
    return ConformReport(engine.version, engine.gives, seed, only, tuple(found))


def verdict_of(case: Case, engine: Engine) -> CaseVerdict:
    """What an engine's answer to a case is worth."""
    about: dict[str, Any] = {
        "case": case.name,
        "family": case.family,
        "cell": case.cell,
        "dtype": case.dtype.name,
    }
    try:
        answer = _checked(case, _run(engine, case))
    except NotOffered as why:
        return CaseVerdict(**about, status="not offered", reason=str(why))
    except Failed as why:
        return CaseVerdict(**about, status="failed", failure=why.kind, reason=str(why))
    judged = judge(case, expected(case), answer)
    missing = ", ".join(judged.missing)
    return CaseVerdict(
        **about,
        status="agree" if judged.right else "differs",
        reason=f"{missing} not given" if missing else "",
        error=judged.error,
        difference=judged.difference,
        tolerance=tolerance(case),
        first=judged.first,
        wrong_part=judged.wrong_part,
        wrong_in_step=judged.wrong_in_step,
        cause=cause(case, answer) if judged.first is not None else "",
        not_given=judged.not_given,
    )


def _run(engine: Engine, case: Case) -> Answer:
    """What an engine computes; whatever it raises is told of this case, and ends no run."""
    try:
        return engine.run(case)
    except (NotOffered, Failed, RnnscopeError, MemoryError):
        raise
    except NotImplementedError as error:
        raise NotOffered(f"it says: {_words(error)}") from error
    except Exception as error:  # a framework raises nearly anything
        if "not implemented for" in str(error):  # torch, of a kernel that a dtype lacks
            raise NotOffered(f"it says: {_words(error)}") from error
        raise Failed(f"{type(error).__name__}: {_words(error)}", "error") from error


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _checked(case: Case, answer: Answer) -> Answer:
    """An answer whose arrays have the shapes that the case says."""
    for number, one in enumerate(answer):
        for name, shape in shapes(case, number).items():
            if name in one and one[name].shape != shape:
                raise Failed(
                    f"{name} has the shape {list(one[name].shape)}, not {list(shape)}",
                    "wrong shape",
                )
    return answer


def listed(seed: int = DEFAULT_SEED, only: str = "*") -> CaseList:
    """The cases whose name fits, without their numbers."""
    found = tuple(
        ListedCase(one.name, one.dtype, one.units, one.features, one.sequences, one.steps)
        for one in _chosen(seed, only)
    )
    return CaseList(seed, only, found)


def case_documents(seed: int = DEFAULT_SEED, only: str = "*") -> Iterator[dict[str, Any]]:
    """The cases whose name fits, as JSON's own types."""
    _chosen(seed, only)
    return (case_document(case) for case in cases(seed, only))


def case_lines(seed: int = DEFAULT_SEED, only: str = "*") -> Iterator[str]:
    """The cases whose name fits, as JSON lines."""
    _chosen(seed, only)
    return (case_line(case) for case in cases(seed, only))


def _chosen(seed: int, only: str) -> list[Any]:
    if seed < 0:
        raise OptionError("A seed is negative.", expected="0 or more", found=str(seed))
    found = list(descriptions(only))
    if not found:
        families = dict.fromkeys(one.name.rpartition("/")[0] for one in descriptions())
        raise OptionError(
            "No case has such a name.",
            where=only,
            expected=f"a pattern of a case or a family: {_some(families)}",
            found=only,
            hint=f"{spell_command('conform_cases')} shows them all",
        )
    return found


def _some(names: Iterable[str]) -> str:
    first = list(names)[:6]
    return ", ".join(first) + ", …"
