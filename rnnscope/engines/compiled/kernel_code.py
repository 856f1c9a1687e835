"""The functions that run a cell's steps, written for one kind of cell and one CPU.

Weights are packed in *panels*: panel p of a product holds, for every row of its matrix, the columns
of some vectors of units, all gates of the first side by side, then those of the next; the columns
that a tile of rows takes together lie in a *part* of it: (panel, part, depth, column of the part,
lane). The sums of a tile over a part stay in registers, and the cell's equations follow a panel
while its pre-activations are in a cache near by.
"""

from __future__ import annotations

from llvmlite import ir

from rnnscope.engines.compiled.cells.interface import Product, Rows
from rnnscope.engines.compiled.layout import ROW_VECTOR_BYTES, ROWS_TOGETHER, KernelKind
from rnnscope.engines.compiled.meeting_code import have_parted, part_if_late, write_meet
from rnnscope.engines.compiled.product_code import Products
from rnnscope.engines.compiled.tile import Tile
from rnnscope.engines.compiled.units_code import Place, RowCode, UnitsCode
from rnnscope.engines.compiled.vectors import REALS
from rnnscope.engines.compiled.writer import INT, Table, Writer


def module_of(kind: KernelKind, tile: Tile, machine: str | None = None) -> ir.Module:
    """The code of a kind of cell, for a machine as `platform.machine` calls it (that at hand)."""
    return _KernelWriter(kind, tile, machine).module


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
        self._products = Products(self.writer, self.real, tile, self.columns)
        self._meet = self.writer("meet", {})
        write_meet(self._meet, machine)
        self._steps()

    def writer(
        self, name: str, own: dict[str, ir.Type], *, lanes: int = 0, inner: bool = True
    ) -> Writer:
        return Writer(
            self.module, name, self.table, own, self.real, lanes or self.tile.lanes, inner=inner
        )

    def _gather(self) -> Writer:
        """Put the rows of x for `count` places from `begin` on side by side, in `x_rows`."""
        w = self.writer("gather", {"begin": INT, "count": INT})
        vectors = w.builder.sdiv(w["input"], INT(w.lanes))
        rest = w.builder.srem(w["input"], INT(w.lanes))
        with w.loop(w["count"]) as row:
            place = w.load(w.at(w["places"], w.plus(w["begin"], row)))
            source = w.at(w["x"], w.times(place, w["input"]))
            target = w.at(w["x_rows"], w.times(row, w["x_stride"]))
            with w.loop(vectors) as vector:
                shift = w.times(vector, w.lanes)
                w.put(w.vector(w.at(source, shift)), w.at(target, shift))
            with w.loop(rest) as number:
                shift = w.plus(w.times(vectors, w.lanes), number)
                w.builder.store(w.load(w.at(source, shift)), w.at(target, shift))
        w.done()
        return w

    def _project(self, number: int) -> Writer:
        """``z = x_rows @ kernel + bias`` of a panel, for `count` rows from `first` on."""
        columns = self.columns[number]
        own = {"panel": INT, "first": INT, "count": INT, "z": self.reals, "following": self.reals}
        w = self.writer(f"project_{number}", own)
        width = columns * w.lanes
        size = w.times(w["input"], width)
        self._products.call(w, columns, {
            "left": w["x_rows"], "places_of": w.at(w["numbers"], w["first"]),
            "width": w["x_stride"], "inner": w["input"],
            "panel": w.at(w[f"kernel_{number}"], w.times(w["panel"], size)),
            "following": w["following"],
            "base": w.at(w[f"bias_{number}"], w.times(w["panel"], width)), "base_width": INT(0),
            "out": w["z"], "count": w["count"], "blocks": w[f"input_blocks_{number}"],
        })  # fmt: skip
        w.done()
        return w

    def _project_ahead(self, number: int) -> Writer:
        """The part of x of a product, for `count` places."""
        width = self.columns[number] * self.tile.lanes
        w = self.writer(f"ahead_{number}", {"count": INT})
        size = w.times(w["input"], width)
        with (
            w.tiles(w.split(w["count"], ROWS_TOGETHER)) as (rows, first, _),
            w.loop(w[f"panels_{number}"]) as index,
        ):
            panel = w.plus(w[f"first_{number}"], index)
            out = w.plus(w.times(panel, w["count"]), first)
            w.call(self._projects[number], {
                "panel": panel, "first": first, "count": rows,
                "z": w.at(w[f"z_{number}"], w.times(out, width)),
                "following": w.at(w[f"kernel_{number}"], w.times(w.plus(panel, 1), size)),
            })  # fmt: skip
        w.done()
        return w

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
        # The part of x of a chunk of one step is not made ahead, but before each panel: so it is
        # at hand when the sums are.
        at_once = w.builder.icmp_signed("==", w["running"], w["count"])
        begin = w.at(matrix, w.times(w[f"first_{number}"], size))
        with (
            w.tiles(w.split(w["running"], ROWS_TOGETHER)) as (rows, first, _),
            w.loop(panels) as index,
        ):
            panel = w.plus(w[f"first_{number}"], index)
            weights = w.at(matrix, w.times(panel, size))
            last = w.builder.icmp_signed("==", w.plus(index, 1), panels)
            z, following = w["zeros"], w.at(weights, size)
            if has_x:
                rows_before = w.plus(w.times(panel, w["count"]), w.plus(ahead_of, first))
                ahead = w.at(w[f"z_{number}"], w.times(rows_before, width))
                z = w.builder.select(at_once, w["z_rows"], ahead)
                with w.builder.if_then(at_once):
                    w.call(self._projects[number], {
                        "panel": panel, "first": first, "count": rows, "z": z,
                        "following": weights,
                    })  # fmt: skip
            joined = has_x and stage.joined
            self._products.call(w, columns, {
                "left": w[stage.left], "places_of": w.at(places, first), "width": w["stride"],
                "inner": inner, "panel": weights,
                "following": w.builder.select(last, begin, following),
                "base": z if joined else w["zeros"], "base_width": INT(width if joined else 0),
                "out": w["sums"], "count": rows, "blocks": w[f"blocks_{number}"],
            })  # fmt: skip
            w.call(follow, {
                "count": rows, "place": w.plus(w["start"], first), "sums": w["sums"],
                "unit": w.times(panel, self.kind.blocks[number] * w.lanes), "z": z,
            })  # fmt: skip

    def _steps(self) -> None:
        """The function that is called from outside: chunk after chunk, step after step."""
        with_x = [number for number, has in enumerate(self.kind.has_x) if has]
        self._projects = {number: self._project(number) for number in with_x}
        aheads = [self._project_ahead(number) for number in with_x]
        gather = self._gather()
        step = self._step()
        w = self.writer("steps", {}, inner=False)
        with w.loop(w["chunks"]) as chunk:
            cut = w.load(w.at(w["cuts"], chunk))
            steps = w.minus(w.load(w.at(w["cuts"], w.plus(chunk, 1))), cut)
            begin = w.load(w.at(w["starts"], cut))
            count = w.minus(w.load(w.at(w["starts"], w.plus(cut, steps))), begin)
            w.call(gather, {"begin": begin, "count": count})
            with w.builder.if_then(w.builder.icmp_signed(">", steps, INT(1))):
                for ahead in aheads:
                    w.call(ahead, {"count": count})
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
