"""PyTorch ``.pt`` and ``.pth`` files: state dicts, training checkpoints, TorchScript archives."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field, replace
from functools import partial
from pathlib import Path

from rnnscope.checkpoints.array_trees import read_tree
from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.module_layouts import layouts_of
from rnnscope.checkpoints.module_layouts.interface import ModuleLayout
from rnnscope.checkpoints.module_layouts.jax_libraries import EQUINOX, MLX
from rnnscope.checkpoints.torch.computed_weights import PART
from rnnscope.checkpoints.torch.module_names import TENSOR, DeclaredModule
from rnnscope.checkpoints.torch.network import read_state_dict
from rnnscope.checkpoints.torch.older_files import (
    is_legacy,
    is_plain_pickle,
    read_legacy,
    read_plain_pickle,
)
from rnnscope.checkpoints.torch.opened_file import TorchFile
from rnnscope.checkpoints.torch.pickled_values import PickledArray, PickledTensor
from rnnscope.checkpoints.torch.saved_objects import (
    EndlessObjectsError,
    SavedObjects,
    walk_saved,
)
from rnnscope.checkpoints.torch.shards import (
    INDEX_END,
    is_index,
    require_tensors,
    sharded_words,
    shards_of,
)
from rnnscope.checkpoints.torch.stored_tensors import load_array
from rnnscope.checkpoints.torch.zip_archive import read_zip
from rnnscope.checkpoints.torch.zip_members import damaged
from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.archives.inner_file import AnyFile, InnerFile
from rnnscope.files.arrays.loadable_arrays import LoadableArray, reading_by_name
from rnnscope.model.cell import Array

SHARD_ENDS = (".bin", ".pt", ".pth")


def sniff(path: AnyFile) -> bool:
    """Whether a file is a zip with a data.pkl, an older file, or a pickle. Never raises."""
    try:
        if not path.is_file():
            return False
        if is_legacy(path) or is_plain_pickle(path) or is_index(path, SHARD_ENDS):
            return True
        with path.open("rb") as file:
            head = file.read(128)
        if not head.startswith(b"PK\x03\x04"):
            return False
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return any(name.split("/")[-1] == "data.pkl" for name in archive.namelist())
    except zipfile.BadZipFile:
        # A cut off zip has lost its list of members; the first one still stands at the front.
        return b"/data.pkl" in head[30:]
    except (OSError, ValueError, NotImplementedError):
        return False


def read_torch(path: AnyFile) -> Checkpoint:
    """Read the recurrent modules of a PyTorch file; its pickles are interpreted, never executed.

    Raises
    ------
    CheckpointError
        The file is damaged, or its pickle names what no saved model has a use for.
    UnsupportedCellError
        It holds no recurrent module.
    """
    files = shards_of(path)
    contents = _Contents(notes=sharded_words(files))
    contents.read([file for file in files if not file.name.endswith(INDEX_END)])
    require_tensors(
        files, [array.name for array in contents.arrays if array.name not in contents.outside]
    )
    own = tuple(file for file in files if isinstance(file, Path))
    where = path if isinstance(path, Path) else path.outer
    return _checkpoint(where, own, contents, READER.name)


def read_pickled(path: Path, inner: InnerFile, format_name: str, layout: str | None) -> Checkpoint:
    """Read the recurrent modules of a pickle that lies inside another file.

    Parameters
    ----------
    path : Path
        The file.
    inner : InnerFile
        The pickle.
    format_name : str
        What the checkpoint's format is called.
    layout : str or None
        Whose names the arrays have.
    """
    contents = _Contents()
    contents.add(inner, read_plain_pickle(inner))
    return _checkpoint(path, (path,), contents, format_name, layout)


def _checkpoint(
    path: Path,
    files: tuple[Path, ...],
    contents: _Contents,
    format_name: str,
    layout: str | None = None,
) -> Checkpoint:
    arrays = contents.arrays
    if contents.holds_torch_names:
        found = read_state_dict(
            arrays,
            path,
            declared=contents.declared,
            outside=contents.outside,
            constants=contents.constants,
            layouts=contents.layouts(layout),
        )
    else:
        found, arrays = read_tree(arrays, path, contents.layouts(layout), contents.declared)
    framework = "PyTorch (TorchScript)" if contents.is_script else "PyTorch"
    return Checkpoint(
        path=path,
        format=format_name,
        framework="arrays in a pickle" if contents.is_numpy else framework,
        files=files,
        network=found.network,
        left_out=tuple(found.left_out),
        notes=(*contents.notes, *found.notes),
        read_left_out=reading_by_name(arrays),
    )


def saved_arrays(path: Path) -> list[LoadableArray]:
    """Every tensor and array of one file by name, each read when it is asked for.

    Raises
    ------
    CheckpointError
        The file is damaged, or its pickle names what no saved model has a use for.
    """
    opened = _open(path)
    return [
        LoadableArray(
            name := _shown(one.folder, one.name, ()).strip("/"),
            one.value.shape,
            _loader(opened, one.value, f"{path}: {name}"),
        )
        for one in _walk(path, opened.value).tensors
    ]


def holds_module(names: Iterable[str]) -> bool:
    """Whether names are those of the parameters of a recurrent module."""
    last = [name.rpartition("/")[2] for name in names]
    return any(TENSOR.fullmatch(name) or PART.fullmatch(name) for name in last)


@dataclass
class _Contents:
    """The tensors of files by name, and what they say of modules."""

    arrays: list[LoadableArray] = field(default_factory=list)
    declared: dict[str, DeclaredModule] = field(default_factory=dict)
    outside: set[str] = field(default_factory=set)
    constants: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    is_script: bool = False
    is_numpy: bool = True

    @property
    def holds_torch_names(self) -> bool:
        """Whether any tensor is named as those of torch's own modules are."""
        names = [array.name.rpartition("/")[2] for array in self.arrays]
        return any(TENSOR.fullmatch(name) or PART.fullmatch(name) for name in names) or bool(
            self.constants
        )

    def layouts(self, name: str | None) -> tuple[ModuleLayout, ...]:
        """Whose names may be meant; torch's own tensors are none of Equinox's or MLX'."""
        known = layouts_of(name)
        return (
            known
            if self.is_numpy or name
            else tuple(one for one in known if one not in (EQUINOX, MLX))
        )

    def add(self, path: AnyFile, opened: TorchFile) -> None:
        """Take in one file that is opened."""
        saved = _walk(path, opened.value)
        self._add(path, opened, saved, self._holder([saved]))

    def read(self, paths: Sequence[AnyFile]) -> None:
        """Read files. Dicts around the one with recurrent modules are no part of names."""
        opened = [_open(path) for path in paths]
        walked = [_walk(path, one.value) for path, one in zip(paths, opened, strict=True)]
        # A shard without recurrent modules has the same dict around its tensors as the others.
        plain = self._holder(walked)
        for path, one, saved in zip(paths, opened, walked, strict=True):
            self._add(path, one, saved, plain)

    def _add(
        self, path: AnyFile, opened: TorchFile, saved: SavedObjects, plain: tuple[str, ...] | None
    ) -> None:
        self.is_script |= opened.is_script
        self.is_numpy &= all(isinstance(one.value, PickledArray) for one in saved.tensors)
        inside = {tensor.name for tensor in saved.tensors if tensor.folder == plain}
        for tensor in saved.tensors:
            shown = _shown(tensor.folder, tensor.name, plain)
            if tensor.folder != plain and shown in inside:
                shown = f"/{shown}"  # what lies beside has no part in what has the name inside
            load = _loader(opened, tensor.value, f"{path}: {shown}")
            self.arrays.append(LoadableArray(shown, tensor.value.shape, load))
            if plain is not None and tensor.folder != plain:
                self.outside.add(shown)
        self._add_constants(opened, path)
        self.declared |= opened.frozen.modules
        for (folder, name), module in saved.modules.items():
            if opened.nonlinearity and "nonlinearity" not in module.settings:
                settings = {**module.settings, "nonlinearity": opened.nonlinearity}
                module = replace(module, settings=settings)  # noqa: PLW2901 - the same, known better
            self.declared.setdefault(_shown(folder, name, plain), module)

    def _add_constants(self, opened: TorchFile, path: AnyFile) -> None:
        """Tensors that are named in code alone: a traced model may start from one."""
        for number, tensor in opened.constants.items():
            assert opened.load_constant is not None
            frozen = opened.frozen.names.get(number)
            name = frozen or f"constants/{number}"
            load = partial(opened.load_constant, tensor, f"{path}: {name}")
            self.arrays.append(LoadableArray(name, tensor.shape, load))
            if frozen is None:
                self.outside.add(name)
                self.constants.add(name)

    def _holder(self, walked: Sequence[SavedObjects]) -> tuple[str, ...] | None:
        """The one dict or object that holds recurrent modules; None if there are several."""
        holders = list(
            dict.fromkeys(
                tensor.folder
                for saved in walked
                for tensor in saved.tensors
                if TENSOR.fullmatch(tensor.name) or PART.fullmatch(tensor.name)
            )
        )
        plain = holders[0] if len(holders) == 1 else None
        if plain:
            kind = (
                "module" if any((plain, "") in saved.modules for saved in walked) else "state dict"
            )
            self.notes.append(f"The {kind} was found under '{'/'.join(plain)}'.")
        return plain


def _open(path: AnyFile) -> TorchFile:
    if is_legacy(path):
        return read_legacy(path)
    return read_plain_pickle(path) if is_plain_pickle(path) else read_zip(path)


def _walk(path: AnyFile, value: object) -> SavedObjects:
    try:
        return walk_saved(value)
    except EndlessObjectsError as error:
        raise damaged(path, f"at most {error}", "more") from error


def _shown(folder: tuple[str, ...], name: str, plain: tuple[str, ...] | None) -> str:
    return name if folder == plain else "/".join((*folder, name))


def _loader(
    opened: TorchFile, value: PickledTensor | PickledArray, where: str
) -> Callable[[], Array]:
    if isinstance(value, PickledArray):
        return partial(load_array, value, where)
    return partial(opened.load, value, where)


READER = Reader(
    name="torch",
    title="PyTorch file (.pt, .pth)",
    reads="what safetensors reads, in zip and older files and plain pickles, alone or inside a "
    "training checkpoint; whole pickled modules, parameters of TorchScript archives, frozen ones, "
    "too; pickles of numpy's and jax's arrays; pickles are interpreted, never executed",
    does_not_read="code: cells of somebody's own are read by name, as guesses, or refused",
    sniff=sniff,
    read=read_torch,
)
