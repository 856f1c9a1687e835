"""Arrays as text that a page's script reads at once: the bytes of typed arrays, in base64."""

from __future__ import annotations

import base64
from math import ceil, log10

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.seeing.page.budget import Held

INT16_NAN = -32768
INT16_INFINITE = 32767
INT16_MOST = 32766
"""The largest whole number that stands for a finite value."""


@dataclass(frozen=True)
class EncodedArray:
    """An array as text.

    Attributes
    ----------
    held : str
        ``"float64"``, ``"float32"`` or ``"int16"``: the typed array that its bytes are, in little
        endian order and row-major.
    step : float
        What a whole number is times; 1.0 for floats. Of whole numbers -32768 is NaN, and ±32767
        are the infinities.
    digits : int
        Decimals that a whole number times the step has.
    text : str
        In base64.
    """

    held: str
    step: float
    digits: int
    text: str


def encode(values: Array, held: Held) -> EncodedArray:
    """An array in the form that was planned, or in a better one where that would lose a number.

    Parameters
    ----------
    values : ndarray of float32 or float64
    held : "stored", "float32" or "int16"
        float32 is not taken where a value would become infinite or zero.
    """
    if held == "int16":
        return _rounded(values)
    if held == "float32" and values.dtype != np.float32 and _fits_float32(values):
        values = values.astype(np.float32)
    return EncodedArray(str(values.dtype), 1.0, 0, _text(values))


def _fits_float32(values: Array) -> bool:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        narrow = values.astype(np.float32)
    same_kind = np.isfinite(narrow) == np.isfinite(values)
    return bool((same_kind & ((narrow == 0) == (values == 0))).all())


def _rounded(values: Array) -> EncodedArray:
    finite = np.isfinite(values)
    most = float(np.abs(np.where(finite, values, 0)).max(initial=0))
    step = most / INT16_MOST or 1.0
    whole = np.rint(np.where(finite, values, 0) / step).astype(np.int16)
    whole[np.isnan(values)] = INT16_NAN
    whole[np.isposinf(values)] = INT16_INFINITE
    whole[np.isneginf(values)] = -INT16_INFINITE
    return EncodedArray("int16", step, max(0, ceil(-log10(step))), _text(whole))


def _text(values: Array) -> str:
    little = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
    return base64.b64encode(little.tobytes()).decode("ascii")
