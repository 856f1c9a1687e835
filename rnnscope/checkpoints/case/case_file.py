"""Small cases (.npz): the layers of one, whose input and states lie in the same file.

The array ``recipe`` is JSON; ``weights/LAYER/NAME`` are the weights in rnnscope's own gate order,
by the names of `rnnscope.model`. What else there is belongs to the input (``x``, ``mask``,
``LAYER/initial_c``) and to what was compared (``a/c``, ``b/c`` …).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rnnscope.checkpoints.case.layer_entries import WEIGHTS, layer_of
from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.errors import CheckpointError, InputError, spell_command
from rnnscope.files.containers.npz import NpzFile, member_names
from rnnscope.files.messages.json_config import parse_config
from rnnscope.model.cell import Array
from rnnscope.model.network import Network, Node

RECIPE = "recipe"
VERSION_KEY, VERSION = "rnnscope_case", 1
INPUT = "x"
AGAIN = "write the case again: {}"


def sniff(path: Path) -> bool:
    """Whether it is an ``.npz`` with a recipe and weights under their own prefix. Never raises."""
    names = member_names(path)
    return f"{RECIPE}.npy" in names and any(name.startswith(f"{WEIGHTS}/") for name in names)


def read_case(path: Path) -> Checkpoint:
    """The layers of a case.

    Raises
    ------
    CheckpointError
        The file is damaged, of a later version, or its parts do not fit each other.
    """
    try:
        file = NpzFile(path)
        try:
            recipe = np.asarray(file.array(RECIPE).read())
            arrays = {
                name: np.asarray(file.array(name).read())
                for name in file.names
                if name.startswith(f"{WEIGHTS}/")
            }
        finally:
            file.close()
    except InputError as error:
        raise CheckpointError(
            error.what, where=error.where, expected=error.expected, found=error.found,
            hint=AGAIN.format(spell_command("diff", "A", "B", reduce="CASE.npz")),
        ) from error  # fmt: skip
    if recipe.dtype.kind != "U" or recipe.ndim:
        raise CheckpointError(
            "The recipe of the case is no text.",
            where=f"{path}: {RECIPE}", expected="one string of JSON",
            found=f"{recipe.dtype} of shape {recipe.shape}",
            hint=AGAIN.format(spell_command("diff", "A", "B", reduce="CASE.npz")),
        )  # fmt: skip
    config = parse_config(str(recipe), f"{path}: {RECIPE}")
    if (version := config.raw(VERSION_KEY)) != VERSION:
        raise CheckpointError(
            "The case is of another version.",
            where=f"{path}: {RECIPE}", expected=f"{VERSION_KEY} {VERSION}", found=version,
            hint="a newer rnnscope reads it",
        )  # fmt: skip
    layers = config.view("layers")
    nodes = []
    for name in layers.data:
        start = f"{WEIGHTS}/{name}/"
        own = {key.removeprefix(start): one for key, one in arrays.items() if key.startswith(start)}
        nodes.append(Node(name, layer_of(name, layers.view(name), own), (INPUT,), "config"))

    def read(name: str) -> Array:
        if name not in arrays:
            raise CheckpointError("The case has no weight of that name.", where=path, found=name)
        return arrays[name]

    return Checkpoint(
        path=path,
        format=READER.name,
        framework="rnnscope (a small case)",
        files=(path,),
        network=Network((INPUT,), tuple(nodes)),
        read_variable=read,
        own_arrays=frozenset({RECIPE, *arrays}),
    )


READER = Reader(
    name="case",
    title="Small case of a difference (.npz), as diff --reduce writes it",
    reads="its layers, whole or of one unit, with every option",
    does_not_read="what it was made from",
    sniff=sniff,
    read=read_case,
)
