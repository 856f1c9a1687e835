"""The trace: every timestep's states in one HDF5 file. FORMAT.md describes it.

No other package knows the names or the layout of what is inside.
"""

from rnnscope.trace.reader import Trace
from rnnscope.trace.schema import LayerHeader, TraceHeader
from rnnscope.trace.selection import Selection, parse_selection
from rnnscope.trace.storage import Compression
from rnnscope.trace.target import check_target
from rnnscope.trace.writer import TraceWriter

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
