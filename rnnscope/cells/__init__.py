"""CELLS: every recurrent cell that rnnscope computes. Adding one is one file and one line."""

from __future__ import annotations

from rnnscope.cells.interface import Cell, State
from rnnscope.cells.lstm import LSTM

__all__ = ["CELLS", "Cell", "State"]

CELLS: dict[str, Cell] = {cell.kind: cell for cell in (LSTM,)}
