"""The product of some rows and a panel, in machine code that is being written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from llvmlite import ir

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.compiled.depth import DepthBlock, depth_blocks
from rnnscope.engines.compiled.tile import Tile
from rnnscope.engines.compiled.vectors import Real, Vector
from rnnscope.engines.compiled.writer import INT, INTS, Writer


def product_arguments(real: Real) -> dict[str, ir.Type]:
    """What the functions of a product are handed, by name."""
    reals = real.type.as_pointer()
    return {
        "left": reals,  # (place, width), of which `inner` columns count
        "places_of": INTS,
        "width": INT,
        "inner": INT,
        "panel": reals,  # (part, inner, column of the part, lane)
        "following": reals,  # the panel that comes next, which is fetched meanwhile
        "base": reals,  # (row, base_width)
        "base_width": INT,
        "out": reals,  # (row, column, lane)
        "count": INT,  # of rows
        "blocks": INT,  # into how many the depth is cut, where the rows are more than a tile
    }


class Products:
    """The functions of products, by the columns of a panel: of one tile of rows, and of more.

    Parameters
    ----------
    writer : callable
        ``writer(name, arguments)`` begins a function.
    real : Real
    tile : Tile
    columns : iterable of int
    """

    def __init__(
        self,
        writer: Callable[[str, dict[str, ir.Type]], Writer],
        real: Real,
        tile: Tile,
        columns: Iterable[int],
    ) -> None:
        self._tile = tile
        arguments = product_arguments(real)
        self._of_tile: dict[int, dict[int, Writer]] = {}
        self._of_more: dict[int, Writer] = {}
        for count in sorted(set(columns)):
            self._of_tile[count] = {}
            for rows in range(1, tile.rows + 1):
                w = writer(f"product_{rows}_{count}", arguments)
                _write_of_tile(w, tile, rows, count)
                self._of_tile[count][rows] = w
            w = writer(f"product_more_{count}", arguments)
            _write_of_more(w, tile, count)
            self._of_more[count] = w

    def call(self, w: Writer, columns: int, values: dict[str, ir.Value]) -> None:
        """``out = base + left[places] @ panel`` for `count` rows."""
        few, rows = self._of_tile[columns], self._tile.rows
        one_tile = w.builder.icmp_signed("<=", values["count"], INT(rows))
        with w.builder.if_else(one_tile) as (then, otherwise):
            with then:
                sizes = range(1, rows + 1)
                w.choose(values["count"], sizes, lambda size: w.call(few[size], values))
            with otherwise:
                w.call(self._of_more[columns], values)


@dataclass(frozen=True)
class _Rows:
    """Some rows: where each is read, on the left side, and where its sums are put."""

    left: list[ir.Value]
    out: list[ir.Value]

    @classmethod
    def of(cls, w: Writer, columns: int, first: ir.Value, count: int) -> _Rows:
        numbers = [w.plus(first, row) for row in range(count)]
        places = [w.load(w.at(w["places_of"], number)) for number in numbers]
        return cls(
            [w.at(w["left"], w.times(place, w["width"])) for place in places],
            [w.at(w["out"], w.times(number, columns * w.lanes)) for number in numbers],
        )


def _write_of_tile(w: Writer, tile: Tile, rows: int, columns: int) -> None:
    """The function of one tile of rows, or fewer: as many columns at a time as fit."""
    part = tile.part(columns)
    at = _Rows.of(w, columns, INT(0), rows)
    base = [w.at(w["base"], w.times(row, w["base_width"])) for row in range(rows)]
    together = tile.vectors(rows, columns)
    lines = max(1, columns * w.lanes // w.real.line)
    for first in range(0, columns, together):
        taken = range(first, first + together)
        share = w.times(first // together % lines * w.real.line, w["inner"])
        weights = _Panel(w, w["panel"], w["inner"], part)
        sums = _sums(
            w, at.left, weights, w["inner"], taken,
            _Ahead(w.at(w["following"], share), INT(w.real.line)), [w.zero()] * (rows * together),
        )  # fmt: skip
        _put(w, sums, base, at.out, taken)
    w.done()


def _write_of_more(w: Writer, tile: Tile, columns: int) -> None:
    """The function of more rows: a block of some columns stays in the first cache for all of them.

    Sums of a block are kept in `out`, and go on in the next.
    """
    part = tile.part(columns)
    width = part * w.lanes
    size = w.times(w["inner"], width)
    split = w.split(w["count"], tile.rows)  # divisions take as long as dozens of products
    # Each tile fetches its share of what comes next: all at once would wait for the third cache.
    pace = w.least(w.real.line, w.builder.sdiv(w.plus(split.tiles, width - 1), split.tiles))
    with depth_blocks(w, w["inner"], w["blocks"]) as depth:
        share = w.builder.sdiv(w.times(depth.inner, width), split.tiles)
        with w.loop(columns // part) as number:
            panel = w.at(w["panel"], w.times(number, size))
            is_last = w.builder.icmp_signed("==", number, INT(columns // part - 1))
            deeper = w.at(w["panel"], w.times(depth.end, width))
            beyond = w.builder.select(depth.last, w["following"], deeper)
            weights = w.at(panel, w.times(depth.begin, width))
            following = w.builder.select(is_last, beyond, w.at(weights, size))
            block = _Block(
                w, columns, w.times(number, width), depth, _Panel(w, weights, depth.inner, part)
            )
            with w.tiles(split) as (rows, first, place):
                ahead = _Ahead(w.at(following, w.times(place, share)), pace)
                # Tiles are as even as can be, so that none has less than half of the rows.
                sizes = range((tile.rows + 1) // 2, tile.rows + 1)
                w.choose(rows, sizes, partial(block.write, first, ahead))
    w.done()


@dataclass(frozen=True)
class _Block:
    """A block of some columns of a panel; `shift` is where they begin in a row of sums."""

    w: Writer
    columns: int
    shift: ir.Value
    depth: DepthBlock
    panel: _Panel

    def write(self, first: ir.Value, ahead: _Ahead, count: int) -> None:
        """The product with some rows from `first` on."""
        w, taken = self.w, range(self.panel.part)
        at = _Rows.of(w, self.columns, first, count)
        left = [w.at(row, self.depth.begin) for row in at.left]
        out = [w.at(row, self.shift) for row in at.out]
        base, width = self.depth.last_of(w["base"], w["base_width"])
        bases = [
            w.at(base, w.plus(self.shift, w.times(w.plus(first, row), width)))
            for row in range(count)
        ]
        begun, width = self.depth.begun(out[0], self.columns * w.lanes)
        begin = [
            w.vector(w.at(w.at(begun, w.times(row, width)), column * w.lanes))
            for row in range(count)
            for column in taken
        ]
        _put(
            w, _sums(w, left, self.panel, self.depth.inner, taken, ahead, begin), bases, out, taken
        )


@dataclass(frozen=True)
class _Ahead:
    """What is fetched into the second cache meanwhile: from where on, and how far with each row.

    Steps of less than a cache line ask for some lines twice, which costs next to nothing.
    """

    begin: ir.Value
    pace: ir.Value


@dataclass(frozen=True)
class _Panel:
    """A panel of weights, (part, depth, column of the part, lane)."""

    w: Writer
    begin: ir.Value
    depth: ir.Value
    part: int

    def rows(self, k: ir.Value, columns: Iterable[int]) -> list[Vector]:
        """Some columns of row k."""
        w, width = self.w, self.part * self.w.lanes
        starts: dict[int, ir.Value] = {}
        found = []
        for column in columns:
            part, place = divmod(column, self.part)
            if part not in starts:
                begin = w.at(self.begin, w.times(self.depth, part * width)) if part else self.begin
                starts[part] = w.at(begin, w.times(k, width))
            found.append(w.vector(w.at(starts[part], place * w.lanes)))
        return found


def _put(
    w: Writer,
    sums: Sequence[Vector],
    base: Sequence[ir.Value],
    out: Sequence[ir.Value],
    columns: range,
) -> None:
    """Store sums, (row, column), with what is added to them."""
    found = iter(sums)
    for added, row in zip(base, out, strict=True):
        for column in columns:
            place = column * w.lanes
            w.put(w.vector(w.at(added, place)) + next(found), w.at(row, place))


def _sums(
    w: Writer,
    rows: Sequence[ir.Value],
    panel: _Panel,
    depth: ir.Value,
    taken: range,
    ahead: _Ahead,
    first: Sequence[Vector],
) -> list[Vector]:
    """``rows @ panel`` for some of its columns, all sums in registers.

    Every sum is taken over the depth from first to last, with one rounding an addition: its
    bits do not depend on how much is taken together.

    Parameters
    ----------
    rows : sequence of pointers
        Each to `depth` numbers.
    panel : _Panel
    depth : int64
        At least 1.
    taken : range
        Which columns.
    ahead : _Ahead
    first : sequence of Vector
        What the sums begin with, (row, column taken).

    Returns
    -------
    list of Vector
        (row, column taken).
    """
    before = w.builder.block
    body = w.builder.append_basic_block("depth")
    after = w.builder.append_basic_block("summed")
    w.builder.branch(body)
    w.builder.position_at_end(body)
    k = w.builder.phi(INT)
    k.add_incoming(INT(0), before)
    kept = []
    for begun in first:
        kept.append(w.builder.phi(w.vector_type))
        kept[-1].add_incoming(begun.value, before)
    _fetch(w, w.at(ahead.begin, w.times(k, ahead.pace)))
    weights = panel.rows(k, taken)
    sums = iter(kept)
    grown = []
    for row in rows:
        left = w.every_lane(w.load(w.at(row, k)))
        grown += [left.fma(weight, Vector(w.builder, next(sums), w.real)) for weight in weights]
    k_next = w.plus(k, 1)
    k.add_incoming(k_next, w.builder.block)
    for phi, value in zip(kept, grown, strict=True):
        phi.add_incoming(value.value, w.builder.block)
    w.builder.cbranch(w.builder.icmp_signed("<", k_next, depth), body, after)
    w.builder.position_at_end(after)
    return grown


def _fetch(w: Writer, pointer: ir.Value) -> None:
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
    fetch = w.builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
    read, second_cache, data = word(0), word(2), word(1)
    w.builder.call(fetch, [w.builder.bitcast(pointer, byte), read, second_cache, data])
