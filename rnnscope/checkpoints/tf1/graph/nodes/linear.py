"""Sums of products: what a gate of a cell is before its activation, whoever wrote the cell.

TensorFlow 1 multiplies ``[x, m]`` with one kernel and splits the product into gates; Keras adds
``x @ kernel`` and ``m @ recurrent_kernel``, and splits either the sum or the kernels themselves.
`Reading.linear` takes all of these apart into the same terms, with the columns of the stored
weights that each term uses.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnscope.checkpoints.tf1.graph.nodes.dataflow import ADDS, dropout_source, peel
from rnnscope.checkpoints.tf1.graph.nodes.expressions import both_ways, read_activation
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphTensor, GraphView
from rnnscope.checkpoints.tf1.graph.nodes.linear_terms import FactorPart, Gate, Linear, Product
from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights
from rnnscope.errors import CheckpointError, UnsupportedCellError
from rnnscope.model.cell import Array

MAX_DEPTH = 12
"""Terms within terms: a Keras GRU has six."""


class Reading:
    """A graph and its weights, with what was read of them so far.

    Parameters
    ----------
    view : GraphView
    weights : GraphWeights
    """

    def __init__(self, view: GraphView, weights: GraphWeights) -> None:
        self.view = view
        self.weights = weights
        self._linears: dict[GraphTensor, Linear] = {}

    def node(self, tensor: GraphTensor) -> GraphNode | None:
        """The node behind a tensor, past everything that only hands it on."""
        return self.view.node(peel(self.view, tensor))

    def same(self, a: GraphTensor, b: GraphTensor) -> bool:
        return peel(self.view, a) == peel(self.view, b)

    def gate(self, tensor: GraphTensor) -> Gate | None:
        """A gate: activation of a sum that is fully understood; None if the tensor is none."""
        gate = self.activated(tensor)
        linear = gate.linear
        if not linear.products or linear.others:
            return None
        return gate

    def activated(self, tensor: GraphTensor) -> Gate:
        """As `gate`, but whatever the sum is made of."""
        activation, z = read_activation(self.view, self.undropped(tensor))
        found = Gate(activation, self.linear(z))
        return found if activation != "linear" else self._split_after(z) or found

    def _split_after(self, tensor: GraphTensor) -> Gate | None:
        """A block of activated gates: TensorFlow's GRUCell splits ``sigmoid(z)``, not z."""
        node = self.view.node(tensor)
        source = None if node is None else sliced(node)
        if node is None or source is None:
            return None
        activation, z = read_activation(self.view, source)
        linear = self.linear(z)
        if activation == "linear" or linear.width is None or linear.others or linear.peephole:
            return None
        bounds = columns(self.view, node, tensor, linear.width)
        return None if bounds is None else Gate(activation, linear.columns(*bounds))

    def undropped(self, tensor: GraphTensor) -> GraphTensor:
        """What a dropout drops from: it is off at inference."""
        node = self.node(tensor)
        dropped = None if node is None else dropout_source(self.view, node)
        return tensor if dropped is None else dropped

    def linear(self, tensor: GraphTensor, depth: int = 0) -> Linear:
        """Take a sum apart."""
        tensor = peel(self.view, tensor)
        if tensor not in self._linears:
            self._linears[tensor] = self._read(tensor, depth)
        return self._linears[tensor]

    def _read(self, tensor: GraphTensor, depth: int) -> Linear:
        other = Linear(others=(tensor,))
        node = self.view.node(tensor)
        if node is None or depth > MAX_DEPTH:
            return other
        constant = self.view.scalar(tensor)
        if constant is not None:
            return Linear(constant=constant, constant_name=tensor.node)
        bias = self.part(tensor)
        if bias is not None:
            return Linear(biases=(bias,))
        if node.op in ADDS or node.op == "BiasAdd":
            left, right = (self.linear(part, depth + 1) for part in node.inputs[:2])
            return other if left.peephole and right.peephole else left.plus(right)
        if node.op == "MatMul":
            return self._product(node) or other
        if node.op == "Mul":
            return self._diagonal(node) or other
        source = sliced(node)
        if source is None:
            return other
        inner = self.linear(source, depth + 1)
        bounds = None if inner.width is None else columns(self.view, node, tensor, inner.width)
        if bounds is None or inner.others or inner.peephole:
            return other
        return inner.columns(*bounds)

    def _product(self, node: GraphNode) -> Linear | None:
        kernel = self.part(node.inputs[1])
        if kernel is None or node.flag("transpose_a") or node.flag("transpose_b"):
            return None
        joined = self.node(node.inputs[0])
        inputs = node.inputs[:1]
        if joined is not None and joined.op in ("Concat", "ConcatV2"):
            inputs = joined.inputs[:-1] if joined.op == "ConcatV2" else joined.inputs[1:]
        return Linear(products=(Product(inputs, kernel),))

    def _diagonal(self, node: GraphNode) -> Linear | None:
        for diagonal, c in both_ways(node):
            if self.weights.is_weight(diagonal) and not self.weights.is_weight(c):
                return Linear(peephole=diagonal, on=peel(self.view, c))
        return None

    def part(self, tensor: GraphTensor) -> FactorPart | None:
        """The columns of a stored weight that a tensor is; None if it is no weight."""
        tensor = peel(self.view, tensor)
        node = self.view.node(tensor)
        if node is None:
            return None
        if self.weights.is_weight(tensor):
            if not self.weights.stored(tensor):
                return None
            shape = self.weights.shape(tensor)
            return FactorPart(tensor, 0, shape[-1]) if shape else None
        if node.op in ("Unpack", "Unstack"):
            whole = self.part(node.inputs[0])
            return None if whole is None else replace(whole, row=tensor.index)
        if node.op == "Squeeze":
            return self._row(node)
        source = sliced(node)
        whole = None if source is None else self.part(source)
        if whole is None:
            return None
        bounds = columns(self.view, node, tensor, whole.width)
        return None if bounds is None else whole.columns(*bounds)

    def _row(self, node: GraphNode) -> FactorPart | None:
        """A row of a matrix of biases, as Keras 3 splits them along the first axis."""
        source = peel(self.view, node.inputs[0])
        split = self.view.node(source)
        if split is None or split.op != "Split" or self.view.scalar(split.inputs[0]) != 0:
            return None
        whole = self.part(split.inputs[1])
        return None if whole is None else replace(whole, row=source.index)

    def read(self, part: FactorPart) -> Array:
        """The values of some columns of a weight, float32 or float64."""
        array = floats(self.weights.read(part.tensor))
        if part.row is not None:
            array = array[part.row]
        return array[..., part.start : part.stop]

    def bias(self, linear: Linear, kernel: Array) -> Array:
        """The sum of the biases, in the shape and dtype that fit a kernel."""
        total = np.zeros(kernel.shape[-1], kernel.dtype)
        for part in linear.biases:
            read = self.read(part).reshape(-1)
            if read.size not in (1, total.size):
                raise CheckpointError(
                    "A bias has another width than the kernel that it is added to.",
                    where=str(part.tensor),
                    expected=f"{total.size} numbers",
                    found=f"{read.size}",
                )
            total = total + read
        return total

    def names(self, *tensors: GraphTensor | None) -> tuple[str, ...]:
        """The stored variables behind some tensors, each once."""
        found = (self.weights.variables(tensor) for tensor in tensors if tensor is not None)
        return tuple(dict.fromkeys(name for names in found for name in names))


def sliced(node: GraphNode) -> GraphTensor | None:
    """What a Split or a slice takes its columns from."""
    if node.op == "Split":
        return node.inputs[1]
    return node.inputs[0] if node.op in ("SplitV", "StridedSlice", "Slice") else None


def columns(
    view: GraphView, node: GraphNode, tensor: GraphTensor, width: int
) -> tuple[int, int] | None:
    """First and last (excluded) column that one output of a Split or slice holds of `width`."""
    if node.op == "Split":
        count = max(1, node.integer("num_split", 1))
        if width % count:
            raise CheckpointError(
                "A weight's shape does not fit the cell that the graph describes.",
                where=node.name,
                expected=f"columns that split into {count} gates",
                found=f"{width} columns",
                hint="Check that the .meta file belongs to this checkpoint.",
            )
        size = width // count
        return tensor.index * size, (tensor.index + 1) * size
    if node.op == "SplitV":
        sizes = view.constant(node.inputs[1])
        if sizes is None:
            return None
        known = [int(size) for size in sizes.reshape(-1)]
        known = [width - sum(s for s in known if s > 0) if size < 0 else size for size in known]
        start = sum(known[: tensor.index])
        return start, start + known[tensor.index]
    bounds = [view.constant(bound) for bound in node.inputs[1:3]]
    if bounds[0] is None or bounds[1] is None or not bounds[0].size:
        return None
    first, last = int(bounds[0].reshape(-1)[-1]), int(bounds[1].reshape(-1)[-1])
    if node.op == "Slice":
        return first, width if last < 0 else first + last
    axis = 1 << (bounds[0].size - 1)
    if node.integer("shrink_axis_mask") or node.integer("new_axis_mask"):
        return None
    first = 0 if node.integer("begin_mask") & axis else first + (width if first < 0 else 0)
    last = width if node.integer("end_mask") & axis else last + (width if last < 0 else 0)
    return first, min(last, width)


def floats(array: Array) -> Array:
    """Half floats widened to float32; other kinds that no cell holds are refused."""
    if array.dtype in (np.float32, np.float64):
        return array
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    raise UnsupportedCellError("A cell's weights are no floats.", found=array.dtype)
