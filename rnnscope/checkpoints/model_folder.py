"""Folders of Hugging Face and its like: ``config.json`` beside the weights, whole or in shards.

References
----------
transformers/utils/__init__.py: the names of weights' files; modeling_utils.py: the order in which
they are looked for.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rnnscope.checkpoints import flax_msgpack, safetensors
from rnnscope.checkpoints.containers import NO_MODEL, words_of
from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.torch import torch_file
from rnnscope.checkpoints.torch.shards import INDEX_END, SHARD
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import require_inside

WEIGHTS = (
    "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
    "pytorch_model.bin.index.json", "flax_model.msgpack", "weights.safetensors",
    "adapter_model.safetensors", "diffusion_pytorch_model.safetensors", "model_weights.ckpt",
)  # fmt: skip
"""Files that hold a folder's weights, the same in each; the first that is there is read."""

ENDS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".th")
MAX_FILES = 10_000


def _weights_of(folder: Path) -> list[Path]:
    """The files of a folder that may be its weights: the best known, or all that look so."""
    for name in WEIGHTS:
        if (folder / name).is_file():
            return [folder / name]
    found: dict[str, Path] = {}
    for number, path in enumerate(sorted(folder.iterdir())):
        if number > MAX_FILES:
            break
        if path.name.endswith(INDEX_END):
            found[path.name.removesuffix(INDEX_END)] = path
        elif path.name.endswith(ENDS) and path.is_file() and not NO_MODEL.search(path.name):
            shard = SHARD.fullmatch(path.name)
            whole = f"{shard['stem']}{shard['end']}" if shard else path.name
            found.setdefault(whole, path)
    return [path for path in found.values() if safetensors.sniff(path) or torch_file.sniff(path)]


def sniff(path: Path) -> bool:
    """Whether a folder holds weights of PyTorch or safetensors. Never raises."""
    try:
        return path.is_dir() and bool(_weights_of(path))
    except OSError:
        return False


def read_folder(path: Path) -> Checkpoint:
    """Read the weights of a folder.

    Raises
    ------
    CheckpointError
        Several files may be the weights, or they are damaged.
    UnsupportedCellError
        They hold no recurrent module that is computed.
    """
    found = _weights_of(path)
    if len(found) > 1:
        raise CheckpointError(
            "The folder holds several saved models: which is meant is not told.",
            where=path,
            expected=f"one of {', '.join(WEIGHTS[:4])}, or one file of weights",
            found=words_of(file.name for file in found),
            hint="name the file",
        )
    (file,) = found
    require_inside(file, path, path, CheckpointError)
    checkpoint = _read(file)
    return replace(
        checkpoint, notes=(f"The folder's weights are in '{file.name}'.", *checkpoint.notes)
    )


def _read(file: Path) -> Checkpoint:
    for reader in (safetensors.READER, flax_msgpack.READER):
        if reader.sniff(file):
            return reader.read(file)
    return torch_file.read_torch(file)


READER = Reader(
    name="model-folder",
    title="Folder of Hugging Face and its like (config.json beside the weights)",
    reads="model.safetensors, pytorch_model.bin, flax_model.msgpack, whole or in shards, or the "
    "only file of weights in it, as those readers do",
    does_not_read="config.json, whose classes are code elsewhere; folders with several models",
    sniff=sniff,
    read=read_folder,
)
