"""A stored configuration (JSON) read with the types checked.

A config comes from a file that nobody vouches for: a key may be missing or hold anything. Every
access names the place in the configuration when it fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeVar

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError

V = TypeVar("V")

MAX_CONFIG = 64 * 2**20
"""The largest configuration that is parsed, in bytes."""

MAX_VALUES = 2_000_000
"""The most values in one: each takes some fifty times the two bytes that it has in the text."""


@dataclass(frozen=True)
class ConfigView:
    """One JSON object, and where it is.

    Attributes
    ----------
    data : dict
    where : str
        The way to it, for messages: ``"model.h5: model_config > layer 'lstm'"``.
    """

    data: dict[str, Any]
    where: str

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def raw(self, key: str, default: Any = None) -> Any:
        """The value as it is, of whatever type."""
        return self.data.get(key, default)

    def get(self, key: str, kind: type[V], default: V | None = None) -> V:
        """The value of a key, of one type; an int passes for a float, null for "not there".

        Raises
        ------
        CheckpointError
            It is missing without a default, or of another type.
        """
        value = self.data.get(key)
        if value is None and default is not None:
            return default
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        # bool is a kind of int in Python, not in a configuration.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise CheckpointError(
                f"The model's configuration has no usable '{key}'.",
                where=self.where,
                expected=f"{key}: {kind.__name__}",
                found=f"{key}: {_shown(value)}" if key in self.data else "no such key",
                hint="The file is damaged or was edited; save the model again.",
            )
        return value

    def view(self, key: str) -> ConfigView:
        """A nested object."""
        return ConfigView(self.get(key, dict), f"{self.where} > {key}")

    def views(self, key: str) -> Iterator[ConfigView]:
        """The objects of a list."""
        return object_views(self.get(key, list), f"{self.where} > {key}")


def object_views(entries: list[Any], where: str) -> Iterator[ConfigView]:
    """Views of a list that must hold objects only."""
    for number, entry in enumerate(entries):
        place = f"{where}[{number}]"
        if not isinstance(entry, dict):
            raise CheckpointError(
                "The model's configuration holds something other than a layer.",
                where=place,
                expected="an object",
                found=_shown(entry),
            )
        yield ConfigView(entry, place)


def parse_config(text: str | bytes, where: str) -> ConfigView:
    """Parse a JSON object.

    Raises
    ------
    CheckpointError
        It is too large, no JSON, nested too deep, or no object.
    """
    if len(text) > MAX_CONFIG:
        raise CheckpointError(
            "The model's configuration is larger than any model needs.",
            where=where,
            expected=f"at most {MAX_CONFIG} bytes",
            found=f"{len(text)} bytes",
        )
    if (values := _most_values(text)) > MAX_VALUES:
        raise CheckpointError(
            "The model's configuration holds more values than any model needs.",
            where=where,
            expected=f"at most {MAX_VALUES} values",
            found=f"up to {values}",
        )
    try:
        data = json.loads(text)
    # ValueError: no JSON, no UTF-8, or a number of thousands of digits.
    except (ValueError, RecursionError) as fault:
        deep = isinstance(fault, RecursionError)
        raise CheckpointError(
            "The model's configuration is not readable JSON.",
            where=where,
            expected="a JSON object",
            found="objects nested too deep" if deep else str(fault)[:200],
            hint="The file is damaged; copy it again or save the model again.",
        ) from None
    if not isinstance(data, dict):
        raise CheckpointError(
            "The model's configuration is not an object.",
            where=where,
            expected="a JSON object",
            found=_shown(data),
        )
    return ConfigView(data, where)


def _most_values(text: str | bytes) -> int:
    """How many values a JSON text can hold: each but the first follows one of these."""
    if isinstance(text, bytes):
        return sum(text.count(mark) for mark in (b",", b"[", b"{", b":"))
    return sum(text.count(mark) for mark in (",", "[", "{", ":"))


def _shown(value: object) -> str:
    text = (
        f"{type(value).__name__} {value!r}"
        if isinstance(value, (str, int, float))
        else (type(value).__name__)
    )
    return text if len(text) <= 80 else text[:77] + "..."
