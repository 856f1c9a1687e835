"""Arrays in the folders of Orbax: Zarr, in files of its own or inside an OCDBT database.

References
----------
orbax/checkpoint/_src/serialization (arrays are named by their keys with dots between; ``_METADATA``
has the keys one by one); https://google.github.io/tensorstore/kvstore/ocdbt. Both are read by
TensorStore, which Orbax itself reads them with, and which is installed on demand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import CheckpointError
from rnnscope.files.arrays.loadable_arrays import LoadableArray
from rnnscope.files.guarding.limits import Unpacking, check_time
from rnnscope.model.cell import Array

MANIFEST = "manifest.ocdbt"
METADATA = "_METADATA"
MAX_METADATA = 64 * 2**20
MAX_FILES = 100_000
MAX_AXES = 32
INDEX_POOL, INDEX_CACHE = "cache_pool#index", 64 * 2**20
"""Where TensorStore keeps what it read of a database's index, and how many bytes of it."""

ARRAY_MARKS = (".zarray", "zarr.json")
STEP = re.compile(r"(?:.*_)?(\d{1,18})")


def is_item(folder: Path) -> bool:
    """Whether a folder holds arrays of Orbax itself. Never raises."""
    try:
        if (folder / MANIFEST).is_file():
            return True
        return (folder / METADATA).is_file() and any(
            (child / mark).is_file() for child in folder.iterdir() for mark in ARRAY_MARKS
        )
    except OSError:
        return False


def find_item(folder: Path) -> Path | None:
    """The folder with the arrays: this one, that of the newest step in it, or its one item."""
    for _ in range(3):
        if is_item(folder):
            return folder
        try:
            children = sorted(child for child in folder.iterdir() if child.is_dir())
        except OSError:
            return None
        steps = {int(found[1]): child for child in children
                 if (found := STEP.fullmatch(child.name)) and not child.is_symlink()}  # fmt: skip
        items = [child for child in children if is_item(child)]
        if items:
            return items[0] if len(items) == 1 else None
        if not steps:
            return None
        folder = steps[max(steps)]
    return None


def read_orbax(folder: Path) -> list[LoadableArray]:
    """The arrays of an item's folder, named by their keys with slashes between.

    Raises
    ------
    CheckpointError
        TensorStore is not installed, or the folder is damaged.
    """
    try:
        import tensorstore  # large, and needed for such folders alone
    except ImportError as error:
        raise CheckpointError(
            "Reading a folder of Orbax needs TensorStore, which is not installed.",
            where=folder,
            hint="install the extra: pip install 'rnnscope[orbax]'",
        ) from error
    base: dict[str, Any] = {"driver": "file", "path": f"{folder.absolute()}/"}
    if (folder / MANIFEST).is_file():
        place = f"file://{folder.absolute()}/"
        base = {"driver": "ocdbt", "base": place, "cache_pool": INDEX_POOL}
    # One cache for all: else each array would read and decode the database's index anew.
    context = tensorstore.Context({INDEX_POOL: {"total_bytes_limit": INDEX_CACHE}})
    unpacking = Unpacking(folder, _stored_bytes(folder), CheckpointError)
    keys = _keys(folder)
    try:
        listed = tensorstore.KvStore.open(base, context=context).result().list().result()
        names = [key.decode() for key in listed]
        return [
            _array(partial(tensorstore.open, context=context), base, name, keys, folder, unpacking)
            for name in sorted(names)
            if name.endswith(tuple(f"/{mark}" for mark in ARRAY_MARKS))
        ]
    except (ValueError, OSError, RuntimeError, UnicodeDecodeError, KeyError) as error:
        raise _damaged(folder, str(error)) from error


def _array(
    open_array: Any,
    base: Mapping[str, Any],
    name: str,
    keys: Mapping[str, str],
    folder: Path,
    unpacking: Unpacking,
) -> LoadableArray:
    check_time(folder, CheckpointError)
    place, _, mark = name.rpartition("/")
    spec = {
        "driver": "zarr" if mark == ".zarray" else "zarr3",
        "kvstore": {**base, "path": f"{base.get('path', '')}{place}/"},
    }
    opened = open_array(spec, open=True, read=True).result()
    shape = tuple(int(size) for size in opened.shape)
    if len(shape) > MAX_AXES:
        raise ValueError(f"'{place}' of {len(shape)} axes")
    unpacking.take(prod(shape) * int(opened.dtype.numpy_dtype.itemsize), place)
    own = keys.get(place, place)
    return LoadableArray(own, shape, partial(_load, opened, f"{folder}: {own}"))


def _load(opened: Any, where: str) -> Array:
    try:
        values: Array = np.asarray(opened.read().result())
    except (ValueError, OSError, RuntimeError) as error:
        raise _damaged(where, str(error)) from error
    if values.dtype.name == "bfloat16":
        return values.astype(np.float32)
    if values.dtype.kind not in "fiub":
        raise _damaged(where, f"values of {values.dtype}")
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _keys(folder: Path) -> dict[str, str]:
    """Names with dots to names with slashes, as far as the metadata tells the keys."""
    file = folder / METADATA
    if not file.is_file():
        return {}
    try:
        with file.open("rb") as stream:
            tree = json.loads(stream.read(MAX_METADATA))["tree_metadata"]
        keys = [[str(part["key"]) for part in entry["key_metadata"]] for entry in tree.values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(file, str(error)) from error
    return {".".join(parts): "/".join(parts) for parts in keys}


def _stored_bytes(folder: Path) -> int:
    """Of all files in a folder, as far as they are counted."""
    total = 0
    for number, file in enumerate(folder.rglob("*")):
        if number > MAX_FILES:
            break
        total += file.stat().st_size if file.is_file() else 0
    return total


def _damaged(where: object, found: str) -> CheckpointError:
    return CheckpointError(
        "The folder of Orbax is incomplete or damaged.",
        where=where,
        expected="a folder as orbax.checkpoint writes it",
        found=found.splitlines()[0][:200] if found else "nothing",
        hint="copy the whole folder again",
    )
