"""What the writers of all formats share: sizes, numbers, and what was written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np

UNITS = 4
"""Of each layer, and the features that the first one reads."""

WIDTH = 64
"""Columns of the table."""


class Written(NamedTuple):
    """A file.

    Attributes
    ----------
    path : Path
        What a user names: the file, a folder, or a prefix.
    options : mapping of str to str
        What reading it takes.
    layer : str
        The layers that are run, where the table's ids are an input of the model, too.
    """

    path: Path
    options: Mapping[str, str] = MappingProxyType({})
    layer: str = "*"


class Write(Protocol):
    """Writes a file of some layers."""

    def __call__(self, path: Path, layers: int, rows: int) -> Written: ...


def drawn(*shape: int) -> Any:
    """Random numbers, always the same: no compression makes much of them."""
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def with_table(arrays: dict[str, Any], rows: int, name: str = "embedding.weight") -> dict[str, Any]:
    """Arrays with the table among them: behind the first, as models keep it anywhere."""
    if not rows:
        return arrays
    first, *others = arrays
    return {first: arrays[first], name: drawn(rows, WIDTH)} | {one: arrays[one] for one in others}


def torch_arrays(layers: int, prefix: str = "rnn.") -> dict[str, Any]:
    """The tensors of an ``nn.LSTM``."""
    arrays = {}
    for number in range(layers):
        for part in ("ih", "hh"):
            arrays[f"{prefix}weight_{part}_l{number}"] = drawn(4 * UNITS, UNITS)
            arrays[f"{prefix}bias_{part}_l{number}"] = drawn(4 * UNITS)
    return arrays


def keras_arrays(layers: int) -> dict[str, Any]:
    """Kernels and biases as Keras names them."""
    arrays = {}
    for number in range(layers):
        arrays[f"lstm_{number}/kernel"] = drawn(UNITS, 4 * UNITS)
        arrays[f"lstm_{number}/recurrent_kernel"] = drawn(UNITS, 4 * UNITS)
        arrays[f"lstm_{number}/bias"] = drawn(4 * UNITS)
    return arrays


def flax_tree(layers: int, rows: int) -> dict[str, Any]:
    """The parameters of Flax' ``OptimizedLSTMCell``, and an ``Embed``."""
    tree: dict[str, Any] = {}
    for number in range(layers):
        tree[f"lstm_{number}"] = {
            **{f"i{gate}": {"kernel": drawn(UNITS, UNITS)} for gate in "ifgo"},
            **{
                f"h{gate}": {"kernel": drawn(UNITS, UNITS), "bias": drawn(UNITS)} for gate in "ifgo"
            },
        }
    if rows:
        tree["embed"] = {"embedding": drawn(rows, WIDTH)}
    return {"params": tree}
