"""TensorFlow 1 Saver checkpoints (V1): table files of values and, beside them, the graph.

Sharded ones are named literally ``model.ckpt-?????-of-00002``, after the pattern of their files
``model.ckpt-00000-of-00002``; their graph is ``model.ckpt.meta``.
"""

from __future__ import annotations

import re
from pathlib import Path, PureWindowsPath

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.tf1.saver import read_with_meta
from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.checkpoint_state import latest_checkpoint
from rnnscope.files.tensorflow.locate import STATE_FILE, Located, find_meta
from rnnscope.files.tensorflow.v1_table import V1Table, is_v1_table

_SHARD = re.compile(r"-(\d{5}|\?{5})-of-(\d{5})$")


def read_saver_v1(path: Path) -> Checkpoint:
    """Read a checkpoint of the first format of TensorFlow's ``tf.train.Saver``.

    Parameters
    ----------
    path : Path
        The file, one of its shards, their pattern or prefix, its ``.meta``, a ``checkpoint``
        file, or the folder.

    Raises
    ------
    CheckpointError
        Naming the file and, where there is one, the variable.
    """
    found = _find(path)
    if found is None:
        raise CheckpointError(
            "There is no V1 checkpoint here.",
            where=path,
            expected="a table file of TensorFlow's Saver, or its shards",
            found="nothing of that name",
            hint="check the path",
        )
    prefix, note = found
    files = _shards(prefix)
    stored = V1Table.open(files)
    base = prefix.with_name(_SHARD.sub("", prefix.name))
    meta, meta_note = find_meta(base)
    located = Located(prefix, meta, " ".join(filter(None, [note, meta_note])))
    return read_with_meta(READER.name, located, stored)


def sniff(path: Path) -> bool:
    """Whether a user who names `path` means a V1 checkpoint, by its first entry; never raises."""
    try:
        found = _find(path)
        return found is not None and any(map(is_v1_table, _present(found[0])[:1]))
    except (OSError, ValueError, CheckpointError):
        return False


def _find(path: Path) -> tuple[Path, str] | None:
    """The file or pattern that a path means, and a note where that was a choice."""
    if path.is_dir():
        state = path / STATE_FILE
        if latest_checkpoint(state) is not None:
            return _from_state(state)
        tables = sorted({_pattern(file) for file in path.iterdir() if is_v1_table(file)})
        if len(tables) > 1:
            raise CheckpointError(
                "A folder holds several checkpoints, and no checkpoint file says which is meant.",
                where=path,
                expected="one checkpoint, or a file named checkpoint that decides",
                found=", ".join(table.name for table in tables),
                hint=f"name one of them, for example {tables[-1]}",
            )
        if not tables:
            return None
        return tables[0], f"{tables[0].name} was read: the only checkpoint of the folder."
    if latest_checkpoint(path) is not None:
        return _from_state(path)
    if path.name.endswith(".meta"):
        path = path.with_name(path.name[: -len(".meta")])
    if path.is_file() or "?" in path.name:
        return _pattern(path), ""
    shards = sorted(path.parent.glob(f"{_escape(path.name)}-?????-of-?????"))
    return (_pattern(shards[0]), "") if shards else None


def _from_state(state: Path) -> tuple[Path, str] | None:
    """The checkpoint that a ``checkpoint`` file names: beside it first, as training left it."""
    named = latest_checkpoint(state) or ""
    # The path is that of the machine that trained; Windows rules split at both kinds of slashes.
    for prefix in (state.parent / PureWindowsPath(named).name, state.parent / named):
        if _present(prefix):
            note = f"{prefix.name} was read: the file {state.name} names it as the latest."
            return _pattern(prefix), note
    return None


def _pattern(path: Path) -> Path:
    """The pattern of a shard's name; the file itself where there is but one."""
    match = _SHARD.search(path.name)
    return path.with_name(_SHARD.sub(r"-?????-of-\2", path.name)) if match else path


def _present(prefix: Path) -> list[Path]:
    """The files of a checkpoint that are there, in order."""
    match = _SHARD.search(prefix.name)
    if not match:
        return [prefix] if prefix.is_file() else []
    base = prefix.name[: match.start()]
    return sorted(prefix.parent.glob(f"{_escape(base)}-?????-of-{match[2]}"))


def _shards(prefix: Path) -> list[Path]:
    """All files of a checkpoint, none missing."""
    present, match = _present(prefix), _SHARD.search(prefix.name)
    wanted = 1 if match is None else int(match[2])
    if len(present) != wanted:
        raise CheckpointError(
            "A shard of a checkpoint is missing.",
            where=prefix,
            expected=f"{wanted} files",
            found=", ".join(path.name for path in present) or "none",
            hint="copy all files of the checkpoint into one folder",
        )
    return present


def _escape(name: str) -> str:
    """A file name with the magic of a glob pattern taken out."""
    return re.sub(r"([*?[])", r"[\1]", name)


READER = Reader(
    name="tf1-saver-v1",
    title="TensorFlow 1 Saver checkpoint (V1)",
    reads="what tf1-saver reads, from one table file or shards (model.ckpt-?????-of-00002)",
    does_not_read="without a .meta: options and wiring, which are then guessed and said to be",
    sniff=sniff,
    read=read_saver_v1,
)
