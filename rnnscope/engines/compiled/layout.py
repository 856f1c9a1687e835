"""What the code of a cell is made for, and the table of arrays that it works on.

Loaded without llvmlite: it is also what says whether a cell can be compiled.
"""

from __future__ import annotations

from collections.abc import Hashable

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.compiled.cells import COMPILED_CELLS, CompiledCell
from rnnscope.engines.compiled.cells.interface import Product, Rows
from rnnscope.engines.compiled.tile import Tile
from rnnscope.model.cell import CellSpec
from rnnscope.model.cells import CELLS

ROW_VECTOR_BYTES = 64
"""Vectors of `Rows`, on every CPU: in which order units are summed must not depend on it."""

ROWS_TOGETHER = 96
"""The most rows that go through all panels before others do: what is multiplied stays in the second
cache meanwhile, and so do the sums of a panel until their equations follow."""


@dataclass(frozen=True)
class Packing:
    """How the weights of one product lie in panels.

    Attributes
    ----------
    gates : int
    blocks : int
        Vectors of units in a panel, each with all gates.
    panels : int
    part : int
        Vectors of a panel's row that lie side by side.
    """

    gates: int
    blocks: int
    panels: int
    part: int

    @property
    def columns(self) -> int:
        """Vectors in a row of a panel."""
        return self.gates * self.blocks

    @classmethod
    def of(cls, gates: int, width: int, tile: Tile, rows: int) -> Packing:
        """What suits a tile of some rows best: few empty lanes, and sums enough at a time.

        A sum waits for the one before it; `AT_ONCE` that do not wait for one another keep the CPU
        busy. No choice changes a bit.
        """
        vectors = -(-width // tile.lanes)

        def cost(blocks: int) -> tuple[float, int, int]:
            panels = -(-vectors // blocks)
            together = tile.vectors(rows, gates * blocks)
            return panels * blocks / min(1.0, rows * together / AT_ONCE), -together, blocks

        blocks = min((count for count in (1, 2, 4) if gates * count <= MOST), key=cost)
        return cls(gates, blocks, -(-vectors // blocks), tile.part(gates * blocks))


def row_stride(width: int, real_bytes: int, tile: Tile) -> int:
    """How far apart rows lie that products read: whole vectors, every other row half a line off.

    A product reads the same place of some rows at once. Where those are as far into their cache
    lines as one another, a first cache of eight banks hands over one at a time.
    """
    line = ROW_VECTOR_BYTES // real_bytes
    odd = line // 2 if tile.lanes < line else 0  # vectors as wide as a line would lie in two
    return -(-width // line) * line + odd


MOST = 8
"""Columns of a panel, at most."""

AT_ONCE = 8
"""Two additions a cycle, each done four cycles later: most CPUs of this decade."""


@dataclass(frozen=True)
class KernelKind:
    """What the code of a cell is made for; all else is data.

    Attributes
    ----------
    cell : str
        A key of COMPILED_CELLS.
    variant : hashable
        The cell's own.
    dtype : str
    gates : bool
        Whether gates are kept.
    blocks : tuple of int
        Of each product.
    has_x : tuple of bool
        Whether each product has a part of x.
    parameters : tuple of str
        Names, in the order of the array that holds them.
    """

    cell: str
    variant: Hashable
    dtype: str
    gates: bool
    blocks: tuple[int, ...]
    has_x: tuple[bool, ...]
    parameters: tuple[str, ...]

    @property
    def entry(self) -> CompiledCell:
        return COMPILED_CELLS[self.cell]

    @property
    def stages(self) -> tuple[Product | Rows, ...]:
        return self.entry.stages(self.variant)

    @property
    def products(self) -> tuple[Product, ...]:
        return tuple(stage for stage in self.stages if isinstance(stage, Product))

    @property
    def states(self) -> tuple[str, ...]:
        return CELLS[self.cell].states

    @property
    def buffers(self) -> tuple[str, ...]:
        return self.entry.buffers(self.variant)

    @property
    def kept(self) -> tuple[str, ...]:
        """The gates that are kept."""
        return CELLS[self.cell].gates if self.gates else ()

    def table(self) -> dict[str, str]:
        """What the code is handed, by name: integers, and arrays of integers or of reals."""
        entries = {
            # A call runs some steps, in chunks whose input is projected ahead.
            "chunks": "int",
            "cuts": "ints",  # (chunk + 1,) the first step of each
            "starts": "ints",  # (step + 1,) the first place of each
            # Threads that share steps: each takes some panels, and some rows of `Rows`.
            "party": "int",
            "parties": "int",
            "meeting": "ints",  # where they meet, see `meeting`
            "patience": "int",
            "yields": "int",  # address of what lets other threads run, or 0
            # A place is a row at a step.
            "places": "ints",  # where it reads and writes: sequence x timesteps + timestep
            "rows": "ints",  # the row of states and buffers
            "reads": "ints",  # the row of m that it reads, of both arrays of m
            "writes": "ints",  # and the other one, that it writes
            "x": "reals",  # (place, input)
            "input": "int",
            "x_rows": "reals",  # (place of the chunk, x_stride), rows of x side by side
            "x_stride": "int",
            "numbers": "ints",  # 0, 1, 2, … as many as a chunk has places
            "units": "int",
            "depth": "int",  # width of m
            "stride": "int",  # of the rows of states, buffers and parameters
            "parameters": "reals",  # (parameter, stride)
            "sums": "reals",  # (row, column, lane), of `ROWS_TOGETHER` at most
            "z_rows": "reals",  # the same, of the part of x
            "zeros": "reals",  # (column, lane), and -0
            "minus_zeros": "reals",
        }
        for number, product in enumerate(self.products):
            entries |= {
                f"first_{number}": "int",  # the panels of this thread
                f"panels_{number}": "int",
                f"blocks_{number}": "int",  # into how many its depth is cut, and that of its input
                f"input_blocks_{number}": "int",
                f"matrix_{number}": "reals",  # (panel, part, left, column of it, lane)
                f"kernel_{number}": "reals",  # (panel, part, input, column of it, lane)
                f"bias_{number}": "reals",  # (panel, column, lane)
                f"z_{number}": "reals",  # (panel, place of the chunk, column, lane)
            }
            if product.left != "m":
                assert product.left in self.buffers
        for name in (*self.states, *self.buffers):
            entries[name] = "reals"  # (row, stride); m: (2, row, stride)
        for name in self.states:
            entries[f"all_{name}"] = "reals"  # (place, width)
        for name in self.kept:
            entries[f"gate_{name}"] = "reals"  # (place, unit)
        return entries


def kind_of(spec: CellSpec, tile: Tile, *, gates: bool, rows: int) -> KernelKind | None:
    """What the code of a cell is made for; None for one that is not compiled.

    Parameters
    ----------
    spec : CellSpec
    tile : Tile
        Lanes of the cell's own kind of numbers.
    gates : bool
        Whether gates are kept.
    rows : int
        How many sequences there are to a tile, mostly.
    """
    cell = COMPILED_CELLS.get(spec.kind)
    variant = None if cell is None else cell.variant(spec)
    if cell is None or variant is None:
        return None
    products = [stage for stage in cell.stages(variant) if isinstance(stage, Product)]
    return KernelKind(
        cell=spec.kind,
        variant=variant,
        dtype=spec.dtype.name,
        gates=gates,
        blocks=tuple(packing_of(product, spec, tile, rows).blocks for product in products),
        has_x=tuple(weights.kernel is not None for weights in cell.weights(spec)),
        parameters=tuple(cell.parameters(spec)),
    )


def packing_of(product: Product, spec: CellSpec, tile: Tile, rows: int) -> Packing:
    """How the weights of a product are packed."""
    width = spec.output_size if product.output else spec.num_units
    return Packing.of(len(product.gates), width, tile, rows)


def is_compiled(spec: CellSpec) -> bool:
    """Whether a cell's steps can be compiled."""
    cell = COMPILED_CELLS.get(spec.kind)
    known = cell is not None and cell.variant(spec) is not None
    return known and spec.dtype.name in ("float32", "float64")
