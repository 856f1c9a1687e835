"""Comparing states: where two sets of them part, how far, and whether one was only misread."""

from rnnscope.comparing.compare import diff_states
from rnnscope.comparing.result import DiffResult
from rnnscope.comparing.tolerance import DiffSettings, Tolerances

__all__ = ["DiffResult", "DiffSettings", "Tolerances", "diff_states"]
