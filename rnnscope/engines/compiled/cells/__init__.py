"""COMPILED_CELLS: the cells whose steps are compiled. Adding one is its equations in one file."""

from __future__ import annotations

from rnnscope.engines.compiled.cells.coupled_lstm import COUPLED_LSTM
from rnnscope.engines.compiled.cells.gru import GRU
from rnnscope.engines.compiled.cells.interface import CompiledCell
from rnnscope.engines.compiled.cells.layer_norm_lstm import LAYER_NORM_LSTM
from rnnscope.engines.compiled.cells.lstm import LSTM
from rnnscope.engines.compiled.cells.simple_rnn import SIMPLE_RNN

__all__ = ["COMPILED_CELLS", "CompiledCell"]

COMPILED_CELLS: dict[str, CompiledCell] = {
    cell.kind: cell for cell in (LSTM, GRU, SIMPLE_RNN, LAYER_NORM_LSTM, COUPLED_LSTM)
}
