"""The file that a trace becomes: refused early, written under another name, renamed when whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rnnscope.errors import TraceError, spell, spell_command
from rnnscope.files.arrays.reference import split_reference
from rnnscope.files.guarding.regular import refuse_no_path
from rnnscope.files.remote.addresses import ADDRESS, as_address, url_of
from rnnscope.files.writing.own_files import NO_LINK
from rnnscope.files.writing.write_back import make_safe_to_rename
from rnnscope.trace.stores.naming import ZARR_MARK, ZARR_SUFFIX, is_zarr, require_zarr

SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5", ".nc", ".nc4")
"""What HDF5 files, and netCDF files that are HDF5, are called."""

TRACE = "trace"
"""What alone may be a zarr store, or at an address."""


def check_trace_name(path: str | os.PathLike[str]) -> None:
    """Refuse the name of another kind of file for a trace: a program would open it as that.

    Raises
    ------
    TraceError
        The name ends as no HDF5 file and no zarr store does; one without an ending is taken.
    """
    refuse_stdout(path, TRACE)
    place = as_address(path)
    if is_zarr(place):
        require_zarr(place)
        return
    if url_of(place) is not None:
        raise TraceError(
            "What is written to an object store is a zarr store.",
            where=place,
            expected=".zarr",
            found=place.suffix or "no ending",
            hint=spell("output", str(as_address(place.with_suffix(".zarr")))),
        )
    refuse_no_path(place, TraceError, is_written=True)
    suffix = place.suffix
    if suffix.lower() == ZARR_SUFFIX:
        raise TraceError(
            "A zarr store is a folder, and a file has this name.",
            where=path,
            expected="a new name, or a zarr store",
            found="a file",
            hint=f"name another place with {spell('output')}",
        )
    if suffix and suffix.lower() not in SUFFIXES:
        raise TraceError(
            "A trace is an HDF5 file or a zarr store, and this is the name of another kind.",
            where=path,
            expected=", ".join((*SUFFIXES, ZARR_SUFFIX)),
            found=suffix,
            hint=f"{spell('output', str(Path(path).with_suffix('.h5')))}; "
            f"{spell_command('export', 'TRACE', to='torch', path='h_c.npz')} writes a trace's "
            "states in another format",
        )


def trace_beside(given: str | os.PathLike[str]) -> Path:
    """Where the trace of a run over an input goes if nobody says it: beside the input.

    Parameters
    ----------
    given : str or path
        ``x.npz``, or ``data.h5::/x``.

    Returns
    -------
    Path
        ``x.trace.h5``; never an input's own name.
    """
    path, _ = split_reference(os.fspath(given))
    if ADDRESS.fullmatch(str(path)):
        path = Path(path.name)  # beside it, in an object store, nothing is written unasked
    if str(path) == "-":
        path = Path("stdin")
    return path.with_name(f"{path.stem or 'run'}.trace.h5")


def refuse_stdout(path: str | os.PathLike[str], what: str, option: str = "output") -> None:
    """Refuse ``-`` for a file that is written, which many programs take for stdout.

    Raises
    ------
    TraceError
    """
    if os.fspath(path) == "-":
        raise TraceError(
            f"The {what} cannot be written to stdout.",
            where=spell(option, "-"),
            expected="the name of a file",
            found="-",
            hint="name a file; ./- is one that is called so",
        )


def check_target(
    path: str | os.PathLike[str],
    force: bool,
    inputs: Iterable[Path] = (),
    what: str = TRACE,
    *,
    option: str = "output",
) -> Path:
    """The real path of the file to write, or the reason why it cannot be written.

    Parameters
    ----------
    path : str or path
    force : bool
        An existing file may be replaced.
    inputs : iterable of Path
        Files that are read in the same run, and must not be replaced even so.
    what : str
        What messages call the file.
    option : str
        What names it, for messages.

    Returns
    -------
    Path
        Absolute, with symbolic links followed.

    Raises
    ------
    TraceError
        The folder is missing or cannot be written to; the target is a folder or an input; it
        exists and `force` is False.
    """
    refuse_stdout(path, what, option)
    place = as_address(path)
    is_store = what == TRACE and is_zarr(place)
    if is_store and url_of(place) is not None:
        return _check_address(place, force)
    refuse_no_path(place, TraceError, is_written=True)
    target = Path(os.path.realpath(place))
    if not target.parent.is_dir():
        raise TraceError(
            f"The folder for the {what} does not exist.",
            where=target.parent,
            expected="a folder",
            found="a file" if target.parent.exists() else "nothing",
            hint=f"mkdir -p {target.parent}",
        )
    if target.is_dir() and not is_store:
        raise TraceError(
            f"The {what} would replace a folder.",
            where=target,
            expected="the name of a file",
            found="a folder",
            hint=f"name a file in it with {spell(option)}",
        )
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise TraceError(
            f"The folder for the {what} cannot be written to.",
            where=target.parent,
            expected="permission to create files",
            found="none",
            hint=f"name another folder with {spell(option)}",
        )
    if is_store and target.is_dir():
        _check_store(target, force, inputs)
    elif target.exists():
        _check_existing(target, force, inputs, what, option)
    return target


def _check_address(place: Path, force: bool) -> Path:
    """An address for a zarr store: it must be reached now, not when the run is over."""
    from rnnscope.trace.stores.zarr_place import place_of

    try:
        is_there = bool(place_of(place).sizes())
    except OSError as error:
        raise TraceError(
            "The object store cannot be reached.",
            where=place,
            expected="a bucket that can be listed and written to",
            found=str(error)[:300],
            hint="check the address, the keys and the endpoint (AWS_ENDPOINT_URL)",
        ) from error
    if is_there and not force:
        raise exists_already(place)
    return place


def _check_store(target: Path, force: bool, inputs: Iterable[Path]) -> None:
    """Refuse a folder that is no zarr store, or holds what the run reads."""
    if not is_zarr(target) or (not (target / ZARR_MARK).is_file() and any(target.iterdir())):
        raise TraceError(
            "The trace would replace a folder.",
            where=target,
            expected="a zarr store, or nothing",
            found="a folder of other things",
            hint=f"name another place with {spell('output')}",
        )
    if any(Path(os.path.realpath(other)).is_relative_to(target) for other in inputs):
        raise TraceError(
            "The trace would replace a file that the run reads.",
            where=target,
            expected="a new store",
            found="the checkpoint or input itself",
            hint=f"name another place with {spell('output')}",
        )
    if not force:
        raise exists_already(target)


def exists_already(target: Path) -> TraceError:
    """The error for a zarr store where one is."""
    return TraceError(
        "The trace exists already.",
        where=target,
        expected="a new store",
        found="one, whole or not",
        hint=f"name another one with {spell('output')}, or replace it with {spell('force')}",
    )


def _check_existing(
    target: Path, force: bool, inputs: Iterable[Path], what: str, option: str
) -> None:
    if any(other.exists() and target.samefile(other) for other in inputs):
        raise TraceError(
            f"The {what} would replace a file that the run reads.",
            where=target,
            expected="a new file",
            found="the checkpoint or input itself",
            hint=f"name another file with {spell(option)}",
        )
    if not target.is_file():
        raise TraceError(
            f"The {what} would replace something that is no file.",
            where=target,
            expected="a new file",
            found="a device, pipe or socket",
            hint=f"name another file with {spell(option)}",
        )
    if not force:
        raise _exists(target, what, option)


def _exists(target: Path, what: str, option: str = "output") -> TraceError:
    return TraceError(
        f"The {what} exists already.",
        where=target,
        expected="a new file",
        found=f"{target.stat().st_size} bytes",
        hint=f"name another file with {spell(option)}, or replace it with {spell('force')}",
    )


def publish(partial: Path, target: Path, force: bool, what: str = "trace") -> None:
    """Give the finished file its name; see it to the disk first where it replaces another.

    A new trace is as safe as any file just written. One that takes an older one's place must not
    be lost together with it if the machine stops a moment later. It may then be the older one that
    is there, but no empty or mixed file: without waiting for the content ext4 (`auto_da_alloc`)
    only begins to write it at the rename, and what has not arrived reads as zeros after a crash.

    Raises
    ------
    TraceError
        Another process made the target meanwhile, and `force` is False.
    OSError
        The disk is full, or failed.
    """
    if target.exists():
        descriptor = os.open(partial, os.O_RDWR | NO_LINK)
        try:
            make_safe_to_rename(descriptor)
        finally:
            os.close(descriptor)
    if not force:
        try:
            os.link(partial, target)  # unlike a rename it never replaces
        except FileExistsError as error:
            raise _exists(target, what) from error
        except OSError:  # a file system without hard links
            if target.exists():
                raise _exists(target, what) from None
        else:
            partial.unlink()
            return
    partial.replace(target)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """What goes wrong while a trace is written becomes an error that says so."""
    try:
        yield
    # h5py turns what HDF5 cannot write into either, depending on the call.
    except (OSError, RuntimeError) as error:
        is_remote = url_of(path) is not None
        raise TraceError(
            "The trace cannot be written.",
            where=path,
            expected="a bucket that may be written to"
            if is_remote
            else "room on the disk, and permission to write",
            found=str(error),
            hint="nothing was kept; check the address, the keys and the endpoint (AWS_ENDPOINT_URL)"
            if is_remote
            else f"nothing was kept; free some space, or name another place with {spell('output')}",
        ) from error
