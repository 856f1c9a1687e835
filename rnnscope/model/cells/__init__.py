"""CELLS: every recurrent cell that rnnscope computes. Adding one is one file and one line."""

from __future__ import annotations

from rnnscope.model.cells.coupled_lstm import COUPLED_LSTM
from rnnscope.model.cells.graph_cell import GRAPH_CELL
from rnnscope.model.cells.gru import GRU
from rnnscope.model.cells.interface import Cell, State
from rnnscope.model.cells.layer_norm_lstm import LAYER_NORM_LSTM
from rnnscope.model.cells.lstm import LSTM
from rnnscope.model.cells.simple_rnn import SIMPLE_RNN

__all__ = ["CELLS", "Cell", "State"]

CELLS: dict[str, Cell] = {
    cell.kind: cell for cell in (LSTM, GRU, SIMPLE_RNN, LAYER_NORM_LSTM, COUPLED_LSTM, GRAPH_CELL)
}
