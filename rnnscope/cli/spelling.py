"""How the command line spells options, commands and itself: for messages, reports, traces."""

from __future__ import annotations

import sys

from rnnscope.errors import Spelling

OTHER_FLAGS = {"output": "-o", "states": "--state", "methods": "--method", "units": "--unit",
               "path": "-o"}  # fmt: skip
"""Flags that are no options of a run and not called as their option is."""


def as_flag(name: str, value: str = "") -> str:
    """An option as the command line spells it: ``--lengths auto``."""
    from rnnscope.options import RUN_OPTIONS

    flags = {option.name: option.flag_name.partition("/")[0] for option in RUN_OPTIONS}
    flag = (OTHER_FLAGS | flags).get(name, "--" + name.replace("_", "-"))
    return f"{flag} {value}" if value else flag


COMMANDS = {"conform_cases": "conform --list", "open_model": "inspect", "open_trace": "inspect",
            "write_vectors": "vectors"}  # fmt: skip
"""Functions of Python whose command is not called as they are."""


def as_command(function: str, arguments: tuple[object, ...], options: dict[str, object]) -> str:
    """A function of Python as the line that does the same: ``rnnscope run CHECKPOINT INPUT``."""
    from shlex import quote

    words = ["rnnscope", COMMANDS.get(function, function)]
    words += [quote(str(argument)) for argument in arguments]
    for name, value in options.items():
        if value is True:
            words.append(as_flag(name))
        else:
            values = value if isinstance(value, tuple) else (value,)
            words += [as_flag(name, quote(str(one))) for one in values]
    return " ".join(words)


AS_COMMAND_LINE = Spelling(as_flag, as_command)
"""What messages are spelled as while a command runs."""


def command_line() -> str:
    """The command as it was given, for reports and traces."""
    return " ".join(["rnnscope", *sys.argv[1:]])
