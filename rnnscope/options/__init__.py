"""The options of a run, in one table: every surface (flags, suites, Python, pytest) reads it.

Imports next to nothing, so that ``--help`` stays quick: what a value may be is asked of the rooms
that know it, when a value is given. A recipe (`rnnscope.record.recipes.recipe`) is made through it.
"""

from rnnscope.options.interface import RunOption, option_named
from rnnscope.options.table import GROUPS, RUN_OPTIONS

__all__ = ["GROUPS", "RUN_OPTIONS", "RunOption", "option_named"]
