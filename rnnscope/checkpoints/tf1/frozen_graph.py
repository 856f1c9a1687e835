"""Frozen TensorFlow graphs (``.pb``): a GraphDef whose variables have become constants.

References
----------
``convert_variables_to_constants`` in tensorflow/python/framework/graph_util_impl.py: a variable's
node becomes a Const of the same name, and the op that read it an Identity.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnscope.checkpoints.interface import Checkpoint, Reader
from rnnscope.checkpoints.tf1.graph_model import GraphModel, read_again, read_view_model
from rnnscope.checkpoints.tf1.unused_ops import prune, prune_functions
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import CheckpointError
from rnnscope.files.tensorflow.bundle import VariableInfo
from rnnscope.files.tensorflow.protos import (
    any_value,
    base_dtype,
    dtype_name,
    parse_graph_file,
    shape_of,
    tensor_to_array,
)
from rnnscope.files.tensorflow.snappy import read_varint
from rnnscope.model.cell import Array

if TYPE_CHECKING:
    from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphNode, GraphView

FLOATS = (1, 2, 14, 19)
"""DataTypes that weights have: float32, float64, bfloat16, float16."""

_NODE, _NAME, _OP = 0x0A, 0x0A, 0x12
"""The tags of GraphDef.node, NodeDef.name and NodeDef.op."""

SNIFFED = 4096
"""Bytes that are looked at: the first node of a graph is a placeholder or a constant."""


@dataclass(frozen=True, eq=False)
class FrozenVariables:
    """The weights of a frozen graph, as if they were stored variables.

    Attributes
    ----------
    path : Path
    nodes : dict of str to GraphNode
        The constants that are weights.
    """

    path: Path
    nodes: dict[str, GraphNode]

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    @cached_property
    def variables(self) -> dict[str, VariableInfo]:
        return {
            name: VariableInfo(name, dtype_name(tensor.dtype), shape_of(tensor.tensor_shape, name))
            for name, node in self.nodes.items()
            for tensor in [node.attr["value"].tensor]
        }

    def read(self, name: str) -> Array:
        """The value of a constant."""
        return tensor_to_array(self.nodes[name].attr["value"].tensor, f"{self.path}, node {name}")


def read_frozen(path: Path) -> Checkpoint:
    """Read a frozen graph.

    Raises
    ------
    CheckpointError
        If the file is no GraphDef, or its variables are not in it.
    """
    graph = parse_graph_file("GraphDef", path)
    model, stored = read_frozen_graph(graph, path)
    return Checkpoint(
        path=path,
        format=READER.name,
        framework=_framework(graph),
        files=(path,),
        network=model.network,
        left_out=model.left_out,
        notes=model.notes,
        read_variable=stored.read,
        later_results=read_again(model, partial(_read_file, path.absolute())),
    )


def _read_file(path: Path) -> GraphModel:
    return read_frozen_graph(parse_graph_file("GraphDef", path), path)[0]


def read_frozen_graph(graph: Any, path: Path) -> tuple[GraphModel, FrozenVariables]:
    """The layers of a graph, and the constants that are its weights.

    Parameters
    ----------
    graph : GraphDef message
    path : Path
        The file, for messages.
    """
    from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphView
    from rnnscope.checkpoints.tf1.graph.nodes.weights import VARIABLES

    prune(graph, ())
    prune_functions(graph)
    view = GraphView(graph)
    weights = {node.name: node for node in _weights(view)}
    left = [node.name for node in view if node.op in VARIABLES]
    if left and not weights:
        raise CheckpointError(
            "The graph is not frozen: its variables are not in the file.",
            where=path,
            expected="variables turned into constants",
            found=f"{len(left)} variables without values, {left[0]} and others",
            hint="name the checkpoint that belongs to the graph, or freeze the graph with it",
        )
    for name, node in weights.items():
        # So that the graph reads like one with variables: a constant's value is that of its node.
        view.nodes[name] = replace(node, op="VariableV2")
    stored = FrozenVariables(path, weights)
    return read_view_model(view, stored), stored


def _framework(graph: Any) -> str:
    """A GraphDef holds the version of its ops, not of TensorFlow."""
    producer = graph.versions.producer
    return f"TensorFlow (graph version {producer})" if producer else "TensorFlow"


def _weights(view: GraphView) -> Iterator[GraphNode]:
    """The constants that were variables, or might have been: floats with axes.

    Freezing leaves an Identity ``<name>/read`` behind; other tools fold it away. States that
    begin as zeros are constants too, of zeros, and nothing reads them by such a name.
    """
    for node in view:
        if node.op != "Const" or base_dtype(node.attr["value"].tensor.dtype) not in FLOATS:
            continue
        tensor = node.attr["value"].tensor
        read_by_name = f"{node.name}/read" in view.nodes
        if len(tensor.tensor_shape.dim) and (
            read_by_name or any_value(tensor, f"node {node.name}")
        ):
            yield node


def sniff(path: Path) -> bool:
    """Whether a file begins as a GraphDef does: with a node that has a name and an op."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(SNIFFED)
        return _begins_with_node(head, path.stat().st_size)
    except (OSError, ValueError):
        return False


def _begins_with_node(head: bytes, size: int) -> bool:
    if head[:1] != bytes([_NODE]):
        return False
    length, position = read_varint(head, 1)
    if position + length > size or head[position : position + 1] != bytes([_NAME]):
        return False
    name_length, position = read_varint(head, position + 1)
    name = head[position : position + name_length]
    position += name_length
    if not name or not name.isascii() or head[position : position + 1] != bytes([_OP]):
        return False
    op_length, position = read_varint(head, position + 1)
    op = head[position : position + op_length]
    return len(op) == op_length > 0 and op.decode("ascii", "replace").isidentifier()


READER = Reader(
    name="tf1-frozen",
    title="Frozen TensorFlow graph (.pb)",
    reads="weights from constants; cells, options and wiring from the graph",
    does_not_read="graphs in text form (.pbtxt); quantized weights",
    sniff=sniff,
    read=read_frozen,
)
