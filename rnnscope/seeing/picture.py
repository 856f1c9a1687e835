"""Pictures of states: drawn with matplotlib, saved whole and with the same bytes every time."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import EngineError, OptionError, spell
from rnnscope.printable import Printable
from rnnscope.seeing.plots import plot_kind, refuse_others
from rnnscope.seeing.plots.interface import PlotRequest, Sources
from rnnscope.states.saving import save_file
from rnnscope.trace import check_target

SUFFIXES = (".png", ".svg", ".pdf")

DEFAULT_DPI = 150
SMALLEST_INCHES, LARGEST_INCHES = 1.5, 100.0
EDGE_INCHES = 0.02
"""What may lie beyond the edge of a picture: the blank around letters."""

MOST_PIXELS = 2**27
"""Of a picture: matplotlib holds four bytes for each, several times."""

SIZES = {"gates": (6.4, 5.6), "saturation": (6.8, 2.9), "norm": (6.4, 2.6), "units": (6.8, 2.8),
         "diff": (6.8, 4.4)}  # fmt: skip
"""Inches by kind, to fit a column or a page of a paper."""

DEFAULT_SIZE = (6.8, 3.6)

STYLE: Any = {
    "axes.linewidth": 0.7,
    "axes.titlesize": "medium",
    "figure.titlesize": "medium",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "hatch.linewidth": 0.4,
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "rnnscope",
    "text.parse_math": False,
    "text.usetex": False,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
}
"""Over matplotlib's own defaults, whatever the user's settings are: the same picture everywhere.
Names with a $ are no formulas."""

NO_DATE: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@dataclass(frozen=True)
class PictureSize:
    """Inches, and pixels an inch."""

    width: float
    height: float
    dpi: int = DEFAULT_DPI


@dataclass(frozen=True)
class PlotReport(Printable):
    """What ``rnnscope plot`` wrote.

    Attributes
    ----------
    kind, output : str
    width, height : float
        Inches.
    dpi : int
    notes : tuple of str
        What the picture does not show by itself.
    """

    report_kind: ClassVar[str] = "plot"

    kind: str
    output: str
    width: float
    height: float
    dpi: int
    notes: tuple[str, ...] = ()


@dataclass(eq=False)
class Picture:
    """A drawn picture; a notebook shows it.

    Attributes
    ----------
    figure : matplotlib Figure
    kind : str
    size : PictureSize
    notes : tuple of str
        What it does not show by itself.
    """

    figure: Any
    kind: str
    size: PictureSize
    notes: tuple[str, ...] = ()
    _png: bytes | None = field(default=None, repr=False)

    def save(self, output: str | Path, *, force: bool = False) -> PlotReport:
        """Write it; the suffix says as what.

        Raises
        ------
        OptionError
            The suffix names no kind of picture.
        TraceError
            The file cannot be written, or exists and `force` is False.
        """
        path = check_picture_target(output, force=force)
        seen: list[str] = []

        def write(partial: Path) -> None:
            with _own_style(), _warnings_as_notes(seen):
                self.figure.savefig(
                    partial, format=path.suffix[1:].lower(), dpi=self.size.dpi,
                    metadata=NO_DATE[path.suffix.lower()],
                )  # fmt: skip

        save_file(path, write, force=force, what="picture")
        if not seen and _stands_out(self.figure):
            seen.append(too_small())
        size = self.size
        notes = (*self.notes, *seen)
        return PlotReport(self.kind, str(output), size.width, size.height, size.dpi, notes)

    def _repr_png_(self) -> bytes:
        if self._png is None:
            file = BytesIO()
            with _own_style(), _warnings_as_notes([]):
                self.figure.savefig(file, format="png", dpi=self.size.dpi, metadata=NO_DATE[".png"])
            self._png = file.getvalue()
        return self._png


def draw_picture(
    sources: Sources, kind: str, request: PlotRequest, size: PictureSize | None = None
) -> Picture:
    """Draw a kind of picture.

    Raises
    ------
    EngineError
        matplotlib is not installed.
    RnnscopeError
        There is no such kind, or the trace lacks what it shows.
    """
    found = plot_kind(kind)
    refuse_others(kind, sources, request)
    size = size or picture_size(kind)
    Figure = _figure_class()  # noqa: N806  # a class
    with _own_style():
        figure = Figure(figsize=(size.width, size.height), dpi=size.dpi, layout="constrained")
        notes = found.draw(figure, sources, request)
    return Picture(figure, kind, size, tuple(notes))


def picture_size(kind: str, size: str | None = None, dpi: int | None = None) -> PictureSize:
    """The size of a picture.

    Parameters
    ----------
    kind : str
    size : str, optional
        ``"6.8x3.6"``, in inches.
    dpi : int, optional
        Pixels an inch.

    Raises
    ------
    OptionError
        The text is not to be understood, or the picture would be too small or too large.
    """
    width, height = SIZES.get(kind, DEFAULT_SIZE)
    if size is not None:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*[x×,]\s*(\d+(?:\.\d+)?)\s*", size)
        if match is None:
            raise _bad_size(size, "not to be understood")
        width, height = float(match[1]), float(match[2])
    dpi = DEFAULT_DPI if dpi is None else dpi
    inside = all(SMALLEST_INCHES <= side <= LARGEST_INCHES for side in (width, height))
    if not inside or dpi < 1 or width * height * dpi**2 > MOST_PIXELS:
        raise _bad_size(size or f"{width}x{height}", f"at {dpi} pixels an inch too small or large")
    return PictureSize(width, height, dpi)


def _bad_size(size: str, why: str) -> OptionError:
    return OptionError(
        f"The size of the picture is {why}.",
        where=spell("size", size),
        expected=f"WIDTHxHEIGHT in inches, {SMALLEST_INCHES} to {LARGEST_INCHES:g} each: 6.8x3.6",
    )


def check_picture_target(output: str | Path, *, force: bool) -> Path:
    """The real path of a picture to write.

    Raises
    ------
    OptionError
        Its suffix names no kind of picture.
    TraceError
        It cannot be written, or exists and `force` is False.
    """
    path = Path(output)
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(
            "The output's suffix names no kind of picture.",
            where=output,
            expected=", ".join(SUFFIXES),
            found=path.suffix or "no suffix",
        )
    return check_target(path, force, what="picture")


def _figure_class() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EngineError(
            "The package matplotlib is not installed: it draws the pictures.",
            hint="pip install matplotlib, or rnnscope with its extra 'plot'",
        ) from error
    return Figure


@contextmanager
def _own_style() -> Iterator[None]:
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


@contextmanager
def _warnings_as_notes(notes: list[str]) -> Iterator[None]:
    """What matplotlib warns of while it lays out and writes, in words that help."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    messages = {str(one.message) for one in caught}
    lacking = sum("missing from" in message for message in messages)
    if lacking:
        notes.append(f"the font lacks {lacking} of the characters: they are drawn as boxes")
    if any("collapsed to zero" in message for message in messages):
        notes.append(too_small())


def too_small() -> str:
    """The note on a picture whose labels have no room."""
    return f"the picture is too small for its labels: {spell('size')} enlarges it"


def _stands_out(figure: Any) -> bool:
    """Whether something of a picture that was drawn lies beyond its edges."""
    width, height = figure.get_size_inches()
    with _own_style():
        box = figure.get_tightbbox()
    return bool(min(box.x0, box.y0, width - box.x1, height - box.y1) < -EDGE_INCHES)
