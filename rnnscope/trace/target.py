"""The file that a trace becomes: refused early, written under another name, renamed when whole."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from rnnscope.errors import TraceError, spell
from rnnscope.files.guarding.regular import refuse_no_path
from rnnscope.files.writing.own_files import NO_LINK

SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5", ".nc", ".nc4")
"""What HDF5 files, and netCDF files that are HDF5, are called."""


def check_trace_name(path: str | os.PathLike[str]) -> None:
    """Refuse the name of another kind of file for a trace: a program would open it as that.

    Raises
    ------
    TraceError
        The name ends as no HDF5 file does; one without an ending is taken.
    """
    refuse_stdout(path, "trace")
    refuse_no_path(Path(path), TraceError, is_written=True)
    suffix = Path(path).suffix
    if suffix and suffix.lower() not in SUFFIXES:
        raise TraceError(
            "A trace is an HDF5 file, and this is the name of another kind.",
            where=path,
            expected=", ".join(SUFFIXES),
            found=suffix,
            hint=f"{spell('output', str(Path(path).with_suffix('.h5')))}; "
            "'rnnscope export' writes a trace's states in other formats",
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
    path = Path(os.fspath(given).partition("::")[0])
    if str(path) == "-":
        path = Path("stdin")
    return path.with_name(f"{path.stem or 'run'}.trace.h5")


def refuse_stdout(path: str | os.PathLike[str], what: str) -> None:
    """Refuse ``-`` for a file that is written, which many programs take for stdout.

    Raises
    ------
    TraceError
    """
    if os.fspath(path) == "-":
        raise TraceError(
            f"The {what} cannot be written to stdout.",
            where=spell("output", "-"),
            expected="the name of a file",
            found="-",
            hint="name a file; ./- is one that is called so",
        )


def check_target(
    path: str | os.PathLike[str], force: bool, inputs: Iterable[Path] = (), what: str = "trace"
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
    refuse_stdout(path, what)
    refuse_no_path(Path(path), TraceError, is_written=True)
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise TraceError(
            f"The folder for the {what} does not exist.",
            where=target.parent,
            expected="a folder",
            found="a file" if target.parent.exists() else "nothing",
            hint=f"mkdir -p {target.parent}",
        )
    if target.is_dir():
        raise TraceError(
            f"The {what} would replace a folder.",
            where=target,
            expected="the name of a file",
            found="a folder",
            hint=f"name a file in it with {spell('output')}",
        )
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise TraceError(
            f"The folder for the {what} cannot be written to.",
            where=target.parent,
            expected="permission to create files",
            found="none",
            hint=f"name another folder with {spell('output')}",
        )
    if target.exists():
        _check_existing(target, force, inputs, what)
    return target


def _check_existing(target: Path, force: bool, inputs: Iterable[Path], what: str) -> None:
    if any(other.exists() and target.samefile(other) for other in inputs):
        raise TraceError(
            f"The {what} would replace a file that the run reads.",
            where=target,
            expected="a new file",
            found="the checkpoint or input itself",
            hint=f"name another file with {spell('output')}",
        )
    if not target.is_file():
        raise TraceError(
            f"The {what} would replace something that is no file.",
            where=target,
            expected="a new file",
            found="a device, pipe or socket",
            hint=f"name another file with {spell('output')}",
        )
    if not force:
        raise _exists(target, what)


def _exists(target: Path, what: str) -> TraceError:
    return TraceError(
        f"The {what} exists already.",
        where=target,
        expected="a new file",
        found=f"{target.stat().st_size} bytes",
        hint=f"name another file with {spell('output')}, or replace it with {spell('force')}",
    )


def publish(partial: Path, target: Path, force: bool, what: str = "trace") -> None:
    """Give the finished file its name; force it to the disk first where it replaces another.

    A new trace is as safe as any file just written. One that takes an older one's place must not
    be lost together with it if the machine stops a moment later.

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
            os.fsync(descriptor)
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
