"""What machine code is written with: arguments, loops, sums of products.

What no compiled library offers is a product whose right side is packed once for thousands of steps,
with a cell's equations behind it while the sums are still in the first cache. llvmlite, the
compiler behind numba, makes it for the CPU at hand in a few tenths of a second, loads in a
thirtieth, and needs neither a compiler on the machine nor a file of the project built for each of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from llvmlite import ir

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.compiled.vectors import Real, Vector, number

INT = ir.IntType(64)
INTS = INT.as_pointer()


@dataclass(frozen=True)
class Table:
    """What is handed to the code: a table of integers and of addresses, one after another.

    Attributes
    ----------
    entries : mapping of str to str
        ``"int"``, ``"ints"`` or ``"reals"`` by name; the order is that of the table.
    """

    entries: Mapping[str, str]

    def place(self, name: str) -> int:
        """Where an entry is."""
        return list(self.entries).index(name)


class Split(NamedTuple):
    """How rows are split into tiles: how many tiles, rows of each, and how many have one more."""

    tiles: ir.Value
    least: ir.Value
    larger: ir.Value


class Writer:
    """Writes one function: a builder, its arguments, and what steps are made of.

    Every function takes the address of the table first; an entry that it names is loaded where the
    function begins.

    Parameters
    ----------
    module : ir.Module
    name : str
    table : Table
    own : mapping of str to ir.Type
        Arguments beside the table's.
    real : Real
    lanes : int
    inner : bool
        Called from the module alone.
    """

    def __init__(
        self,
        module: ir.Module,
        name: str,
        table: Table,
        own: Mapping[str, ir.Type],
        real: Real,
        lanes: int,
        *,
        inner: bool = True,
    ) -> None:
        kind = ir.FunctionType(ir.VoidType(), [INTS, *own.values()])
        self.function = ir.Function(module, kind, name)
        if inner:
            self.function.linkage = "internal"
            self.function.attributes.add("noinline")
        self.real = real
        self.reals = real.type.as_pointer()
        self.lanes = lanes
        self.table = table
        self._own = list(own)
        self._entry = self.function.append_basic_block("arguments")
        self._begin = self.function.append_basic_block("begin")
        self._loads = ir.IRBuilder(self._entry)
        self.builder = ir.IRBuilder(self._begin)
        self.vector_type = ir.VectorType(real.type, lanes)
        self.arguments = dict(zip(own, self.function.args[1:], strict=True))

    def __getitem__(self, name: str) -> ir.Value:
        if name not in self.arguments:
            loads = self._loads
            place = loads.gep(self.function.args[0], [INT(self.table.place(name))])
            value = loads.load(place)
            kind = self.table.entries[name]
            if kind != "int":
                value = loads.inttoptr(value, INTS if kind == "ints" else self.reals)
            self.arguments[name] = value
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

    def least(self, left: ir.Value | int, right: ir.Value | int) -> ir.Value:
        """The smaller of two integers."""
        first, second = _int(left), _int(right)
        return self.builder.select(self.builder.icmp_signed("<", first, second), first, second)

    def load(self, pointer: ir.Value) -> ir.Value:
        """One element."""
        return self.builder.load(pointer)

    # Vectors.

    def vector(self, pointer: ir.Value) -> Vector:
        """The elements from a pointer on, wherever it points."""
        cast = self.builder.bitcast(pointer, self.vector_type.as_pointer())
        return Vector(self.builder, self.builder.load(cast, align=self.real.bytes), self.real)

    def put(self, value: Vector, pointer: ir.Value) -> None:
        """Store a vector."""
        cast = self.builder.bitcast(pointer, self.vector_type.as_pointer())
        self.builder.store(value.value, cast, align=self.real.bytes)

    def put_some(self, value: Vector, pointer: ir.Value, count: ir.Value) -> None:
        """Store the first lanes of a vector, or all where there are as many."""
        whole = self.builder.icmp_signed(">=", count, INT(self.lanes))
        with self.builder.if_else(whole) as (then, otherwise):
            with then:
                self.put(value, pointer)
            with otherwise:
                word = ir.IntType(32)
                lanes = ir.VectorType(word, self.lanes)
                numbers = ir.Constant(lanes, [word(lane) for lane in range(self.lanes)])
                many = self._every_lane(self.builder.trunc(count, word))
                taken = self.builder.icmp_signed("<", numbers, many)
                cast = self.builder.bitcast(pointer, self.vector_type.as_pointer())
                self._masked_store(value.value, cast, taken)

    def _masked_store(self, value: ir.Value, pointer: ir.Value, taken: ir.Value) -> None:
        name = f"llvm.masked.store.v{self.lanes}{self.real.suffix}.p0"
        module = self.builder.module
        function = module.globals.get(name)
        if function is None:
            kinds = [value.type, pointer.type, ir.IntType(32), taken.type]
            function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
        align = ir.IntType(32)(self.real.bytes)
        self.builder.call(function, [value, pointer, align, taken])

    def zero(self) -> Vector:
        """Zeros."""
        return Vector(self.builder, number(0.0, self.lanes, self.real), self.real)

    def every_lane(self, value: ir.Value) -> Vector:
        """A number in all lanes."""
        return Vector(self.builder, self._every_lane(value), self.real)

    def _every_lane(self, value: ir.Value) -> ir.Value:
        undefined = ir.Constant(ir.VectorType(value.type, self.lanes), ir.Undefined)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None)
        first = self.builder.insert_element(undefined, value, ir.IntType(32)(0))
        return self.builder.shuffle_vector(first, undefined, zeros)

    # Control.

    def share(self, count: ir.Value) -> tuple[ir.Value, ir.Value]:
        """The part of some things that is this thread's: the first, and how many."""
        first, end = (
            self.builder.sdiv(self.times(count, party), self["parties"])
            for party in (self["party"], self.plus(self["party"], 1))
        )
        return first, self.minus(end, first)

    def call(self, writer: Writer, values: Mapping[str, ir.Value]) -> None:
        """Call a function of the module with its own arguments by name."""
        own = [values[name] for name in writer._own]
        self.builder.call(writer.function, [self.function.args[0], *own])

    @contextmanager
    def loop(self, count: ir.Value | int) -> Iterator[ir.Value]:
        """What is written inside runs for every index below `count`."""
        with self._loop(count, []) as (index, _, _):
            yield index

    def total(self, count: ir.Value, term: Callable[[ir.Value], Vector]) -> Vector:
        """The sum of the vectors that are written for every index below `count`."""
        with self._loop(count, [number(0.0, self.lanes, self.real)]) as (index, kept, grown):
            summed = Vector(self.builder, kept[0], self.real) + term(index)
            grown.append(summed.value)
        return Vector(self.builder, kept[0], self.real)

    @contextmanager
    def _loop(
        self, count: ir.Value | int, first: Sequence[ir.Value]
    ) -> Iterator[tuple[ir.Value, list[ir.Value], list[ir.Value]]]:
        """A loop that hands values on: those of a turn, and where those of the next are put."""
        before = self.builder.block
        head = self.builder.append_basic_block("head")
        body = self.builder.append_basic_block("body")
        after = self.builder.append_basic_block("after")
        self.builder.branch(head)
        self.builder.position_at_end(head)
        index = self.builder.phi(INT)
        index.add_incoming(INT(0), before)
        kept = [self.builder.phi(value.type) for value in first]
        for phi, value in zip(kept, first, strict=True):
            phi.add_incoming(value, before)
        self.builder.cbranch(self.builder.icmp_signed("<", index, _int(count)), body, after)
        self.builder.position_at_end(body)
        grown: list[ir.Value] = []
        yield index, kept, grown
        index.add_incoming(self.plus(index, 1), self.builder.block)
        for phi, value in zip(kept, grown, strict=True):
            phi.add_incoming(value, self.builder.block)
        self.builder.branch(head)
        self.builder.position_at_end(after)

    def split(self, count: ir.Value, most: int) -> Split:
        """Split `count` rows into as few tiles as hold them, as even as can be."""
        tiles = self.builder.sdiv(self.plus(count, most - 1), INT(most))
        some = self.builder.icmp_signed(">", tiles, INT(0))
        divisor = self.builder.select(some, tiles, INT(1))
        least = self.builder.sdiv(count, divisor)
        return Split(tiles, least, self.minus(count, self.times(least, divisor)))

    @contextmanager
    def tiles(self, split: Split) -> Iterator[tuple[ir.Value, ir.Value, ir.Value]]:
        """What is written inside runs for each tile.

        Yields
        ------
        rows, first, place : int64
            Rows of a tile, its first row and its place among the tiles.
        """
        with self.loop(split.tiles) as place:
            is_larger = self.builder.icmp_signed("<", place, split.larger)
            rows = self.plus(split.least, self.builder.zext(is_larger, INT))
            passed = self.builder.select(is_larger, place, split.larger)
            yield rows, self.plus(self.times(place, split.least), passed), place

    def choose(self, value: ir.Value, sizes: range, write: Callable[[int], None]) -> None:
        """A branch for each of some numbers; `write` writes what it does."""
        after = self.builder.append_basic_block("chosen")
        switch = self.builder.switch(value, after)
        for size in sizes:
            case = self.builder.append_basic_block(f"case_{size}")
            switch.add_case(INT(size), case)
            self.builder.position_at_end(case)
            write(size)
            self.builder.branch(after)
        self.builder.position_at_end(after)

    def done(self) -> None:
        """End the function."""
        self.builder.ret_void()
        self._loads.branch(self._begin)


def _int(value: ir.Value | int) -> ir.Value:
    return INT(value) if isinstance(value, int) else value
