"""The error tree. Every error says what, where, expected, found and the next step.

Only ``rnnscope.cli`` turns these into text on stderr and an exit code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple


class RnnscopeError(Exception):
    """Base of everything rnnscope raises on purpose; exit code 2.

    Parameters
    ----------
    what : str
        One sentence: what went wrong.
    where : str, optional
        The path, variable, option or dataset it concerns.
    expected, found : str, optional
        What was needed and what was there instead.
    hint : str, optional
        The next step for the user.
    """

    exit_code = 2
    topic = ""
    """The page of ``rnnscope help`` that says more, where no hint does."""

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        found: object = None,
        hint: str | None = None,
    ) -> None:
        self.what = called(what)
        self.where = None if where is None else called(str(where))
        self.expected = None if expected is None else called(str(expected))
        self.found = None if found is None else called(str(found))
        self.hint = None if hint is None else called(hint)
        super().__init__(self.describe())

    def parts(self) -> list[tuple[str, str]]:
        """The labelled lines below the first one, in reading order."""
        named = [
            ("where", self.where),
            ("expected", self.expected),
            ("found", self.found),
            ("next", self.hint),
        ]
        return [(label, text) for label, text in named if text]

    def describe(self) -> str:
        """The whole message as plain text, one part a line."""
        return "\n".join([self.what, *(f"  {label}: {text}" for label, text in self.parts())])


_called: dict[str, str] = {}
"""What is copied from elsewhere, and what the user calls it."""


def called(text: str) -> str:
    """A text with what is copied from elsewhere called by its own name, as `call_by` says."""
    for place, name in _called.items():
        text = text.replace(place, name)
    return text


@contextmanager
def call_by(place: str, name: str) -> Iterator[None]:
    """Call a folder of copies by another name in messages and reports while a block goes on.

    Parameters
    ----------
    place : str
        A path that is in no other text: a work folder of a random name.
    name : str
        Where the copies come from.
    """
    _called[place] = name
    try:
        yield
    finally:
        _called.pop(place, None)


class CheckpointError(RnnscopeError):
    """A checkpoint cannot be read: missing, truncated, corrupted or of no known format."""

    topic = "checkpoints"


class UnsupportedCellError(RnnscopeError):
    """A recurrent cell, option or layer that the engine cannot honour; it names the variable."""

    topic = "reading"


class InputError(RnnscopeError):
    """The input array, its lengths, mask or initial state do not fit the checkpoint."""

    topic = "inputs"


class OptionError(RnnscopeError):
    """A flag contradicts the file, or another flag, or is missing."""

    topic = "commands"


class TraceError(RnnscopeError):
    """A trace cannot be written or read."""

    topic = "traces"


class EngineError(RnnscopeError):
    """An engine is not installed or failed."""

    topic = "speed"


LIMITS = ("max_bytes", "max_seconds", "allow_outside", "allow_remote")
"""What is no option of a call, but of a block: ``with rnnscope.limits(…):``."""


def _as_keyword(name: str, value: str) -> str:
    if name in LIMITS:
        return f"rnnscope.limits({name}={value or '…'})"
    return f"{name}={value}" if value else name


PLACEHOLDERS = ("A", "B", "CHECKPOINT", "DIR", "INPUT", "TRACE")
"""Words in commands that stand for what the user puts there."""


POSITIONAL = {"export": ("to", "path"), "join": ("output",), "write_vectors": ("path",)}
"""What functions take by its place alone, and commands as an option."""


def _as_call(function: str, arguments: tuple[object, ...], options: dict[str, object]) -> str:
    without_name = POSITIONAL.get(function, ())
    given = [
        *map(_as_literal, arguments),
        *(_as_literal(options[name]) for name in without_name if name in options),
        *(
            f"{name}={_as_literal(value)}"
            for name, value in options.items()
            if name not in without_name
        ),
    ]
    return f"rnnscope.{function}({', '.join(given)})"


def _as_literal(value: object) -> str:
    import json

    if isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_as_literal, value))}]"
    if value in PLACEHOLDERS:
        return str(value)
    return json.dumps(str(value), ensure_ascii=False)


class Spelling(NamedTuple):
    """What a surface calls options and commands.

    Attributes
    ----------
    option : callable
        ``option(name, value)``, as `spell` is called.
    command : callable
        ``command(function, arguments, options)``, as `spell_command` is called.
    """

    option: Callable[[str, str], str] = _as_keyword
    command: Callable[[str, tuple[object, ...], dict[str, object]], str] = _as_call


_spelling = Spelling()


def spell(name: str, value: str = "") -> str:
    """An option as messages and notes name it: a Python keyword, or whatever a surface installs.

    The library knows options by the names in its table; the command line shows them as flags.

    Parameters
    ----------
    name : str
        As in the table of options: ``"lengths"``.
    value : str
        What to give to it, if the message says so: ``"auto"``.
    """
    return _spelling.option(name, value)


def spell_command(function: str, *arguments: object, **options: object) -> str:
    """A next step as messages name it: a Python call, or whatever a surface installs.

    Parameters
    ----------
    function : str
        As ``import rnnscope`` offers it: ``"run"``.
    *arguments : str, path or number
        What to give to it, or one of `PLACEHOLDERS`.
    **options : str, path, number, bool or tuple of them
        By the names that the function has; what it takes by its place alone, too.

    Examples
    --------
    >>> spell_command("run", "CHECKPOINT", "x.npy", output="TRACE")
    'rnnscope.run(CHECKPOINT, "x.npy", output=TRACE)'
    """
    return _spelling.command(function, arguments, options)


_IN_TEXT = re.compile(r"\{(\w+)(?:=([^}]*)|\(([^)]*)\))?\}")


def spelled(text: str) -> str:
    """A text that was written before anyone knew the surface, spelled as that surface does.

    Parameters
    ----------
    text : str
        Options in braces: ``"give {lengths}, or {lengths=auto}"``; next steps with their
        placeholders: ``"look at it: {show(TRACE)}"``.
    """

    def one(found: re.Match[str]) -> str:
        name, value, given = found.groups()
        if given is None:
            return spell(name, value or "")
        return spell_command(name, *(word.strip() for word in given.split(",") if word.strip()))

    return _IN_TEXT.sub(one, text)


def spelling_in_use() -> Spelling:
    """What `spell_as` installed, to install it in another process."""
    return _spelling


def spell_as(spelling: Spelling = Spelling()) -> None:  # noqa: B008  # it cannot be changed
    """Let `spell` and `spell_command` spell so from now on; without one, as Python."""
    global _spelling  # noqa: PLW0603  # one surface a process: whoever starts it says so, once
    _spelling = spelling
