"""Which sequences a part holds, and what its file is called: both follow from numbers alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, TraceError, spell

MAX_PARTS = 100_000
"""Files in one folder; more would gain nothing."""

PARTS_SUFFIX = ".parts"
"""The folder of ``trace.h5`` is ``trace.h5.parts``, beside it."""

NOT_IN_NAMES = frozenset("/\\\0%:")
"""Of the folder: HDF5 fills numbers in where a % stands, other systems part paths at a colon and a
backslash."""

MAX_NAME = 1024

LEAST_DIGITS = 4

MAX_SHOWN = 12
"""Ranges of parts that a message lists."""


@dataclass(frozen=True)
class PartPlace:
    """A part of a run.

    Attributes
    ----------
    number, of : int
        The first is 1.
    sequences : int
        Of the whole run.
    """

    number: int
    of: int
    sequences: int

    @property
    def rows(self) -> slice:
        """Its sequences in the whole run; parts differ by one sequence at most."""
        return slice(
            (self.number - 1) * self.sequences // self.of, self.number * self.sequences // self.of
        )

    @property
    def count(self) -> int:
        return int(self.rows.stop - self.rows.start)

    @property
    def file_name(self) -> str:
        """``0003-of-0064.h5``."""
        digits = max(LEAST_DIGITS, len(str(self.of)))
        return f"{self.number:0{digits}d}-of-{self.of:0{digits}d}.h5"

    def __str__(self) -> str:
        return f"part {self.number} of {self.of} ({_sequences_words(self.rows)})"


def parse_part(text: str) -> tuple[int, int]:
    """``3/64`` as (3, 64).

    Raises
    ------
    OptionError
    """
    match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
    number, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= of <= MAX_PARTS:
        raise OptionError(
            "A part is not to be understood.",
            where=spell("part", text),
            expected=f"K/N, with K from 1 to N and N up to {MAX_PARTS}: 3/64",
            found=text or "nothing",
            hint="arrays of SLURM that count from 0 need K = SLURM_ARRAY_TASK_ID + 1"
            if match and number == 0
            else None,
        )
    return number, of


def place_of(number: int, of: int, sequences: int) -> PartPlace:
    """A part of a run of so many sequences.

    Raises
    ------
    OptionError
        There are more parts than sequences.
    """
    if of > max(1, sequences):
        raise OptionError(
            "There are more parts than sequences.",
            where=spell("part", f"{number}/{of}"),
            expected=f"at most {max(1, sequences)} parts",
            found=f"{of} parts of {sequences} sequences",
        )
    return PartPlace(number, of, sequences)


def part_path(trace: Path, number: int, of: int) -> Path:
    """Where a part of a trace goes: in the folder ``NAME.parts`` beside it."""
    return trace.with_name(trace.name + PARTS_SUFFIX) / PartPlace(number, of, 0).file_name


def numbers_of_parts(folder: Path) -> set[int]:
    """Into how many parts runs were divided whose parts, begun or whole, are in a folder."""
    if not folder.is_dir():
        return set()
    names = (re.match(r"\.?[0-9]+-of-([0-9]{1,9})\.h5", one.name) for one in folder.iterdir())
    return {int(match[1]) for match in names if match}


def parts_words(numbers: Iterable[int], of: int, sequences: int) -> str:
    """``parts 3, 17-20 of 64 (sequences 32-47, 256-319)``."""
    ranges = _ranges(sorted({*numbers}))
    first = [slice(PartPlace(a, of, sequences).rows.start, PartPlace(b, of, sequences).rows.stop)
             for a, b in ranges]  # fmt: skip
    shown = [f"{a}" if a == b else f"{a}-{b}" for a, b in ranges]
    which = [f"{rows.start}-{rows.stop - 1}" for rows in first]
    if len(shown) > MAX_SHOWN:
        shown = [*shown[:MAX_SHOWN], "…"]
        which = [*which[:MAX_SHOWN], "…"]
    many = len(ranges) > 1 or any(a != b for a, b in ranges)
    word = "parts" if many else "part"
    return f"{word} {', '.join(shown)} of {of} (sequences {', '.join(which)})"


def _ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    runs = groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    found = [[number for _, number in run] for _, run in runs]
    return [(run[0], run[-1]) for run in found]


def _sequences_words(rows: slice) -> str:
    if rows.stop - rows.start < 2:
        return f"sequence {rows.start}"
    return f"sequences {rows.start}-{rows.stop - 1}"


def is_folder_name(name: object) -> bool:
    """Whether a text is the plain name of a folder, that no system and not HDF5 reads otherwise."""
    return (
        isinstance(name, str)
        and 0 < len(name) < MAX_NAME
        and name not in (".", "..")
        and not {*name} & NOT_IN_NAMES
    )


def check_folder_name(folder: Path) -> None:
    """Refuse a folder whose name HDF5 or another system would read otherwise.

    Raises
    ------
    TraceError
    """
    if not is_folder_name(folder.name):
        raise TraceError(
            "The folder of the parts has a name that HDF5 would read otherwise.",
            where=folder,
            expected="a name without % (a number is filled in there), : and \\",
            found=folder.name,
            hint=f"name another trace with {spell('output')}",
        )
