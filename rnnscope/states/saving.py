"""Writing arrays by name into a file or folder: whole, or not at all."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from rnnscope.errors import OptionError, TraceError, spell
from rnnscope.files.arrays.array_views import blocks
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.files.containers.json_arrays import write_json_arrays
from rnnscope.files.containers.safetensors import write_safetensors
from rnnscope.files.containers.torch_archive import write_torch
from rnnscope.files.hdf5.discarding import discard
from rnnscope.files.writing.work_folders import KEPT_NEW, replace_folder, work_folder
from rnnscope.trace.target import check_target, publish, refuse_stdout

OWN_SUFFIXES = {".npy", ".h5", ".yml", ".dict"}
"""Files that an exported folder consists of; no other folder is replaced."""

WHAT = "output"
"""What messages call the file or folder."""

Arrays = Mapping[str, StoredArray]


def write_npz(path: Path, arrays: Arrays) -> None:
    """An uncompressed ``.npz``, a block at a time."""
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            # A date, so that the same states make the same bytes.
            info = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            with archive.open(info, "w", force_zip64=True) as member:
                _write_npy_to(member.write, array)


def write_npy(path: Path, array: StoredArray) -> None:
    """One ``.npy``, a block at a time."""
    with path.open("xb") as file:
        _write_npy_to(file.write, array)


def _write_npy_to(write: Callable[[bytes], object], array: StoredArray) -> None:
    class HeaderFile:
        """What `numpy.lib.format` takes for a file."""

        def write(self, part: bytes) -> object:
            return write(part)

    header = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": tuple(array.shape),
    }
    np.lib.format.write_array_header_1_0(HeaderFile(), header)
    for key in blocks(array.shape, array.dtype.itemsize) if array.shape else [()]:
        write(array.read(key).tobytes())


def write_h5(path: Path, arrays: Arrays) -> None:
    """HDF5 datasets; slashes in names are groups."""
    import h5py

    file = h5py.File(path, "x")
    try:
        for name, array in arrays.items():
            dataset = file.create_dataset(name, tuple(array.shape), array.dtype)
            for key in blocks(array.shape, array.dtype.itemsize):
                dataset[key] = array.read(key)
            dataset.flush()  # what fails when the object is collected, h5py only remarks upon
        file.flush()
    except BaseException:  # nothing is swallowed: an interrupt, too, closes the file
        discard(file)
        raise
    file.close()


def _write_single(path: Path, arrays: Arrays) -> None:
    if len(arrays) != 1:
        raise OptionError(
            "An .npy file holds one array.",
            where=path,
            expected="one array",
            found=f"{len(arrays)}: {', '.join(arrays)}",
            hint="write an .npz, or a folder of .npy: a name without a suffix",
        )
    write_npy(path, next(iter(arrays.values())))


def _write_json(path: Path, arrays: Arrays) -> None:
    try:
        write_json_arrays(path, arrays)
    except ValueError as error:
        raise OptionError(
            "The states are too large for JSON.",
            where=path,
            found=str(error),
            hint="write an .npz or .h5",
        ) from error


def write_folder(path: Path, arrays: Arrays) -> None:
    """A folder of ``.npy``; slashes in names are folders."""
    path.mkdir()
    for name, array in arrays.items():
        parts = [part if part.strip(".") else f"_{part}" for part in name.split("/")]
        file = path.joinpath(*parts[:-1], f"{parts[-1]}.npy")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_npy(file, array)


FILES: dict[str, Callable[[Path, Arrays], None]] = {
    ".npz": write_npz,
    ".h5": write_h5,
    ".hdf5": write_h5,
    ".safetensors": write_safetensors,
    ".pt": write_torch,
    ".pth": write_torch,
    ".json": _write_json,
    ".npy": _write_single,
    "": write_folder,
}
"""Kinds of files by suffix; none: a folder of ``.npy``."""


def check_arrays_target(path: Path, *, force: bool, inputs: tuple[Path, ...]) -> Path:
    """Refuse a target of no known kind, or that may not be written.

    Raises
    ------
    OptionError, TraceError
    """
    refuse_stdout(path, WHAT)
    if path.suffix.lower() not in FILES:
        raise OptionError(
            "The output's suffix names no kind of file.",
            where=path,
            expected=", ".join(suffix for suffix in FILES if suffix) + ", or none for a folder",
            found=path.suffix,
        )
    if path.suffix:
        return check_target(path, force, inputs, WHAT)
    return check_folder(path, force=force)


def check_folder(path: Path, *, force: bool) -> Path:
    """Refuse to make a folder where that would lose something.

    Raises
    ------
    TraceError
        It exists, and `force` is False or it holds files that no export writes.
    """
    refuse_stdout(path, WHAT)
    target = Path(os.path.realpath(path))
    if not target.exists():
        return check_target(target, force, what=WHAT)
    if not target.is_dir():
        what_is_there = "a file"
    elif strange := [item.name for item in target.rglob("*") if item.is_file() and not _own(item)]:
        what_is_there = f"a folder with {', '.join(sorted(strange)[:3])}"
    elif force or not any(target.iterdir()):
        return target
    else:
        raise TraceError(
            "The folder exists already.",
            where=target,
            expected="a new folder",
            found="a folder with files",
            hint=f"name another with {spell('output')}, or replace it with {spell('force')}",
        )
    raise TraceError(
        "The export would replace something else.",
        where=target,
        expected="a new folder, or one that an export made",
        found=what_is_there,
        hint=f"name another folder with {spell('output')}",
    )


def _own(file: Path) -> bool:
    return file.suffix in OWN_SUFFIXES and not file.is_symlink()


def _work_folder(target: Path, *, is_folder: bool = False) -> AbstractContextManager[Path]:
    """A folder beside the target, so that renaming stays within one file system."""
    # Names may have 255 bytes on most file systems.
    name = os.fsencode(target.name)[:60].decode("utf-8", "ignore")
    return work_folder(f".{name}.", ".partial", target.parent, target if is_folder else None)


def save_file(
    target: Path,
    write: Callable[[Path], None],
    *,
    force: bool,
    what: str = "export",
    option: str = "output",
) -> None:
    """Write a file under a temporary name beside it, and give it its own when it is whole.

    Raises
    ------
    TraceError
        The disk is full, or failed; it calls the file `what`, and names the `option` that says
        where it goes.
    """
    try:
        with _work_folder(target) as work:
            partial = work / f"{KEPT_NEW}{target.suffix}"
            write(partial)
            publish(partial, target, force, WHAT if what == "export" else what)
    except OSError as error:
        raise _disk_error(target, error, what, option) from error


def save_text(target: Path, text: str, *, force: bool, what: str, option: str = "output") -> None:
    """Write a text in UTF-8, its line ends as they are: whole, or not at all.

    What is named and is no file (a pipe, ``/dev/stdout``) is written to as it is.

    Raises
    ------
    TraceError
        As of `check_target` and `save_file`.
    """
    content = text.encode("utf-8")
    if target.exists() and not target.is_file() and not target.is_dir():
        try:
            target.write_bytes(content)
        except OSError as error:
            raise _disk_error(target, error, what, option) from error
        return

    def write(path: Path) -> None:
        with path.open("xb") as file:
            file.write(content)

    target = check_target(target, force, what=what, option=option)
    save_file(target, write, force=force, what=what, option=option)


def save_folder(target: Path, write: Callable[[Path], None]) -> None:
    """Write a folder under a temporary name beside it; `write` makes the folder."""
    try:
        with _work_folder(target, is_folder=True) as work:
            write(work / KEPT_NEW)
            replace_folder(work, target)
    except OSError as error:
        raise _disk_error(target, error) from error


def save_arrays(target: Path, arrays: Arrays, *, force: bool) -> None:
    """Write arrays as the target's suffix says; nothing is left behind if that fails."""
    write = FILES[target.suffix.lower()]
    if target.suffix:
        save_file(target, lambda path: write(path, arrays), force=force)
    else:
        save_folder(target, lambda path: write(path, arrays))


def _disk_error(
    target: Path, error: OSError, what: str = "export", option: str = "output"
) -> TraceError:
    return TraceError(
        f"The {what} cannot be written.",
        where=target,
        expected="room on the disk, and permission to write",
        found=str(error),
        hint=f"nothing was kept; free some space, or name another place with {spell(option)}",
    )
