"""What ``rnnscope report`` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rnnscope.deferred_dataclass import dataclass
from rnnscope.printable import Printable
from rnnscope.seeing.page.contents import PageContents


@dataclass(frozen=True)
class HeldArray:
    """An array that the page holds, and how.

    Attributes
    ----------
    layer, array : str
    sequences, bins, timesteps, units : int
    held : str
        ``"float64"``, ``"float32"`` or ``"int16"``.
    words : str
        The same in words.
    """

    layer: str
    array: str
    sequences: int
    timesteps: int
    bins: int
    units: int
    held: str
    words: str


@dataclass(frozen=True)
class PageReport(Printable):
    """What ``rnnscope report`` wrote.

    Attributes
    ----------
    path : str
    size : int
        Bytes.
    layers : tuple of str
    arrays : tuple of HeldArray
        Of the trace.
    compared : tuple of str
        The other traces, and the checkpoints.
    pictures : tuple of str
        Small SVG of where other traces part.
    notes : tuple of str
        What was left out.
    """

    report_kind: ClassVar[str] = "page"

    path: str
    size: int
    layers: tuple[str, ...]
    arrays: tuple[HeldArray, ...]
    compared: tuple[str, ...]
    notes: tuple[str, ...]
    pictures: tuple[str, ...] = ()


def page_report(contents: PageContents, path: Path, pictures: tuple[str, ...] = ()) -> PageReport:
    """What is said of a page that was written."""
    series = contents.facts.series
    shown = [series[name] for layer in contents.facts.layers for name in layer.series]
    compared = [other.path for other in contents.others]
    if contents.weights is not None:
        compared += [contents.weights.result.a.name, contents.weights.result.b.name]
    return PageReport(
        path=str(path),
        size=path.stat().st_size,
        layers=tuple(dict.fromkeys(one.layer for one in shown)),
        arrays=tuple(
            HeldArray(
                one.layer, one.array, len(one.sequences), one.steps, one.bins, one.units, one.held,
                one.held_words,
            )
            for one in shown
        ),
        compared=tuple(compared),
        notes=contents.notes,
        pictures=pictures,
    )  # fmt: skip
