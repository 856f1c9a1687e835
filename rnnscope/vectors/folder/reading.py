"""A folder of vectors, and what an implementation made of it, read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import InputError
from rnnscope.model.cell import Array
from rnnscope.states.operands import open_operand
from rnnscope.vectors.folder.document import SCHEMA, SCHEMA_VERSION
from rnnscope.vectors.folder.writing import DOCUMENT

MOST_BYTES = 256 * 2**20
"""Of a JSON document that is read."""


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """What a folder says of a layer.

    Attributes
    ----------
    name, part : str
    gates : tuple of str
    options : mapping of str to object
    """

    name: str
    part: str
    gates: tuple[str, ...]
    options: Mapping[str, Any]

    @property
    def heeds_lengths(self) -> bool:
        return bool(self.options["padding"] != "none")


@dataclass(frozen=True, eq=False)
class StoredArray:
    """An expected array.

    Attributes
    ----------
    layer : str
        Empty for the outputs of all layers together.
    name : str
        A gate, a state, ``outputs``, ``final/c``.
    values : ndarray
    limit : float
        Absolute.
    """

    layer: str
    name: str
    values: Array
    limit: float


@dataclass(frozen=True, eq=False)
class StoredCase:
    """A case of a folder; `arrays` in the order in which a step computes them, layer by layer."""

    name: str
    layer: str
    x: Array
    lengths: Array
    initial: Mapping[str, Array]
    arrays: tuple[StoredArray, ...]


@dataclass(frozen=True, eq=False)
class StoredVectors:
    """A folder of vectors.

    Attributes
    ----------
    folder : Path
    model, sha256 : str
        The checkpoint's file name, and the digest of its files.
    options : mapping of str to object
    tolerance : float
    layers : mapping of str to StoredLayer
    cases : tuple of StoredCase
    """

    folder: Path
    model: str
    sha256: str
    options: Mapping[str, Any]
    tolerance: float
    layers: Mapping[str, StoredLayer]
    cases: tuple[StoredCase, ...]


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
    not_read: tuple[str, ...] = field(default=())


def read_vectors(folder: Path) -> StoredVectors:
    """The vectors of a folder.

    Raises
    ------
    InputError
        There are none, or they are damaged or of a later version.
    """
    path = folder / DOCUMENT if folder.is_dir() else folder
    document = _document(path, "a folder that rnnscope vectors wrote")
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InputError(
            "This is no document of vectors.",
            where=path,
            expected=f'"schema": "{SCHEMA}"',
            found=str(document.get("schema") if isinstance(document, dict) else type(document)),
            hint="rnnscope vectors CHECKPOINT -o DIR writes one",
        )
    if document.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            "The vectors are of another version.",
            where=path,
            expected=f"schema_version {SCHEMA_VERSION}",
            found=document.get("schema_version"),
            hint="a newer rnnscope reads them, or write them anew",
        )
    try:
        layers = {one["name"]: _layer(one) for one in document["layers"]}
        cases = tuple(_case(one) for one in document["cases"])
        model = document["model"]
        for case in cases:
            _require_whole(case, layers)
        return StoredVectors(
            path.parent,
            Path(str(model["file"])).name,
            str(model["sha256"]),
            dict(model["options"]),
            float(document["tolerance"]),
            layers,
            cases,
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            "The vectors are damaged.",
            where=path,
            expected="what rnnscope vectors wrote",
            found=repr(error)[:200],
            hint="write them anew",
        ) from error


def _document(path: Path, expected: str) -> Any:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise InputError(
                "The JSON file is too large.",
                where=path,
                expected=f"at most {MOST_BYTES // 2**20} MB",
                found=f"{size // 2**20} MB",
                hint="keep large arrays in an .npz",
            )
        return json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise InputError(
            "There are no vectors here.", where=path, expected=expected, found=error.strerror,
            hint="rnnscope vectors CHECKPOINT -o DIR writes them",
        ) from error  # fmt: skip
    except (ValueError, RecursionError) as error:
        raise InputError(
            "The JSON file is damaged.", where=path, expected=expected, found=str(error)[:200]
        ) from error


def _layer(stored: Mapping[str, Any]) -> StoredLayer:
    return StoredLayer(
        str(stored["name"]), str(stored["part"]), tuple(stored["gates"]), dict(stored["options"])
    )


def _case(stored: Mapping[str, Any]) -> StoredCase:
    layer = stored["layer"] or ""
    arrays: list[StoredArray] = []
    if layer:
        arrays += _expected(layer, stored)
    else:
        for name, one in stored["layers"].items():
            arrays += _expected(name, one)
        arrays += _expected("", stored)
    return StoredCase(
        str(stored["name"]),
        layer,
        np.array(stored["x"], np.float64),
        np.array(stored["lengths"], np.int64),
        {name: np.array(array, np.float64) for name, array in stored["initial"].items()},
        tuple(arrays),
    )


def _expected(layer: str, stored: Mapping[str, Any]) -> Iterator[StoredArray]:
    limits = stored["limits"]
    for name, values in stored["expected"].items():
        yield StoredArray(layer, name, np.array(values, np.float64), float(limits[name]))
    for name, values in stored.get("final", {}).items():
        called = f"final/{name}"
        yield StoredArray(layer, called, np.array(values, np.float64), float(limits[called]))


def _require_whole(case: StoredCase, layers: Mapping[str, StoredLayer]) -> None:
    """Refuse a case whose arrays do not fit together; a `ValueError` says which."""
    sequences, timesteps, _ = case.x.shape
    for one in case.arrays:
        over_time = not one.name.startswith("final/")
        wanted = (sequences, timesteps) if over_time else (sequences,)
        finite = np.isfinite(one.values).all() and np.isfinite(one.limit) and one.limit > 0
        if one.values.shape[:-1] != wanted or not finite:
            raise ValueError(f"{case.name}: {one.name} {one.values.shape}")
        if one.layer and one.layer not in layers:
            raise ValueError(f"{case.name}: no layer '{one.layer}'")
    if case.lengths.shape != (sequences,):
        raise ValueError(f"{case.name}: lengths {case.lengths.shape}")


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
        read = _document(Path(theirs), "an object with cases, or named arrays")
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


