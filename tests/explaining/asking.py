"""Asking `rnnscope.explain`, and what it says as the judge's loop would be told it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from explaining.cases import Case
from explaining.confused_loop import run
from explaining.network_description import Made
from explaining.references import reference
from explaining.small_models import Subject

import rnnscope

NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


def explained(subject: Subject, made: Made, guise: str, folder: Path, **options: Any) -> Any:
    """What explain says of what somebody hands over who has confused `made`."""
    states = run(subject.model, subject.x, subject.lengths, made)
    given = reference(subject, states, guise, folder)
    path = subject.write(folder)
    return rnnscope.explain(path, subject.x, given, **subject.run_options, **options).to_dict()


def readings_that_fit(said: Any) -> list[dict[str, str]]:
    """Every reading by its ids, with its values."""
    return [{part["id"]: part["value"] for part in fit["reading"]} for fit in said["fits"]]


def same_value(found: str, allowed: tuple[str, ...]) -> bool:
    """Numbers that were solved for need not be round."""
    for value in allowed:
        ours, theirs = (NUMBER.findall(text) for text in (found, value))
        if NUMBER.sub("#", found) == NUMBER.sub("#", value) and len(ours) == len(theirs):
            near = (abs(float(a) - float(b)) < 1e-3 for a, b in zip(ours, theirs, strict=True))
            if all(near):
                return True
    return False


def named_rightly(said: Any, case: Case) -> bool:
    """Whether what was confused is all that is named."""
    readings = readings_that_fit(said)
    return (
        said["verdict"] == "one"
        and [set(reading) for reading in readings] == [set(case.made)]
        and all(same_value(value, case.allowed(name)) for name, value in readings[0].items())
    )


def as_made(reading: dict[str, str]) -> Made:
    """A reading with round numbers, for the loop to make."""
    return {name: _plain(value) for name, value in reading.items()}


def _plain(value: str) -> str:
    try:
        return f"{round(float(value), 3):g}"
    except ValueError:
        return value
