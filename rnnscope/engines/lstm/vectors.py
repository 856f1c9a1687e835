"""What machine code is written with: vectors, sums of products, loops.

What no compiled library offers is a product whose right side is packed once for thousands of steps,
with a cell's equations behind it while the sums are still in registers. llvmlite, the compiler
behind numba, makes it for the CPU at hand in about a tenth of a second, loads in a thirtieth, and
needs neither a compiler on the machine nor a file of the project built for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np
from llvmlite import ir

FLOAT = ir.FloatType()
INT = ir.IntType(64)
FLOATS = FLOAT.as_pointer()
INTS = INT.as_pointer()

GATES = 4
"""Vectors of a panel's row: the gates i, f, g, o of as many units as a vector has lanes."""

LINE = 16
"""float32 in a cache line."""

FLOAT_BYTES = 4


@dataclass(frozen=True)
class Tile:
    """How much of a product one CPU core keeps in registers.

    Attributes
    ----------
    lanes : int
        float32 in a vector.
    rows : int
        Rows of the left side taken together.
    registers : int
        Vectors that the CPU has at hand.
    """

    lanes: int
    rows: int
    registers: int

    def vectors(self, rows: int) -> int:
        """Vectors of a panel's row taken together, a part of `GATES`, with some rows.

        What fits the registers: sums, the vectors themselves, and one value of a row.
        """
        sizes = (size for size in (4, 2, 1) if rows * size + size + 1 <= self.registers)
        return next(sizes, 1)


@dataclass(frozen=True)
class Vector:
    """A vector of float32 in the code being written, with arithmetic.

    No operation has flags that let LLVM compute something else: each is rounded as IEEE 754 says,
    so that its bits depend neither on LLVM's version nor on the CPU. NaN and infinities go through
    as they come.
    """

    builder: ir.IRBuilder
    value: ir.Value

    def __add__(self, other: Vector | float) -> Vector:
        return self._new(self.builder.fadd(self.value, self._of(other)))

    def __mul__(self, other: Vector | float) -> Vector:
        return self._new(self.builder.fmul(self.value, self._of(other)))

    def __truediv__(self, other: Vector) -> Vector:
        return self._new(self.builder.fdiv(self.value, other.value))

    def fma(self, factor: Vector | float, summand: Vector | float) -> Vector:
        """``self * factor + summand`` with one rounding.

        ``llvm.fmuladd`` is one instruction wherever the CPU has it (x86 since 2013, every 64-bit
        ARM). Older CPUs round the product too, and have bits of their own.
        """
        kind = self.value.type
        name = f"llvm.fmuladd.v{kind.count}f32"
        module = self.builder.module
        function = module.globals.get(name)
        if function is None:
            function = ir.Function(module, ir.FunctionType(kind, [kind] * 3), name)
        values = [self.value, self._of(factor), self._of(summand)]
        return self._new(self.builder.call(function, values))

    def within(self, limit: Vector | float) -> Vector:
        """Not below -limit nor above limit; NaN stays NaN."""
        most = self._of(limit)
        least = self.builder.fneg(most) if isinstance(limit, Vector) else self._of(-limit)
        below = self.builder.fcmp_ordered("<", self.value, least)
        raised = self.builder.select(below, least, self.value)
        above = self.builder.fcmp_ordered(">", raised, most)
        return self._new(self.builder.select(above, most, raised))

    def _new(self, value: ir.Value) -> Vector:
        return Vector(self.builder, value)

    def _of(self, other: Vector | float) -> ir.Value:
        return other.value if isinstance(other, Vector) else number(other, self.value.type.count)


@cache
def number(value: float, lanes: int) -> ir.Constant:
    """A vector with the same float32 in every lane."""
    lane = ir.Constant(FLOAT, float(np.float32(value)))
    return ir.Constant(ir.VectorType(FLOAT, lanes), [lane] * lanes)


class Writer:
    """Writes one function: a builder, its named arguments, and what the steps are made of.

    Parameters
    ----------
    module : ir.Module
    name : str
    arguments : mapping of str to ir.Type
    lanes : int
    inner : bool
        Called from the module alone.
    """

    def __init__(
        self,
        module: ir.Module,
        name: str,
        arguments: Mapping[str, ir.Type],
        lanes: int,
        *,
        inner: bool = True,
    ) -> None:
        kind = ir.FunctionType(ir.VoidType(), list(arguments.values()))
        self.function = ir.Function(module, kind, name)
        if inner:
            self.function.linkage = "internal"
            self.function.attributes.add("noinline")
        self.builder = ir.IRBuilder(self.function.append_basic_block())
        self.lanes = lanes
        self._vector = ir.VectorType(FLOAT, lanes)
        self.arguments = dict(zip(arguments, self.function.args, strict=True))

    def __getitem__(self, name: str) -> ir.Value:
        return self.arguments[name]

    # Integers and pointers.

    def at(self, pointer: ir.Value, offset: ir.Value | int) -> ir.Value:
        """A pointer, some elements further."""
        return self.builder.gep(pointer, [_int(offset)])

    def times(self, left: ir.Value | int, right: ir.Value | int) -> ir.Value:
        """The product of two integers."""
        return self.builder.mul(_int(left), _int(right))

    def plus(self, left: ir.Value | int, right: ir.Value | int) -> ir.Value:
        """The sum of two integers."""
        return self.builder.add(_int(left), _int(right))

    def minus(self, left: ir.Value | int, right: ir.Value | int) -> ir.Value:
        """The difference of two integers."""
        return self.builder.sub(_int(left), _int(right))

    def load(self, pointer: ir.Value) -> ir.Value:
        """One element."""
        return self.builder.load(pointer)

    def copy(self, pointer: ir.Value, to: ir.Value) -> None:
        """One element, from one place to another."""
        self.builder.store(self.builder.load(pointer), to)

    # Vectors.

    def vector(self, pointer: ir.Value) -> Vector:
        """The elements from a pointer on, wherever it points."""
        cast = self.builder.bitcast(pointer, self._vector.as_pointer())
        return Vector(self.builder, self.builder.load(cast, align=FLOAT_BYTES))

    def put(self, value: Vector, *pointers: ir.Value) -> None:
        """Store a vector."""
        for pointer in pointers:
            cast = self.builder.bitcast(pointer, self._vector.as_pointer())
            self.builder.store(value.value, cast, align=FLOAT_BYTES)

    def every_lane(self, value: ir.Value) -> Vector:
        """A float32 in all lanes."""
        undefined = ir.Constant(self._vector, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        first = self.builder.insert_element(undefined, value, ir.IntType(32)(0))
        return Vector(self.builder, self.builder.shuffle_vector(first, undefined, zeros))

    # Control.

    def call(
        self,
        function: ir.Function,
        arguments: Mapping[str, ir.Type],
        values: Mapping[str, ir.Value],
    ) -> None:
        """Call a function of the module with named arguments."""
        self.builder.call(function, [values[name] for name in arguments])

    @contextmanager
    def loop(self, count: ir.Value | int) -> Iterator[ir.Value]:
        """What is written inside runs for every index below `count`."""
        before = self.builder.block
        head = self.builder.append_basic_block("head")
        body = self.builder.append_basic_block("body")
        after = self.builder.append_basic_block("after")
        self.builder.branch(head)
        self.builder.position_at_end(head)
        index = self.builder.phi(INT)
        index.add_incoming(INT(0), before)
        self.builder.cbranch(self.builder.icmp_signed("<", index, _int(count)), body, after)
        self.builder.position_at_end(body)
        yield index
        index.add_incoming(self.plus(index, 1), self.builder.block)
        self.builder.branch(head)
        self.builder.position_at_end(after)

    def sums(
        self,
        rows: Sequence[ir.Value],
        panel: ir.Value,
        depth: ir.Value,
        gates: range,
        ahead: ir.Value | None,
    ) -> list[Vector]:
        """``rows @ panel`` for some of its vectors, all sums in registers.

        Every sum is taken over the depth from first to last, with one rounding an addition: its
        bits do not depend on how much is taken together.

        Parameters
        ----------
        rows : sequence of pointers
            Each to `depth` numbers.
        panel : pointer
            (depth, GATES, lane).
        depth : int64
            At least 1.
        gates : range
            Which vectors of the panel's rows.
        ahead : pointer or None
            What to fetch into the second cache meanwhile, a line for every row of the panel.

        Returns
        -------
        list of Vector
            (row, gate).
        """
        before = self.builder.block
        body = self.builder.append_basic_block("depth")
        after = self.builder.append_basic_block("summed")
        self.builder.branch(body)
        self.builder.position_at_end(body)
        k = self.builder.phi(INT)
        k.add_incoming(INT(0), before)
        kept = []
        for _ in range(len(rows) * len(gates)):
            kept.append(self.builder.phi(self._vector))
            kept[-1].add_incoming(number(0.0, self.lanes), before)
        if ahead is not None:
            self._fetch(self.at(ahead, self.times(k, LINE)))
        right = self.at(panel, self.times(k, GATES * self.lanes))
        weights = [self.vector(self.at(right, gate * self.lanes)) for gate in gates]
        sums = iter(kept)
        grown = []
        for row in rows:
            left = self.every_lane(self.load(self.at(row, k)))
            grown += [left.fma(weight, Vector(self.builder, next(sums))) for weight in weights]
        k_next = self.plus(k, 1)
        k.add_incoming(k_next, self.builder.block)
        for phi, value in zip(kept, grown, strict=True):
            phi.add_incoming(value.value, self.builder.block)
        self.builder.cbranch(self.builder.icmp_signed("<", k_next, depth), body, after)
        self.builder.position_at_end(after)
        return grown

    def _fetch(self, pointer: ir.Value) -> None:
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        fetch = self.builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        read, second_cache, data = word(0), word(2), word(1)
        self.builder.call(fetch, [self.builder.bitcast(pointer, byte), read, second_cache, data])

    def tiles(
        self, count: ir.Value, most: int, call: Callable[[int, ir.Value, ir.Value], None]
    ) -> None:
        """Split `count` rows into as few tiles as hold them, as even as can be.

        Parameters
        ----------
        count : int64
        most : int
            Rows of a tile.
        call : callable
            Writes what is done with a tile: its rows (a number of its own for each branch), its
            first row and its place among the tiles.
        """
        tiles = self.builder.sdiv(self.plus(count, most - 1), INT(most))
        some = self.builder.icmp_signed(">", tiles, INT(0))
        divisor = self.builder.select(some, tiles, INT(1))
        least = self.builder.sdiv(count, divisor)
        larger = self.minus(count, self.times(least, divisor))
        with self.loop(tiles) as place:
            is_larger = self.builder.icmp_signed("<", place, larger)
            rows = self.plus(least, self.builder.zext(is_larger, INT))
            passed = self.builder.select(is_larger, place, larger)
            first = self.plus(self.times(place, least), passed)
            after = self.builder.append_basic_block("tile_done")
            switch = self.builder.switch(rows, after)
            for size in range(1, most + 1):
                case = self.builder.append_basic_block(f"tile_{size}")
                switch.add_case(INT(size), case)
                self.builder.position_at_end(case)
                call(size, first, place)
                self.builder.branch(after)
            self.builder.position_at_end(after)

    def done(self) -> None:
        """End the function."""
        self.builder.ret_void()


def _int(value: ir.Value | int) -> ir.Value:
    return INT(value) if isinstance(value, int) else value
