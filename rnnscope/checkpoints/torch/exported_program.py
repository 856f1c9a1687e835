"""``.pt2`` files of ``torch.export.save``: the weights of the program, by the model's own names.

References
----------
torch/export/pt2_archive/constants.py and _package.py (``data/weights``: raw bytes that
``model_weights_config.json`` describes, since 2.8); torch/export/__init__.py of 2.1 to 2.7
(``serialized_state_dict.pt`` inside the zip); torch/_export/serde/schema.py (``ScalarType``).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.torch.network import read_state_dict
from rnnscope.checkpoints.torch.torch_file import read_torch
from rnnscope.checkpoints.torch.zip_members import ZipMembers, damaged
from rnnscope.errors import CheckpointError
from rnnscope.files.archives.inner_file import InnerFile
from rnnscope.files.arrays.loadable_arrays import LoadableArray, reading_by_name
from rnnscope.files.messages.json_config import MAX_CONFIG
from rnnscope.model.cell import Array

CONFIG = "_weights_config.json"
OLD_STATE = "serialized_state_dict.pt"
MAX_WEIGHT = 16 * 2**30
MAX_AXES = 32

DTYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f2", 7: "<f4", 8: "<f8", 12: "?",
          13: "<u2"}  # fmt: skip
"""Numbers of ``ScalarType``; 13 is bfloat16."""

BFLOAT16, HALF = 13, 6


def _kind(names: list[str]) -> str:
    """Which member has the weights; empty if none has."""
    for end in (CONFIG, OLD_STATE, "data/weights/model.pt"):
        found = [name for name in names if name.endswith(end)]
        if len(found) == 1:
            return found[0]
    return ""


def sniff(path: Path) -> bool:
    """Whether a file is a zip of ``torch.export``. Never raises."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                return False
        with zipfile.ZipFile(path) as archive:
            return bool(_kind(archive.namelist()))
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return False


def read_exported(path: Path) -> Checkpoint:
    """Read the recurrent modules of an exported program.

    Raises
    ------
    CheckpointError
        It is damaged.
    UnsupportedCellError
        It holds no recurrent module.
    """
    members = ZipMembers(path)
    name = _kind([info.filename for info in members.infos()])
    if not name.endswith(CONFIG):
        data = members.storage(name, MAX_WEIGHT, is_shared=False)
        inner = read_torch(InnerFile(path, name, data))
        return replace(
            inner, path=path, format=READER.name, files=(path,), framework="PyTorch (export)"
        )
    arrays = _arrays(members, name, path)
    found = read_state_dict(arrays, path)
    return Checkpoint(
        path=path,
        format=READER.name,
        framework="PyTorch (export)",
        files=(path,),
        network=found.network,
        left_out=tuple(found.left_out),
        notes=(*found.notes, "The program's graph is not read."),
        read_left_out=reading_by_name(arrays),
    )


def _arrays(members: ZipMembers, name: str, path: Path) -> list[LoadableArray]:
    folder = name.rpartition("/")[0]
    try:
        config: Mapping[str, Any] = json.loads(members.read(name, MAX_CONFIG))["config"]
        arrays = []
        for weight, entry in config.items():
            meta = entry["tensor_meta"]
            shape, strides = (
                tuple(int(size["as_int"]) for size in meta[key]) for key in ("sizes", "strides")
            )
            offset = int(meta["storage_offset"]["as_int"])
            _require_sizes((offset, *shape, *strides))
            member = f"{folder}/{entry['path_name']}"
            load = partial(
                _load_pickled if entry.get("use_pickle") else _load,
                members, member, f"{path}: {weight}", int(meta["dtype"]), shape, strides, offset,
            )  # fmt: skip
            arrays.append(LoadableArray(str(weight), shape, load))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, "a description of weights", str(error)[:200]) from error
    return arrays


def _require_sizes(sizes: tuple[int, ...]) -> None:
    if min(sizes) < 0 or len(sizes) > 2 * MAX_AXES:
        raise ValueError(f"sizes that are none: {sizes}")


def _load(
    members: ZipMembers,
    member: str,
    where: str,
    dtype: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
) -> Array:
    if dtype not in DTYPES:
        raise CheckpointError(
            "A stored tensor has a dtype that rnnscope does not read.",
            where=where,
            expected="floats of 16, 32 or 64 bits, or integers",
            found=f"ScalarType {dtype}",
        )
    stored = np.dtype(DTYPES[dtype])
    data = members.storage(member, MAX_WEIGHT, is_shared=False)
    elements = np.frombuffer(data, stored, len(data) // stored.itemsize)[offset:]
    reach = sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if 0 not in shape and (reach >= len(elements) or prod(shape) > len(elements)):
        raise damaged(where, f"elements for shape {shape}", f"{len(elements)}")
    steps = [step * stored.itemsize for step in strides]
    values = np.lib.stride_tricks.as_strided(elements, shape, steps, writeable=False)
    if dtype == BFLOAT16:
        return np.ascontiguousarray((values.astype(np.uint32) << 16).view(np.float32))
    return np.ascontiguousarray(values.astype(np.float32) if dtype == HALF else values)


def _load_pickled(members: ZipMembers, member: str, where: str, *_: object) -> Array:
    """A tensor that has a storage of its own is kept as ``torch.save`` writes it."""
    del members, member
    raise CheckpointError(
        "A weight of the exported program is pickled, which is not read.",
        where=where,
        hint="save the model's state_dict with torch.save",
    )


READER = Reader(
    name="torch-export",
    title="Exported program of PyTorch (.pt2)",
    reads="the weights of torch.export.save by the model's own names, as safetensors; torch 2.1 "
    "and later",
    does_not_read="the program's graph; pickled weights of tensor subclasses",
    sniff=sniff,
    read=read_exported,
)
