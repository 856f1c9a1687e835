"""How the command line spells an option, and itself: for messages, reports and traces."""

from __future__ import annotations

import sys

OTHER_FLAGS = {"output": "-o", "states": "--state", "methods": "--method", "units": "--unit"}
"""Flags that are no options of a run and not called as their option is."""


def as_flag(name: str, value: str = "") -> str:
    """An option as the command line spells it: ``--lengths auto``."""
    from rnnscope.options import RUN_OPTIONS

    flags = {option.name: option.flag_name.partition("/")[0] for option in RUN_OPTIONS}
    flag = (OTHER_FLAGS | flags).get(name, "--" + name.replace("_", "-"))
    return f"{flag} {value}" if value else flag


def command_line() -> str:
    """The command as it was given, for reports and traces."""
    return " ".join(["rnnscope", *sys.argv[1:]])
