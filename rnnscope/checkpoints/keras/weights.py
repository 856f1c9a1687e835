"""The stored variables of one Keras layer, whichever of the two file layouts holds them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.hdf5.safe_hdf5 import child, damage_as, load_array, open_h5
from rnnscope.files.messages.json_config import ConfigView
from rnnscope.model.cell import Array
from rnnscope.model.layers.deferred_table import DeferredTable

if TYPE_CHECKING:
    import h5py


class LayerKey(NamedTuple):
    """What a layer is known by in its container."""

    name: str
    class_name: str
    is_model: bool


@dataclass(frozen=True, eq=False)
class StoredVariable:
    """A variable that is there, not yet loaded.

    Attributes
    ----------
    name : str
        As the file names it.
    shape : tuple of int
    load : callable
        Returns the values, as stored.
    again : callable or None
        The same, of floats, when the file that they were found in is closed; None where it cannot.
    """

    name: str
    shape: tuple[int, ...]
    load: Callable[[], Array]
    again: Callable[[], Array] | None = None


Reopen = Callable[[], AbstractContextManager[Any]]
"""``with reopen() as file``: an HDF5 file that was closed, as it was."""


def hdf5_variable(dataset: h5py.Dataset, name: str, reopen: Reopen | None = None) -> StoredVariable:
    """A dataset as a variable.

    Parameters
    ----------
    dataset : h5py.Dataset
    name : str
    reopen : callable, optional
        Opens its file again; by its path if not given.
    """
    with damage_as(CheckpointError, str(dataset.name)):
        shape, place = tuple(dataset.shape or ()), str(dataset.name)
        floats = dataset.dtype.kind == "f"
    path = Path(os.fsdecode(dataset.file.filename)).absolute()
    again = None
    if floats and (reopen is not None or dataset.file.driver != "fileobj"):
        again = partial(_load_again, reopen or partial(open_h5, path), f"{path}: {place}", place)
    return StoredVariable(name, shape, partial(load_array, dataset), again)


def _load_again(reopen: Reopen, where: str, place: str) -> Array:
    import h5py

    with reopen() as file:
        dataset = child(file, place)
        if not isinstance(dataset, h5py.Dataset):
            raise CheckpointError("A weight is not in the file any more.", where=where)
        return load_array(dataset)


class LayerWeights(Protocol):
    """The variables of one layer, and the way to those of the layers inside it."""

    @property
    def where(self) -> str:
        """The place in the file, for messages."""
        ...

    def variables(self) -> tuple[StoredVariable, ...]:
        """The layer's own variables, in the order Keras lists them."""
        ...

    def everything(self) -> tuple[StoredVariable, ...]:
        """The layer's variables and those of all that lies inside it."""
        ...

    def left_states(self) -> tuple[StoredVariable, ...]:
        """What a stateful layer was left with by its last batch, where the file has it."""
        ...

    def parts(
        self, *attributes: str, sizes: Sequence[int] | None = None
    ) -> tuple[LayerWeights, ...]:
        """The weights of wrapped layers, by the attribute that holds each: ``cell``.

        The attributes are given in the order Keras lists their weights; `sizes` says how many
        variables each holds, where that is not as many as the others.
        """
        ...

    def layers(self, keys: Sequence[LayerKey]) -> tuple[LayerWeights, ...]:
        """The weights of a model's layers; all of them, in the order of its configuration."""
        ...


class WithoutVariables:
    """What holds no variables of its own, and no parts that do."""

    def variables(self) -> tuple[StoredVariable, ...]:
        return ()

    def everything(self) -> tuple[StoredVariable, ...]:
        return ()

    def left_states(self) -> tuple[StoredVariable, ...]:
        return ()

    def parts(
        self,
        *attributes: str,
        sizes: Sequence[int] | None = None,  # noqa: ARG002
    ) -> tuple[LayerWeights, ...]:
        return tuple(NoWeights() for _ in attributes)


class NoWeights(WithoutVariables):
    """The weights of a layer that stores none."""

    where = "no weights"

    def layers(self, keys: Sequence[LayerKey]) -> tuple[LayerWeights, ...]:
        return tuple(NoWeights() for _ in keys)


_SEED = re.compile(r"(^|/)(seed_generator|random_generator)[^/]*(/|$)|seed_generator_state")


def is_seed(name: str) -> bool:
    """Whether a variable is the state of a generator of random numbers, as dropout has one."""
    return _SEED.search(name) is not None


def take(weights: LayerWeights, layer: str, roles: Sequence[str]) -> dict[str, Array]:
    """Load exactly the named variables of a layer.

    Parameters
    ----------
    weights : LayerWeights
    layer : str
        The layer's name, for messages.
    roles : sequence of str
        Keras' variable names in Keras' order: ``("kernel", "recurrent_kernel", "bias")``.

    Returns
    -------
    dict of str to ndarray
        By role. float16 is widened to float32, since numpy computes in it slowly and no BLAS does.

    Raises
    ------
    CheckpointError
        There are more or fewer variables, or one holds no floats; it names the layer.
    """
    stored = weights.variables()
    if len(stored) != len(roles):
        raise CheckpointError(
            f"Layer '{layer}' has not the weights that its configuration promises.",
            where=weights.where,
            expected=", ".join(roles) or "none",
            found=", ".join(f"{variable.name} {variable.shape}" for variable in stored) or "none",
            hint="The file is incomplete, or of a Keras that rnnscope does not know.",
        )
    return {role: _as_floats(variable, layer) for role, variable in by_role(stored, roles).items()}


def by_role(stored: Sequence[StoredVariable], roles: Sequence[str]) -> dict[str, StoredVariable]:
    """As many variables as there are roles, each under its own."""
    # By name where names tell; the .keras layout numbers its variables and so goes by order.
    named = {_last_part(variable.name): variable for variable in stored}
    by_name = set(named) == set(roles)
    return {
        role: named[role] if by_name else variable
        for role, variable in zip(roles, stored, strict=True)
    }


def take_table(weights: LayerWeights, layer: str) -> Array | DeferredTable:
    """The table of an embedding, which is not loaded before its rows are asked for.

    Raises
    ------
    CheckpointError
        As `take` does.
    """
    stored = weights.variables()
    if len(stored) != 1 or stored[0].again is None:
        return take(weights, layer, ("embeddings",))["embeddings"]
    return deferred_table(stored[0], layer)


def deferred_table(variable: StoredVariable, layer: str) -> Array | DeferredTable:
    """The values of a variable, which are not loaded before they are asked for, if that can be."""
    if variable.again is None:
        return _as_floats(variable, layer)
    later = replace(variable, load=variable.again)
    return DeferredTable(variable.shape, lambda: _as_floats(later, layer))


def take_cell(
    weights: LayerWeights,
    layer: str,
    config: ConfigView,
    *,
    twice: bool = False,
    more: Sequence[str] = (),
) -> tuple[Array, ...]:
    """The kernel, the recurrent kernel and the bias of a cell, and what it has beside them.

    Parameters
    ----------
    weights : LayerWeights
    layer : str
    config : ConfigView
        Of the layer or cell; ``use_bias`` False gives a bias of zeros.
    twice : bool
        True where the bias has two rows, one for the input and one for the state.
    more : sequence of str
        Further variables, in Keras' order.
    """
    use_bias = config.get("use_bias", bool, True)
    roles = ("kernel", "recurrent_kernel", "bias")
    arrays = take(weights, layer, (*(roles if use_bias else roles[:2]), *more))
    kernel = arrays["kernel"]
    width = kernel.shape[-1:]
    zeros = np.zeros((2, *width) if twice else width, kernel.dtype)
    bias = arrays.get("bias", zeros)
    return kernel, arrays["recurrent_kernel"], bias, *(arrays[role] for role in more)


def _last_part(name: str) -> str:
    return name.rsplit("/", 1)[-1].split(":", 1)[0]


def _as_floats(variable: StoredVariable, layer: str) -> Array:
    array = variable.load()
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise CheckpointError(
            f"A weight of layer '{layer}' holds no floating-point numbers.",
            where=variable.name,
            expected="float16, float32 or float64",
            found=str(array.dtype),
        )
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array


def require_shape(array: Array | DeferredTable, shape: Sequence[int | None], where: str) -> None:
    """Raise `CheckpointError` unless the array has that shape; None stands for any size."""
    fits = len(array.shape) == len(shape) and all(
        size in (None, got) for size, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise CheckpointError(
            "A weight has not the shape that the layer's configuration asks for.",
            where=where,
            expected="(" + ", ".join("any" if size is None else str(size) for size in shape) + ")",
            found=str(array.shape),
            hint="The configuration and the weights of this file do not belong together.",
        )
