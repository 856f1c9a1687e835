"""Cases that nobody thought of: any model with other weights, any confusions, any guise."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from explaining.cases import Case
from explaining.rivals import APART, distance, handed_over, parts, values_of
from explaining.small_models import MAKERS, Subject


def random_case(seed: int, size: int, folder: Path) -> tuple[Subject, Case] | None:
    """A case of ``size`` confusions, each of which changes the reference; None if it is no case."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    name = rng.choice(list(MAKERS))
    subject = MAKERS[name][1](seed)
    values = {key: found for key, found in values_of(subject).items() if found}
    made = {key: rng.choice(values[key]) for key in rng.sample(sorted(values), size)}
    case = Case(name, made, rng.choice(guises_of(subject, made)), _also(subject, made))
    arrays = handed_over(subject, made, case.guise, folder)
    if not all(np.isfinite(array).all() for array in arrays.values()):
        return None
    for fewer in (part for count in range(size) for part in parts(made, count)):
        if distance(arrays, handed_over(subject, fewer, case.guise, folder)) < APART:
            return None
    return subject, case


def guises_of(subject: Subject, made: dict[str, str]) -> list[str]:
    """In which guises a subject's states can be handed over."""
    found = ["everything", "c and m", "npz", "final", "torch"]
    if len(subject.model.levels[-1]) == 1:
        found += ["outputs", "npy", "outputs, time-major"]
    if len(subject.names) == 1 and len(subject.names[0]) == 1:
        found += ["outputs and final"]
        # Steps that are late, less one at an end, are steps that are not.
        found += [] if "shift" in made else ["without end", "without start"]
    elif len(subject.names) > 1:
        found += ["top layer"]
    return [*found, "dense"] if subject.model.dense else found


def _also(subject: Subject, made: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """Values that say the same over this input."""
    found: dict[str, tuple[str, ...]] = {}
    full = subject.lengths is None and not subject.model.masking
    if full and made.get("reversed", "not reversed") != "not reversed":
        found["reversed"] = ("whole", "within length")
    if subject.model.levels[0][0].gru and "never" in made.get("state-carry", ""):
        found["state-carry"] = ("never", "m never")
    return found


def fits_too(subject: Subject, case: Case, reading: dict[str, str], folder: Path) -> bool:
    """Whether another reading gives what the case hands over."""
    try:
        other = handed_over(subject, reading, case.guise, folder)
    except (KeyError, ValueError):  # nothing that the loop can make
        return False
    return distance(handed_over(subject, case.made, case.guise, folder), other) < APART / 10
