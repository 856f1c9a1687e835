"""The LSTM arranged for speed: `run_lstm`, in numpy or in machine code."""

from rnnscope.engines.lstm.folded import FoldedLSTM
from rnnscope.engines.lstm.run import Steps, run_lstm

__all__ = ["FoldedLSTM", "Steps", "run_lstm"]
