"""Random values for what a graph is fed: placeholders, and what a queue or dataset hands out.

A graph says the type of each, and its shape as far as it is fixed. What it leaves open is chosen
small: three sequences of four steps, so that the two axes are told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.feeds.sequence_ops import GATHERS, INPUT_OPS, QUEUE_OPS
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import peel
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.protos import DTYPES
from rnnscope.model.cell import Array

SEQUENCES, TIMESTEPS = 3, 4
SEED = 20161129
ANY_NUMBER = 0.7
"""For a number that is fed: a rate of dropout is not used; what else it is must be found out."""

MOST_HOPS = 20
_INTEGERS = {number for number, dtype in DTYPES.items() if np.dtype(dtype).kind in "iu"}
_AS_IT_IS = {"Identity", "_Arg", "Reshape", "ExpandDims"}
_FROM_THE_END = {"AddV2", "Select", "SelectV2"}
"""Between whole numbers and a table: Keras counts ids below 0 from the table's end."""

ASSIGNS = {"Assign", "AssignVariableOp", "AssignAdd", "AssignSub"}

Shape = tuple[int, ...] | None
"""Sizes of axes, -1 where one is open; None where not even their number is known."""


@dataclass(frozen=True)
class FedTensor:
    """A tensor whose value comes from outside of the graph.

    Attributes
    ----------
    tensor : GraphTensor
    dtype : numpy.dtype
    shape : Shape
    has_default : bool
    looked_up : bool
        Whether rows of a table are taken by it.
    """

    tensor: GraphTensor
    dtype: np.dtype[Any]
    shape: Shape
    has_default: bool
    looked_up: bool = False

    @property
    def cast_to_ids(self) -> bool:
        """Whether it is floats that the graph casts to ids, as Keras 3 exports them."""
        return self.looked_up and self.dtype.kind == "f"

    @property
    def counts(self) -> bool:
        """Whether it holds no features: ids, above all."""
        return self.cast_to_ids or self.dtype.kind != "f"

    @property
    def is_sequence(self) -> bool:
        """Whether it may hold a value for every sequence and step."""
        rank = -1 if self.shape is None else len(self.shape)
        may_be_ids = self.cast_to_ids or self.dtype.kind == "i"
        return rank >= 3 or (rank == 2 and may_be_ids) or rank == -1

    @property
    def is_lengths(self) -> bool:
        """Whether it may hold a length for every sequence."""
        return self.is_a_number_each and not self.looked_up

    @property
    def is_ids_of_step(self) -> bool:
        """Whether it may hold the ids of one step: the seq2seq functions take a list of these."""
        return self.is_a_number_each and self.looked_up

    @property
    def is_a_number_each(self) -> bool:
        """Whether it holds one whole number for every sequence."""
        return self.dtype.kind == "i" and self.shape is not None and len(self.shape) == 1


def fed_tensors(view: GraphView) -> Iterator[FedTensor]:
    """Every tensor of a graph that is fed, but strings and what has no numbers."""
    for node in view:
        if node.op in INPUT_OPS:
            key = "dtype" if "dtype" in node.attr else "T"
            dtype = DTYPES.get(int(node.attr[key].type) if key in node.attr else 1)
            if dtype is not None and not _sets_a_variable(view, node):
                shape = _shape_of(node)
                if shape == () and dtype in (np.int32, np.int64) and _counts_steps(view, node):
                    shape = (
                        -1,
                    )  # TensorFlow before 1.0 wrote an unknown shape like that of a number
                default = node.op == "PlaceholderWithDefault"
                floats = np.dtype(dtype).kind == "f"
                looked_up = _is_looked_up(view, node, floats=floats)
                if looked_up and not floats:
                    looked_up = not _counts_steps(view, node)  # a table of lengths, beside a loop
                tensor = GraphTensor(node.name)
                yield FedTensor(tensor, np.dtype(dtype), shape, default, looked_up)
        elif node.op in QUEUE_OPS:
            yield from _components(node)


def _sets_a_variable(view: GraphView, node: GraphNode) -> bool:
    """Whether a placeholder does nothing but set a variable: it is no input of the model."""
    consumers = view.consumers(GraphTensor(node.name))
    return bool(consumers) and all(one.op in ASSIGNS for one in consumers)


def _counts_steps(view: GraphView, node: GraphNode) -> bool:
    """Whether a placeholder is used as the lengths of sequences are."""
    pending = [GraphTensor(node.name)]
    for _ in range(MOST_HOPS):
        if not pending:
            return False
        for consumer in view.consumers(pending.pop()):
            if consumer.op in ("GreaterEqual", "Max", "Min", "ReverseSequence"):
                return True
            if consumer.op in ("Identity", "Enter", "Cast"):
                pending.append(GraphTensor(consumer.name))
    return False


def _is_looked_up(view: GraphView, node: GraphNode, *, floats: bool) -> bool:
    """Whether what is fed says which rows of a table are taken: floats once they are cast."""
    pending = [(GraphTensor(node.name), not floats)]
    seen = set(pending)
    while pending and len(seen) < MOST_HOPS:
        tensor, whole = pending.pop()
        for consumer in view.consumers(tensor):
            if whole and consumer.op in GATHERS and consumer.inputs[1] == tensor:
                return True
            casts = consumer.op == "Cast" and int(consumer.attr["DstT"].type) in _INTEGERS
            onward = casts or consumer.op in _AS_IT_IS or (whole and consumer.op in _FROM_THE_END)
            following = (GraphTensor(consumer.name), whole or casts)
            if onward and following not in seen:
                seen.add(following)
                pending.append(following)
    return False


def _shape_of(node: GraphNode) -> Shape:
    """The shape of a placeholder; old graphs tell it among their output shapes alone."""
    if "shape" in node.attr:
        stored = node.attr["shape"].shape
        if not stored.unknown_rank and (len(stored.dim) or "_output_shapes" not in node.attr):
            return tuple(int(dim.size) for dim in stored.dim)
    if "_output_shapes" in node.attr and node.attr["_output_shapes"].list.shape:
        stored = node.attr["_output_shapes"].list.shape[0]
        return None if stored.unknown_rank else tuple(int(dim.size) for dim in stored.dim)
    return None


def _components(node: GraphNode) -> Iterator[FedTensor]:
    types = next((node.attr[key].list.type for key in ("output_types", "component_types")
                  if key in node.attr), ())  # fmt: skip
    shapes = next((node.attr[key].list.shape for key in ("output_shapes", "_output_shapes")
                   if key in node.attr), ())  # fmt: skip
    for index, number in enumerate(types):
        stored = shapes[index] if index < len(shapes) else None
        shape = None
        if stored is not None and not stored.unknown_rank:
            shape = tuple(int(dim.size) for dim in stored.dim)
        if int(number) in DTYPES:
            yield FedTensor(
                GraphTensor(node.name, index), np.dtype(DTYPES[int(number)]), shape, False
            )


@dataclass(frozen=True)
class ChosenSizes:
    """How many sequences and steps random inputs have, and which axis is which."""

    sequences: int
    timesteps: int
    time_major: bool
    features: int

    @property
    def leading(self) -> tuple[int, int]:
        both = (self.sequences, self.timesteps)
        return (both[1], both[0]) if self.time_major else both


def choose_sizes(
    fed: list[FedTensor], features: int, *, time_major: bool, steps: int = TIMESTEPS,
    sequences: int = SEQUENCES,
) -> ChosenSizes:  # fmt: skip
    """Sizes that fit what the graph fixes; small ones where it fixes none."""
    known: list[set[int]] = [set(), set()]
    for one in fed:
        if one.is_sequence and one.shape is not None:
            for axis in (0, 1):
                known[axis].add(one.shape[axis])
        elif one.shape and not one.has_default and (one.is_a_number_each or len(one.shape) == 2):
            known[1 if time_major else 0].add(one.shape[0])
    first, second = ({size for size in sizes if size > 0} for sizes in known)
    batch, time = (second, first) if time_major else (first, second)
    return ChosenSizes(
        max(batch, default=sequences), max(time, default=steps), time_major, features
    )


def random_values(
    fed: Iterable[FedTensor], sizes: ChosenSizes, below: int, seed: int = SEED
) -> dict[GraphTensor, Any]:
    """A value for every fed tensor but switches with a default, which stay as they are."""
    rng = np.random.default_rng(seed)
    return {
        one.tensor: random_value(one, sizes, below, rng)
        for one in fed
        if not (one.has_default and one.shape == ())
    }


def random_value(one: FedTensor, sizes: ChosenSizes, below: int, rng: np.random.Generator) -> Any:
    """A value for a fed tensor.

    Parameters
    ----------
    one : FedTensor
    sizes : ChosenSizes
    below : int
        Ids are smaller than this.
    rng : numpy.random.Generator
    """
    shape = _filled(one, sizes)
    if one.dtype.kind == "b":
        return np.zeros(shape, one.dtype)
    if one.dtype.kind == "f" and not one.cast_to_ids:
        if not shape:
            return np.array(ANY_NUMBER, one.dtype)
        return _with_tails(rng.normal(size=shape).astype(one.dtype), one, sizes)
    if not shape:
        return np.array(sizes.sequences, one.dtype)
    if one.is_lengths:
        # The whole time, one step less, two steps less: every sequence has one at least.
        return _lengths(shape[0], sizes).astype(one.dtype)
    ids = rng.integers(min(1, below - 1), max(below, 1), shape).astype(one.dtype)
    if one.is_ids_of_step:
        return ids
    return _with_tails(ids, one, sizes)


def _lengths(sequences: int, sizes: ChosenSizes) -> Array:
    return sizes.timesteps - np.arange(sequences) % sizes.timesteps


def _with_tails(values: Array, one: FedTensor, sizes: ChosenSizes) -> Array:
    """Sequences that end in zeros: a graph that takes these for padding is found out."""
    if not one.is_sequence or values.shape[:2] != sizes.leading:
        return values
    by_sequence = values.swapaxes(0, 1) if sizes.time_major else values
    for row, length in enumerate(_lengths(sizes.sequences, sizes)):
        by_sequence[row, length:] = 0
    return values


def _filled(one: FedTensor, sizes: ChosenSizes) -> tuple[int, ...]:
    open_shape = one.shape
    if open_shape is None:
        open_shape = (-1, -1) if one.dtype.kind in "iu" else (-1, -1, -1)
    if one.is_lengths or one.is_ids_of_step:
        return tuple(size if size >= 0 else sizes.sequences for size in open_shape)
    if len(open_shape) == 2 and not one.is_sequence:
        defaults: tuple[int, ...] = (sizes.sequences, sizes.features)
    else:
        defaults = (*sizes.leading, *[sizes.features] * len(open_shape))
    return tuple(
        size if size >= 0 else default for size, default in zip(open_shape, defaults, strict=False)
    )


def smallest_vocabulary(view: GraphView, weights: GraphWeights) -> int:
    """How many rows the smallest table has that the graph looks ids up in; 2 where it has none."""
    sizes = [2]
    found = []
    for node in view:
        if node.op in GATHERS and weights.variables(peel(view, node.inputs[0])):
            try:
                found.append(weights.shape(node.inputs[0])[0])
            except CheckpointError:  # found where the table is read for its own sake
                continue
    return min(found, default=min(sizes))
