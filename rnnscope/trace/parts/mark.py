"""What a part says of itself: of which run it is, which sequences it holds, their digest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import TraceError
from rnnscope.trace.parts.place import MAX_PARTS, PartPlace

PART, PARTS, FIRST, TOTAL = "part", "parts", "first_sequence", "total_sequences"
RUN, THREADS, SAVED, SHA256 = "part_run", "part_threads", "part_checks", "part_sha256"
ATTRIBUTES = (PART, PARTS, FIRST, TOTAL, RUN, THREADS, SAVED, SHA256)
"""Attributes of the root of a part, which the master has not."""


@dataclass(frozen=True)
class PartMark:
    """The attributes of a part.

    Attributes
    ----------
    place : PartPlace
    run : str
        A digest of what decides the numbers of the whole run: checkpoint, input, options, version.
        Parts that differ in it do not belong together.
    threads : int
        Into how many parts a slice is split, which decides the last bits of engines that use BLAS;
        0 where no bit depends on it.
    saved : str
        What the checks of the run found in this part, as JSON, to be merged with the others.
    sha256 : str
        `rnnscope.trace.parts.digest.numbers_sha256`; empty until the part is whole.
    """

    place: PartPlace
    run: str
    threads: int = 0
    saved: str = ""
    sha256: str = ""

    def attributes(self) -> dict[str, Any]:
        """As the root of the part's file has them; the digest comes when the part is whole."""
        return {
            PART: self.place.number,
            PARTS: self.place.of,
            FIRST: self.place.rows.start,
            TOTAL: self.place.sequences,
            RUN: self.run,
            THREADS: self.threads,
        }


def read_mark(attributes: Mapping[str, Any], sequences: int, where: object) -> PartMark | None:
    """The mark of a trace; None of one that is no part.

    Parameters
    ----------
    attributes : mapping
        Of the root.
    sequences : int
        How many the file holds.
    where : object

    Raises
    ------
    TraceError
        The attributes contradict each other or the file.
    """
    if RUN not in attributes:
        return None
    numbers = [attributes.get(name) for name in (PART, PARTS, FIRST, TOTAL, THREADS)]
    texts = [attributes.get(name, "") for name in (RUN, SAVED, SHA256)]
    fits = all(isinstance(one, (int, np.integer)) for one in numbers)
    fits = fits and all(isinstance(one, str) for one in texts)
    if fits:
        number, of, first, total, threads = (int(one) for one in numbers if one is not None)
        if 1 <= number <= of <= min(MAX_PARTS, max(1, total)) and threads >= 0:
            place = PartPlace(number, of, total)
            if (place.rows.start, place.count) == (first, sequences):
                run, saved, sha256 = texts
                return PartMark(place, run, threads, saved, sha256)
    raise TraceError(
        "What a part says of itself does not fit.",
        where=where,
        expected=f"{PART} K of {PARTS} N, and the sequences that follow from them",
        found=", ".join(
            f"{name} {attributes.get(name)!r:.80}" for name in (PART, PARTS, FIRST, TOTAL)
        )
        + f"; {sequences} sequences",
        hint="was the file changed after rnnscope wrote it? Then make the part again",
    )
