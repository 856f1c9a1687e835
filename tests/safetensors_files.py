"""Writes small .safetensors files."""

from __future__ import annotations

from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.files.containers.safetensors import write_safetensors


def save_safetensors(path, arrays):
    """The path of a new file of arrays by name."""
    path.unlink(missing_ok=True)
    write_safetensors(path, {name: LoadedArray(array) for name, array in arrays.items()})
    return path
