"""Checkpoints of TensorFlow's Saver (V2), of float32 arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnnscope.files.tensorflow.bundle_writer import write_bundle


def save_bundle(prefix: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write arrays by name; the prefix."""
    for end in (".index", ".data-00000-of-00001"):
        prefix.with_name(prefix.name + end).unlink(missing_ok=True)
    write_bundle(prefix, {name: np.asarray(array, np.float32) for name, array in arrays.items()})
    return prefix
