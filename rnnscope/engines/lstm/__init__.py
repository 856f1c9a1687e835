"""The LSTM arranged for speed: `run_lstm`, in numpy or in machine code."""

from rnnscope.engines.lstm.fast_engine import Steps, run_lstm
from rnnscope.engines.lstm.folded import FoldedLSTM

__all__ = ["FoldedLSTM", "Steps", "run_lstm"]
