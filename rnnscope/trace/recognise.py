"""Telling a whole trace from other files and from traces that were cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import TraceError
from rnnscope.model.cell import Array
from rnnscope.trace.schema import SCHEMA, SCHEMA_VERSION

KNOWN_HDF5 = (
    ("model_config", "a Keras model"),
    ("layer_names", "the weights of a Keras model"),
)
"""Root attributes that tell what else an HDF5 file is."""


def check_schema(path: Path, file: Any) -> None:
    """Refuse an open HDF5 file that is no trace, not finished, or of a newer schema.

    Raises
    ------
    TraceError
        It says what the file is.
    """
    schema = file.attrs.get("schema")
    if not isinstance(schema, str) or schema != SCHEMA:
        names = ", ".join(list(file)[:5]) or "nothing"
        known = (title for mark, title in KNOWN_HDF5 if mark in file.attrs)
        raise no_trace(path, next(known, f"an HDF5 file that holds {names}"))
    version = int(file.attrs["schema_version"])
    if version > SCHEMA_VERSION:
        raise TraceError(
            "The trace is of a newer schema.",
            where=path,
            expected=f"schema_version {SCHEMA_VERSION} or lower",
            found=version,
            hint="update rnnscope",
        )
    if int(file.attrs["complete"]) != 1:
        raise TraceError(
            "The trace is not complete: the run that wrote it did not finish.",
            where=path,
            expected="complete = 1",
            found=f"complete = {file.attrs['complete']}",
            hint="run it again",
        )


def check_offsets(path: Path, offsets: Array, sequences: int, steps: int) -> None:
    """Refuse a ragged trace whose offsets do not fit its arrays.

    Raises
    ------
    TraceError
    """
    fits = offsets.shape == (sequences + 1,) and offsets[0] == 0 and offsets[-1] == steps
    if not fits or np.any(np.diff(offsets) < 0):
        raise TraceError(
            "The offsets of the trace do not fit its arrays.",
            where=f"{path}::/offsets",
            expected=f"{sequences + 1} numbers that rise from 0 to {steps}",
            found=f"{offsets.size} others",
            hint="was the file changed after rnnscope wrote it?",
        )


def no_trace(path: Path, found: str) -> TraceError:
    """The error for a file that is something else."""
    return TraceError(
        "This is no rnnscope trace.",
        where=path,
        expected="an HDF5 file that `rnnscope run` wrote",
        found=found,
        hint="make one with: rnnscope run CHECKPOINT INPUT -o TRACE",
    )
