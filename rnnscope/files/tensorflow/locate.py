"""From what a user names to the prefix of a TensorFlow checkpoint.

A user may name the prefix, one of its files, the ``checkpoint`` file or the folder. Where
something has to be chosen, a ``checkpoint`` file decides and the note says so; where nothing
decides, the error lists what is there. Nothing is chosen in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import require_inside
from rnnscope.files.tensorflow.bundle_index import index_path, is_bundle_index
from rnnscope.files.tensorflow.checkpoint_state import latest_checkpoint
from rnnscope.files.tensorflow.table import is_table_file

STATE_FILE = "checkpoint"
"""What a Saver calls the file that names the latest checkpoint of a folder."""

_PART = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
_STEP = re.compile(r"-(\d+)$")


@dataclass(frozen=True)
class Located:
    """A checkpoint that was found.

    Attributes
    ----------
    prefix : Path
        What its files' names have in common: ``model.ckpt-100``.
    meta : Path or None
        The ``.meta`` graph that belongs to it.
    note : str
        What was chosen and why, one sentence or two; empty when the user named it.
    """

    prefix: Path
    meta: Path | None
    note: str = ""


def locate(path: Path) -> Located:
    """Find the checkpoint that a user means.

    Parameters
    ----------
    path : Path
        A prefix, its ``.index``, ``.meta`` or ``.data-…`` file, a ``checkpoint`` file, or a
        folder.

    Raises
    ------
    CheckpointError
        If there is no checkpoint, or several and nothing to decide between them: it lists them.
    """
    try:
        prefix, note = _find_prefix(path)
        meta, meta_note = find_meta(prefix)
    except OSError as error:
        raise _nothing_at(path, error.strerror or type(error).__name__) from error
    return Located(prefix, meta, " ".join(filter(None, [note, meta_note])))


def sniff(path: Path) -> bool:
    """Whether a user who names `path` means a Saver V2 checkpoint; never raises.

    Also true where one is incomplete, so that the error can name the part that is missing.
    """
    try:
        state = path / STATE_FILE if path.is_dir() else path
        named = latest_checkpoint(state)
        if named is not None:
            return not _is_v1(_beside(state.parent, named))
        if path.is_dir() and any(_is_bundle(prefix) for prefix in _prefixes(path)):
            return True
        prefix = _strip_part(path) or path
        return _is_bundle(prefix) or (not path.exists() and bool(_prefixes(path.parent, path.name)))
    except (OSError, ValueError):
        return False


def _is_bundle(prefix: Path) -> bool:
    """Whether a prefix has an index, or at least shards, which no other format names so."""
    shards = prefix.parent.glob(f"{_escape(prefix.name)}.data-?????-of-?????")
    return is_bundle_index(index_path(prefix)) or any(shards)


def _find_prefix(path: Path) -> tuple[Path, str]:
    """The prefix that a path means, and why, where it was a choice."""
    if path.is_dir() and not (index_path(path).is_file() and not _prefixes(path)):
        return _in_folder(path)
    if (named := latest_checkpoint(path)) is not None:
        return _from_state(path, named)
    prefix = _strip_part(path) or path
    if index_path(prefix).is_file():
        return prefix, ""
    if not path.parent.is_dir():
        raise _nothing_at(path, "no such folder")
    steps = _prefixes(path.parent, prefix.name)
    raise CheckpointError(
        "A training step must be named." if steps else "A checkpoint's index is missing.",
        where=path,
        expected=index_path(prefix).name,
        found=_listing(steps or _prefixes(path.parent)),
        hint=f"name one of them, for example {steps[-1]}"
        if steps
        else "check the name, or copy the .index beside the checkpoint's other files",
    )


def _in_folder(folder: Path) -> tuple[Path, str]:
    state = folder / STATE_FILE
    if (named := latest_checkpoint(state)) is not None:
        return _from_state(state, named)
    prefixes = _prefixes(folder)
    if not prefixes:
        raise _nothing_at(folder, "no checkpoint file and no .index file in this folder")
    if len(prefixes) > 1:
        raise CheckpointError(
            "A folder holds several checkpoints, and no checkpoint file says which is meant.",
            where=folder,
            expected="one checkpoint, or a file named checkpoint that decides",
            found=_listing(prefixes),
            hint=f"name one of them, for example {prefixes[-1]}",
        )
    return prefixes[0], f"{prefixes[0].name} was read: the only checkpoint of the folder."


def _from_state(state: Path, named: str) -> tuple[Path, str]:
    """The checkpoint that a ``checkpoint`` file names."""
    prefix, others = _beside(state.parent, named), _prefixes(state.parent)
    require_inside(prefix, state.parent, state, CheckpointError)
    if not index_path(prefix).is_file():
        raise CheckpointError(
            "A checkpoint file names a checkpoint that is not there.",
            where=state,
            expected=index_path(prefix).name,
            found=_listing(others),
            hint="name one of the checkpoints found, or copy the missing one",
        )
    note = f"{prefix.name} was read: the file {state.name} names it as the latest"
    if len(others) > 1:
        note += f" of {len(others)} ({_listing(others)})"
    if prefix.parent != state.parent:
        note += f", in {prefix.parent}"
    return prefix, note + "."


def _beside(folder: Path, named: str) -> Path:
    """The prefix that a ``checkpoint`` file in `folder` names.

    An absolute path is that of the machine that trained. Should it exist here too, it can be
    another run's, so a checkpoint of the same base name beside the file goes first.
    """
    # Windows rules split at both kinds of slashes.
    literal, base = folder / named, folder / PureWindowsPath(named).name
    order = (base, literal) if literal == Path(named) else (literal, base)
    return next((prefix for prefix in order if index_path(prefix).is_file()), base)


def find_meta(prefix: Path) -> tuple[Path | None, str]:
    """The graph of a checkpoint. A Saver told to write it once leaves it at another step."""
    own = prefix.with_name(prefix.name + ".meta")
    if own.is_file():
        return own, ""
    base = _STEP.sub("", prefix.name)
    others = [
        meta
        for meta in prefix.parent.glob(f"{_escape(base)}*.meta")
        if _STEP.sub("", meta.stem) == base
    ]
    if not others:
        return None, ""
    step = _step(prefix.name)
    nearest = min(others, key=lambda meta: (abs(_step(meta.stem) - step), meta.stem))
    return (
        nearest,
        f"The graph was read from {nearest.name}: {prefix.name} has no .meta of its own.",
    )


def _prefixes(folder: Path, base: str | None = None) -> list[Path]:
    """The checkpoints in a folder, or those of one base name; steps in the order of numbers."""
    found = [
        index.with_name(index.name[: -len(".index")])
        for index in folder.glob("*.index")
        if not index.name.startswith(".")
    ]
    if base is not None:
        found = [prefix for prefix in found if _STEP.sub("", prefix.name) == base]
    return sorted(found, key=lambda prefix: (_STEP.sub("", prefix.name), _step(prefix.name)))


def _step(name: str) -> int:
    match = _STEP.search(name)
    return int(match[1]) if match else -1


def _strip_part(path: Path) -> Path | None:
    """The prefix of one of a checkpoint's files, by its suffix; None for another name."""
    name, parts = _PART.subn("", path.name)
    return path.with_name(name) if parts and name else None


def _is_v1(prefix: Path) -> bool:
    """Whether a prefix is a V1 checkpoint: one table file, or shards under a ``?????`` pattern."""
    return "?" in prefix.name or is_table_file(prefix)


def _escape(name: str) -> str:
    """A file name with the magic of a glob pattern taken out."""
    return re.sub(r"([*?[])", r"[\1]", name)


def _listing(prefixes: Iterable[Path]) -> str:
    return ", ".join(prefix.name for prefix in prefixes) or "no .index file in this folder"


def _nothing_at(path: Path, found: str) -> CheckpointError:
    return CheckpointError(
        "There is no TensorFlow checkpoint here.",
        where=path,
        expected="a prefix, an .index file, or a folder that holds one",
        found=found,
        hint="check the path",
    )
