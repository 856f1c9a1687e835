"""What a layer of a graph starts from: zeros, a stored variable, or what is fed."""

from __future__ import annotations

from collections.abc import Container

from rnnscope.checkpoints.tf1.graph.feeds.sequence_ops import INPUT_OPS
from rnnscope.checkpoints.tf1.graph.nodes.dataflow import origins
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor, GraphView, is_zero
from rnnscope.checkpoints.tf1.graph.nodes.linear import floats
from rnnscope.checkpoints.tf1.graph.nodes.weights import VARIABLES, GraphWeights
from rnnscope.model.cell import Array
from rnnscope.model.initial_state import OutsideState, StoredState


def start_parts(
    view: GraphView, weights: GraphWeights, before: GraphTensor, after: Container[GraphTensor]
) -> tuple[list[StoredState | OutsideState], list[str]]:
    """What a state is before the first step, but for zeros; several where it is chosen.

    Parameters
    ----------
    view : GraphView
    weights : GraphWeights
    before : GraphTensor
        The state that the first step reads.
    after : container of GraphTensor
        What steps leave of states, which is no start.

    Returns
    -------
    list of StoredState or OutsideState, and names of the variables among them
    """
    used: list[str] = []
    parts: list[StoredState | OutsideState] = []
    for tensor in origins(view, before)[0]:
        if tensor in after or is_zero(view, tensor):
            continue
        variable = _learned(view, weights, tensor)
        if variable is not None:
            parts.append(StoredState(variable[1], f"variable '{variable[0]}'"))
            used.append(variable[0])
            continue
        node = view.node(tensor)
        if node is not None and node.op in INPUT_OPS:
            parts.append(OutsideState("placeholder", node.name))
        elif node is not None and node.op not in ("Const", "Fill", "TensorListReserve"):
            parts.append(OutsideState("op", node.name, node.op))
    return parts, used


def _learned(
    view: GraphView, weights: GraphWeights, tensor: GraphTensor
) -> tuple[str, Array] | None:
    """A stored initial state: a variable, tiled over the batch or not."""
    for _ in range(8):
        node = view.node(tensor)
        if node is None:
            return None
        if node.op in VARIABLES or weights.variables(tensor):
            names = weights.variables(tensor)
            value = floats(weights.read(tensor))
            flat = value.reshape(-1, value.shape[-1])
            return names[0], flat[0] if flat.shape[0] == 1 else flat
        if node.op not in ("Tile", "ExpandDims", "BroadcastTo", "Reshape", "Mul", "Identity"):
            return None
        if node.op == "Mul":  # ones(batch, 1) * variable
            weighty = [part for part in node.inputs if weights.variables(part)]
            if len(weighty) != 1:
                return None
            tensor = weighty[0]
        else:
            tensor = node.inputs[0]
    return None
