"""The functions that run a cell's steps, written for one kind of cell and one CPU.

Weights are packed in *panels*: panel p of a product holds, for every row of its matrix, the columns
of some vectors of units, all gates of the first side by side, then those of the next: (panel,
depth, column, lane). The sums of a tile of rows over a whole panel stay in registers, and the
cell's equations follow while their pre-activations are in the first cache; weights are read in
order, from the second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from threading import Lock

from llvmlite import ir

from rnnscope.engines.compiled import code_cache
from rnnscope.engines.compiled.cells.interface import Product, Rows
from rnnscope.engines.compiled.cpu import Compiled, machine_code, target
from rnnscope.engines.compiled.layout import ROW_VECTOR_BYTES, KernelKind
from rnnscope.engines.compiled.meeting import have_parted, part_if_late, write_meet
from rnnscope.engines.compiled.tile import Tile
from rnnscope.engines.compiled.units_code import Place, RowCode, UnitsCode
from rnnscope.engines.compiled.vectors import REALS
from rnnscope.engines.compiled.writer import INT, INTS, Table, Writer

_one_at_a_time = Lock()


def compiled(kind: KernelKind, tile: Tile) -> Compiled:
    """The function ``steps`` for a kind of cell, compiled once in a process.

    Parameters
    ----------
    kind : KernelKind
    tile : Tile
        Lanes of the cell's own kind of numbers.
    """
    with _one_at_a_time:  # threads that ask for the same wait for the first
        return _compiled(kind, tile)


@cache
def _compiled(kind: KernelKind, tile: Tile) -> Compiled:
    sources = sorted(map(str, Path(__file__).parent.rglob("*.py")))
    name = code_cache.name(repr((kind, tile)), target(), sources=sources)
    code = code_cache.load(name)
    if code is None:
        code = machine_code(module_of(kind, tile))
        code_cache.save(name, code)
    return Compiled(code, kind.table(), kind.dtype)


def module_of(kind: KernelKind, tile: Tile, machine: str | None = None) -> ir.Module:
    """The code of a kind of cell, for a machine as `platform.machine` calls it (that at hand)."""
    return _KernelWriter(kind, tile, machine).module


@dataclass(frozen=True)
class _Part:
    """A block of a panel's depth: where it begins and ends, whether it is the first or last."""

    w: Writer
    begin: ir.Value
    end: ir.Value
    first: ir.Value
    last: ir.Value

    @property
    def inner(self) -> ir.Value:
        return self.w.minus(self.end, self.begin)

    def last_of(self, base: ir.Value) -> ir.Value:
        """What is added to the sums: nothing before the last block, where -0 changes no number."""
        return self.w.builder.select(self.last, base, self.w["minus_zeros"])


class _KernelWriter:
    """Writes the functions of one kind of cell into a module."""

    def __init__(self, kind: KernelKind, tile: Tile, machine: str | None = None) -> None:
        self.kind = kind
        self.tile = tile
        self.real = REALS[kind.dtype]
        self.reals = self.real.type.as_pointer()
        self.module = ir.Module("cell")
        self.table = Table(kind.table())
        self.columns = [
            len(one.gates) * blocks for one, blocks in zip(kind.products, kind.blocks, strict=True)
        ]
        self._products = {
            columns: {rows: self._product(rows, columns) for rows in range(1, tile.rows + 1)}
            for columns in sorted(set(self.columns))
        }
        self._meet = self.writer("meet", {})
        write_meet(self._meet, machine)
        self._steps()

    def writer(
        self, name: str, own: dict[str, ir.Type], *, lanes: int = 0, inner: bool = True
    ) -> Writer:
        return Writer(
            self.module, name, self.table, own, self.real, lanes or self.tile.lanes, inner=inner
        )

    def _multiply_tile(
        self, w: Writer, columns: int, count: ir.Value, values: dict[str, ir.Value]
    ) -> None:
        """``out = base + left[places] @ panel`` for up to a tile of rows."""
        products = self._products[columns]
        w.choose(count, self.tile.rows, lambda rows: w.call(products[rows], values))

    def _product_arguments(self) -> dict[str, ir.Type]:
        return {
            "left": self.reals,  # (place, width), of which `inner` columns count
            "places_of": INTS,
            "width": INT,
            "inner": INT,
            "panel": self.reals,  # (inner, column, lane)
            "following": self.reals,  # what comes next, of which a share is fetched meanwhile
            "tile": INT,  # the place of the tile among those of the panel
            "begun": self.reals,  # (row, begun_width), what the sums begin with
            "begun_width": INT,
            "base": self.reals,  # (row, base_width)
            "base_width": INT,
            "out": self.reals,  # (row, column, lane)
        }

    def _product(self, rows: int, columns: int) -> Writer:
        """The same for a number of rows."""
        w = self.writer(f"product_{rows}_{columns}", self._product_arguments())
        lanes = w.lanes
        places = [w.load(w.at(w["places_of"], row)) for row in range(rows)]
        left = [w.at(w["left"], w.times(place, w["width"])) for place in places]
        base = [w.at(w["base"], w.times(row, w["base_width"])) for row in range(rows)]
        begun = [w.at(w["begun"], w.times(row, w["begun_width"])) for row in range(rows)]
        together = self.tile.vectors(rows, columns)
        for first in range(0, columns, together):
            taken = range(first, first + together)
            share = w.plus(w.times(w["tile"], columns // together), first // together)
            ahead = self._share(w, w["following"], share, w["inner"], columns)
            first_sums = [
                w.vector(w.at(begun[row], column * lanes))
                for row in range(rows)
                for column in taken
            ]
            sums = iter(w.sums(left, w["panel"], w["inner"], taken, columns, ahead, first_sums))
            for row, column in product(range(rows), taken):
                out = w.at(w["out"], (row * columns + column) * lanes)
                w.put(w.vector(w.at(base[row], column * lanes)) + next(sums), out)
        w.done()
        return w

    def _share(
        self, w: Writer, panel: ir.Value, number: ir.Value, inner: ir.Value, columns: int
    ) -> ir.Value:
        """The part of the next panel that some sums fetch: a cache line for each of its rows."""
        parts = INT(max(1, columns * w.lanes // self.real.line))
        early = w.builder.icmp_signed("<", number, parts)
        part = w.builder.select(early, number, INT(0))
        return w.at(panel, w.times(w.times(part, inner), self.real.line))

    def _project(self, number: int) -> Writer:
        """``z = x[places] @ kernel + bias`` of a product, for `count` places from `begin` on."""
        columns = self.columns[number]
        w = self.writer(f"project_{number}", {"begin": INT, "count": INT})
        width = columns * w.lanes
        places = w.at(w["places"], w["begin"])
        size = w.times(w["input"], width)
        with w.loop(w[f"panels_{number}"]) as index:
            panel = w.plus(w[f"first_{number}"], index)
            weights = w.at(w[f"kernel_{number}"], w.times(panel, size))
            z = w.at(w[f"z_{number}"], w.times(w.times(panel, w["count"]), width))
            with (
                self._depth(w, w["input"], w[f"input_blocks_{number}"]) as part,
                w.tiles(w["count"], self.tile.rows) as (rows, first, place),
            ):
                out = w.at(z, w.times(first, width))
                self._multiply_tile(w, columns, rows, {
                    "left": w.at(w["x"], part.begin), "places_of": w.at(places, first),
                    "width": w["input"], "inner": part.inner,
                    "panel": w.at(weights, w.times(part.begin, width)),
                    "following": w.at(weights, w.times(part.end, width)), "tile": place,
                    **self._summing(w, part, out, width),
                    "base": part.last_of(w.at(w[f"bias_{number}"], w.times(panel, width))),
                    "base_width": INT(0), "out": out,
                })  # fmt: skip
        w.done()
        return w

    @contextmanager
    def _depth(self, w: Writer, inner: ir.Value, blocks: ir.Value) -> Iterator[_Part]:
        """The depth of a panel, cut into blocks as even as can be.

        Sums of one block go on in the next, in the same order: cutting changes no bit.
        """
        least, larger = w.builder.sdiv(inner, blocks), w.builder.srem(inner, blocks)
        with w.loop(blocks) as block:
            begin = w.plus(w.times(block, least), w.least(block, larger))
            is_larger = w.builder.icmp_signed("<", block, larger)
            end = w.plus(w.plus(begin, least), w.builder.zext(is_larger, INT))
            last = w.builder.icmp_signed("==", w.plus(block, 1), blocks)
            yield _Part(w, begin, end, w.builder.icmp_signed("==", block, INT(0)), last)

    def _summing(self, w: Writer, part: _Part, out: ir.Value, width: int) -> dict[str, ir.Value]:
        """What sums begin with: zero, or what the block before left."""
        choose = w.builder.select
        return {
            "begun": choose(part.first, w["zeros"], out),
            "begun_width": choose(part.first, INT(0), INT(width)),
        }

    def _equations(self, number: int, stage: Product) -> Writer:
        """The equations of a product for some rows and the units of a panel.

        `place` is the first row's, `unit` the panel's first; `z` is the part of x, (row, column,
        lane), and `sums` what the product made.
        """
        columns, blocks = self.columns[number], self.kind.blocks[number]
        w = self.writer(
            f"equations_{number}",
            {"count": INT, "place": INT, "unit": INT, "z": self.reals, "sums": self.reals},
        )
        width = "depth" if stage.output else "units"
        with w.loop(w["count"]) as row:
            at = Place.of(w, w.plus(w["place"], row))
            start = w.times(row, columns * w.lanes)
            for block in range(blocks):
                unit = w.plus(w["unit"], block * w.lanes)
                shift = w.plus(start, block * len(stage.gates) * w.lanes)
                gates = {gate: w.plus(shift, order * w.lanes)
                         for order, gate in enumerate(stage.gates)}  # fmt: skip
                stage.equations(UnitsCode(w, self.kind, at, unit, w.minus(w[width], unit), gates))
        w.done()
        return w

    def _rows(self, number: int, stage: Rows) -> Writer:
        """Equations for whole rows, this thread's of `count` from `place` on."""
        lanes = ROW_VECTOR_BYTES // self.real.bytes
        w = self.writer(f"rows_{number}", {"count": INT, "place": INT}, lanes=lanes)
        mine, share = w.share(w["count"])
        with w.loop(share) as index:
            row = w.plus(mine, index)
            at = Place.of(w, w.plus(w["place"], row))
            stage.equations(RowCode(w, self.kind, at))
        w.done()
        return w

    def _step(self) -> Writer:
        """One step of the `running` places from `start` on, the chunk's from `begin` on."""
        kind = self.kind
        follow = {
            number: self._equations(number, stage) for number, stage in enumerate(kind.products)
        }
        whole = {
            number: self._rows(number, stage)
            for number, stage in enumerate(kind.stages)
            if isinstance(stage, Rows)
        }
        w = self.writer("step", {"start": INT, "running": INT, "begin": INT, "count": INT})
        products = 0
        for number, stage in enumerate(kind.stages):
            if number:
                self._wait(w)
            if isinstance(stage, Product):
                self._multiply(w, products, stage, follow[products])
                products += 1
            else:
                w.call(whole[number], {"count": w["running"], "place": w["start"]})
        w.done()
        return w

    def _wait(self, w: Writer) -> None:
        """For the others, where threads share the steps."""
        with w.builder.if_then(w.builder.icmp_signed(">", w["parties"], INT(1)), likely=False):
            w.call(self._meet, {})

    def _multiply(self, w: Writer, number: int, stage: Product, follow: Writer) -> None:
        """A product of a step, panel after panel, and its equations."""
        columns = self.columns[number]
        width = columns * w.lanes
        inner = w["depth"] if stage.left == "m" else w["units"]
        has_x = self.kind.has_x[number]
        places = w.at(w["reads" if stage.left == "m" else "rows"], w["start"])
        matrix, panels = w[f"matrix_{number}"], w[f"panels_{number}"]
        size = w.times(inner, width)
        ahead_of = w.minus(w["start"], w["begin"])
        begin = w.at(matrix, w.times(w[f"first_{number}"], size))
        with w.loop(panels) as index:
            panel = w.plus(w[f"first_{number}"], index)
            weights = w.at(matrix, w.times(panel, size))
            last = w.builder.icmp_signed("==", w.plus(index, 1), panels)
            next_panel = w.builder.select(last, begin, w.at(weights, size))
            z = w["zeros"]
            if has_x:
                rows_before = w.plus(w.times(panel, w["count"]), ahead_of)
                z = w.at(w[f"z_{number}"], w.times(rows_before, width))
            joined = has_x and stage.joined
            blocks = w[f"blocks_{number}"]
            cut = w.builder.icmp_signed(">", blocks, INT(1))
            with (
                self._depth(w, inner, blocks) as part,
                w.tiles(w["running"], self.tile.rows) as (rows, first, place),
            ):
                z_here = w.at(z, w.times(first, width)) if has_x else z
                # Sums of one tile stay in the first cache; those of all wait for the next block.
                shift = w.builder.select(cut, w.times(first, width), INT(0))
                sums = w.at(w["sums"], shift)
                beyond = w.at(weights, w.times(part.end, width))
                base_width = INT(width if joined else 0)
                self._multiply_tile(w, columns, rows, {
                    "left": w.at(w[stage.left], part.begin), "places_of": w.at(places, first),
                    "width": w["stride"], "inner": part.inner,
                    "panel": w.at(weights, w.times(part.begin, width)),
                    "following": w.builder.select(part.last, next_panel, beyond), "tile": place,
                    **self._summing(w, part, sums, width),
                    "base": part.last_of(z_here if joined else w["zeros"]),
                    "base_width": w.builder.select(part.last, base_width, INT(0)), "out": sums,
                })  # fmt: skip
                with w.builder.if_then(part.last):
                    w.call(follow, {
                        "count": rows, "place": w.plus(w["start"], first), "sums": sums,
                        "unit": w.times(panel, self.kind.blocks[number] * w.lanes), "z": z_here,
                    })  # fmt: skip

    def _steps(self) -> None:
        """The function that is called from outside: chunk after chunk, step after step."""
        projects = [self._project(number) for number, has in enumerate(self.kind.has_x) if has]
        step = self._step()
        w = self.writer("steps", {}, inner=False)
        with w.loop(w["chunks"]) as chunk:
            cut = w.load(w.at(w["cuts"], chunk))
            steps = w.minus(w.load(w.at(w["cuts"], w.plus(chunk, 1))), cut)
            begin = w.load(w.at(w["starts"], cut))
            count = w.minus(w.load(w.at(w["starts"], w.plus(cut, steps))), begin)
            for project in projects:
                w.call(project, {"begin": begin, "count": count})
            with w.loop(steps) as number:
                at = w.plus(cut, number)
                start = w.load(w.at(w["starts"], at))
                running = w.minus(w.load(w.at(w["starts"], w.plus(at, 1))), start)
                w.call(step, {"start": start, "running": running, "begin": begin, "count": count})
                shared = w.builder.icmp_signed(">", w["parties"], INT(1))
                with w.builder.if_then(shared, likely=False):
                    part_if_late(w, at)
                    w.call(self._meet, {})
                    with w.builder.if_then(have_parted(w, at), likely=False):
                        w.builder.ret_void()
        w.done()
