"""PyTorch ``.pt`` and ``.pth`` files: state dicts, training checkpoints, TorchScript archives."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.torch.containers import (
    TorchFile,
    damaged,
    is_legacy,
    read_legacy,
    read_zip,
)
from rnnscope.checkpoints.torch.module_names import TENSOR
from rnnscope.checkpoints.torch.network import read_state_dict
from rnnscope.checkpoints.torch.pickle_data import PickledTensor, Script
from rnnscope.files.loadable_arrays import LoadableArray

MAX_DEPTH = 64
MAX_OBJECTS = 1_000_000
"""Limits of a walk over what was saved: a pickle can refer to one object many times."""

Found = tuple[tuple[str, ...], str, PickledTensor]
"""The dicts that hold a tensor, its name in the innermost one, and the tensor."""


def sniff(path: Path) -> bool:
    """Whether a file is a zip with a data.pkl, or begins as old files did. Never raises."""
    try:
        if not path.is_file():
            return False
        if is_legacy(path):
            return True
        with path.open("rb") as file:
            head = file.read(128)
        if not head.startswith(b"PK\x03\x04"):
            return False
        with zipfile.ZipFile(path) as archive:
            return any(name.split("/")[-1] == "data.pkl" for name in archive.namelist())
    except zipfile.BadZipFile:
        # A cut off zip has lost its list of members; the first one still stands at the front.
        return b"/data.pkl" in head[30:]
    except (OSError, ValueError, NotImplementedError):
        return False


def read_torch(path: Path) -> Checkpoint:
    """Read the recurrent modules of a PyTorch file; its pickles are interpreted, never executed.

    Raises
    ------
    CheckpointError
        The file is damaged, or its pickle names anything but tensors and ordered dicts.
    UnsupportedCellError
        It holds no recurrent module.
    """
    opened = read_legacy(path) if is_legacy(path) else read_zip(path)
    arrays, notes = _arrays(opened, path)
    found = read_state_dict(arrays, path)
    return Checkpoint(
        path=path,
        format=READER.name,
        framework="PyTorch (TorchScript)" if opened.is_script else "PyTorch",
        files=(path,),
        network=found.network,
        left_out=tuple(found.left_out),
        notes=(*notes, *found.notes),
    )


def _arrays(opened: TorchFile, path: Path) -> tuple[list[LoadableArray], list[str]]:
    """The tensors by name. Dicts around the one with recurrent modules are no part of names."""
    tensors = list(_tensors(opened.value, path))
    holders = list(dict.fromkeys(folder for folder, name, _ in tensors if TENSOR.fullmatch(name)))
    notes = []
    plain: tuple[str, ...] = holders[0] if len(holders) == 1 else ()
    if plain:
        notes.append(f"The state dict was found under '{'/'.join(plain)}'.")
    arrays = []
    for folder, name, tensor in tensors:
        shown = name if folder == plain else "/".join((*folder, name))
        load = partial(opened.load, tensor, f"{path}: {shown}")
        arrays.append(LoadableArray(shown, tensor.shape, load))
    return arrays, notes


def _tensors(value: Any, path: Path) -> Iterator[Found]:
    """Every tensor, in the order in which it was saved; what has no name goes by its place."""
    pending: list[tuple[tuple[str, ...], str, Any, int]] = [((), "", value, 0)]
    count = 0
    while pending:
        folder, name, item, depth = pending.pop()
        count += 1
        if count > MAX_OBJECTS or depth > MAX_DEPTH:
            raise damaged(path, f"at most {MAX_OBJECTS} objects, {MAX_DEPTH} deep", "more")
        if isinstance(item, PickledTensor):
            yield folder, name, item
            continue
        children: list[tuple[tuple[str, ...], str, Any, int]] = []
        if isinstance(item, Script):  # a module: its parts go by dotted names
            dotted = f"{name}." if name else ""
            children = [(folder, dotted + str(k), v, depth + 1) for k, v in item.attributes.items()]
        elif isinstance(item, dict):
            inside = (*folder, name) if name else folder
            children = [(inside, str(key), child, depth + 1) for key, child in item.items()]
        elif isinstance(item, (list, tuple)):
            inside = (*folder, name) if name else folder
            children = [(inside, str(n), child, depth + 1) for n, child in enumerate(item)]
        pending.extend(reversed(children))


READER = Reader(
    name="torch",
    title="PyTorch file (.pt, .pth)",
    reads="what safetensors reads, in zip and older files, alone or inside a training checkpoint, "
    "and the parameters of TorchScript archives; pickles are interpreted, never executed",
    does_not_read="whole pickled modules (save the state_dict), archives in tar format",
    sniff=sniff,
    read=read_torch,
)
