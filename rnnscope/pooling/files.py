"""Pooled arrays in a file of their own: one in an ``.npy``, any number in an ``.npz``."""

from __future__ import annotations

import shutil
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from rnnscope.errors import OptionError, TraceError, spell
from rnnscope.files.writing.work_folders import work_folder
from rnnscope.model.cell import Array
from rnnscope.trace.pooled import COPY_BYTES, PooledHeader
from rnnscope.trace.target import check_target, publish

SUFFIXES = (".npy", ".npz")


class ArrayFile:
    """Writes pooled arrays to an ``.npy`` or ``.npz``; use ``with``.

    They are gathered on the disk beside the target, and the file gets its name when it is whole:
    an error leaves nothing.

    Parameters
    ----------
    path : Path
    headers : sequence of PooledHeader
    sequences : int
    force : bool
        Replace an existing file.
    inputs : sequence of Path
        Files that are never replaced.

    Raises
    ------
    OptionError
        The suffix is another one, or an ``.npy`` was asked for several arrays.
    TraceError
        The target exists, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        headers: Sequence[PooledHeader],
        sequences: int,
        *,
        force: bool = False,
        inputs: Sequence[Path] = (),
    ) -> None:
        self._headers = {header.key: header for header in headers}
        _check_suffix(path, self._headers)
        self.path = check_target(path, force, inputs, "file of pooled states")
        self._given, self._force, self._sequences = path, force, sequences
        self._files: dict[str, BinaryIO] = {}
        self._done: Counter[str] = Counter()
        self._open = ExitStack()

    def __enter__(self) -> ArrayFile:
        try:
            with ExitStack() as opened:
                folder = work_folder(".pooled.", place=self.path.parent)
                self._folder = opened.enter_context(folder)
                for number, (key, header) in enumerate(self._headers.items()):
                    file = self._folder / f"{number}.npy"
                    self._files[key] = opened.enter_context(file.open("wb"))
                    _write_npy_header(self._files[key], (self._sequences, header.width), header)
                self._open = opened.pop_all()
        except OSError as error:
            raise self._disk_error(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._open:
            if kind is None:
                self._finish()

    def place(self, header: PooledHeader) -> str:
        name = f"::{header.key}" if self.path.suffix.lower() == ".npz" else ""
        return f"{self._given}{name}"

    def write(self, header: PooledHeader, values: Array, sequences: slice) -> None:
        """Append values; `sequences` come in their order, as `pool_trace` has them."""
        if sequences.start != self._done[header.key]:
            raise ValueError(f"{header.key}: {sequences} does not follow {self._done[header.key]}")
        self._done[header.key] += len(values)
        try:
            self._files[header.key].write(values.tobytes())
        except OSError as error:
            raise self._disk_error(error) from error

    def _finish(self) -> None:
        try:
            for file in self._files.values():
                file.close()
            if self.path.suffix.lower() == ".npy":
                (whole,) = (Path(file.name) for file in self._files.values())
            else:
                whole = self._folder / "all.npz"
                with zipfile.ZipFile(whole, "x", zipfile.ZIP_STORED) as archive:
                    for key, file in self._files.items():
                        # A date, so that the same states make the same bytes.
                        member = zipfile.ZipInfo(f"{key}.npy", (1980, 1, 1, 0, 0, 0))
                        with (
                            Path(file.name).open("rb") as source,
                            archive.open(member, "w", force_zip64=True) as target,
                        ):
                            shutil.copyfileobj(source, target, COPY_BYTES)
            publish(whole, self.path, self._force, "file of pooled states")
        except OSError as error:
            raise self._disk_error(error) from error

    def _disk_error(self, error: OSError) -> TraceError:
        return TraceError(
            "The pooled arrays cannot be written.",
            where=self.path,
            expected="room on the disk, and permission to write",
            found=str(error),
            hint="nothing was kept; free some space, or name another place with -o",
        )


def _write_npy_header(file: BinaryIO, size: tuple[int, int], header: PooledHeader) -> None:
    descr = np.lib.format.dtype_to_descr(np.dtype(header.dtype))
    npy_header = {"descr": descr, "fortran_order": False, "shape": size}
    np.lib.format.write_array_header_1_0(file, npy_header)


def _check_suffix(path: Path, headers: Mapping[str, PooledHeader]) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(
            "The output's suffix names no kind of file.",
            where=path,
            expected="an .npy for one array, an .npz for several",
            found=path.suffix or "no suffix",
            hint="leave -o away to write into the trace",
        )
    if path.suffix.lower() == ".npy" and len(headers) != 1:
        raise OptionError(
            "An .npy file holds one array.",
            where=path,
            expected="one layer, one state, one method",
            found=f"{len(headers)}: {', '.join(headers)}",
            hint=(
                f"name an .npz, or choose with {spell('layers')}, "
                f"{spell('states')} and {spell('methods')}"
            ),
        )
