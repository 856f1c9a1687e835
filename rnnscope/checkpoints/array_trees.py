"""Trees of arrays by name, as JAX's libraries keep them: the parameters, and what lies beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rnnscope.checkpoints.module_layouts import find_layout_modules
from rnnscope.checkpoints.module_layouts.interface import ModuleLayout
from rnnscope.checkpoints.torch.building import StateDict
from rnnscope.checkpoints.torch.module_names import TENSOR, DeclaredModule
from rnnscope.checkpoints.torch.network import read_state_dict
from rnnscope.files.arrays.loadable_arrays import LoadableArray

PARAMETERS = (
    "params", "state_dict", "model_state_dict", "model", "module", "net", "network", "state",
    "default", "target", "param", "parameters", "weights",
)  # fmt: skip
"""Keys under which the parameters lie; what lies beside them is optimizers, steps, averages."""

SURE = ("params", "state_dict", "model_state_dict")
"""Those beside which nothing else is the model."""

MAX_FOLDERS = 8


def read_tree(
    arrays: Sequence[LoadableArray],
    where: object,
    layouts: Sequence[ModuleLayout],
    declared: Mapping[str, DeclaredModule] | None = None,
) -> tuple[StateDict, list[LoadableArray]]:
    """The recurrent modules of a tree, and its arrays by the names that these have there.

    Parameters
    ----------
    arrays : sequence of LoadableArray
        Names with slashes or dots between their parts.
    where : object
        The file, for messages.
    layouts : sequence of ModuleLayout
        Whose names they may have.
    declared : mapping of str to DeclaredModule, optional
        What the file says of modules, by name.

    Raises
    ------
    UnsupportedCellError
        There is none.
    """
    named, outside, folders = list(arrays), set[str](), []
    for _ in range(MAX_FOLDERS):
        first = {_first(array.name) for array in named if array.name not in outside}
        key = next((key for key in PARAMETERS if key in first), None)
        if key is None or (key not in SURE and _others_hold_modules(named, key, outside, layouts)):
            break
        folders.append(key)
        named, outside = _inside(named, key, outside)
    found = read_state_dict(named, where, outside=outside, layouts=layouts, declared=declared)
    if folders:
        found.notes.insert(0, f"The parameters were found under '{'/'.join(folders)}'.")
    return found, named


def _others_hold_modules(
    arrays: list[LoadableArray], key: str, outside: set[str], layouts: Sequence[ModuleLayout]
) -> bool:
    """Whether there are recurrent modules beside a key, too: then it is one part of the model."""
    others = [one for one in arrays if one.name not in outside and _first(one.name) != key]
    return bool(find_layout_modules(others, layouts)) or any(
        TENSOR.fullmatch(one.name) for one in others
    )


def _inside(
    arrays: list[LoadableArray], key: str, outside: set[str]
) -> tuple[list[LoadableArray], set[str]]:
    """Arrays under a key by what follows it; others keep their names, and are outside."""
    made: list[LoadableArray] = []
    beside = set(outside)
    for array in arrays:
        if array.name not in outside and _first(array.name) == key and len(array.name) > len(key):
            made.append(replace(array, name=array.name[len(key) + 1 :]))
        else:
            made.append(array)
            beside.add(array.name)
    return made, beside


def _first(name: str) -> str:
    return name.split("/", 1)[0] if "/" in name else ""
