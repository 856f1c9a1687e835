"""What reports of vectors say, sentence by sentence."""

from __future__ import annotations

from collections.abc import Iterator

from rnnscope.errors import spell
from rnnscope.report.explanations.explain_words import reading_words
from rnnscope.vectors.result import (
    CheckedCase,
    ExplainedCase,
    FirstWrong,
    VectorsCheck,
    VectorsReport,
)
from rnnscope.wording import plural

SHOWN = 12


def size_words(size: int) -> str:
    """A size that is read at a glance."""
    return f"{size / 2**20:.1f} MB" if size >= 2**20 else f"{max(1, round(size / 2**10))} kB"


def covered(report: VectorsReport) -> str:
    """How many misreadings the cases tell from the right one."""
    left = len(report.not_separated)
    some = f"{report.readings - left} of" if left else "all"
    return f"{some} {report.readings} that explain knows differ by 100 tolerances or more"


def not_separated_lines(report: VectorsReport) -> Iterator[str]:
    """Each reading that is not told apart, with the reason."""
    for one in report.not_separated[:SHOWN]:
        yield f"{one.part}: {one.id}: {one.value}: {one.reason}"
    if len(report.not_separated) > SHOWN:
        yield f"{len(report.not_separated) - SHOWN} more ({spell('format', 'json')} has all)"


def left_out_lines(report: VectorsReport) -> list[str]:
    """Each layer without vectors, with the reason."""
    return [f"{one.name}: {one.reason}" for one in report.left_out]


def verdict_words(found: VectorsCheck) -> str:
    """What came out, in one line."""
    wrong = sum(case.status == "fail" for case in found.cases)
    compared = sum(case.status != "skip" for case in found.cases)
    if found.status == "fail":
        return f"{wrong} of {plural(compared, 'case')} wrong"
    if found.status == "skip":
        return "nothing to compare"
    whole = all(not case.missing and case.status == "pass" for case in found.cases)
    return f"{plural(compared, 'case')} right" + ("" if whole else ", as far as there is something")


def place_words(first: FirstWrong) -> str:
    """``f, sequence 0, timestep 3, unit 2``."""
    name = first.array.replace("final/", "final ")
    step = "" if first.timestep < 0 else f", timestep {first.timestep}"
    where = f" of {first.layer}" if first.layer else ""
    return f"{name}{where}, sequence {first.sequence}{step}, unit {first.unit}"


def numbers_words(first: FirstWrong) -> str:
    """What was expected there, what there is, and how far apart they are."""
    apart = f"{first.tolerances:.3g} limits apart"
    if first.tolerances != first.tolerances:
        apart = "not a number"
    return f"expected {first.expected:.9g}, got {first.got:.9g}: {apart}"


def case_words(case: CheckedCase) -> str:
    """What is first wrong in a case."""
    if case.first_wrong is not None:
        return f"{place_words(case.first_wrong)}: {numbers_words(case.first_wrong)}"
    if case.misshapen:
        return "; ".join(case.misshapen)
    return ""


def missing_words(found: VectorsCheck) -> Iterator[str]:
    """What was not there, the same for several cases in one line."""
    by_arrays: dict[tuple[str, ...], list[str]] = {}
    for case in found.cases:
        if case.missing:
            what = ("all of it",) if case.status == "skip" else case.missing
            by_arrays.setdefault(what, []).append(case.name)
    for arrays, cases in by_arrays.items():
        shown = ", ".join(arrays[:SHOWN]) + (", …" if len(arrays) > SHOWN else "")
        yield f"{', '.join(cases)}: {shown}"


def explained_words(one: ExplainedCase) -> Iterator[str]:
    """What `explain` says of a case."""
    if one.verdict == "not asked":
        yield f"not explained: {'; '.join(one.words)}"
        return
    if one.verdict == "none":
        yield "no reading of the weights gives these numbers"
        yield from one.words
        return
    for fit in one.fits:
        yield f"{reading_words(fit.reading)}: {fit.advice}"
