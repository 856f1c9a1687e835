"""Files and folders that hold arrays by name, before anyone says what the arrays are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from rnnscope.errors import InputError, spell
from rnnscope.files.arrays.reference import split_reference
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.files.containers.json_arrays import looks_like_json, read_json_arrays
from rnnscope.files.containers.npy import NpyFile
from rnnscope.files.containers.opening import nearest, open_container
from rnnscope.files.containers.safetensors import looks_like_safetensors, open_tensor, read_header
from rnnscope.files.guarding.regular import require_regular

KINDS = "a trace, .npy, .npz, a folder of .npy, .h5, .safetensors, .json, or FILE::NAME"
LSTMVIS_CONFIG = "lstm.yml"
MAX_FILES = 10_000


class NamedArrays:
    """An opened file or folder.

    Attributes
    ----------
    path : Path
    kind : str
        ``"npy"``, ``"npz"``, ``"hdf5"``, ``"folder"``, ``"safetensors"``, ``"json"``, ``"csv"``.
    names : tuple of str
        In the file's order; slashes as in HDF5. One empty name where there is none.
    part : str or None
        What was named after ``::``.
    unreadable : mapping of str to str
        Arrays that the file holds and nobody can read here, each with the reason.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        names: tuple[str, ...],
        get: Callable[[str], StoredArray],
        close: Callable[[], None] = lambda: None,
        part: str | None = None,
        unreadable: Mapping[str, str] | None = None,
    ) -> None:
        self.unreadable: Mapping[str, str] = unreadable or {}
        self.path, self.kind, self.names, self.part = path, kind, names, part
        self._get, self.close = get, close

    def array(self, name: str) -> StoredArray:
        return self._get(name)

    @property
    def label(self) -> str:
        """What messages and reports call it."""
        return f"{self.path}::{self.part}" if self.part else str(self.path)

    def only(self, names: tuple[str, ...], part: str) -> NamedArrays:
        """The same with some of its names, and what cannot be read inside that part alone."""
        unreadable = {
            name: reason
            for name, reason in self.unreadable.items()
            if f"{name}/".startswith(f"{part}/")
        }
        return NamedArrays(self.path, self.kind, names, self._get, self.close, part, unreadable)


def open_named(spec: str, is_name: Callable[[str], bool] | None = None) -> NamedArrays:
    """Open what the user names: a path, or ``PATH::NAME`` for an array or a group in it.

    Parameters
    ----------
    spec : str
    is_name : callable, optional
        ``is_name(stem)``: whether the name of a file of one array names the array, too.

    Raises
    ------
    InputError
        Nothing is there, or nothing that holds arrays.
    """
    path, part = split_reference(spec)
    arrays = _open(path, is_name)
    if not part:
        return arrays
    if part in arrays.names:
        return arrays.only((part,), part)
    inside = tuple(name for name in arrays.names if name.startswith(f"{part}/"))
    if not inside:
        names = arrays.names
        arrays.close()
        raise InputError(
            "The file holds nothing of that name.",
            where=f"{path}::{part}",
            expected=", ".join(names[:12]) or "arrays of numbers",
            found="no such array or group",
            hint=nearest(part, names),
        )
    return arrays.only(inside, part)


def _open(path: Path, is_name: Callable[[str], bool] | None) -> NamedArrays:
    if path.name == LSTMVIS_CONFIG and path.is_file():
        path = path.parent
    if path.is_dir():
        return _open_folder(path)
    require_regular(path, InputError)
    if looks_like_safetensors(path):
        return _open_safetensors(path)
    if looks_like_json(path):
        found = read_json_arrays(path)
        return NamedArrays(path, "json", tuple(found), found.__getitem__)
    if not path.exists():
        raise InputError(
            "There is no such file.",
            where=path,
            expected=KINDS,
            found="nothing of that name",
            hint=_neighbour(path),
        )
    container = open_container(path)
    names = container.names
    if names == ("",) and is_name is not None and is_name(path.stem):
        names = (path.stem,)
    return NamedArrays(path, container.kind, names, container.array, container.close)


def _open_safetensors(path: Path) -> NamedArrays:
    tensors = {entry.name: entry for entry in read_header(path).tensors}
    return NamedArrays(
        path,
        "safetensors",
        tuple(name for name, entry in tensors.items() if entry.is_readable),
        lambda name: open_tensor(path, tensors[name]),
        unreadable={
            name: f"dtype {entry.dtype}" for name, entry in tensors.items() if not entry.is_readable
        },
    )


def _open_folder(path: Path) -> NamedArrays:
    """A folder of ``.npy`` files, in sub-folders too; of an LSTMVis project, which has a file."""
    files: dict[str, Path] = {}
    for file in sorted(path.rglob("*.npy")):
        if len(files) >= MAX_FILES:
            break
        if file.is_file():
            files[file.relative_to(path).with_suffix("").as_posix()] = file
    if not files and not (path / LSTMVIS_CONFIG).is_file():
        raise InputError(
            "The folder holds no states.",
            where=path,
            expected=f".npy files, or {LSTMVIS_CONFIG} of LSTMVis",
            found=", ".join(sorted(item.name for item in path.iterdir())[:5]) or "nothing",
            hint=f"a checkpoint? Then say {spell('input')}, or {spell('weights')}",
        )
    opened: list[NpyFile] = []

    def get(name: str) -> StoredArray:
        opened.append(NpyFile(files[name]))
        return opened[-1].array("")

    def close() -> None:
        for file in opened:
            file.close()

    return NamedArrays(path, "folder", tuple(files), get, close)


def _neighbour(path: Path) -> str | None:
    try:
        return nearest(path.name, (other.name for other in path.parent.iterdir()))
    except OSError:
        return None
