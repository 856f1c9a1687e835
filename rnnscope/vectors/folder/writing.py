"""A folder of vectors, written whole or not at all."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from rnnscope.errors import OptionError, TraceError, spell
from rnnscope.files.containers.safetensors import write_safetensors
from rnnscope.states.saving import save_folder, write_npz
from rnnscope.trace.target import check_target, refuse_stdout
from rnnscope.vectors.cases import VectorSet
from rnnscope.vectors.folder.arrays import arrays_of
from rnnscope.vectors.folder.c_header import header_of
from rnnscope.vectors.folder.document import BYTES_OF_NUMBER, document_of, text_of
from rnnscope.vectors.result import WrittenFile

WHAT = "folder of vectors"

DOCUMENT, NPZ, SAFETENSORS, HEADER = (
    "vectors.json", "vectors.npz", "vectors.safetensors", "vectors.h",
)  # fmt: skip
RUNNER_C, RUNNER_JS = "runner.c", "runner.mjs"

OWN_FILES = (DOCUMENT, NPZ, SAFETENSORS, HEADER, RUNNER_C, RUNNER_JS)
"""What a folder of vectors consists of; no other folder is replaced."""

MOST_BYTES = 64 * 2**20
"""Of `vectors.json`: vectors are small, and a trace holds what is not."""

MOST_HEADER_BYTES = 8 * 2**20
"""Compilers take minutes for more constants than that."""


def text_bytes(vectors: VectorSet) -> int:
    """What the numbers take as text, about: of the document, and of the header."""
    total = sum(
        array.size * BYTES_OF_NUMBER[array.dtype.name]
        for case in vectors.cases
        for array in (case.x, *case.initial.values(), *(one for _, _, one in case.arrays()))
    )
    total += sum(
        array.size * BYTES_OF_NUMBER[array.dtype.name]
        for layer in vectors.layers
        for array in layer.weights.values()
    )
    return total


def check_folder_target(path: Path, *, force: bool) -> Path:
    """The real path of the folder, or the reason why it cannot be written.

    Raises
    ------
    TraceError
        It exists, and `force` is False or it holds files that are none of vectors.
    """
    refuse_stdout(path, WHAT)
    target = Path(os.path.realpath(path))
    if not target.exists():
        return check_target(target, force, what=WHAT)
    if not target.is_dir():
        raise TraceError(
            "The folder of vectors would replace a file.",
            where=target,
            expected="a new folder",
            found="a file",
            hint=f"name another with {spell('output')}",
        )
    strange = sorted(item.name for item in target.iterdir() if not _own(item))
    if strange:
        raise TraceError(
            "The folder of vectors would replace something else.",
            where=target,
            expected="a new folder, or one of vectors alone",
            found=f"a folder with {', '.join(strange[:3])}",
            hint=f"name another folder with {spell('output')}, or move these files elsewhere",
        )
    if any(target.iterdir()) and not force:
        raise TraceError(
            "The folder of vectors exists already.",
            where=target,
            expected="a new folder",
            found="a folder of vectors",
            hint=f"name another with {spell('output')}, or replace it with {spell('force')}",
        )
    return target


def _own(item: Path) -> bool:
    return item.name in OWN_FILES and item.is_file() and not item.is_symlink()


def write_folder(
    vectors: VectorSet, target: Path, *, header: bool | None = None
) -> tuple[tuple[WrittenFile, ...], tuple[str, ...]]:
    """Write the folder; the files with their sizes, and what is to be known.

    Parameters
    ----------
    vectors : VectorSet
    target : Path
        From `check_folder_target`.
    header : bool, optional
        Whether the C header and its runner are written; None: if they are not too large.

    Raises
    ------
    OptionError
        The vectors are too large.
    TraceError
        The disk is full, or failed.
    """
    size = text_bytes(vectors)
    if size > MOST_BYTES:
        raise OptionError(
            "The vectors would be too large.",
            where=target,
            expected=f"{MOST_BYTES // 2**20} MB of JSON at most",
            found=f"about {size // 2**20} MB in {len(vectors.cases)} cases",
            hint=f"{spell('steps', '8')}, {spell('sequences', '2')}, or one layer with "
            f"{spell('layers', 'NAME')}",
        )
    notes = []
    with_header = size <= MOST_HEADER_BYTES if header is None else header
    if not with_header and header is None:
        notes.append(
            f"no {HEADER} and {RUNNER_C}: they would have about {size // 2**20} MB of "
            f"constants ({spell('header')} writes them)"
        )
    kept = [*OWN_FILES] if with_header else [n for n in OWN_FILES if n not in (HEADER, RUNNER_C)]
    document = text_of(document_of(vectors))

    def write(folder: Path) -> None:
        folder.mkdir()
        arrays = arrays_of(vectors)
        _write_text(folder / DOCUMENT, document)
        write_npz(folder / NPZ, arrays)
        write_safetensors(folder / SAFETENSORS, arrays)
        if with_header:
            _write_text(folder / HEADER, header_of(vectors))
        for name in (RUNNER_C, RUNNER_JS):
            if name in kept:
                _write_text(folder / name, (files(__package__) / name).read_text("utf-8"))

    save_folder(target, write)
    written = [WrittenFile(name, (target / name).stat().st_size) for name in kept]
    return tuple(written), tuple(notes)


def _write_text(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)
