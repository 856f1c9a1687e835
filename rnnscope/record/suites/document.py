"""The text of a suite as TOML: how large it may be, and which keys its tables have."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from rnnscope.errors import OptionError
from rnnscope.files.guarding.regular import require_regular

MAX_BYTES = 32 * 2**20
MOST_DOTS = 200
"""Limits of the file; ten thousand cases take some megabytes."""


def parse_suite(path: Path) -> dict[str, Any]:
    """The tables of a suite's file, with keys that nobody has looked at.

    Raises
    ------
    OptionError
        It cannot be read, is no TOML, or is larger than any suite.
    """
    # Part of Python from 3.11 on; tomli is the same code for 3.10.
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    require_regular(path, OptionError)
    try:
        text = _text_of(path)
        found: dict[str, Any] = toml.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError("The suite cannot be read.", where=path, found=str(error)) from error
    except (toml.TOMLDecodeError, RecursionError) as error:
        raise OptionError("The suite is no TOML.", where=path, found=str(error)) from error
    _refuse_nul(found, str(path))
    return found


def _text_of(path: Path) -> str:
    """The text of a suite; what would take a parser of TOML for ever is refused."""
    size = path.stat().st_size
    text = path.read_text("utf-8") if size <= MAX_BYTES else ""
    # Parsers look up a dotted key part by part from the start: a.a.a.a… takes the square of it.
    dots = max((line.count(".") for line in text.splitlines()), default=0)
    if size > MAX_BYTES or dots > MOST_DOTS:
        raise OptionError(
            "The suite is larger than any suite is.",
            where=path,
            expected=f"at most {MAX_BYTES} bytes, and {MOST_DOTS} dots in a line",
            found=f"{size} bytes" if size > MAX_BYTES else f"a line with {dots} dots",
        )
    return text


def _refuse_nul(value: Any, where: str) -> None:
    """Refuse texts that no system takes for a name; TOML can write any character."""
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_nul(key, where)
            _refuse_nul(item, f"{where}, {key}")
    elif isinstance(value, list):
        for item in value:
            _refuse_nul(item, where)
    elif isinstance(value, str) and "\0" in value:
        raise OptionError("A text of the suite holds a NUL.", where=where, found=repr(value))


def check_names(given: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Refuse a key that is not known.

    Raises
    ------
    OptionError
        It names the key, and one that is spelt much like it.
    """
    names = list(known)
    for key in given:
        if key not in names:
            near = get_close_matches(key, names, n=1)
            raise OptionError(
                f"The suite has an unknown key '{key}'.",
                where=where,
                expected=", ".join(names),
                found=key,
                hint=f"Did you mean '{near[0]}'?" if near else None,
            )


def check_keys(given: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    """Refuse a key that is not known, and a value of another type than `known` has for its key.

    Raises
    ------
    OptionError
    """
    check_names(given, known, where)
    for key, value in given.items():
        kinds = known[key] if isinstance(known[key], tuple) else (known[key],)
        # In Python True is a number, in TOML it is none.
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise OptionError(
                f"The suite's '{key}' has a value of another type.",
                where=where,
                expected=" or ".join(kind.__name__ for kind in kinds),
                found=repr(value),
            )


def texts(values: Iterable[Any], key: str, where: str) -> tuple[str, ...]:
    """A list that must hold texts alone.

    Raises
    ------
    OptionError
        It names what else it holds.
    """
    for value in values:
        if not isinstance(value, str):
            raise OptionError(
                f"The suite's '{key}' has a value of another type.",
                where=where,
                expected="a list of texts",
                found=repr(value),
            )
    return tuple(values)
