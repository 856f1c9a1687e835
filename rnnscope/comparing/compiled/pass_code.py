"""The function ``measure``: row after row, in vectors where all of a vector is finite.

Values beside NaN or infinities, and a row's last ones, are taken one by one.
"""

from __future__ import annotations

from llvmlite import ir

from rnnscope.comparing.compiled.code_writing import (
    INT,
    REAL,
    add_to,
    bits_of,
    every_lane,
    larger,
    largest_lane,
    load,
    loop,
    only,
    raise_to,
    store,
)
from rnnscope.comparing.compiled.vector_difference import (
    FLOATS,
    EntryValues,
    PassKind,
    VectorDifference,
)

LANES = 8
"""Values taken together: the widest vector of float64; narrower CPUs take parts of it."""

BYTE = ir.IntType(8)

TABLE = {
    "rows": "int",
    "width": "int",
    "ulp": "int",
    "atol": "real",
    "rtol": "real",
    "a": "a",  # (row, width)
    "b": "b",
    "counts": "bytes",  # (row,) 0 where a row does not count
    "absolute": "reals",  # (row, width) |a - b|, 0 where it is not finite or does not count
    "row_peaks": "reals",  # (row,)
    "row_firsts": "ints",  # (row,)
    "histogram": "ints",  # (COUNTERS, BINS)
    "bins": "ints",  # `bins_by_leading_bits`
    "totals": "ints",  # TOTALS
    "peaks": "reals",  # PEAKS
}
"""What the code is handed: numbers and addresses, eight bytes each, one after another."""

TOTALS = ("finite", "nonfinite_a", "nonfinite_b", "exceed", "apart", "ulp_max", "worst_row")
PEAKS = ("absolute", "relative", "needed", "row")


def module_of(kind: PassKind) -> ir.Module:
    """The code of a kind of pass."""
    return _PassWriter(kind).module


class _PassWriter:
    """Writes the functions of a kind into a module."""

    def __init__(self, kind: PassKind) -> None:
        self.module = ir.Module("measure")
        self._kind = kind
        self._math = VectorDifference(self.module, kind)
        self._single = self._write_single()
        self._write_measure()

    def _function(self, name: str, numbers: int) -> tuple[ir.Function, ir.IRBuilder, EntryValues]:
        """A function of the table and some integers, with what the table holds."""
        kind = ir.FunctionType(ir.VoidType(), [INT.as_pointer(), *[INT] * numbers])
        function = ir.Function(self.module, kind, name)
        b = ir.IRBuilder(function.append_basic_block("begin"))
        sorts = {"reals": REAL, "ints": INT, "bytes": BYTE,
                 "a": FLOATS[self._kind.a], "b": FLOATS[self._kind.b]}  # fmt: skip
        at = {}
        for place, (entry, sort) in enumerate(TABLE.items()):
            value = b.load(b.gep(function.args[0], [INT(place)]))
            if sort == "real":
                value = b.bitcast(value, REAL)
            elif sort != "int":
                value = b.inttoptr(value, sorts[sort].as_pointer())
            at[entry] = value
        return function, b, at

    def _write_single(self) -> ir.Function:
        """Values of a row from a unit on, whatever they are: ``(table, row, unit, count)``."""
        function, b, at = self._function("single", 3)
        function.linkage = "internal"
        function.attributes.add("noinline")
        _, row, first, count = function.args
        start = b.mul(row, at["width"])
        with loop(b, count) as (index, _, _):
            unit = b.add(first, index)
            self._take_single(b, at, row, unit, b.add(start, unit))
        b.ret_void()
        return function

    def _take_single(
        self, b: ir.IRBuilder, at: EntryValues, row: ir.Value, unit: ir.Value, here: ir.Value
    ) -> None:
        raw = [load(b, at[side], here, 1) for side in "ab"]
        pair = [self._math.wide(b, value) for value in raw]
        same = self._math.same(b, *pair)
        finite = [self._math.finite(b, value) for value in pair]
        for name, one in zip(("nonfinite_a", "nonfinite_b"), finite, strict=True):
            add_to(b, _total(b, at, name), b.zext(b.not_(only(b, one)), INT))
        store(b, ir.Constant(pair[0].type, None), at["absolute"], here)
        with b.if_else(only(b, b.and_(*finite))) as (then, otherwise):
            with then:
                found = self._math.differences(b, raw[0], raw[1], same, at)
                self._math.count(b, found.ulps, at)
                store(b, found.absolute, at["absolute"], here)
                add_to(b, _total(b, at, "finite"), INT(1))
                raise_to(b, _total(b, at, "ulp_max"), only(b, found.ulps))
                raise_to(b, _peak(b, at, "relative"), only(b, found.relative))
                raise_to(b, _peak(b, at, "needed"), only(b, found.needed))
                for peak in (_peak(b, at, "row"), b.gep(at["row_peaks"], [row])):
                    raise_to(b, peak, only(b, found.absolute))
                self._note_beyond(b, at, row, unit, b.not_(found.within))
            with otherwise, b.if_then(b.not_(only(b, same))):
                add_to(b, _total(b, at, "apart"), INT(1))
                b.store(REAL(float("inf")), b.gep(at["row_peaks"], [row]))
                self._note_beyond(b, at, row, unit, b.not_(same))

    def _note_beyond(
        self, b: ir.IRBuilder, at: EntryValues, row: ir.Value, unit: ir.Value, beyond: ir.Value
    ) -> None:
        """Count what is beyond the tolerance, and keep the first of a row."""
        bits = bits_of(b, beyond)
        with b.if_then(b.icmp_unsigned("!=", bits, INT(0))):
            add_to(b, _total(b, at, "exceed"), b.ctpop(bits))
            first = b.gep(at["row_firsts"], [row])
            with b.if_then(b.icmp_signed("<", b.load(first), INT(0))):
                b.store(b.add(unit, b.cttz(bits, ir.IntType(1)(1))), first)

    def _write_measure(self) -> None:
        function, b, at = self._function("measure", 0)
        with loop(b, at["rows"]) as (row, _, _):
            start = b.mul(row, at["width"])
            counts = b.icmp_unsigned("!=", b.load(b.gep(at["counts"], [row])), BYTE(0))
            with b.if_else(counts) as (then, otherwise):
                with then:
                    self._take_row(b, function.args[0], at, row, start)
                with otherwise, loop(b, at["width"]) as (unit, _, _):
                    b.store(REAL(0.0), b.gep(at["absolute"], [b.add(start, unit)]))
        b.ret_void()

    def _take_row(
        self, b: ir.IRBuilder, table: ir.Value, at: EntryValues, row: ir.Value, start: ir.Value
    ) -> None:
        b.store(REAL(0.0), _peak(b, at, "row"))
        reals, whole = ir.VectorType(REAL, LANES), ir.VectorType(INT, LANES)
        none = ir.Constant(reals, None)
        nothing = [none, none, every_lane(reals, float("-inf")), ir.Constant(whole, None), INT(0)]
        vectors = b.udiv(at["width"], INT(LANES))
        with loop(b, vectors, nothing) as (index, kept, grown):
            unit = b.mul(index, INT(LANES))
            grown.extend(self._take_vector(b, table, at, row, unit, b.add(start, unit), kept))
        absolute, relative, needed, ulps, finite = kept
        rest = b.mul(vectors, INT(LANES))
        with b.if_then(b.icmp_unsigned("<", rest, at["width"])):
            b.call(self._single, [table, row, rest, b.sub(at["width"], rest)])
        add_to(b, _total(b, at, "finite"), finite)
        raise_to(b, _total(b, at, "ulp_max"), largest_lane(b, ulps))
        raise_to(b, _peak(b, at, "relative"), largest_lane(b, relative))
        raise_to(b, _peak(b, at, "needed"), largest_lane(b, needed))
        largest = largest_lane(b, absolute)
        raise_to(b, b.gep(at["row_peaks"], [row]), largest)
        largest = larger(b, largest, b.load(_peak(b, at, "row")))
        with b.if_then(b.fcmp_ordered(">", largest, b.load(_peak(b, at, "absolute")))):
            b.store(largest, _peak(b, at, "absolute"))
            b.store(row, _total(b, at, "worst_row"))

    def _take_vector(
        self,
        b: ir.IRBuilder,
        table: ir.Value,
        at: EntryValues,
        row: ir.Value,
        unit: ir.Value,
        here: ir.Value,
        kept: list[ir.Value],
    ) -> list[ir.Value]:
        """What is kept after a vector, of what was kept before it."""
        raw = [load(b, at[side], here, LANES) for side in "ab"]
        pair = [self._math.wide(b, value) for value in raw]
        same = self._math.same(b, *pair)
        every = INT(2**LANES - 1)
        finite = b.and_(*(self._math.finite(b, value) for value in pair))
        is_finite = b.icmp_unsigned("==", bits_of(b, finite), every)
        is_same = b.and_(is_finite, b.icmp_unsigned("==", bits_of(b, same), every))
        alike, other, apart, single, after = (
            b.append_basic_block(name) for name in ("alike", "other", "apart", "single", "after")
        )
        counted = b.add(kept[-1], INT(LANES))
        b.cbranch(is_same, alike, other)

        b.position_at_end(alike)
        store(b, ir.Constant(pair[0].type, None), at["absolute"], here)
        add_to(b, at["histogram"], INT(LANES))
        b.branch(after)

        b.position_at_end(other)
        b.cbranch(is_finite, apart, single)

        b.position_at_end(apart)
        found = self._math.differences(b, raw[0], raw[1], same, at)
        store(b, found.absolute, at["absolute"], here)
        self._math.count(b, found.ulps, at)
        peaks = [larger(b, new, old) for new, old in zip(
            (found.absolute, found.relative, found.needed, found.ulps), kept, strict=False
        )]  # fmt: skip
        self._note_beyond(b, at, row, unit, b.not_(found.within))
        apart_end = b.block
        b.branch(after)

        b.position_at_end(single)
        b.call(self._single, [table, row, unit, INT(LANES)])
        b.branch(after)

        b.position_at_end(after)
        joined = [b.phi(value.type) for value in kept]
        ways = ((alike, [*kept[:-1], counted]), (apart_end, [*peaks, counted]), (single, kept))
        for number, phi in enumerate(joined):
            for block, values in ways:
                phi.add_incoming(values[number], block)
        return joined


def _total(b: ir.IRBuilder, at: EntryValues, name: str) -> ir.Value:
    return b.gep(at["totals"], [INT(TOTALS.index(name))])


def _peak(b: ir.IRBuilder, at: EntryValues, name: str) -> ir.Value:
    return b.gep(at["peaks"], [INT(PEAKS.index(name))])
