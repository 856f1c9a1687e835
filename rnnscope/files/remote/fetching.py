"""Fetching what lies at an address: as data, into a work folder, within limits.

What is fetched is what the user names, and of its neighbours what such a file is never read
without: the other files of a TensorFlow checkpoint, the weights beside a graph, the shards beside
an index, all of a folder. An address inside a fetched file leads nowhere.
"""

from __future__ import annotations

import atexit
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import Any

from rnnscope.errors import RnnscopeError, call_by, spell
from rnnscope.files.guarding.limits import limits
from rnnscope.files.remote.addresses import (
    as_address,
    file_system,
    plain_errors,
    url_of,
    without_secrets,
)
from rnnscope.files.writing.work_folders import work_folder

MAX_FILES = 10_000
BLOCK_BYTES = 8 * 2**20
SMALL_BYTES = 2**20
"""Configurations beside weights are fetched up to this size."""

Error = type[RnnscopeError]
Names = Mapping[str, int]
"""Files at an address, by name from there, and their bytes."""

ShowFetching = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""``show(url, bytes)`` is entered while something is fetched; what it gives is called with the
bytes that came since the last call."""

_WITH_NEIGHBOURS: tuple[tuple[str, str], ...] = (
    # A file of this name, and the names of those that belong to it; STEM is group 1 of the first.
    (r"(.+)\.(?:index|meta|data-\d{5}-of-\d{5})", r"STEM\..+"),
    (r"(.+)-\d{5}-of-\d{5}", r"STEM(-\d{5}-of-\d{5}|\.meta)"),
    (r"(.+?)(?:-\d{5}-of-\d{5})(?:\.(?:safetensors|bin))", r"STEM(-\d{5}-of-\d{5})?\..+"),
    (r"(.+)\.xml", r"STEM\.bin"),
    (r"(.+)\.pdmodel", r"STEM\.pdiparams"),
    (r"(.+)\.pdiparams", r"STEM\.(pdmodel|json)"),
    (r"(.+?)\.(?:safetensors|bin)\.index\.json", r"STEM.*\.(safetensors|bin)"),
    (r"(.+)\.json", r".+\.(bin|pdiparams|hdf5)|.+-shard\d+of\d+(\.bin)?"),
    (r"(.+)\.onnx", r"STEM\.(onnx[._])?(data|weights).*|STEM\.onnx[._].+"),
    (r"(.+)\.(?:hdf5|h5|ckpt|npz|bin|safetensors|pt|pth)", r"(config|options|.*_options)\.json"),
)
"""Which neighbours a file is not read without; the first line that fits it counts."""

_kept = ExitStack()
_show: ShowFetching | None = None


def show_fetching(show: ShowFetching | None) -> None:
    """Let a surface show what is being fetched, from now on."""
    global _show  # noqa: PLW0603  # one surface a process: whoever starts it says so, once
    _show = show


@contextmanager
def fetched(path: Path, error: Error, what: str) -> Iterator[Path]:
    """A copy of what lies at an address, gone when the block ends; a path of this system as it is.

    Messages and reports go on to call it by its address.

    Parameters
    ----------
    path : Path
    error : type of RnnscopeError
    what : str
        What messages call it: ``checkpoint``.

    Yields
    ------
    Path

    Raises
    ------
    RnnscopeError
        There is nothing, it is more than it may be, or the store refuses.
    """
    url = url_of(path)
    if url is None:
        yield as_address(path)
        return
    with work_folder("rnnscope-fetched-") as folder, call_by(str(folder), url.rpartition("/")[0]):
        yield _fetch(url, folder, error, what)


def kept_copy(path: Path, error: Error, what: str) -> Path:
    """As `fetched`, kept until the process ends: for what is read from it later on."""
    if url_of(path) is None:
        return as_address(path)
    if not _kept._exit_callbacks:  # type: ignore[attr-defined]  # noqa: SLF001  # nothing kept yet
        atexit.register(_kept.close)
    return _kept.enter_context(fetched(path, error, what))


def drop_copies() -> None:
    """Remove what `kept_copy` keeps, where a process ends without a word to Python."""
    _kept.close()


def _fetch(url: str, folder: Path, error: Error, what: str) -> Path:
    system, root = file_system(url, error)
    name = PurePosixPath(root).name
    try:
        with plain_errors():
            base, sizes = _needed(system, root.rstrip("/"))
    except OSError as fault:
        raise _failed(url, fault, error, what) from None
    if not sizes:
        raise error(
            f"There is no such {what}.",
            where=url,
            expected="an object, a prefix of objects, or a folder of them",
            found="nothing of that name",
            hint="check the address, and the endpoint (AWS_ENDPOINT_URL)",
        )
    _check_sizes(url, sizes, folder, error, what)
    with nullcontext(_ignore) if _show is None else _show(url, sum(sizes.values())) as advance:
        for relative, size in sizes.items():
            target = folder / relative
            if not target.resolve().is_relative_to(folder.resolve()):
                raise _failed(url, OSError(f"a name that leads elsewhere: {relative}"), error, what)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                _copy(system, f"{base}/{relative}", target, size, advance)
            except OSError as fault:
                raise _failed(f"{url.rpartition('/')[0]}/{relative}", fault, error, what) from None
    return folder / name


def _ignore(_: int) -> None:
    """Nobody looks on."""


def _needed(system: Any, root: str) -> tuple[str, Names]:
    """The folder that the names are in, and what is to be fetched: names and bytes."""
    base, _, name = root.rpartition("/")
    try:
        about = system.info(root)
    except FileNotFoundError:
        # The prefix of a TensorFlow checkpoint is no object itself.
        beside = _listed(system, base)
        return base, {one: size for one, size in beside.items()
                      if one.startswith((f"{name}.", f"{name}-"))}  # fmt: skip
    if about["type"] == "directory":
        found = system.find(root, detail=True, maxdepth=None)
        return base, {path.removeprefix(f"{base}/"): int(one["size"] or 0)
                      for path, one in found.items() if one["type"] == "file"}  # fmt: skip
    sizes = {name: int(about["size"] or 0)}
    for pattern, neighbours in _WITH_NEIGHBOURS:
        fits = re.fullmatch(pattern, name)
        if fits is None:
            continue
        wanted = re.compile(neighbours.replace("STEM", re.escape(fits[1])))
        for other, size in _listed(system, base).items():
            is_small = not other.endswith(".json") or size <= SMALL_BYTES
            if wanted.fullmatch(other) and is_small:
                sizes[other] = size
        break
    return base, sizes


def _listed(system: Any, folder: str) -> dict[str, int]:
    """The files of a folder, by name, and their bytes."""
    try:
        found = system.ls(folder, detail=True)
    except FileNotFoundError:
        return {}
    return {
        str(one["name"]).rstrip("/").rpartition("/")[2]: int(one["size"] or 0)
        for one in found
        if one["type"] == "file"
    }


def _check_sizes(url: str, sizes: Names, folder: Path, error: Error, what: str) -> None:
    total, most = sum(sizes.values()), limits().fetched()
    if len(sizes) > MAX_FILES:
        raise error(
            f"The {what} is more files than are fetched.",
            where=url,
            expected=f"at most {MAX_FILES}",
            found=f"{len(sizes)}",
            hint="name the file itself",
        )
    if total > most:
        raise error(
            f"The {what} is larger than what is fetched.",
            where=url,
            expected=f"at most {most} bytes",
            found=f"{total} bytes in {len(sizes)} files",
            hint=f"allow more with {spell('max_bytes')}",
        )
    import shutil
    import tempfile

    free = shutil.disk_usage(folder).free
    if total > free:
        raise error(
            f"There is no room for a copy of the {what}.",
            where=tempfile.gettempdir(),
            expected=f"{total} bytes",
            found=f"{free} bytes free",
            hint="name a folder on a larger disk with TMPDIR",
        )


def _copy(
    system: Any, source: str, target: Path, size: int, advance: Callable[[int], object]
) -> None:
    """Copy a file; one that has become another meanwhile is refused."""
    done = 0
    with plain_errors(), system.open(source, "rb", block_size=BLOCK_BYTES, cache_type="none") as \
            stream, target.open("xb") as file:  # fmt: skip
        while block := stream.read(BLOCK_BYTES):
            done += len(block)
            if done > size:
                break
            file.write(block)
            advance(len(block))
    if done != size:
        raise OSError(f"{size} bytes were announced, and {'more' if done > size else done} came")


def _failed(url: str, fault: OSError, error: Error, what: str) -> RnnscopeError:
    return error(
        f"The {what} cannot be fetched.",
        where=without_secrets(url),
        expected="an object that may be read",
        found=without_secrets(str(fault))[:300],
        hint="check the address, the keys and the endpoint (AWS_ENDPOINT_URL)",
    )
