"""What options take: each kind turns what a surface gives into one plain value, or refuses it.

``accept`` takes the text of a flag as well as the typed value of a suite, of JSON or of Python, and
raises ``ValueError`` with the words for what would be right. ``to_json`` gives back what ``accept``
takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from os import PathLike, fspath
from typing import Any, Protocol

from rnnscope.deferred_dataclass import dataclass
from rnnscope.options.held_array import MARK, HeldArray, is_array

INTEGERS = re.compile(r"\s*[+-]?\d+\s*(,\s*[+-]?\d+\s*)*,?\s*")
NUMBER = r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*"
NUMBERS = re.compile(f"{NUMBER}(?:,{NUMBER})*,?\\s*", re.IGNORECASE)
ALL_LAYERS = "*"


class ValueKind(Protocol):
    """What an option takes.

    Attributes
    ----------
    metavar : str
        What help shows in its place.
    many : bool
        A flag may be given several times.
    is_switch : bool
        The flag takes no value.
    """

    @property
    def metavar(self) -> str: ...
    @property
    def many(self) -> bool: ...
    @property
    def is_switch(self) -> bool: ...

    def accept(self, value: Any) -> Any: ...
    def to_json(self, value: Any) -> Any: ...


@dataclass(frozen=True)
class _Plain:
    """What most kinds share: one value, written down as it is."""

    metavar: str = "TEXT"
    many: bool = False
    is_switch: bool = False

    def to_json(self, value: Any) -> Any:
        return value


@dataclass(frozen=True)
class Switch(_Plain):
    """On or off."""

    is_switch: bool = True

    def accept(self, value: Any) -> bool:
        if value is True or value is False:
            return bool(value)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise ValueError("true or false")


@dataclass(frozen=True)
class Text(_Plain):
    """A text, never empty."""

    def accept(self, value: Any) -> str:
        if not isinstance(value, (str, PathLike)) or not fspath(value):
            raise ValueError("a text")
        return str(fspath(value))


@dataclass(frozen=True)
class Choice(_Plain):
    """One of some names.

    Attributes
    ----------
    names : tuple of str
        Those that help shows.
    more : callable or None
        ``more() -> iterable of str``: names that only a heavier module knows.
    """

    names: tuple[str, ...] = ()
    more: Callable[[], Iterable[str]] | None = None

    def accept(self, value: Any) -> str:
        known = (*self.names, *(self.more() if self.more else ()))
        if value not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return str(value)


@dataclass(frozen=True)
class Integer(_Plain):
    """A whole number of at least `least`."""

    metavar: str = "N"
    least: int = 0

    def accept(self, value: Any) -> int:
        try:
            number = int(value) if not isinstance(value, (bool, float)) else None
        except (TypeError, ValueError):
            number = None
        if number is None or number < self.least:
            raise ValueError(f"a whole number of {self.least} or more")
        return number


@dataclass(frozen=True)
class Integers(_Plain):
    """Whole numbers of at least `least`: one, several, or text with commas between."""

    metavar: str = "N[,N…]"
    least: int = 0

    def accept(self, value: Any) -> tuple[int, ...]:
        parts: Any = value
        if isinstance(value, str):
            parts = [part for part in value.split(",") if part.strip()]
        elif not hasattr(value, "__iter__"):
            parts = [value]
        try:
            return tuple(Integer(least=self.least).accept(part) for part in parts)
        except ValueError:
            raise ValueError(
                f"whole numbers of {self.least} or more, with commas between"
            ) from None

    def to_json(self, value: Any) -> list[int]:
        return list(value)


@dataclass(frozen=True)
class Real(_Plain):
    """A finite number."""

    metavar: str = "VALUE"

    def accept(self, value: Any) -> float:
        try:
            number = float(value) if not isinstance(value, bool) else None
        except (TypeError, ValueError):
            number = None
        if number is None:
            raise ValueError("a number")
        if not isfinite(number):
            raise ValueError("a finite number")
        return number


@dataclass(frozen=True)
class AtMost(_Plain):
    """What is allowed at most: a finite number of 0 or more."""

    metavar: str = "VALUE"

    def accept(self, value: Any) -> float:
        try:
            number = Real().accept(value)
        except ValueError:
            number = -1.0
        if number < 0:
            raise ValueError("a number of 0 or more")
        return number


@dataclass(frozen=True)
class Bound(_Plain):
    """A number above 0, or ``"none"`` (None) for no bound."""

    metavar: str = "VALUE"

    def accept(self, value: Any) -> float | None:
        if value is None or (isinstance(value, str) and value.lower() == "none"):
            return None
        try:
            number = Real().accept(value)
        except ValueError:
            raise ValueError("a number above 0, or none") from None
        if number <= 0:
            raise ValueError("a number above 0, or none")
        return number


@dataclass(frozen=True)
class Size(_Plain):
    """An amount of memory: ``"256MB"``, or a number of bytes."""

    metavar: str = "SIZE"

    def accept(self, value: Any) -> str:
        text = str(value)
        bytes_of(text)
        return text


UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip


def bytes_of(text: str) -> int:
    """``256MB``, ``1GiB`` or a number of bytes, as bytes.

    Raises
    ------
    ValueError
        It is no size, or none above 0.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    unit = match and UNITS.get(match[2].lower())
    if not match or unit is None or float(match[1]) <= 0:
        raise ValueError("a size such as 256MB, 1GiB or 500000000")
    return int(float(match[1]) * unit)


@dataclass(frozen=True)
class Many(_Plain):
    """Several values of one kind, in order."""

    of: ValueKind = Text()  # a frozen value
    many: bool = True

    def accept(self, value: Any) -> tuple[Any, ...]:
        single = isinstance(value, (str, PathLike, Mapping)) or not hasattr(value, "__iter__")
        return tuple(self.of.accept(one) for one in ([value] if single else value))

    def to_json(self, value: Any) -> list[Any]:
        return [self.of.to_json(one) for one in value]


@dataclass(frozen=True)
class ByLayer(_Plain):
    """A value for all layers, or for those whose name fits a pattern; the last that fits wins.

    Accepts a value, ``"LAYER=VALUE"``, a table ``{LAYER: value}``, or several of these. The plain
    form is a tuple of (pattern, value).
    """

    metavar: str = "[LAYER=]VALUE"
    many: bool = True
    of: ValueKind = Text()  # a frozen value

    def accept(self, value: Any) -> tuple[tuple[str, Any], ...]:
        if isinstance(value, Mapping):
            return tuple((str(layer), self.of.accept(one)) for layer, one in value.items())
        if not isinstance(value, (list, tuple)):
            return (self._pair(value),)
        return tuple(self._pair(one) for one in value)

    def _pair(self, value: Any) -> tuple[str, Any]:
        if isinstance(value, (list, tuple)) and len(value) == 2:
            return str(value[0]), self.of.accept(value[1])
        if isinstance(value, str):
            layer, equals, text = value.rpartition("=")
            return (layer if equals else ALL_LAYERS), self.of.accept(text)
        return ALL_LAYERS, self.of.accept(value)

    def to_json(self, value: Any) -> list[list[Any]]:
        return [[layer, self.of.to_json(one)] for layer, one in value]


@dataclass(frozen=True)
class ArrayReference(_Plain):
    """An array: a key of the input file, a file, ``FILE::KEY``, or the array itself in Python."""

    metavar: str = "KEY|FILE"

    def accept(self, value: Any) -> Any:
        if isinstance(value, Mapping) and MARK in value:
            return HeldArray.from_json(value)
        if isinstance(value, HeldArray):
            return value
        if is_array(value):
            return HeldArray.of(value)
        if isinstance(value, (str, PathLike)) and fspath(value):
            return str(fspath(value))
        raise ValueError(self.expected)

    @property
    def expected(self) -> str:
        """In words."""
        return "a key of the input file, a file, or an array"

    def to_json(self, value: Any) -> Any:
        return value.to_json() if isinstance(value, HeldArray) else value


@dataclass(frozen=True)
class Lengths(ArrayReference):
    """Valid steps of each sequence: whole numbers, an array, or a word such as ``auto``."""

    metavar: str = "N,N,…|KEY|FILE|auto|none"

    def accept(self, value: Any) -> Any:
        if isinstance(value, str) and INTEGERS.fullmatch(value):
            return tuple(int(part) for part in value.split(",") if part.strip())
        if isinstance(value, int) and not isinstance(value, bool):
            return (value,)
        if isinstance(value, (list, tuple)):
            numbers = [getattr(one, "item", lambda one=one: one)() for one in value]
            if all(isinstance(one, int) and not isinstance(one, bool) for one in numbers):
                return tuple(numbers)
            raise ValueError(self.expected)
        if isinstance(value, str) and NUMBERS.fullmatch(value):
            wrong = next(one.strip() for one in value.split(",") if not INTEGERS.fullmatch(one))
            raise ValueError(f"whole numbers of steps, which {wrong} is not")
        return super().accept(value)

    @property
    def expected(self) -> str:
        return "whole numbers, a key of the input file, a file, auto or none"

    def to_json(self, value: Any) -> Any:
        return list(value) if isinstance(value, tuple) else super().to_json(value)
