"""The product of a tile of rows and a panel, in machine code that is being written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product

from llvmlite import ir

from rnnscope.engines.compiled.tile import Tile
from rnnscope.engines.compiled.vectors import Real, Vector
from rnnscope.engines.compiled.writer import INT, INTS, Writer


def product_arguments(real: Real) -> dict[str, ir.Type]:
    """What the function of a product is handed, by name."""
    reals = real.type.as_pointer()
    return {
        "left": reals,  # (place, width), of which `inner` columns count
        "places_of": INTS,
        "width": INT,
        "inner": INT,
        "panel": reals,  # (inner, column, lane)
        "following": reals,  # what comes next, of which a share is fetched meanwhile
        "tile": INT,  # the place of the tile among those of the panel
        "begun": reals,  # (row, begun_width), what the sums begin with
        "begun_width": INT,
        "base": reals,  # (row, base_width)
        "base_width": INT,
        "out": reals,  # (row, column, lane)
    }


class Products:
    """The functions of products: one for every number of rows of a tile, and of columns.

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
        self._functions: dict[int, dict[int, Writer]] = {}
        for count in sorted(set(columns)):
            self._functions[count] = {}
            for rows in range(1, tile.rows + 1):
                w = writer(f"product_{rows}_{count}", arguments)
                _write_product(w, tile, rows, count)
                self._functions[count][rows] = w

    def call(self, w: Writer, columns: int, count: ir.Value, values: dict[str, ir.Value]) -> None:
        """``out = base + begun + left[places] @ panel`` for up to a tile of rows."""
        functions = self._functions[columns]
        w.choose(count, self._tile.rows, lambda rows: w.call(functions[rows], values))


def _write_product(w: Writer, tile: Tile, rows: int, columns: int) -> None:
    """The function of some rows and columns."""
    lanes = w.lanes
    places = [w.load(w.at(w["places_of"], row)) for row in range(rows)]
    left = [w.at(w["left"], w.times(place, w["width"])) for place in places]
    base = [w.at(w["base"], w.times(row, w["base_width"])) for row in range(rows)]
    begun = [w.at(w["begun"], w.times(row, w["begun_width"])) for row in range(rows)]
    together = tile.vectors(rows, columns)
    for first in range(0, columns, together):
        taken = range(first, first + together)
        share = w.plus(w.times(w["tile"], columns // together), first // together)
        ahead = _share(w, w["following"], share, w["inner"], columns)
        first_sums = [
            w.vector(w.at(begun[row], column * lanes)) for row in range(rows) for column in taken
        ]
        sums = iter(_sums(w, left, w["panel"], w["inner"], taken, columns, ahead, first_sums))
        for row, column in product(range(rows), taken):
            out = w.at(w["out"], (row * columns + column) * lanes)
            w.put(w.vector(w.at(base[row], column * lanes)) + next(sums), out)
    w.done()


def _share(w: Writer, panel: ir.Value, number: ir.Value, inner: ir.Value, columns: int) -> ir.Value:
    """The part of the next panel that some sums fetch: a cache line for each of its rows."""
    parts = INT(max(1, columns * w.lanes // w.real.line))
    early = w.builder.icmp_signed("<", number, parts)
    part = w.builder.select(early, number, INT(0))
    return w.at(panel, w.times(w.times(part, inner), w.real.line))


def _sums(
    w: Writer,
    rows: Sequence[ir.Value],
    panel: ir.Value,
    depth: ir.Value,
    taken: range,
    columns: int,
    ahead: ir.Value | None,
    first: Sequence[Vector],
) -> list[Vector]:
    """``rows @ panel`` for some of its vectors, all sums in registers.

    Every sum is taken over the depth from first to last, with one rounding an addition: its
    bits do not depend on how much is taken together.

    Parameters
    ----------
    rows : sequence of pointers
        Each to `depth` numbers.
    panel : pointer
        (depth, column, lane).
    depth : int64
        At least 1.
    taken : range
        Which columns.
    columns : int
    ahead : pointer or None
        What to fetch into the second cache meanwhile, a line for every row of the panel.
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
    if ahead is not None:
        _fetch(w, w.at(ahead, w.times(k, w.real.line)))
    right = w.at(panel, w.times(k, columns * w.lanes))
    weights = [w.vector(w.at(right, column * w.lanes)) for column in taken]
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
