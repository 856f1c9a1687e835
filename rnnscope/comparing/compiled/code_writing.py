"""Loops, vectors and running totals in machine code that is being written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from llvmlite import ir

INT, REAL, WORD = ir.IntType(64), ir.DoubleType(), ir.IntType(32)


@contextmanager
def loop(
    b: ir.IRBuilder, count: ir.Value, first: Sequence[ir.Value] = ()
) -> Iterator[tuple[ir.Value, list[ir.Value], list[ir.Value]]]:
    """What is written inside runs for every index below `count`.

    Yields
    ------
    index : int64
    kept : list
        Values handed on from turn to turn; after the loop, those that the last one left.
    grown : list
        Where those for the next turn are put.
    """
    before = b.block
    head, body, after = (b.append_basic_block(name) for name in ("head", "body", "after"))
    b.branch(head)
    b.position_at_end(head)
    index = b.phi(INT)
    kept = [b.phi(value.type) for value in first]
    for phi, value in zip((index, *kept), (INT(0), *first), strict=True):
        phi.add_incoming(value, before)
    b.cbranch(b.icmp_unsigned("<", index, count), body, after)
    b.position_at_end(body)
    grown: list[ir.Value] = []
    yield index, kept, grown
    following = b.add(index, INT(1))
    for phi, value in zip((index, *kept), (following, *grown), strict=True):
        phi.add_incoming(value, b.block)
    b.branch(head)
    b.position_at_end(after)


def every_lane(kind: ir.VectorType, value: float) -> ir.Constant:
    """The same number in all lanes."""
    return ir.Constant(kind, [ir.Constant(kind.element, value)] * kind.count)


def spread(b: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """A number that is known when the code runs, in all lanes."""
    empty = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = b.insert_element(empty, value, WORD(0))
    return b.shuffle_vector(first, empty, ir.Constant(ir.VectorType(WORD, lanes), None))


def load(b: ir.IRBuilder, pointer: ir.Value, at: ir.Value, lanes: int) -> ir.Value:
    """The values from a place on."""
    kind = ir.VectorType(pointer.type.pointee, lanes)
    value = b.load(b.bitcast(b.gep(pointer, [at]), kind.as_pointer()))
    value.align = _bytes(kind.element)
    return value


def store(b: ir.IRBuilder, value: ir.Value, pointer: ir.Value, at: ir.Value) -> None:
    """Put a vector to a place."""
    to = b.bitcast(b.gep(pointer, [at]), value.type.as_pointer())
    b.store(value, to, align=_bytes(value.type.element))


def _bytes(element: ir.Type) -> int:
    return 4 if element == ir.FloatType() else 8


def bits_of(b: ir.IRBuilder, mask: ir.Value) -> ir.Value:
    """A vector of truths as an integer with a bit a lane."""
    return b.zext(b.bitcast(mask, ir.IntType(mask.type.count)), INT)


def only(b: ir.IRBuilder, vector: ir.Value) -> ir.Value:
    """The value of a vector with one lane."""
    return b.extract_element(vector, WORD(0))


def larger(b: ir.IRBuilder, one: ir.Value, other: ir.Value) -> ir.Value:
    """The larger of two numbers or vectors, none of them NaN; integers have no sign."""
    element = one.type.element if isinstance(one.type, ir.VectorType) else one.type
    above = (b.icmp_unsigned if element == INT else b.fcmp_ordered)(">", one, other)
    return b.select(above, one, other)


def largest_lane(b: ir.IRBuilder, vector: ir.Value) -> ir.Value:
    """The largest number of a vector."""
    values = [b.extract_element(vector, WORD(lane)) for lane in range(vector.type.count)]
    while len(values) > 1:
        values = [larger(b, *values[at : at + 2]) for at in range(0, len(values), 2)]
    return values[0]


def raise_to(b: ir.IRBuilder, pointer: ir.Value, value: ir.Value) -> None:
    """Keep the larger of what is at a pointer and a value."""
    b.store(larger(b, value, b.load(pointer)), pointer)


def add_to(b: ir.IRBuilder, pointer: ir.Value, value: ir.Value) -> None:
    """Add to what is at a pointer."""
    b.store(b.add(b.load(pointer), value), pointer)
