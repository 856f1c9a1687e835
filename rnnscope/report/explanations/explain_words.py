"""An explanation as words that text and Markdown share."""

from __future__ import annotations

from collections.abc import Sequence

from rnnscope.explaining.result import DeviationReport, Explanation
from rnnscope.wording import plural

PLAIN = "as rnnscope reads it"

NOTHING = 1e-12
"""A relative difference that is not told more closely."""


def reading_words(reading: Sequence[DeviationReport]) -> str:
    """``gate-order: i o f g; forget-bias: 0``."""
    return "; ".join(f"{one.id}: {one.value}" for one in reading) or PLAIN


def headline(found: Explanation) -> str:
    """What was found, in one line."""
    if found.verdict == "none":
        return "no reading fits the reference"
    if found.verdict == "several":
        count = plural(len(found.fits), "reading")
        return f"{count} fit the reference: this input cannot tell them apart"
    if not found.fits[0].reading:
        return "the reference is what rnnscope computes"
    return f"one reading fits the reference: {reading_words(found.fits[0].reading)}"


def error_words(error: float) -> str:
    """A relative difference, two digits; what is far below any rounding differs by machine."""
    if error < NOTHING:
        return f"<{NOTHING:.0e}"
    return f"{error:.1e}"


def searched(found: Explanation) -> str:
    """How much was tried."""
    rest = "" if found.complete else ", and the time ended before all were"
    what = "reading" if found.tried == 1 else "readings"
    return f"{found.tried:,} {what} tried in {found.seconds:.1f} s{rest}"


def command_words(reproduces: bool) -> str:
    """What a command gives."""
    return "the same numbers here" if reproduces else "the right numbers"
