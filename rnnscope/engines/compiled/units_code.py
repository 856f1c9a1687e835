"""`Units` and `Row` of the cells' interface, in code: what equations read and put, at a place."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.compiled.layout import KernelKind
from rnnscope.engines.compiled.vectors import Vector
from rnnscope.engines.compiled.writer import INT, Writer


@dataclass(frozen=True)
class Place:
    """Where a row reads and writes at a step."""

    place: ir.Value
    row: ir.Value
    reads: ir.Value
    writes: ir.Value

    @classmethod
    def of(cls, w: Writer, number: ir.Value) -> Place:
        names = ("places", "rows", "reads", "writes")
        return cls(*(w.load(w.at(w[name], number)) for name in names))


class UnitsCode:
    """`Units` in code: a vector of units from `unit` on, of which `left` are there."""

    def __init__(
        self,
        w: Writer,
        kind: KernelKind,
        at: Place,
        unit: ir.Value,
        left: ir.Value,
        gates: dict[str, ir.Value],
    ) -> None:
        self._w = w
        self._kind = kind
        self._at = at
        self._unit = unit
        self._left = left
        self._gates = gates

    def z(self, gate: str) -> Vector:
        return self._w.vector(self._w.at(self._w["sums"], self._gates[gate]))

    def x(self, gate: str) -> Vector:
        return self._w.vector(self._w.at(self._w["z"], self._gates[gate]))

    def state(self, name: str) -> Vector:
        row = self._at.reads if name == "m" else self._at.row
        return self._w.vector(self._of_row(name, row))

    def parameter(self, name: str) -> Vector:
        place = INT(self._kind.parameters.index(name))
        return self._w.vector(self._of_row("parameters", place))

    def put(self, name: str, value: Vector) -> None:
        row = self._at.writes if name == "m" else self._at.row
        self._w.put(value, self._of_row(name, row))
        if name in self._kind.states:
            self._put_all(f"all_{name}", "depth" if name == "m" else "units", value)

    def keep(self, **gates: Vector) -> None:
        for name in self._kind.kept:
            if name in gates:
                self._put_all(f"gate_{name}", "units", gates[name])

    def _put_all(self, name: str, width: str, value: Vector) -> None:
        w = self._w
        to = w.plus(w.times(self._at.place, w[width]), self._unit)
        w.put_some(value, w.at(w[name], to), self._left)

    def _of_row(self, name: str, row: ir.Value) -> ir.Value:
        w = self._w
        return w.at(w[name], w.plus(w.times(row, w["stride"]), self._unit))


class RowCode:
    """`Row` in code."""

    def __init__(self, w: Writer, kind: KernelKind, at: Place) -> None:
        self._w = w
        self._kind = kind
        self._at = at
        self._vectors = w.builder.sdiv(w.plus(w["units"], w.lanes - 1), INT(w.lanes))

    def number(self, name: str) -> Vector:
        return self._units(INT(0)).parameter(name)

    def total(self, term: Callable[[UnitsCode], Vector]) -> Vector:
        return self._w.total(self._vectors, lambda vector: term(self._units(vector))).total()

    def each(self, equations: Callable[[UnitsCode], None]) -> None:
        with self._w.loop(self._vectors) as vector:
            equations(self._units(vector))

    def _units(self, vector: ir.Value) -> UnitsCode:
        w = self._w
        unit = w.times(vector, w.lanes)
        return UnitsCode(w, self._kind, self._at, unit, w.minus(w["units"], unit), {})
