"""Fixed-point arithmetic in 16 and 32 bits, rounded where TensorFlow Lite's kernels round.

A number of `bits` integer bits is a whole number of 16 bits that stands for itself times
``2**(bits - 15)``. Products keep the upper half, halves rounded away from zero.

References
----------
gemmlowp, fixedpoint/fixedpoint.h: the approximations of exp, tanh and 1 / (1 + exp(-x)) and their
constants; tensorflow/lite/kernels/internal/common.h and quantization_util.cc: multipliers.
"""

from __future__ import annotations

import math

import numpy as np

from rnnscope.model.cell import Array

LOW, HIGH = -(1 << 15), (1 << 15) - 1
ONE = HIGH
"""1, nearly, of numbers without integer bits."""

HALF_POWERS = ((-2, 1672461947), (-1, 1302514674), (0, 790015084), (1, 290630308), (2, 39332535),
               (3, 720401), (4, 242))  # fmt: skip
"""Exponents e, and exp(-2**e) in 31 fractional bits."""

EXP_AT_AN_EIGHTH, ONE_THIRD = 1895147668, 715827883
"""exp(-1/8) and 1/3 in 31 fractional bits."""

FIRST_GUESS, GUESS_SLOPE = 1515870810, -1010580540
"""48/17 and -32/17 in 29 fractional bits: where Newton's division begins."""

NEWTON_STEPS = 3


def divided_by_power(x: Array, exponent: int | Array) -> Array:
    """``x / 2**exponent``, halves rounded away from zero."""
    wide = np.asarray(x, np.int64)
    mask = (np.int64(1) << np.asarray(exponent, np.int64)) - 1
    threshold = (mask >> 1) + (wide < 0)
    made: Array = (wide >> np.asarray(exponent, np.int64)) + ((wide & mask) > threshold)
    return made


def _high_product(a: Array, b: Array | int, bits: int) -> Array:
    """The upper half of twice a product of numbers of `bits` bits."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    nudge = np.where(product >= 0, 1 << (bits - 2), 1 - (1 << (bits - 2)))
    whole = product + nudge
    half = np.sign(whole) * (np.abs(whole) >> (bits - 1))
    return np.asarray(np.minimum(half, (1 << (bits - 1)) - 1))


def multiplier_of(scale: float) -> tuple[int, int]:
    """A positive factor as a number of 31 fractional bits and a power of two."""
    if scale == 0:
        return 0, 0
    fraction, exponent = math.frexp(scale)
    number = math.floor(fraction * (1 << 31) + 0.5)
    if number == 1 << 31:
        number, exponent = number // 2, exponent + 1
    return (0, 0) if exponent < -31 else (number, exponent)


def multiplied(x: Array, multiplier: tuple[int, int]) -> Array:
    """Numbers of 32 bits times a factor that `multiplier_of` makes, rounded twice."""
    number, exponent = multiplier
    left, right = max(exponent, 0), max(-exponent, 0)
    shifted = (np.asarray(x, np.int64) << left).astype(np.int32)
    made: Array = divided_by_power(_high_product(shifted, number, 32), right)
    return made


def saturated(x: Array, low: int = LOW, high: int = HIGH) -> Array:
    """Numbers within bounds, those of 16 bits unless others are given."""
    made: Array = np.clip(x, low, high)
    return made


def _times(a: Array, b: Array | int) -> Array:
    return _high_product(a, b, 16)


def _constant(value: int) -> int:
    """A constant of 32 bits in 16."""
    return int(divided_by_power(np.asarray(value), 16))


def _shifted_up(x: Array, exponent: int) -> Array:
    threshold = (1 << (15 - exponent)) - 1
    made = np.where(x > threshold, HIGH, np.where(x < -threshold, LOW, x << exponent))
    return np.asarray(made)


def _exp_near_zero(a: Array) -> Array:
    """The exponential of -1/4 <= a < 0, without integer bits: a series around -1/8."""
    x = a + (1 << 12)
    x2 = _times(x, x)
    x3, x4 = _times(x2, x), _times(x2, x2)
    inner = _times(divided_by_power(x4, 2) + x3, _constant(ONE_THIRD)) + x2
    constant = _constant(EXP_AT_AN_EIGHTH)
    return saturated(constant + _times(np.asarray(x + divided_by_power(inner, 1)), constant))


def _exp_of_negative(a: Array, bits: int) -> Array:
    """The exponential of a <= 0 of `bits` integer bits; the result has none."""
    fraction = 15 - bits
    quarter = 1 << (fraction - 2)
    near = (a & (quarter - 1)) - quarter
    made = _exp_near_zero(_shifted_up(near, bits) if bits else near)
    rest = near - a
    for exponent, power in HALF_POWERS:
        if bits > exponent:
            is_set = (rest >> (fraction + exponent)) & 1
            made = np.where(is_set != 0, _times(made, _constant(power)), made)
    if bits > 5:
        made = np.where(a < _constant(-(1 << (36 - bits))), 0, made)
    return np.where(a == 0, ONE, made)


def _quotient(a: Array) -> Array:
    """``2 / (1 + a)`` for 0 < a < 1, in two integer bits, by Newton's division."""
    whole = a + ONE
    half = np.sign(whole) * ((np.abs(whole) + 1) >> 1)
    x = _constant(FIRST_GUESS) + _times(half, _constant(GUESS_SLOPE))
    for _ in range(NEWTON_STEPS):
        x = x + _shifted_up(_times(x, (1 << 13) - _times(half, x)), 2)
    return np.asarray(x)


def tanh(x: Array, bits: int) -> Array:
    """Tanh of numbers of 16 bits, `bits` of them integer; the result has none."""
    wide = np.asarray(x, np.int64)
    small = _exp_of_negative(np.where(wide < 0, wide, -wide), bits + 1)
    made = _shifted_up(_quotient(small) - (1 << 13), 2)
    return np.where(wide == 0, 0, np.where(wide < 0, -made, made))


def sigmoid(x: Array, bits: int = 3) -> Array:
    """1 / (1 + exp(-x)) of numbers of 16 bits, `bits` of them integer; the result has none."""
    wide = np.asarray(x, np.int64)
    made = _shifted_up(_quotient(_exp_of_negative(-np.abs(wide), bits)), 1)
    return np.where(wide == 0, 1 << 14, np.where(wide > 0, made, ONE - made))
