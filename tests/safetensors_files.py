"""Writes small .safetensors files."""

from __future__ import annotations

from rnnscope.files.safetensors import write_safetensors
from rnnscope.files.stored_array import LoadedArray


def save_safetensors(path, arrays):
    """The path of a new file of arrays by name."""
    path.unlink(missing_ok=True)
    write_safetensors(path, {name: LoadedArray(array) for name, array in arrays.items()})
    return path
