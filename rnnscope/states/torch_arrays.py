"""States in a ``.pt`` file: what ``torch.save`` was given, a dict, ``(h, c)`` or one tensor."""

from __future__ import annotations

from pathlib import Path

from rnnscope.errors import InputError, spell
from rnnscope.files.arrays.stored_array import LoadedArray, StoredArray
from rnnscope.files.containers.named_arrays import NamedArrays

STARTS = (b"PK\x03\x04", b"\x80")
OTHER_SUFFIXES = (".npz", ".keras", ".npy", ".h5")


def is_torch_file(path: Path) -> bool:
    """Whether a file is one of ``torch.save``, by its content; it never raises."""
    if path.suffix.lower() in OTHER_SUFFIXES or not path.is_file():
        return False  # a pipe would be waited for
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError:
        return False
    if not head.startswith(STARTS):
        return False
    from rnnscope.checkpoints.torch.torch_file import sniff

    return sniff(path)


def open_torch_arrays(path: Path) -> NamedArrays:
    """The tensors of a ``.pt`` file by name; the pickle is interpreted, never executed.

    A tuple's members are called by their places, ``0`` and ``1/0``, as those of an ``.npz`` are
    ``arr_0``.

    Raises
    ------
    CheckpointError
        The file is damaged, or its pickle names what no saved states have a use for.
    InputError
        It holds a model.
    """
    from rnnscope.checkpoints.torch.torch_file import holds_module, saved_arrays

    arrays = {array.name or "array": array for array in saved_arrays(path)}
    if holds_module(arrays):
        raise InputError(
            "This is a checkpoint, and holds no states.",
            where=path,
            expected="states: a trace, or c and m",
            found="weights of a recurrent module",
            hint=f"two checkpoints are compared with {spell('weights')} or {spell('input', 'X')}",
        )
    loaded: dict[str, StoredArray] = {}

    def get(name: str) -> StoredArray:
        if name not in loaded:
            loaded[name] = LoadedArray(arrays[name].load())
        return loaded[name]

    names = tuple(arrays)
    if names == ("array",):
        names, arrays[""] = ("",), arrays["array"]
    return NamedArrays(path, "torch", names, get)
