"""The depth of a panel in blocks, in machine code that is being written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llvmlite import ir

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.compiled.writer import INT, Writer


@dataclass(frozen=True)
class DepthBlock:
    """A block of a panel's depth: where it begins and ends, whether it is the first or last."""

    w: Writer
    begin: ir.Value
    end: ir.Value
    first: ir.Value
    last: ir.Value

    @property
    def inner(self) -> ir.Value:
        """How deep it is."""
        return self.w.minus(self.end, self.begin)

    def last_of(self, base: ir.Value, width: ir.Value) -> tuple[ir.Value, ir.Value]:
        """What is added to the sums, (row, width): before the last block -0, which changes none."""
        choose = self.w.builder.select
        return choose(self.last, base, self.w["minus_zeros"]), choose(self.last, width, INT(0))

    def begun(self, out: ir.Value, width: int) -> tuple[ir.Value, ir.Value]:
        """What sums begin with, (row, width): zero, or what the block before left in `out`."""
        choose = self.w.builder.select
        return choose(self.first, self.w["zeros"], out), choose(self.first, INT(0), INT(width))


@contextmanager
def depth_blocks(w: Writer, inner: ir.Value, blocks: ir.Value) -> Iterator[DepthBlock]:
    """What is written inside runs for each of some blocks, as even as can be.

    Sums of one block go on in the next, in the same order: cutting changes no bit.
    """
    least, larger = w.builder.sdiv(inner, blocks), w.builder.srem(inner, blocks)
    with w.loop(blocks) as block:
        begin = w.plus(w.times(block, least), w.least(block, larger))
        is_larger = w.builder.icmp_signed("<", block, larger)
        end = w.plus(w.plus(begin, least), w.builder.zext(is_larger, INT))
        last = w.builder.icmp_signed("==", w.plus(block, 1), blocks)
        yield DepthBlock(w, begin, end, w.builder.icmp_signed("==", block, INT(0)), last)
