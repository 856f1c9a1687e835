"""The LSTM arranged for speed, in numpy."""

from rnnscope.engines.lstm.folded import FoldedLSTM
from rnnscope.engines.lstm.numpy_loop import NumpySteps

__all__ = ["FoldedLSTM", "NumpySteps"]
