"""How much of a product one CPU core keeps in registers."""

from __future__ import annotations

from dataclasses import replace

from rnnscope.deferred_dataclass import dataclass


@dataclass(frozen=True)
class Tile:
    """How much of a product one CPU core keeps in registers.

    Attributes
    ----------
    lanes : int
        float32 in a vector.
    rows : int
        Rows of the left side taken together.
    registers : int
        Vectors that the CPU has at hand.
    """

    lanes: int
    rows: int
    registers: int

    def of(self, real_bytes: int) -> Tile:
        """The same with numbers of other bytes than a float32's."""
        return replace(self, lanes=self.lanes * 4 // real_bytes)

    def vectors(self, rows: int, columns: int) -> int:
        """Vectors of a panel's row taken together, a part of its columns, with some rows.

        What fits the registers: sums, the vectors themselves where more rows than one need them,
        and one value of a row.
        """
        for size in range(columns, 0, -1):
            weights = size if rows > 1 else 0
            if columns % size == 0 and rows * size + weights + 1 <= self.registers:
                return size
        return 1

    def part(self, columns: int) -> int:
        """Vectors of a panel's row that lie side by side: what whole tiles take together."""
        return self.vectors(self.rows, columns)
