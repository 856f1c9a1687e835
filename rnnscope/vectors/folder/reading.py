"""A folder of vectors, and what an implementation made of it, read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError, spell_command
from rnnscope.model.cell import Array
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


def read_vectors(folder: Path) -> StoredVectors:
    """The vectors of a folder.

    Raises
    ------
    InputError
        There are none, or they are damaged or of a later version.
    """
    path = folder / DOCUMENT if folder.is_dir() else folder
    document = read_document(path, f"a folder that {spell_command('write_vectors')} wrote")
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InputError(
            "This is no document of vectors.",
            where=path,
            expected=f'"schema": "{SCHEMA}"',
            found=str(document.get("schema") if isinstance(document, dict) else type(document)),
            hint=f"{spell_command('write_vectors', 'CHECKPOINT', path='DIR')} writes one",
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
            expected=f"what {spell_command('write_vectors')} wrote",
            found=repr(error)[:200],
            hint="write them anew",
        ) from error


def read_document(path: Path, expected: str) -> Any:
    """A JSON document of some size at most; `expected` says what would be there.

    Raises
    ------
    InputError
    """
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
            hint=f"{spell_command('write_vectors', 'CHECKPOINT', path='DIR')} writes them",
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
