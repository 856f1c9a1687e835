"""What an implementation computed, read: a JSON document of cases, or named arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError
from rnnscope.model.cell import Array
from rnnscope.states.operands import open_operand
from rnnscope.vectors.folder.reading import StoredVectors, read_document


@dataclass(frozen=True, eq=False)
class TheirArrays:
    """What an implementation computed.

    Attributes
    ----------
    name : str
    arrays : mapping of (case, layer, name) to ndarray
        The layer is empty for a case that is one layer.
    not_read : tuple of str
        What belongs to no case.
    """

    name: str
    arrays: Mapping[tuple[str, str, str], Array]
    not_read: tuple[str, ...] = ()


def read_theirs(theirs: Any, vectors: StoredVectors) -> TheirArrays:
    """What an implementation computed, by case, layer and name.

    Parameters
    ----------
    theirs : str, path, or mapping
        A JSON document of the shape of `vectors.json`, a file of named arrays, or either in memory.
    vectors : StoredVectors

    Raises
    ------
    InputError
        It cannot be read, or nothing of it belongs to any case.
    """
    name = str(theirs) if isinstance(theirs, (str, PathLike)) else "arrays in memory"
    document = theirs if isinstance(theirs, Mapping) and "cases" in theirs else None
    if document is None and isinstance(theirs, (str, PathLike)) and _is_json(Path(theirs)):
        read = read_document(Path(theirs), "an object with cases, or named arrays")
        document = read if isinstance(read, dict) and "cases" in read else None
    known = {(case.name, one.layer if not case.layer else "", one.name)
             for case in vectors.cases for one in case.arrays}  # fmt: skip
    found: dict[tuple[str, str, str], Array] = {}
    left: list[str] = []
    entries = _of_document(document, name) if document is not None else _named(theirs, vectors)
    for words, key, values in entries:
        if key in known:
            found[key] = values
        else:
            left.append(words)
    if not found:
        raise InputError(
            "Nothing in the file belongs to a case of the vectors.",
            where=name,
            expected=", ".join(_names(vectors)[:4]) + ", …",
            found=", ".join(left[:6]) or "no arrays",
            hint='a JSON document has {"cases": [{"name": …, "expected": {"c": …}}]}',
        )
    return TheirArrays(name, found, tuple(left))


def _names(vectors: StoredVectors) -> list[str]:
    return [
        f"{case.name}/{one.name if one.name.startswith('final/') else f'expected/{one.name}'}"
        for case in vectors.cases
        for one in case.arrays
        if case.layer
    ]


def _is_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"
    except OSError:
        return False


Entry = tuple[str, tuple[str, str, str], Array]
"""What it is called, its case, layer and name, and its values."""


def _of_document(document: Mapping[str, Any], where: str) -> Iterator[Entry]:
    cases = document["cases"]
    if not isinstance(cases, list) or not all(isinstance(one, Mapping) for one in cases):
        raise InputError(
            "The cases are no list of objects.", where=where,
            expected='{"cases": [{"name": …, "expected": {"c": …}}]}', found=str(cases)[:60],
        )  # fmt: skip
    for case in cases:
        name = str(case.get("name", ""))
        yield from _of_layer(case, name, "", where)
        for layer, one in (case.get("layers") or {}).items():
            yield from _of_layer(one, name, layer, where)


def _of_layer(stored: Mapping[str, Any], case: str, layer: str, where: str) -> Iterator[Entry]:
    for group, prefix in (("expected", ""), ("final", "final/")):
        for name, values in (stored.get(group) or {}).items():
            words = "/".join(filter(None, (case, layer, group, name)))
            yield words, (case, layer, f"{prefix}{name}"), _numbers(values, f"{where}: {words}")


def _numbers(values: Any, where: str) -> Array:
    """Nested lists as an array; NaN and infinities may be their names."""
    try:
        return np.array(values, np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(
            "An array of the file is no array of numbers.",
            where=where,
            expected="nested lists of one length each, of numbers",
            found=str(error)[:120],
        ) from error


def _named(theirs: Any, vectors: StoredVectors) -> Iterator[Entry]:
    """Arrays by ``CASE/expected/c``, ``CASE/c``, ``CASE/layers/PART/final/m``, ``CASE/PART/c``."""
    layers = {one.part: one.name for one in vectors.layers.values()}
    layers |= {one.name: one.name for one in vectors.layers.values()}
    cases = {case.name: case for case in vectors.cases}
    arrays = open_operand(theirs, "their arrays")
    try:
        for name in arrays.names:
            case, _, rest = name.partition("/")
            if case not in cases or rest in ("x", "lengths") or rest.startswith("initial/"):
                if case not in cases and name != "tolerance" and not name.startswith("weights/"):
                    yield name, ("", "", name), np.zeros(0)
                continue
            layer, key = "", rest.removeprefix("layers/").removeprefix("expected/")
            if not cases[case].layer:
                for part in sorted(layers, key=len, reverse=True):
                    if key.startswith(f"{part}/"):
                        layer, key = layers[part], key.removeprefix(f"{part}/")
                        break
            values = np.asarray(arrays.array(name).read())
            yield name, (case, layer, key.removeprefix("expected/")), _numbers(values, name)
    finally:
        arrays.close()
