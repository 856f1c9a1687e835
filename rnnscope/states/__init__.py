"""State formats: STATE_FORMATS, each read and written. Adding one is one file and one line."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnscope.states.interface import StateFormat

STATE_FORMAT_MODULES = {
    # In the order in which they are asked: what has marks of its own first, then what only names
    # tell, then what only shapes allow.
    "trace": "trace_format",
    "lstmvis": "lstmvis_format",
    "diagnnose": "diagnnose_format",
    "onnx": "onnx_format",
    "torch": "torch_format",
    "keras-bidirectional": "keras_bidirectional",
    "tuple": "tuple_format",
    "keras": "keras_format",
    "nested": "nested_format",
    "concat": "concat_format",
    "arrays": "arrays_format",
    "single": "single_format",
}
"""Modules of this package by the name of the format; each holds a ``STATE_FORMAT``."""

ALIASES = {"npz": "arrays"}
"""Other words for a format."""

FORMAT_NAMES = (*STATE_FORMAT_MODULES, *ALIASES)
"""Every word for a format that states are written in."""

STORES = {"hdf5": "NAME.h5", "zarr": "NAME.zarr"}
"""Kinds of stores that a whole trace is written into, and what they are called."""

EXPORT_NAMES = (*FORMAT_NAMES, *STORES)
"""Every word for what ``export`` writes."""

SINGLE_MEANINGS = ("m", "c", "outputs")
"""What an array that stands alone can be said to be."""

READ_FORMAT_NAMES = (*FORMAT_NAMES, *(f"single:{meaning}" for meaning in SINGLE_MEANINGS))
"""Every word for how a file keeps its states."""


def state_format(name: str) -> StateFormat:
    """The format of this name or alias."""
    name = name.partition(":")[0]
    module = STATE_FORMAT_MODULES[ALIASES.get(name, name)]
    entry: StateFormat = import_module(f"{__name__}.{module}").STATE_FORMAT
    return entry


def state_formats() -> tuple[StateFormat, ...]:
    """STATE_FORMATS: every format, in the order in which they are asked."""
    return tuple(state_format(name) for name in STATE_FORMAT_MODULES)
