"""The ``checkpoint`` file of a training folder: a text proto that names the latest checkpoint.

References
----------
tensorflow/python/training/checkpoint_state.proto; the escapes are those of C strings, as
protobuf's text format writes them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

MAX_BYTES = 1 << 20
"""How much is read. The latest checkpoint stands in the first line, its predecessors below."""

_LATEST = re.compile(
    rb"""^\s*model_checkpoint_path\s*:\s*("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')""", re.MULTILINE
)
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"f": b"\f"}


def latest_checkpoint(path: Path) -> str | None:
    """The ``model_checkpoint_path`` of a ``checkpoint`` file, as written.

    Returns
    -------
    str or None
        None if there is no such file, or it is another kind of file.
    """
    try:
        with path.open("rb") as file:
            match = _LATEST.search(file.read(MAX_BYTES))
    except OSError:
        return None
    if match is None:
        return None
    name = os.fsdecode(_ESCAPE.sub(_unescape, match[1][1:-1]))
    # A NUL is in no file name, and the operating system's calls raise on it.
    return None if not name or "\0" in name else name


def _unescape(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, letter = match.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    if hexadecimal:
        return bytes([int(hexadecimal, 16)])
    return _LETTERS.get(letter, letter)
