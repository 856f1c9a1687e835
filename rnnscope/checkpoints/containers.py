"""Choosing the one saved model among several files: members of an archive, files of a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.errors import CheckpointError, RnnscopeError, UnsupportedCellError
from rnnscope.files.archives.inner_file import InnerFile

ReadFile = Callable[[InnerFile], Checkpoint]

NO_MODEL = re.compile(
    r"optim|scheduler|rng_state|random_states|training_args|scaler|tokenizer|vocab", re.IGNORECASE
)
"""Names of files that training tools keep beside the weights."""

MAX_READ = 16
"""Files of one archive that are read to find the model."""


def choose_one(
    where: Path, files: Iterable[InnerFile], read: ReadFile, everything: Sequence[str]
) -> Checkpoint:
    """The one file that holds recurrent modules.

    Parameters
    ----------
    where : Path
        The archive.
    files : iterable of InnerFile
        What may be a saved model.
    read : callable
    everything : sequence of str
        The names of all files in the archive, for messages.

    Raises
    ------
    CheckpointError
        None is one, or several are.
    UnsupportedCellError
        Those that are hold no recurrent module that is computed.
    """
    candidates = [file for file in files if not NO_MODEL.search(file.name)]
    if not candidates or len(candidates) > MAX_READ:
        raise CheckpointError(
            "The archive holds no file that is read as a saved model."
            if not candidates
            else "The archive holds too many saved models to choose one.",
            where=where,
            expected="one member that PyTorch or safetensors wrote",
            found=words_of(candidate.inner_name for candidate in candidates)
            or words_of(everything)
            or "no members",
            hint="unpack it, and name the file that holds the weights",
        )
    found: list[tuple[InnerFile, Checkpoint]] = []
    errors: list[RnnscopeError] = []
    for file in candidates:
        made = _tried(read, file)
        if isinstance(made, Checkpoint):
            found.append((file, made))
        else:
            errors.append(made)
    if not found:
        raise next((e for e in errors if isinstance(e, UnsupportedCellError)), errors[0])
    if len(found) > 1:
        raise CheckpointError(
            "The archive holds several saved models: which is meant is not told.",
            where=where,
            expected="one member with recurrent modules",
            found=words_of(file.inner_name for file, _ in found),
            hint="unpack it, and name the one file",
        )
    file, checkpoint = found[0]
    others = [candidate.inner_name for candidate in candidates if candidate is not file]
    note = f"The saved model is '{file.inner_name}' inside the archive."
    if others:
        note += f" Not read: {words_of(others)}."
    return replace(checkpoint, path=where, files=(where,), notes=(note, *checkpoint.notes))


def _tried(read: ReadFile, file: InnerFile) -> Checkpoint | RnnscopeError:
    try:
        return read(file)
    except (UnsupportedCellError, CheckpointError) as error:
        return error


def words_of(names: Iterable[str], most: int = 6) -> str:
    """The first few names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
