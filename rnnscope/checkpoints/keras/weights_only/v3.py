"""``.weights.h5`` files (Keras 2.12 and later, tf_keras, Keras 3): a group an object, by class.

The groups are those of a ``.keras`` file's weights: ``layers/lstm_1/cell/vars/0``, or
``_layer_checkpoint_dependencies`` for ``layers`` in Keras 2.12 and 2.13. They go by the class of
a layer; its name is an attribute, and only Keras 3 writes it. HDF5 lists groups by name, so that
the order of layers is not stored; the places in the file at which they were written keep it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rnnscope.checkpoints.keras.keras_file import ObjectGroup
from rnnscope.checkpoints.keras.weights import StoredVariable, hdf5_variable, is_seed
from rnnscope.checkpoints.keras.weights_only.h5 import class_by_name
from rnnscope.checkpoints.keras.weights_only.layers import (
    CELL_ROLES,
    STOCK_CELLS,
    STOCK_LAYERS,
    LayerDirection,
    LooseLayer,
    Roles,
    base_name,
)
from rnnscope.errors import CheckpointError
from rnnscope.files.hdf5.safe_hdf5 import (
    attribute_text,
    child_group,
    child_names,
    walk_datasets,
)

if TYPE_CHECKING:
    import h5py

CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
NOT_LAYERS = ("optimizer", "metrics", "loss", "vars", "seed_generator", "random_generator")
MAX_NESTING = 16

_PLAIN_ROLES = {
    "dense": ("kernel", "bias"),
    "embedding": ("embeddings",),
}


def read_loose_v3(file: h5py.File) -> list[LooseLayer]:
    """The layers of the file, in the order in which they were written.

    Raises
    ------
    CheckpointError
        Groups are nested deeper than models are.
    """
    return _model(file, "", "", 0)


def names_layers(file: h5py.File) -> bool:
    """Whether the file names its layers, as Keras 3 does."""
    group = child_group(file, "vars")
    return group is not None and attribute_text(group, "name") is not None


def _model(file: h5py.File, path: str, prefix: str, depth: int) -> list[LooseLayer]:
    if depth > MAX_NESTING:
        raise CheckpointError(
            "The file nests models too deep.",
            where=f"{file.filename}: {path}",
            expected=f"at most {MAX_NESTING} models within models",
            found="more",
        )
    places = [f"{path}/{key}".lstrip("/") for key in _objects(file, path)]
    places.sort(key=lambda place: _written_at(file, place))
    found: list[LooseLayer] = []
    for place in places:
        key = place.rpartition("/")[2]
        name = prefix + _name(file, place, key)
        if _container(file, place) or _hides_cells(file, place):
            found += _model(file, place, f"{name}/", depth + 1)
        else:
            found.append(_layer(file, place, name, key))
    if any(
        place.removeprefix(path).lstrip("/").split("/")[0] not in CONTAINERS for place in places
    ):
        found = _embedding_first(found)
    return found


def _embedding_first(layers: list[LooseLayer]) -> list[LooseLayer]:
    """Layers of which some are attributes, which Keras visits by name: that is no order.

    The one embedding among them stands first all the same, since what takes ids reads no layer.
    """
    embeddings = [layer for layer in layers if "embeddings" in (layer.roles or {})]
    if len(embeddings) != 1:
        return layers
    return embeddings + [layer for layer in layers if layer is not embeddings[0]]


def _objects(file: h5py.File, path: str) -> list[str]:
    """What a model holds: its layers, and beside them what are attributes of a subclassed one."""
    container = _container(file, path)
    inside, beside = child_group(file, f"{path}/{container}"), child_group(file, path or "/")
    found = [f"{container}/{key}" for key in child_names(inside)] if container and inside else []
    for key in child_names(beside) if beside is not None else ():
        group = child_group(file, f"{path}/{key}")
        if key in (*NOT_LAYERS, *CONTAINERS) or group is None:
            continue
        if not container or any(True for _ in walk_datasets(group)):
            found.append(key)
    return [key for key in found if child_group(file, f"{path}/{key}") is not None]


def _container(file: h5py.File, path: str) -> str:
    for name in CONTAINERS:
        group = child_group(file, f"{path}/{name}")
        if group is not None and child_names(group):
            return name
    return ""


def _hides_cells(file: h5py.File, path: str) -> bool:
    """Whether layers lie deeper, as below the attributes and lists of a subclassed model."""
    group = child_group(file, path)
    own = re.compile(r"((forward|backward)_layer/)?cell/|layer/cell/")
    found = walk_datasets(group) if group is not None else ()
    below = [dataset.name.lstrip("/").removeprefix(f"{path}/") for dataset in found]
    return any("/cell/" in name and not own.match(name) for name in below)


def _written_at(file: h5py.File, path: str) -> int:
    """Where in the file the last object of a layer lies, in bytes.

    HDF5 hands out space from front to back; single headers may fill gaps before, and so the last
    of them tells.
    """
    import h5py

    group = child_group(file, path)
    below = walk_datasets(group) if group is not None else ()
    objects = [group, child_group(file, f"{path}/vars"), *below]
    try:
        places = [int(h5py.h5o.get_info(item.id).addr) for item in objects if item is not None]
    except (OSError, RuntimeError, KeyError, ValueError) as fault:
        raise CheckpointError(
            "The HDF5 file cannot be read: it is truncated or damaged.",
            where=f"{file.filename}: {path}",
            expected="a complete HDF5 file",
            found=str(fault),
            hint="Copy or download the file again, and compare its size with the original.",
        ) from fault
    return max(places, default=0)


def _name(file: h5py.File, path: str, key: str) -> str:
    group = child_group(file, f"{path}/vars")
    noted = attribute_text(group, "name") if group is not None else None
    return noted or key


def _layer(file: h5py.File, path: str, name: str, key: str) -> LooseLayer:
    both = [f"{path}/{end}" for end in ("forward_layer", "backward_layer")]
    if all(child_group(file, end) is not None for end in both):
        directions = [
            LayerDirection(
                _prefixed(end, _name(file, end, "")),
                _cells(file, end),
                # Whatever its name: Keras wants the two to read in different directions.
                backward=end.endswith("backward_layer"),
                told=f"attribute {end.rpartition('/')[2]}",
            )
            for end in both
        ]
    else:
        directions = [LayerDirection("", _cells(file, path))]
    everything = tuple(_all_variables(file, path))
    refused = _refusal(file, path, key) or _unread(everything, directions)
    if any(direction.cells for direction in directions) and refused:
        return LooseLayer(name, variables=everything, refused=refused)
    if all(direction.cells for direction in directions):
        variables = tuple(
            variable for direction in directions for cell in direction.cells
            for variable in cell.values()
        )  # fmt: skip
        return LooseLayer(name, directions=tuple(directions), variables=variables)
    return _plain(file, path, name, key)


def _refusal(file: h5py.File, path: str, key: str) -> str:
    """Why arrays that have the shapes of a cell are not taken for one; empty if they are.

    In a list of layers a group's name is that of the class; elsewhere it is an attribute's. The
    names of cells are those of their classes unless the user chose others.
    """
    base = base_name(key)
    listed = path.rpartition("/")[0].rpartition("/")[2] in CONTAINERS
    if listed and base not in STOCK_LAYERS:
        return f"its class is named '{base}', which is none of Keras' own"
    names, untold = _cell_names(file, path)
    foreign = [name for name in names if base_name(name) not in STOCK_CELLS]
    if foreign:
        return f"its cell is named '{foreign[0]}', which is none of Keras' own"
    if base in ("rnn", "bidirectional") and any(_is_square(file, place) for place in untold):
        return "no name tells the class of its cell, and its shapes alone are those of many"
    return ""


def _cell_names(file: h5py.File, path: str) -> tuple[list[str], list[str]]:
    """The names of the cells of a layer, and the places of those that have none."""
    names: list[str] = []
    untold: list[str] = []
    for end in ("", "/forward_layer", "/backward_layer"):
        cell = f"{path}{end}/cell"
        stack = child_group(file, f"{cell}/cells")
        if stack is not None:
            names += [name for name in child_names(stack) if child_group(stack, name) is not None]
        elif child_group(file, cell) is not None:
            name = _name(file, cell, "")
            (names if name else untold).append(name or cell)
    return names, untold


def _is_square(file: h5py.File, place: str) -> bool:
    """Whether a cell has the one gate of a simple RNN."""
    roles = _cell(_variables(file, place))
    return bool(roles) and roles["recurrent_kernel"].shape[0] == roles["recurrent_kernel"].shape[1]


def _unread(everything: Iterable[StoredVariable], directions: list[LayerDirection]) -> str:
    """Which variable below a layer no cell of it has; empty if there is none."""
    read = {
        variable.name
        for direction in directions
        for cell in direction.cells
        for variable in cell.values()
    }
    more = [each.name for each in everything if each.name not in read and not is_seed(each.name)]
    return f"it has '{more[0]}', which no cell of Keras has" if more else ""


def _prefixed(path: str, name: str) -> str:
    word = "forward" if path.endswith("forward_layer") else "backward"
    return name or f"{word}_layer"


def _cells(file: h5py.File, path: str) -> tuple[Roles, ...]:
    """The cells of a layer; none if it is no recurrent one."""
    stack = child_group(file, f"{path}/cell/cells")
    if stack is not None and child_names(stack):
        places = [f"{path}/cell/cells/{name}" for name in child_names(stack)]
        places.sort(key=lambda place: _written_at(file, place))
    elif child_group(file, f"{path}/cell") is not None:
        places = [f"{path}/cell"]
    else:
        # Only cuDNN's layers keep their weights themselves, and their bias is twice as long.
        own = _cell(_variables(file, path))
        bias = own["bias"].shape if "bias" in own else ()
        return (own,) if own and bias == (2 * own["kernel"].shape[1],) else ()
    cells = [_cell(_variables(file, place)) for place in places]
    return tuple(cells) if all(cells) else ()


def _cell(variables: tuple[StoredVariable, ...]) -> Roles:
    """Two or three arrays by role if they fit each other as a cell's do."""
    if len(variables) not in (2, 3) or any(len(each.shape) != 2 for each in variables[:2]):
        return {}
    (_, columns), (units, wide) = variables[0].shape, variables[1].shape
    if columns != wide or not units or wide % units:
        return {}
    return dict(zip(CELL_ROLES, variables, strict=False))


def _plain(file: h5py.File, path: str, name: str, key: str) -> LooseLayer:
    inner = f"{path}/layer" if child_group(file, f"{path}/layer") is not None else path
    own = _variables(file, inner)
    base = base_name(key)
    told = class_by_name(key)
    # An attribute may be called anything; the layer's name is that of its class unless chosen.
    known = _PLAIN_ROLES.get(base) or _PLAIN_ROLES.get(base_name(name.rpartition("/")[2]), ())
    roles = dict(zip(known if len(own) <= len(known) else (), own, strict=False))
    everything = own or tuple(_all_variables(file, path))
    return LooseLayer(name, told or ("" if everything else base), (), everything, roles)


def _variables(file: h5py.File, path: str) -> tuple[StoredVariable, ...]:
    return ObjectGroup(file, path, str(file.filename)).variables()


def _all_variables(file: h5py.File, path: str) -> list[StoredVariable]:
    group = child_group(file, path)
    return [
        hdf5_variable(dataset, dataset.name.lstrip("/"))
        for dataset in (walk_datasets(group) if group is not None else ())
    ]
