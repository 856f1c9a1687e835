"""State dicts cut into several files: all of them are read, or the missing ones named.

``model-00001-of-00003.safetensors`` is one of three; ``model.safetensors.index.json`` beside them
says which holds which tensor.

References
----------
huggingface_hub ``save_torch_state_dict``; transformers ``load_sharded_checkpoint``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from rnnscope.errors import CheckpointError
from rnnscope.files.archives.inner_file import AnyFile

SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<end>\.\w+)")
INDEX_END = ".index.json"
MAX_INDEX = 64 * 2**20
MAX_SHARDS = 10_000


def is_index(path: AnyFile, ends: Collection[str]) -> bool:
    """Whether a file is an index of shards whose names end so. Never raises."""
    try:
        if not path.name.endswith(INDEX_END) or not path.is_file():
            return False
        if path.stat().st_size > MAX_INDEX:
            return False
        found = _weight_map(path)
    except (OSError, ValueError, RecursionError):
        return False
    return bool(found) and all(file.endswith(tuple(ends)) for file in found.values())


def _weight_map(path: AnyFile) -> Mapping[str, str]:
    """Tensors to the files that hold them; empty if there is nothing of the kind."""
    index = json.loads(path.read_bytes())
    found = index.get("weight_map") if isinstance(index, dict) else None
    whole = isinstance(found, dict) and all(isinstance(file, str) for file in found.values())
    return found if isinstance(found, dict) and whole else {}


def shards_of(path: AnyFile) -> tuple[AnyFile, ...]:
    """The files of the set that a file belongs to, an index last; the file alone if it is whole.

    Raises
    ------
    CheckpointError
        Some of them are not there; it names them.
    """
    if path.name.endswith(INDEX_END):
        names = sorted(set(_weight_map(path).values()))
        strange = [name for name in names if Path(name).name != name]
        if strange:
            raise CheckpointError(
                "The index of a sharded checkpoint names files outside its folder.",
                where=path,
                expected="names of files beside it",
                found=", ".join(strange[:4]),
            )
        there: tuple[AnyFile, ...] = _all_there(path, names)
        return (*there, path)
    match = SHARD.fullmatch(path.name)
    if match is None:
        return (path,)
    count = int(match["count"])
    if not 0 < int(match["number"]) <= count <= MAX_SHARDS:
        return (path,)
    names = [
        f"{match['stem']}-{number:05}-of-{count:05}{match['end']}" for number in range(1, count + 1)
    ]
    files: tuple[AnyFile, ...] = _all_there(path, names)
    index = path.with_name(f"{match['stem']}{match['end']}{INDEX_END}")
    return (*files, index) if is_index(index, (match["end"],)) else files


def _all_there(path: AnyFile, names: list[str]) -> tuple[AnyFile, ...]:
    files = [path.with_name(name) for name in names]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        more = f" and {len(missing) - 6} more" if len(missing) > 6 else ""
        raise CheckpointError(
            f"The checkpoint is cut into {len(names)} files, and not all are there.",
            where=path,
            expected=", ".join(names[:6]) + (" …" if len(names) > 6 else ""),
            found=f"without {', '.join(missing[:6])}{more}",
            hint="put the missing files beside it: a part of the tensors makes another model",
        )
    return tuple(files)


def require_tensors(files: Sequence[AnyFile], names: Sequence[str]) -> None:
    """Refuse shards that hold a tensor twice, or lack one of which their index speaks.

    Raises
    ------
    CheckpointError
        It names the tensors.
    """
    index = files[-1]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if len(files) > 1 and twice:
        raise CheckpointError(
            "Files of a sharded checkpoint hold the same tensors: which of them count is not told.",
            where=index,
            expected="every tensor in one file",
            found=f"twice {', '.join(twice[:6])}",
            hint="do all files belong to the same download?",
        )
    if not index.name.endswith(INDEX_END):
        return
    missing = _weight_map(index).keys() - {*names}
    if missing:
        raise CheckpointError(
            "The files of a sharded checkpoint lack tensors that its index names.",
            where=index,
            expected=f"{len(_weight_map(index))} tensors",
            found=f"without {', '.join(sorted(missing)[:6])}",
            hint="do all files belong to the same download?",
        )


def sharded_words(files: Sequence[AnyFile]) -> list[str]:
    """A sentence on what was read, if it was more than one file."""
    shards = [file.name for file in files if not file.name.endswith(INDEX_END)]
    if len(shards) < 2:
        return []
    return [f"The checkpoint is cut into {len(shards)} files; all were read."]
