"""Small PNG images of cells, for pages and SVG, without a library for pictures.

References
----------
PNG (Portable Network Graphics) Specification, third edition (W3C, 2025): the signature, and the
chunks IHDR, IDAT and IEND.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from rnnscope.model.cell import Array

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEPTH, TRUECOLOUR = 8, 2
NO_FILTER = 0


def png(pixels: Array) -> bytes:
    """An image as a PNG file.

    Parameters
    ----------
    pixels : ndarray of uint8 (row, column, 3)
        Red, green, blue; a row and a column at least.
    """
    rows, columns, _ = pixels.shape
    head = struct.pack(">IIBBBBB", columns, rows, DEPTH, TRUECOLOUR, 0, 0, 0)
    lines = np.full((rows, 1 + 3 * columns), NO_FILTER, np.uint8)
    lines[:, 1:] = pixels.reshape(rows, -1)
    body = zlib.compress(lines.tobytes(), 9)
    return SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def png_address(pixels: Array) -> str:
    """The image as a ``data:`` address."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode("ascii")


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + check
