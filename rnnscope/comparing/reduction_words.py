"""A reduction as words, the same in every report."""

from __future__ import annotations

from rnnscope.comparing.reduction import Reduction
from rnnscope.wording import number, plural

PRIVACY = (
    "The case holds inputs, states and weights of what is left: look at it before you send it."
)


def headline(found: Reduction) -> str:
    """``from 2 x 10 x 64 to 1 sequence, 1 step, 1 unit: c of unit 3 differs by 0.0435``."""
    if not found.case:
        return f"no case is written: {found.reason}"
    before, after = found.before, found.after
    sizes = ", ".join(
        (
            plural(after.sequences, "sequence"),
            plural(after.timesteps, "step"),
            plural(after.units, "unit"),
        )
    )
    return (
        f"from {before.sequences} x {before.timesteps} x {before.units} to {sizes}: {found.array} "
        f"of unit {found.unit} differs by {number(found.difference)}"
    )


def place(found: Reduction) -> str:
    """Which steps of the pair they are, and what they start from."""
    steps = [*found.timesteps]
    named = f"timestep {steps[0]}" if len(steps) == 1 else f"timesteps {steps[0]} to {steps[-1]}"
    start = {
        "beginning": "from the run's own beginning",
        "A": "from the state that A has before",
        "B": "from the state that B has before, on both sides",
    }[found.start]
    others = f"; {found.units} units of it differ there" if found.units > 1 else ""
    return f"sequence {found.sequence}, {named}, {start}{others}"


def values(found: Reduction) -> str:
    """Both numbers, in as many digits as tell them apart."""
    return f"A {found.a:.17g}, B {found.b:.17g}"


def recomputed(found: Reduction) -> str:
    """Whose function the case holds."""
    if len(found.recomputed) == 2:
        return "A and B were computed again from the case, and still differ"
    (own,) = found.recomputed
    other = "B" if own == "A" else "A"
    return f"{own} was computed again from the case; {other}'s numbers are as they were given"


def tried(found: Reduction) -> list[str]:
    """What was computed on the way, a line each."""
    return [
        f"{case.what}: {plural(case.timesteps, 'step')}, {plural(case.units, 'unit')}: "
        + (f"differs by {number(case.difference)}" if case.differs else "no longer differs")
        for case in found.tried
    ]


def contents(found: Reduction) -> str:
    """What the file is."""
    arrays = plural(len(found.arrays), "array")
    return f"{found.case}: {arrays}, {found.bytes:,} bytes"
