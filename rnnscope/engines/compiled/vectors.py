"""Vectors of floating-point numbers in machine code that is being written, with arithmetic."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir

from rnnscope.deferred_dataclass import dataclass


@dataclass(frozen=True)
class Real:
    """One of the two kinds of numbers that cells compute with.

    Attributes
    ----------
    name : str
        As numpy calls it.
    type, bits : ir.Type
        The number, and the integer of the same size.
    suffix : str
        How LLVM's intrinsics call it.
    bytes : int
    mantissa, bias : int
        Bits of the mantissa that are stored; what is added to an exponent.
    """

    name: str
    type: ir.Type
    bits: ir.Type
    suffix: str
    bytes: int
    mantissa: int
    bias: int

    @property
    def line(self) -> int:
        """How many of them are in a cache line."""
        return 64 // self.bytes


FLOAT32 = Real("float32", ir.FloatType(), ir.IntType(32), "f32", 4, 23, 127)
FLOAT64 = Real("float64", ir.DoubleType(), ir.IntType(64), "f64", 8, 52, 1023)
REALS = {real.name: real for real in (FLOAT32, FLOAT64)}


@dataclass(frozen=True)
class Vector:
    """A vector in the code being written.

    No operation has flags that let LLVM compute something else: each is rounded as IEEE 754 says,
    so that its bits depend neither on LLVM's version nor on the CPU. NaN and infinities go through
    as they come.
    """

    builder: ir.IRBuilder
    value: ir.Value
    real: Real

    def __add__(self, other: Vector | float) -> Vector:
        return self._new(self.builder.fadd(self.value, self._of(other)))

    def __sub__(self, other: Vector | float) -> Vector:
        return self._new(self.builder.fsub(self.value, self._of(other)))

    def __rsub__(self, other: float) -> Vector:
        return self._new(self.builder.fsub(self._of(other), self.value))

    def __mul__(self, other: Vector | float) -> Vector:
        return self._new(self.builder.fmul(self.value, self._of(other)))

    def __truediv__(self, other: Vector | float) -> Vector:
        return self._new(self.builder.fdiv(self.value, self._of(other)))

    def __neg__(self) -> Vector:
        return self._new(self.builder.fneg(self.value))

    def fma(self, factor: Vector | float, summand: Vector | float) -> Vector:
        """``self * factor + summand`` with one rounding.

        ``llvm.fmuladd`` is one instruction wherever the CPU has it (x86 since 2013, every 64-bit
        ARM). Older CPUs round the product too, and have bits of their own.
        """
        return self._call("fmuladd", self._of(factor), self._of(summand))

    def constant(self, value: float) -> Vector:
        """The same number in every lane."""
        return self._new(self._of(value))

    def root(self) -> Vector:
        """The square root."""
        return self._call("sqrt")

    def absolute(self) -> Vector:
        """Without its sign."""
        return self._call("fabs")

    def signed_as(self, other: Vector) -> Vector:
        """With the sign of another."""
        return self._call("copysign", other.value)

    def between(self, least: Vector | float, most: Vector | float) -> Vector:
        """Not below the one nor above the other; NaN stays NaN."""
        return self.at_least(least).at_most(most)

    def at_least(self, least: Vector | float) -> Vector:
        """Not below a limit; NaN stays NaN."""
        limit = self._of(least)
        below = self.builder.fcmp_ordered("<", self.value, limit)
        return self._new(self.builder.select(below, limit, self.value))

    def at_most(self, most: Vector | float) -> Vector:
        """Not above a limit; NaN stays NaN."""
        limit = self._of(most)
        above = self.builder.fcmp_ordered(">", self.value, limit)
        return self._new(self.builder.select(above, limit, self.value))

    def within(self, limit: Vector | float) -> Vector:
        """Not below -limit nor above limit; NaN stays NaN."""
        return self.between(-limit, limit)

    def where_above(self, limit: float, other: Vector) -> Vector:
        """Itself where it is above a limit, elsewhere another."""
        above = self.builder.fcmp_ordered(">", self.value, self._of(limit))
        return self._new(self.builder.select(above, self.value, other.value))

    def rounded(self) -> tuple[Vector, ir.Value]:
        """The nearest whole number, and the same as integers; for numbers below 2**20.

        What is added pushes all digits behind the point out of the mantissa, and what is left of
        them is the integer.
        """
        shift = 1.5 * 2**self.real.mantissa
        shifted = self + shift
        lanes = self.value.type.count
        bits = self.builder.bitcast(shifted.value, ir.VectorType(self.real.bits, lanes))
        zero = int(np.array(shift, self.real.name).view(f"int{8 * self.real.bytes}"))
        return shifted - shift, self.builder.sub(bits, self._whole(zero, bits.type))

    def power_of_two(self, exponent: ir.Value) -> Vector:
        """Two to the power of integers that a number of its kind has as an exponent."""
        raised = self.builder.add(exponent, self._whole(self.real.bias, exponent.type))
        bits = self.builder.shl(raised, self._whole(self.real.mantissa, exponent.type))
        return self._new(self.builder.bitcast(bits, self.value.type))

    def halves(self, whole: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Two integers, about the same, that an integer is the sum of."""
        half = self.builder.ashr(whole, self._whole(1, whole.type))
        return half, self.builder.sub(whole, half)

    def total(self) -> Vector:
        """The sum of all lanes, in every lane: halves are added until there is one."""
        lanes = self.value.type.count
        value, width = self.value, lanes
        while width > 1:
            width //= 2
            order = [*range(width, 2 * width), *range(width, lanes)][:lanes]
            value = self.builder.fadd(value, self._shuffled(value, order))
        return self._new(self._shuffled(value, [0] * lanes))

    def _shuffled(self, value: ir.Value, order: list[int]) -> ir.Value:
        word = ir.IntType(32)
        mask = ir.Constant(ir.VectorType(word, len(order)), [word(place) for place in order])
        return self.builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), mask)

    def _call(self, name: str, *others: ir.Value) -> Vector:
        kind = self.value.type
        full = f"llvm.{name}.v{kind.count}{self.real.suffix}"
        module = self.builder.module
        function = module.globals.get(full)
        if function is None:
            signature = ir.FunctionType(kind, [kind] * (1 + len(others)))
            function = ir.Function(module, signature, full)
        return self._new(self.builder.call(function, [self.value, *others]))

    def _whole(self, value: int, kind: ir.Type) -> ir.Constant:
        return ir.Constant(kind, [ir.Constant(kind.element, value)] * kind.count)

    def _new(self, value: ir.Value) -> Vector:
        return Vector(self.builder, value, self.real)

    def _of(self, other: Vector | float) -> ir.Value:
        if isinstance(other, Vector):
            return other.value
        return number(other, self.value.type.count, self.real)


@cache
def number(value: float, lanes: int, real: Real) -> ir.Constant:
    """A vector with the same number in every lane."""
    rounded: Any = np.dtype(real.name).type(value)
    lane = ir.Constant(real.type, float(rounded))
    return ir.Constant(ir.VectorType(real.type, lanes), [lane] * lanes)
