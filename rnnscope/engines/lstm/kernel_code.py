"""The functions that run an LSTM's steps, written for one kind of cell and one CPU.

Weights are packed in *panels*: panel p holds, for every row k of the matrix, the columns of the
units from p x lanes on, gates i, f, g, o side by side: (panel, depth, gate, lane). The sums of a
tile of rows over a whole panel stay in registers, and the cell's equations follow while their
pre-activations are in the first cache; weights are read in order, from the second.

The hyperbolic tangent is a rational function that vectors can compute: with t = p / q =
tanh(z / 2), tanh(z) is 2 p q / (p p + q q), one division. What t is wrong by is scaled down by
(1 - t t) / (1 + t t), to nothing where a gate saturates: there it is 1 to the last bit, so that a
cell which keeps its c for thousands of steps keeps it here, too. p is an odd polynomial of degree
7, q an even one of degree 4, fitted to tanh(z / 2) for |z| <= 9.02 (minimax by Lawson's iteration,
weighted by that factor; p = z / 2 and q = 1 at 0): 0.23 units in the last place before rounding.
Beyond that z, tanh is 1 in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from threading import Lock

from llvmlite import ir

from rnnscope.engines.lstm import arguments, code_cache, cpu, vectors
from rnnscope.engines.lstm.arguments import CELL, PRODUCT, PROJECT, STEP, STEPS
from rnnscope.engines.lstm.cpu import Compiled, machine_code, target
from rnnscope.engines.lstm.vectors import (
    GATES,
    INT,
    LINE,
    Tile,
    Vector,
    Writer,
)

P3, P5, P7 = 0.1134461835026741, 0.001230042427778244, -4.453414021554636e-06
Q2, Q4 = 0.4467792510986328, 0.016824163496494293
LARGEST = 9.02


@dataclass(frozen=True)
class KernelKind:
    """What the code of a cell is made for; all else is data."""

    peepholes: bool = False
    cell_clip: bool = False
    projection: bool = False


_one_at_a_time = Lock()


def compiled(kind: KernelKind, tile: Tile) -> Compiled:
    """The function ``steps`` for a kind of cell, compiled once in a process."""
    with _one_at_a_time:  # threads that ask for the same wait for the first
        return _compiled(kind, tile)


@cache
def _compiled(kind: KernelKind, tile: Tile) -> Compiled:
    sources = (__file__, vectors.__file__, cpu.__file__, arguments.__file__)
    name = code_cache.name(repr((kind, tile)), target(), sources=sources)
    code = code_cache.load(name)
    if code is None:
        code = machine_code(_module(kind, tile))
        code_cache.save(name, code)
    return Compiled(code, {"steps": STEPS})


def _module(kind: KernelKind, tile: Tile) -> ir.Module:
    module = ir.Module("lstm")
    products = {rows: _product(module, rows, tile) for rows in range(1, tile.rows + 1)}
    _steps(module, kind, products, tile)
    return module


def _tanh(z: Vector) -> Vector:
    x = z.within(LARGEST) * 0.5
    s = x * x
    p = s.fma(P7, P5).fma(s, P3).fma(s, 1.0) * x
    q = s.fma(Q4, Q2).fma(s, 1.0)
    return (p + p) * q / p.fma(p, q * q)


def _gate(z: Vector) -> Vector:
    """sigmoid(2 z): the weights of gates are halved."""
    return _tanh(z).fma(0.5, 0.5)


def _product(module: ir.Module, rows: int, tile: Tile) -> ir.Function:
    """``out = base + x[places] @ panel``, sums taken from zero.

    Shapes: x (place, stride), of which `depth` columns count; panel (depth, GATES, lane); base
    (row, base_stride) and out (row, out_stride), GATES x lane of each. `ahead` is fetched
    meanwhile.
    """
    w = Writer(module, f"product_{rows}", PRODUCT, tile.lanes)
    places = [w.load(w.at(w["places"], row)) for row in range(rows)]
    left = [w.at(w["x"], w.times(place, w["stride"])) for place in places]
    base = [w.at(w["base"], w.times(row, w["base_stride"])) for row in range(rows)]
    out = [w.at(w["out"], w.times(row, w["out_stride"])) for row in range(rows)]
    together = tile.vectors(rows)
    for first in range(0, GATES, together):
        gates = range(first, first + together)
        ahead = None if first else w["ahead"]
        sums = iter(w.sums(left, w["panel"], w["depth"], gates, ahead))
        for row, gate in product(range(rows), gates):
            column = gate * tile.lanes
            w.put(w.vector(w.at(base[row], column)) + next(sums), w.at(out[row], column))
    w.done()
    return w.function


def _cell(module: ir.Module, kind: KernelKind, lanes: int) -> ir.Function:
    """The equations of `rnnscope.model.cells.lstm` for some rows and the units of a panel.

    Shapes: z (row, GATES, lane), pre-activations, those of i, f, o halved; c, out (row, stride), c
    replaced, out the new ``o * tanh(c)``; all_c, all_m (place, width), written at `places`, all_m
    only in a cell without projection; peepholes (3, stride), halved. Arrays of units start with
    the panel's first.
    """
    w = Writer(module, "cell", CELL, lanes)
    forget_bias, clip = w.every_lane(w["forget_bias"]), w.every_lane(w["cell_clip"])
    with w.loop(w["rows"]) as row:
        here = w.times(row, w["stride"])
        place = w.times(w.load(w.at(w["places"], row)), w["width"])
        gates = w.at(w["z"], w.times(row, GATES * lanes))
        i, f, g, o = (w.vector(w.at(gates, gate * lanes)) for gate in range(GATES))
        f = f + forget_bias
        c = w.vector(w.at(w["c"], here))
        if kind.peepholes:
            p_i, p_f, p_o = (
                w.vector(w.at(w["peepholes"], w.times(gate, w["stride"]))) for gate in range(3)
            )
            i, f = p_i.fma(c, i), p_f.fma(c, f)
        c = _gate(f).fma(c, _gate(i) * _tanh(g))
        if kind.cell_clip:
            c = c.within(clip)
        if kind.peepholes:
            o = p_o.fma(c, o)
        out = _gate(o) * _tanh(c)
        w.put(c, w.at(w["c"], here), w.at(w["all_c"], place))
        w.put(out, w.at(w["out"], here))
        if not kind.projection:
            w.put(out, w.at(w["all_m"], place))
    w.done()
    return w.function


def _project(module: ir.Module, products: dict[int, ir.Function], tile: Tile) -> ir.Function:
    """``z = x[places] @ kernel + bias``, `count` places; shapes as in `STEPS`."""
    w = Writer(module, "project", PROJECT, tile.lanes)
    width = GATES * tile.lanes
    size = w.times(w["input"], width)
    with w.loop(w["panels"]) as panel:
        weights = w.at(w["kernel"], w.times(panel, size))
        z = w.at(w["z"], w.times(w.times(panel, w["count"]), width))

        def part(rows: int, first: ir.Value, place: ir.Value) -> None:
            w.call(products[rows], PRODUCT, {
                "x": w["x"], "places": w.at(w["places"], first), "stride": w["input"],
                "depth": w["input"], "panel": weights,
                "ahead": _share(w, w.at(weights, size), place, w["input"], width),
                "base": w.at(w["bias"], w.times(panel, width)), "base_stride": INT(0),
                "out": w.at(z, w.times(first, width)), "out_stride": INT(width),
            })  # fmt: skip

        w.tiles(w["count"], tile.rows, part)
    w.done()
    return w.function


def _share(w: Writer, panel: ir.Value, place: ir.Value, depth: ir.Value, width: int) -> ir.Value:
    """The part of the next panel that a tile fetches: a cache line for each of its rows."""
    parts = INT(width // LINE)
    early = w.builder.icmp_signed("<", place, parts)
    part = w.builder.select(early, place, INT(0))
    return w.at(panel, w.times(w.times(part, depth), LINE))


def _steps(
    module: ir.Module, kind: KernelKind, products: dict[int, ir.Function], tile: Tile
) -> None:
    project, step = _project(module, products, tile), _step(module, kind, products, tile)
    w = Writer(module, "steps", STEPS, tile.lanes, inner=False)
    half = w.times(w["rows"], w["m_stride"])
    with w.loop(w["chunks"]) as chunk:
        cut = w.load(w.at(w["cuts"], chunk))
        steps = w.minus(w.load(w.at(w["cuts"], w.plus(chunk, 1))), cut)
        begin = w.load(w.at(w["starts"], cut))
        end = w.load(w.at(w["starts"], w.plus(cut, steps)))
        count = w.minus(end, begin)
        projected = {"places": w.at(w["places"], begin), "count": count}
        w.call(project, PROJECT, w.arguments | projected)
        with w.loop(steps) as number:
            at = w.plus(cut, number)
            start = w.load(w.at(w["starts"], at))
            odd = w.builder.and_(w.plus(at, w["first"]), INT(1))
            w.call(step, STEP, w.arguments | {
                "running": w.minus(w.load(w.at(w["starts"], w.plus(at, 1))), start),
                "places": w.at(w["places"], start),
                "z": w.at(w["z"], w.times(w.minus(start, begin), GATES * tile.lanes)),
                "z_count": count,
                "m": w.at(w["m"], w.times(odd, half)),
                "m_new": w.at(w["m"], w.times(w.minus(1, odd), half)),
            })  # fmt: skip
    w.done()


def _step(
    module: ir.Module, kind: KernelKind, products: dict[int, ir.Function], tile: Tile
) -> ir.Function:
    """One step of the rows that run, the first `running`; other arguments as in `STEPS`."""
    lanes, width = tile.lanes, GATES * tile.lanes
    cell = _cell(module, kind, lanes)
    w = Writer(module, "step", STEP, lanes)
    choose = w.builder.select
    padded = w.times(w["panels"], lanes)
    panel_size = w.times(w["depth"], width)
    with w.loop(w["panels"]) as panel:
        unit = w.times(panel, lanes)
        left = w.minus(w["units"], unit)
        full = w.builder.icmp_signed(">=", left, INT(lanes))
        weights = w.at(w["recurrent"], w.times(panel, panel_size))
        last = w.builder.icmp_signed("==", w.plus(panel, 1), w["panels"])
        following = choose(last, w["recurrent"], w.at(weights, panel_size))
        z_panel = w.at(w["z"], w.times(w.times(panel, w["z_count"]), width))

        def advance(rows: int, first: ir.Value, place: ir.Value) -> None:
            z = w.at(z_panel, w.times(first, width))
            w.call(products[rows], PRODUCT, {
                "x": w["m"], "places": w.at(w["numbers"], first), "stride": w["m_stride"],
                "depth": w["depth"], "panel": weights,
                "ahead": _share(w, following, place, w["depth"], width),
                "base": z, "base_stride": INT(width), "out": z, "out_stride": INT(width),
            })  # fmt: skip
            here = w.plus(w.times(first, padded), unit)
            mine = w.at(w["places"], first)
            w.call(cell, CELL, {
                "rows": INT(rows), "z": z, "c": w.at(w["c"], here), "stride": padded,
                "out": w.at(w["wide"] if kind.projection else w["m_new"], here),
                "places": choose(full, mine, w["numbers"]),
                "all_c": choose(full, w.at(w["all_c"], unit), w["part_c"]),
                "all_m": choose(full, w.at(w["all_m"], unit), w["part_m"]),
                "width": choose(full, w["units"], INT(lanes)),
                "forget_bias": w["forget_bias"], "peepholes": w.at(w["peepholes"], unit),
                "cell_clip": w["cell_clip"],
            })  # fmt: skip
            # A panel that is not full came in whole vectors: what counts of them is copied.
            with w.builder.if_then(w.builder.not_(full)), w.loop(rows) as row:
                to = w.plus(w.times(w.load(w.at(mine, row)), w["units"]), unit)
                with w.loop(left) as lane:
                    from_ = w.plus(w.times(row, lanes), lane)
                    for part, whole in (("part_c", "all_c"), ("part_m", "all_m")):
                        if whole == "all_c" or not kind.projection:
                            w.copy(w.at(w[part], from_), w.at(w[whole], w.plus(to, lane)))

        w.tiles(w["running"], tile.rows, advance)
    if kind.projection:
        _project_outputs(w, products, tile)
    w.done()
    return w.function


def _project_outputs(w: Writer, products: dict[int, ir.Function], tile: Tile) -> None:
    """``m = wide @ projection``, clipped, for the next step and for the trace."""
    width = GATES * tile.lanes
    padded = w.times(w["panels"], tile.lanes)
    size = w.times(w["units"], width)
    with w.loop(w["projection_panels"]) as panel:
        weights = w.at(w["projection"], w.times(panel, size))

        def part(rows: int, first: ir.Value, place: ir.Value) -> None:
            out = w.plus(w.times(first, w["m_stride"]), w.times(panel, width))
            w.call(products[rows], PRODUCT, {
                "x": w["wide"], "places": w.at(w["numbers"], first), "stride": padded,
                "depth": w["units"], "panel": weights,
                "ahead": _share(w, w.at(weights, size), place, w["units"], width),
                "base": w["zeros"], "base_stride": INT(0),
                "out": w.at(w["m_new"], out), "out_stride": w["m_stride"],
            })  # fmt: skip

        w.tiles(w["running"], tile.rows, part)
    limit = w.every_lane(w["proj_clip"])
    vectors = w.builder.sdiv(w["m_stride"], INT(tile.lanes))
    with w.loop(w["running"]) as row:
        from_ = w.at(w["m_new"], w.times(row, w["m_stride"]))
        with w.loop(vectors) as vector:
            here = w.at(from_, w.times(vector, tile.lanes))
            w.put(w.vector(here).within(limit), here)
        to = w.at(w["all_m"], w.times(w.load(w.at(w["places"], row)), w["depth"]))
        with w.loop(w["depth"]) as column:
            w.copy(w.at(from_, column), w.at(to, column))
