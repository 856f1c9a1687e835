"""The cases of the corpus as text: what ``rnnscope conform --list`` shows."""

from __future__ import annotations

from rnnscope.conforming.result import CaseList
from rnnscope.report.console import text_of
from rnnscope.report.text_blocks import heading, table
from rnnscope.wording import plural

COLUMNS = ("case", "dtype", "units", "features", "sequences", "timesteps")


def render(listed: CaseList, *, width: int = 100, color: bool = False) -> str:
    """A table, a row for each case."""
    found = [
        (one.case, one.dtype, *map(str, (one.units, one.features, one.sequences, one.timesteps)))
        for one in listed.cases
    ]
    title = heading(f"{plural(len(found), 'case')}, seed {listed.seed}")
    return text_of([title, table(COLUMNS, found, right=COLUMNS[2:])], width=width, color=color)
