"""Weights-only HDF5 files of Keras 1, 2 and tf.keras: a group a layer, listed in order.

The layout is that of a full model's ``model_weights``, at the root and without ``model_config``:
``layer_names`` at the root, ``weight_names`` at each layer. Keras 1 names its arrays
``lstm_1_W_i``, later ones ``lstm_1/kernel``, tf.keras ``lstm_1/lstm_cell/kernel``; below a nested
model's group stand the names of the layers inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rnnscope.checkpoints.keras.h5_file import LayerGroup
from rnnscope.checkpoints.keras.weights import StoredVariable
from rnnscope.checkpoints.keras.weights_only.layers import (
    LayerDirection,
    LooseLayer,
    Roles,
    base_name,
    is_cell,
)
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.hdf5.safe_hdf5 import attribute_texts, child_group

if TYPE_CHECKING:
    import h5py

_KERAS1 = re.compile(r"(?P<scope>.+)_(?P<role>[WUb](_[ifcozrh])?)")
_NUMBERED = re.compile(r"(?P<role>kernel|recurrent_kernel|bias)_\d+")
_CELL_PART = re.compile(r"(stacked_rnn_cells|lstm_cell|gru_cell|simple_rnn_cell)(_\d+)?")
_OTHER_CELL = re.compile(r"_cell(_\d+)?$", re.IGNORECASE)
_DIRECTION = re.compile(r"(forward|backward)_.+")

CLASS_BY_NAME = {
    "input": "InputLayer",
    "input_layer": "InputLayer",
    "masking": "Masking",
    "dropout": "Dropout",
    "spatial_dropout1d": "SpatialDropout1D",
    "spatialdropout1d": "SpatialDropout1D",
    "gaussian_noise": "GaussianNoise",
    "gaussiannoise": "GaussianNoise",
    "gaussian_dropout": "GaussianDropout",
    "gaussiandropout": "GaussianDropout",
    "activity_regularization": "ActivityRegularization",
    "identity": "Identity",
}
"""Classes without weights whose default names tell them: ``masking_3``."""


def class_by_name(name: str) -> str:
    """The class that a layer's default name tells, or an empty text."""
    return CLASS_BY_NAME.get(re.sub(r"_\d+$", "", name.rsplit("/", 1)[-1]), "")


def read_loose_h5(file: h5py.File) -> list[LooseLayer]:
    """The layers of the file, in the order in which it lists them.

    Raises
    ------
    CheckpointError
        The file lists what it does not hold; it names the layer.
    """
    layers: list[LooseLayer] = []
    for name in attribute_texts(file, "layer_names") or ():
        group = child_group(file, name)
        if group is None:
            raise CheckpointError(
                "A layer that the file lists is not in it.",
                where=file.filename,
                expected=f"a group '{name}'",
                found="none",
                hint="The file is damaged; copy it again or save the weights again.",
            )
        weights = LayerGroup(attribute_texts(group, "weight_names") or (), group)
        runs = _runs(weights.variables())
        if not runs:
            layers.append(LooseLayer(name, class_by_name(name)))
        layers += _layers_of(name, runs)
    return layers


@dataclass(frozen=True, eq=False)
class _LayerRun:
    """Variables of one scope, each of another role."""

    scope: tuple[str, ...]
    roles: dict[str, StoredVariable]


def _runs(variables: Iterable[StoredVariable]) -> list[_LayerRun]:
    runs: list[_LayerRun] = []
    for variable in variables:
        scope, role = _scope_and_role(variable.name)
        # A variable of the same scope and role begins the next cell of a stack.
        if not runs or runs[-1].scope != scope or role in runs[-1].roles:
            runs.append(_LayerRun(scope, {}))
        runs[-1].roles[role] = variable
    return runs


def _scope_and_role(name: str) -> tuple[tuple[str, ...], str]:
    *scope, last = name.split("/")
    last = last.split(":", 1)[0]
    old = _KERAS1.fullmatch(last)
    if old is not None:
        # Keras 1 has no scopes, but backends may repeat the layer's name as one.
        return (*(part for part in scope if part != old["scope"]), old["scope"]), old["role"]
    numbered = _NUMBERED.fullmatch(last)
    return tuple(scope), numbered["role"] if numbered else last


def _layers_of(name: str, runs: list[_LayerRun]) -> list[LooseLayer]:
    """The layers in one group: one, or those of a nested model."""
    found: dict[str, list[tuple[str, Roles]]] = {}
    for run in runs:
        owner, direction = _owner(name, run)
        found.setdefault(owner, []).append((direction, run.roles))
    return [_layer(owner, entries) for owner, entries in found.items()]


def _owner(name: str, run: _LayerRun) -> tuple[str, str]:
    """The layer that a scope belongs to, and which direction of it."""
    scope = list(run.scope)
    while is_cell(run.roles) and scope and _CELL_PART.fullmatch(scope[-1]):
        scope.pop()
    # TensorFlow 1 makes a name that was taken unique: lstm_1 for lstm.
    own = re.compile(re.escape(name.rsplit("/", 1)[-1]) + r"(_\d+)?")
    at = [number for number, part in enumerate(scope) if own.fullmatch(part)]
    inner = scope[at[-1] + 1 :] if at else scope
    direction = inner.pop() if inner and _DIRECTION.fullmatch(inner[-1]) else ""
    return "/".join([name, *inner]), direction


def _layer(owner: str, entries: list[tuple[str, Roles]]) -> LooseLayer:
    variables = tuple(variable for _, roles in entries for variable in roles.values())
    if not all(is_cell(roles) for _, roles in entries):
        roles = {role: variable for _, one in entries for role, variable in one.items()}
        return LooseLayer(owner, variables=variables, roles=roles)
    names = list(dict.fromkeys(direction for direction, _ in entries))
    directions = [
        LayerDirection(
            name,
            tuple(roles for direction, roles in entries if direction == name),
            backward=name.startswith("backward"),
            told=f"named '{name}'" if name else "",
        )
        for name in names
    ]
    return LooseLayer(
        owner, directions=tuple(directions), variables=variables, refused=_refusal(owner, variables)
    )


def _refusal(owner: str, variables: tuple[StoredVariable, ...]) -> str:
    """Why variables that have the shapes of a cell are not taken for one; empty if they are."""
    parts = [part for v in variables for part in v.name.split("/")[:-1]]
    foreign = [
        part for part in parts if _OTHER_CELL.search(part) and not _CELL_PART.fullmatch(part)
    ]
    if foreign and foreign[0] not in owner.split("/")[:1]:
        return f"its cell is named '{foreign[0]}', which is none of Keras' own"
    named = any(_CELL_PART.fullmatch(part) for part in parts)
    kernels = {v.shape for v in variables if _scope_and_role(v.name)[1] == "recurrent_kernel"}
    if base_name(owner.rsplit("/", 1)[-1]) == "rnn" and not named and _all_square(kernels):
        return "no name tells the class of its cell, and its shapes alone are those of many"
    return ""


def _all_square(shapes: set[tuple[int, ...]]) -> bool:
    return bool(shapes) and all(len(shape) == 2 and shape[0] == shape[1] for shape in shapes)
