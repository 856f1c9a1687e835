"""How an engine did, in the words that every form of the report has."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from rnnscope.conforming.judging import Place
from rnnscope.conforming.result import CaseVerdict, ConformReport
from rnnscope.deferred_dataclass import dataclass
from rnnscope.wording import plural

COLUMNS = ("family", "cases", "agree", "differ", "not offered", "error")
SHOWN_CASES = 4


@dataclass(frozen=True)
class Difference:
    """Cases that went wrong alike."""

    title: str
    cases: tuple[CaseVerdict, ...]


def headline(report: ConformReport) -> str:
    """The verdict in one line."""
    count = [case.status for case in report.cases].count
    wrong, offered = count("differs") + count("failed"), len(report.cases) - count("not offered")
    if report.verdict == "nothing offered":
        return f"none of {plural(len(report.cases), 'case')} is offered"
    if report.verdict == "agree":
        return f"all of {offered} cases agree" if offered > 1 else "the one case agrees"
    return f"{wrong} of {plural(offered, 'case')} {'differs' if wrong == 1 else 'differ'}"


def head(report: ConformReport) -> list[tuple[str, str]]:
    """What ran, and the verdict."""
    corpus = f"{plural(len(report.cases), 'case')}, seed {report.seed}"
    if report.only != "*":
        corpus += f", only {report.only}"
    return [
        ("verdict", headline(report)),
        ("engine", report.engine),
        ("gives", report.gives),
        ("corpus", corpus),
    ]


def rows(report: ConformReport) -> Iterator[tuple[str, ...]]:
    """The table, a row for each family; errors are parts of the tolerance."""
    for one in report.families:
        counts = (one.cases, one.agree, one.differ, one.not_offered)
        error = error_words(one.error) if one.agree + one.differ else ""
        yield (one.family, *(str(count or "") for count in counts), error)


def error_words(error: float) -> str:
    """An error as a part of the tolerance: two digits are enough."""
    return f"{error:.2f}" if error < 10 else f"{error:.0f}" if error < 1e6 else f"{error:.0e}"


def differences(report: ConformReport) -> list[Difference]:
    """What went wrong, by cause; without a cause, by what was seen and where."""
    groups: dict[str, list[CaseVerdict]] = {}
    for case in report.cases:
        if case.status == "failed":
            groups.setdefault(str(case.failure), []).append(case)
        elif case.status == "differs":
            title = case.cause or case.reason or _unexplained(case)
            groups.setdefault(title, []).append(case)
    return [Difference(title, tuple(cases)) for title, cases in groups.items()]


def _unexplained(case: CaseVerdict) -> str:
    """Without a cause, cases are alike where they first go wrong in the same array."""
    assert case.first is not None
    if not isfinite(case.first.found):
        return f"not finite, first in {case.first.array}, {case.first.direction}"
    return f"of no known cause, first wrong in {case.first.array}, {case.first.direction}"


def difference_words(found: Difference) -> Iterator[str]:
    """The cases of a difference, and where the first of them is first wrong."""
    names = [case.case for case in found.cases[:SHOWN_CASES]]
    more = len(found.cases) - len(names)
    yield ", ".join(names) + (f", and {more} more" if more else "")
    seen = found.cases[0]
    if seen.status == "failed":
        yield f"{seen.case}: {seen.reason}"
    first = next((case for case in found.cases if case.first is not None), None)
    if first is not None and first.first is not None:
        within = (
            f", at step {first.first.step} {first.wrong_in_step}" if first.wrong_in_step else ""
        )
        yield (
            f"{first.case}: {place_words(first.first)}; wrong {first.wrong_part}{within}"
            + (f"; {error_words(first.error)} times the tolerance" if isfinite(first.error) else "")
        )


def place_words(place: Place) -> str:
    """Where, what was expected, and what was found."""
    step = "" if place.step is None else f", step {place.step}"
    return (
        f"first {place.array}, {place.direction}, sequence {place.sequence}{step}, "
        f"unit {place.unit}: expected {place.expected:.6g}, found {place.found:.6g}"
    )


def not_offered(report: ConformReport) -> list[str]:
    """Why cases were not offered, most of them first."""
    groups: dict[str, int] = {}
    for case in report.cases:
        if case.status == "not offered":
            groups[case.reason] = groups.get(case.reason, 0) + 1
    ordered = sorted(groups.items(), key=lambda entry: -entry[1])
    return [f"{reason}: {plural(number, 'case')}" for reason, number in ordered]


def not_given(report: ConformReport) -> list[str]:
    """States that were not given, and so not judged."""
    groups: dict[str, int] = {}
    for case in report.cases:
        for name in case.not_given:
            groups[name] = groups.get(name, 0) + 1
    return [f"{name} of every step: {plural(number, 'case')}" for name, number in groups.items()]
