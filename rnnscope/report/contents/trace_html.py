"""A trace as HTML for a notebook: layers to unfold, their arrays and options, a small heatmap.

Everything that comes from a file is escaped; there is no script, and the style touches nothing but
this element.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

import numpy as np

from rnnscope.model.cell import Array
from rnnscope.seeing.colours import PADDING, diverging, rgb
from rnnscope.seeing.heatmap import CellBudget, Heatmap, read_heatmap
from rnnscope.seeing.png import png_address
from rnnscope.seeing.state_view import open_view
from rnnscope.seeing.summary import ShownLayer, TraceSummary, summarise
from rnnscope.trace import Trace
from rnnscope.wording import number, option_value, plural, printable, shape

UNFOLDED = 3
"""Layers that are open at first; of more, none is."""

MOST_PICTURES = 12
"""Layers with a heatmap: each costs reading a sequence."""

MOST_BYTES = 64 * 2**20
"""Of a sequence that are read for its heatmap; of a longer one, its first steps are shown."""

ROWS, COLUMNS = 64, 120
"""The most cells of a heatmap."""

CELL_PIXELS, WIDEST_PIXELS = 5, 480

STYLE = """
.rnnscope-trace {font-family: var(--jp-ui-font-family, system-ui, sans-serif); font-size: 13px;
 line-height: 1.45; color: var(--jp-content-font-color0, currentColor); max-width: 60em}
.rnnscope-trace code, .rnnscope-trace td {font-family: var(--jp-code-font-family, monospace)}
.rnnscope-trace summary {cursor: pointer; padding: .15em 0}
.rnnscope-trace summary b {font-weight: 600}
.rnnscope-trace .dim {opacity: .65}
.rnnscope-trace details details, .rnnscope-trace .in {margin-left: 1.4em}
.rnnscope-trace table {border-collapse: collapse; margin: .2em 0 .4em 0}
.rnnscope-trace th, .rnnscope-trace td {text-align: left; padding: 0 1.2em 0 0; border: 0;
 background: none; font-weight: normal; vertical-align: top; white-space: pre-wrap}
.rnnscope-trace th {opacity: .65}
.rnnscope-trace figure {margin: .4em 0 .6em 0}
.rnnscope-trace img {image-rendering: pixelated; image-rendering: crisp-edges; display: block;
 border: 1px solid rgba(128, 128, 128, .5)}
""".strip()


def trace_html(trace: Trace) -> str:
    """An open trace as HTML, one element.

    Raises
    ------
    RnnscopeError
        The trace is damaged.
    """
    summary = summarise(trace)
    body = "".join(_parts(trace, summary))
    return f'<div class="rnnscope-trace"><style>{STYLE}</style>{body}</div>'


def _text(value: object) -> str:
    return escape(printable(value))


def _parts(trace: Trace, summary: TraceSummary) -> Iterator[str]:
    size = f"{plural(summary.sequences, 'sequence')} x {plural(summary.timesteps, 'timestep')}"
    yield f"<div><b>rnnscope trace</b> <code>{_text(summary.name)}</code></div>"
    yield f'<div class="dim">{size}, {_text(summary.lengths)}</div>'
    open_first = len(summary.layers) <= UNFOLDED
    for place, layer in enumerate(summary.layers):
        yield _layer(trace, layer, unfolded=open_first, pictured=place < MOST_PICTURES)
    yield _table("run", _run_rows(summary))
    if summary.notes:
        items = "".join(f"<div class='in'>{_text(note)}</div>" for note in summary.notes)
        yield f"<details><summary>notes ({len(summary.notes)})</summary>{items}</details>"


def _run_rows(summary: TraceSummary) -> Iterator[tuple[str, ...]]:
    yield "checkpoint", summary.checkpoint
    yield "format", ", ".join(filter(None, (summary.checkpoint_format, summary.framework)))
    yield "input", summary.input
    yield "engine", summary.engine
    yield "created", summary.created
    yield "rnnscope", summary.rnnscope_version
    yield "kept", ", ".join(summary.selection)


def _table(title: str, rows: Iterable[tuple[str, ...]], head: tuple[str, ...] = ()) -> str:
    """Rows to unfold; those that say nothing are left out."""
    shown = [row for row in rows if any(row[1:])]
    if not shown:
        return ""
    top = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in shown
    )
    table = f"<table>{f'<tr>{top}</tr>' if top else ''}{lines}</table>"
    return f'<details><summary>{_text(title)}</summary><div class="in">{table}</div></details>'


def _layer(trace: Trace, layer: ShownLayer, *, unfolded: bool, pictured: bool) -> str:
    words = ", ".join(part for part in (layer.cell, layer.direction, layer.dtype) if part)
    arrays = [
        (one.name, ", ".join(one.axes), f"as {one.same_as}" if one.same_as else shape(one.shape))
        for one in layer.arrays
    ]
    options = [(one.name, option_value(one.value), one.origin) for one in layer.options]
    inside = [
        _table(f"arrays ({len(arrays)})", arrays, ("array", "axes", "shape")),
        _table(f"options ({len(options)})", options, ("option", "value", "origin")),
        _table("reads", [("inputs", ", ".join(layer.inputs)), ("evidence", layer.evidence)]),
    ]
    if pictured and layer.arrays and trace.sequences:
        inside.insert(0, _figure(trace, layer))
    return (
        f"<details{' open' if unfolded else ''}><summary><b>{_text(layer.name)}</b> "
        f'<span class="dim">{_text(words)}</span></summary><div class="in">{"".join(inside)}'
        "</div></details>"
    )


def _figure(trace: Trace, layer: ShownLayer) -> str:
    """A small heatmap of m, or of what there is, over the first sequence."""
    names = [array.name for array in layer.arrays]
    view = open_view(trace, layer.name, "m" if "m" in names else names[0])
    if not (len(view.units) and len(view.steps)):
        return ""
    count = len(view.steps)
    most = max(1, MOST_BYTES // (len(view.units) * view.array.dtype.itemsize))
    if count > most:
        view = view.take(steps=np.arange(most))
    heatmap = read_heatmap(view, 0, CellBudget(ROWS, COLUMNS))
    pixels = heatmap_pixels(heatmap)
    columns = heatmap.low.shape[1]
    width = min(WIDEST_PIXELS, columns * max(CELL_PIXELS, WIDEST_PIXELS // 4 // columns))
    limit = number(heatmap.limit)
    array = heatmap.array.replace("gates/", "gate ")
    words = (
        f"{array}, sequence 0: {plural(len(heatmap.units), 'unit')} down, "
        f"{_shown_of(len(view.steps), count)} across; blue -{limit}, red {limit}"
    )
    words += ", grey padding" if heatmap.padding.any() else ""
    words += "; binned: largest above smallest" if heatmap.is_binned else ""
    return (
        f'<figure><img src="{png_address(pixels)}" width="{width}" '
        f'height="{pixels.shape[0] * CELL_PIXELS // (2 if heatmap.is_binned else 1)}" '
        f'alt="{_text(words)}"><figcaption class="dim">{_text(words)}</figcaption></figure>'
    )


def _shown_of(shown: int, count: int) -> str:
    steps = plural(count, "timestep")
    return steps if shown == count else f"the first {shown} of {steps}"


def heatmap_pixels(heatmap: Heatmap) -> Array:
    """The colours of a heatmap, uint8 (row, column, 3); padding is grey, bins have two rows."""
    pixels = diverging(heatmap.halves, heatmap.limit)
    pixels[:, heatmap.padding] = rgb(PADDING)
    return pixels
