"""Products of matrices without rounding, from products that any BLAS makes.

A matrix is cut into slices of whole numbers so small that a product of two slices is a whole number
below 2^53, whatever the order in which it is summed: every BLAS, with or without fused
multiplications, returns the same one. The slices of a product are put together as Python's own
integers.

References
----------
Ozaki, Ogita, Oishi, Rump (2012), "Error-free transformations of matrix multiplication by using fast
routines of matrix multiplication and its applications", Numerical Algorithms 59.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import numpy as np

from rnnscope.model.cell import Array

LEVELS = 6
"""Slices that count, of 18 bits and more: what is dropped is 2^-108 of the largest product."""

ROWS_AT_ONCE = 64
"""Of the left side: its results are Python objects, of some hundred bytes each."""


class ExactMatrix:
    """A matrix that is multiplied many times: its slices are cut once.

    Parameters
    ----------
    matrix : ndarray (inner, column), float32 or float64
    """

    def __init__(self, matrix: Array) -> None:
        values = np.asarray(matrix, np.float64)
        self.inner, self.columns = values.shape
        # The sum of `inner` products of two slices stays below 2^53.
        self.bits = (53 - max(self.inner - 1, 0).bit_length()) // 2
        scaled, self._exponents = _scaled(values, axis=0)
        self._slices = list(_slices(scaled, self.bits))

    def multiplied_by(self, left: Array) -> Array:
        """``left @ matrix``.

        Parameters
        ----------
        left : ndarray of Decimal (row, inner)

        Returns
        -------
        ndarray of Decimal (row, column)
        """
        high = left.astype(np.float64)
        low = (left - to_decimal(high)).astype(np.float64)
        # A number of the left side is the sum of two of float64, as near as 2^-106.
        found = self._product(high)
        if low.any():
            found = found + self._product(low)
        return found

    def _product(self, left: Array) -> Array:
        parts = [
            self._product_of_rows(left[start : start + ROWS_AT_ONCE])
            for start in range(0, len(left), ROWS_AT_ONCE)
        ]
        whole: Array = np.concatenate(parts)
        return whole

    def _product_of_rows(self, left: Array) -> Array:
        scaled, exponents = _scaled(left, axis=1)
        levels = np.zeros((LEVELS, len(left), self.columns))
        for i, one in enumerate(_slices(scaled, self.bits)):
            for j, other in enumerate(self._slices[: LEVELS - i]):
                levels[i + j] += one @ other  # whole numbers, at most six of them below 2^53
        total = np.zeros(levels.shape[1:], object)
        for level in levels:
            total = (total << self.bits) + level.astype(np.int64).astype(object)
        powers = exponents[:, None] + self._exponents[None] - self.bits * (LEVELS + 1)
        return np.asarray(_TIMES_POWER(total, powers), object)


def _scaled(values: Array, *, axis: int) -> tuple[Array, Array]:
    """Rows or columns times powers of two, so that none is larger than 1; the powers taken out."""
    _, exponents = np.frexp(np.abs(values).max(axis=axis, initial=0.0))
    return np.ldexp(values, -np.expand_dims(exponents, axis)), exponents.astype(np.int64)


def _slices(rest: Array, bits: int) -> Iterator[Array]:
    """Whole numbers of so many bits each, from the highest on; exact at every step."""
    for _ in range(LEVELS):
        rest = np.ldexp(rest, bits)
        whole = np.rint(rest)
        rest = rest - whole
        yield whole
        if not rest.any():
            return


def _times_power(number: int, power: int) -> Decimal:
    return Decimal(number) * Decimal(2) ** int(power)


_TIMES_POWER = np.frompyfunc(_times_power, 2, 1)
_TO_DECIMAL = np.frompyfunc(lambda value: Decimal(float(value)), 1, 1)


def to_decimal(values: Array) -> Array:
    """Floats as Decimals of the same value, whatever the precision of the context."""
    return np.asarray(_TO_DECIMAL(np.asarray(values, np.float64)), object)
