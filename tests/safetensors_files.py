"""Writes small .safetensors files."""

from __future__ import annotations

import json
import struct


def save_safetensors(path, arrays):
    """The path of a file of float32 arrays by name."""
    header, at = {}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape)}
        header[name]["data_offsets"] = [at, at + array.nbytes]
        at += array.nbytes
    text = json.dumps(header).encode()
    values = b"".join(array.astype("<f4").tobytes() for array in arrays.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + values)
    return path
