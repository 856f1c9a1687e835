"""Telling a whole trace from other files and from traces that were cut off."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnnscope.errors import TraceError, spell_command
from rnnscope.model.cell import Array
from rnnscope.trace.schema import SCHEMA, SCHEMA_VERSION
from rnnscope.trace.stores.interface import GroupNode

KNOWN_HDF5 = (
    ("model_config", "a Keras model"),
    ("layer_names", "the weights of a Keras model"),
)
"""Root attributes that tell what else an HDF5 file is."""

KINDS = {"hdf5": "an HDF5 file", "zarr": "a zarr store"}


def check_schema(path: Path, root: GroupNode) -> None:
    """Refuse an open store that is no trace, not finished, or of a newer schema.

    Raises
    ------
    TraceError
        It says what the file is.
    """
    schema = root.attributes.get("schema")
    if not isinstance(schema, str) or schema != SCHEMA:
        names = ", ".join(root.names()[:5]) or "nothing"
        known = (title for mark, title in KNOWN_HDF5 if mark in root.attributes)
        raise no_trace(path, next(known, f"{KINDS[root.kind]} that holds {names}"))
    version = int(root.attributes["schema_version"])
    if version > SCHEMA_VERSION:
        raise TraceError(
            "The trace is of a newer schema.",
            where=path,
            expected=f"schema_version {SCHEMA_VERSION} or lower",
            found=version,
            hint="update rnnscope",
        )
    if int(root.attributes["complete"]) != 1:
        raise TraceError(
            "The trace is not complete: the run that wrote it did not finish.",
            where=path,
            expected="complete = 1",
            found=f"complete = {root.attributes['complete']}",
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


def no_trace(path: object, found: str) -> TraceError:
    """The error for a file that is something else."""
    return TraceError(
        "This is no rnnscope trace.",
        where=path,
        expected=f"an HDF5 file or a zarr store that `{spell_command('run')}` wrote",
        found=found,
        hint="make one with: " + spell_command("run", "CHECKPOINT", "INPUT", output="TRACE"),
    )
