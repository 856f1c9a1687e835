"""Values of an ONNX graph that are known to the network: its inputs, and what its layers return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.network.wiring import BuiltNode
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array


@dataclass(frozen=True, eq=False)
class Source:
    """A value that a piece begins with.

    Attributes
    ----------
    key : str
        Of the graph.
    reads : tuple of str
        The network's nodes or inputs that hand it over.
    laid : callable
        ``laid(arrays) -> array``: what these nodes hand over, (sequence, …) each, as the graph has
        it.
    taken : callable
        ``taken(array) -> arrays``: the way back.
    """

    key: str
    reads: tuple[str, ...]
    laid: Callable[[tuple[Array, ...]], Array]
    taken: Callable[[Array], tuple[Array, ...]]


def input_source(name: str, batch: int | None, dtype: Any) -> Source:
    """An input of the model; in the network its axis of sequences, if it has one, lies in front."""
    if batch is None:
        return Source(
            name, (name,), lambda arrays: arrays[0][0].astype(dtype, copy=False),
            lambda array: (array[None],),
        )  # fmt: skip
    return Source(
        name,
        (name,),
        lambda arrays: np.moveaxis(arrays[0], 0, batch).astype(dtype, copy=False),
        lambda array: (np.moveaxis(array, batch, 0),),
    )


def outputs_source(built: BuiltNode) -> Source:
    """Y of a recurrent node: its directions on an axis of their own."""
    if built.node.integer("layout"):
        return Source(
            built.node.output(0), built.layers,
            lambda arrays: np.stack(arrays, axis=2),
            lambda array: tuple(np.moveaxis(array, 2, 0)),
        )  # fmt: skip
    return Source(
        built.node.output(0), built.layers,
        lambda arrays: np.stack(arrays, axis=0).transpose(2, 0, 1, 3),
        lambda array: tuple(array.transpose(1, 2, 0, 3)),
    )  # fmt: skip


def ends_source(built: BuiltNode) -> Source:
    """Y_h of a recurrent node."""
    axis = 1 if built.node.integer("layout") else 0
    return Source(
        built.node.output(1), built.ends,
        lambda arrays: np.stack(arrays, axis=axis),
        lambda array: tuple(np.moveaxis(array, axis, 0)),
    )  # fmt: skip
