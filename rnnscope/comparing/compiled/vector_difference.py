"""What is measured of some values side by side, as `block_difference` measures it in numpy.

Every number is made by the same operations with the same roundings as there.
"""

from __future__ import annotations

from llvmlite import ir

from rnnscope.comparing.compiled.code_writing import INT, REAL, WORD, add_to, every_lane, spread
from rnnscope.comparing.histogram import BINS, EXACT_ULPS, MANTISSA_BITS
from rnnscope.deferred_dataclass import dataclass

FLOATS = {"float32": ir.FloatType(), "float64": REAL}
MANTISSA, BIAS = 52, 1023

COUNTERS = 4
"""Histograms kept side by side: adding to the same number twice waits for the first."""

EntryValues = dict[str, ir.Value]
"""What the code is handed, loaded, by name."""


@dataclass(frozen=True)
class PassKind:
    """What code is made for.

    Attributes
    ----------
    a, b, ulp : str
        Dtypes: of the two sides, and what ULP are counted in.
    by_ulp, equal_nan : bool
    """

    a: str
    b: str
    ulp: str
    by_ulp: bool
    equal_nan: bool


@dataclass(frozen=True)
class Differences:
    """What is measured of finite values, in vectors of one length.

    Attributes
    ----------
    absolute, relative : float64
        |a - b|, and the same in parts of the larger.
    needed : float64
        The atol that it would take, beside rtol.
    ulps : int64
    within : bit
        Whether it is allowed.
    """

    absolute: ir.Value
    relative: ir.Value
    needed: ir.Value
    ulps: ir.Value
    within: ir.Value


class VectorDifference:
    """Writes the arithmetic of a kind of pass."""

    def __init__(self, module: ir.Module, kind: PassKind) -> None:
        self._module = module
        self._kind = kind
        self._real = FLOATS[kind.ulp]
        self._whole = ir.IntType(32 if kind.ulp == "float32" else 64)

    def wide(self, b: ir.IRBuilder, value: ir.Value) -> ir.Value:
        """As float64."""
        to = ir.VectorType(REAL, value.type.count)
        return value if value.type == to else b.fpext(value, to)

    def same(self, b: ir.IRBuilder, first: ir.Value, second: ir.Value) -> ir.Value:
        """Where values need no difference; of float64."""
        equal = b.fcmp_ordered("==", first, second)
        if not self._kind.equal_nan:
            return equal
        nans = [b.fcmp_unordered("uno", value, value) for value in (first, second)]
        return b.or_(equal, b.and_(*nans))

    def finite(self, b: ir.IRBuilder, value: ir.Value) -> ir.Value:
        """Where values are neither NaN nor infinite; of float64."""
        return b.fcmp_ordered("<", self._absolute(b, value), every_lane(value.type, float("inf")))

    def differences(
        self, b: ir.IRBuilder, first: ir.Value, second: ir.Value, same: ir.Value, at: EntryValues
    ) -> Differences:
        """The differences of finite values, given as they are stored."""
        pair = [self.wide(b, value) for value in (first, second)]
        kind = pair[0].type
        zero = ir.Constant(kind, None)
        absolute = b.select(same, zero, self._absolute(b, b.fsub(*pair)))
        sizes = [self._absolute(b, value) for value in pair]
        scale = b.select(b.fcmp_ordered(">", *sizes), *sizes)
        apart = b.fcmp_ordered(">", absolute, zero)
        relative = b.select(apart, b.fdiv(absolute, scale), zero)  # 0 / 0 would be NaN
        atol, rtol = (spread(b, at[name], kind.count) for name in ("atol", "rtol"))
        needed = b.fsub(absolute, b.fmul(scale, rtol))
        ulps = self._ulps(b, first, second)
        if self._kind.by_ulp:
            within = b.icmp_unsigned("<=", ulps, spread(b, at["ulp"], kind.count))
        else:
            within = b.fcmp_ordered("<=", needed, atol)
        return Differences(absolute, relative, needed, ulps, b.or_(within, same))

    def _ulps(self, b: ir.IRBuilder, first: ir.Value, second: ir.Value) -> ir.Value:
        keys = [self._key(b, value) for value in (first, second)]
        above = b.icmp_signed(">", *keys)
        apart = b.sub(b.select(above, *keys), b.select(above, *keys[::-1]))
        to = ir.VectorType(INT, apart.type.count)
        return apart if apart.type == to else b.zext(apart, to)

    def _key(self, b: ir.IRBuilder, value: ir.Value) -> ir.Value:
        """Integers in the order of the floats: negative ones count down from -0."""
        lanes = value.type.count
        if value.type.element != self._real:
            value = b.fptrunc(value, ir.VectorType(self._real, lanes))
        kind = ir.VectorType(self._whole, lanes)
        bits = b.bitcast(value, kind)
        turned = b.sub(every_lane(kind, -(2 ** (self._whole.width - 1))), bits)
        return b.select(b.icmp_signed("<", bits, ir.Constant(kind, None)), turned, bits)

    def count(self, b: ir.IRBuilder, ulps: ir.Value, at: EntryValues) -> None:
        """Add distances to the histogram."""
        kind = ulps.type
        bits = b.bitcast(b.uitofp(ulps, ir.VectorType(REAL, kind.count)), kind)
        head = b.lshr(bits, every_lane(kind, MANTISSA - MANTISSA_BITS))
        head = b.sub(head, every_lane(kind, BIAS << MANTISSA_BITS))
        for lane in range(kind.count):
            distance, place, value = (
                b.extract_element(vector, WORD(lane)) for vector in (ulps, head, bits)
            )
            small = b.icmp_unsigned("<", distance, INT(EXACT_ULPS))
            entry = b.shl(b.select(small, INT(0), place), INT(1))
            first, following = (
                b.load(b.gep(at["bins"], [b.add(entry, INT(column))])) for column in (0, 1)
            )
            later = b.zext(b.icmp_signed(">=", value, following), INT)
            found = b.select(small, distance, b.add(first, later))
            counter = b.add(found, INT(lane % COUNTERS * BINS))
            add_to(b, b.gep(at["histogram"], [counter]), INT(1))

    def _absolute(self, b: ir.IRBuilder, value: ir.Value) -> ir.Value:
        name = f"llvm.fabs.v{value.type.count}f64"
        function = self._module.globals.get(name) or ir.Function(
            self._module, ir.FunctionType(value.type, [value.type]), name
        )
        return b.call(function, [value])
