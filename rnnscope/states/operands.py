"""What can be compared or exported: a file by its name, an open trace, arrays by name in memory."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.files.named_arrays import NamedArrays, open_named
from rnnscope.files.stored_array import LoadedArray
from rnnscope.states.naming import tells
from rnnscope.trace import Trace
from rnnscope.trace.stored_arrays import TraceArrays

Operand = str | PathLike[str] | Trace | Mapping[str, Any]


def open_operand(operand: Operand, name: str = "arrays in memory") -> NamedArrays:
    """The arrays of an operand, unread.

    Parameters
    ----------
    operand : str, path, Trace, or mapping of str to array
        A file or folder, or ``PATH::NAME``; a trace that is open and stays open; arrays as a trace
        calls them: ``c``, ``final/m``, ``encoder/gates/i``.
    name : str
        What messages call arrays that are in no file.

    Raises
    ------
    InputError
        Nothing is there, or nothing that holds arrays.
    """
    if isinstance(operand, Trace):
        return TraceArrays(operand)
    if isinstance(operand, Mapping):
        arrays = {key: LoadedArray(np.asarray(value)) for key, value in operand.items()}
        return NamedArrays(Path(name), "memory", tuple(arrays), arrays.__getitem__)
    return open_named(fspath(operand), tells)
