"""The trace: every timestep's states in one HDF5 file. FORMAT.md describes it.

No other package knows the names or the layout of what is inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnnscope.trace.schema import LayerHeader, TraceHeader
from rnnscope.trace.selection import Selection, parse_selection
from rnnscope.trace.storage import Compression
from rnnscope.trace.target import check_target
from rnnscope.trace.writer import TraceWriter

if TYPE_CHECKING:
    from rnnscope.trace.reader import Trace

__all__ = [
    "Compression",
    "LayerHeader",
    "Selection",
    "Trace",
    "TraceHeader",
    "TraceWriter",
    "check_target",
    "parse_selection",
]


def __getattr__(name: str) -> Any:
    """`Trace`, loaded when it is asked for: who only writes a trace needs nothing of it."""
    if name != "Trace":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rnnscope.trace.reader import Trace

    globals()[name] = Trace
    return Trace
