"""Comparing states: where two sets of them part, how far, and whether one was only misread."""

from rnnscope.diff.compare import diff_states
from rnnscope.diff.result import DiffResult
from rnnscope.diff.tolerance import DiffSettings, Tolerances

__all__ = ["DiffResult", "DiffSettings", "Tolerances", "diff_states"]
