"""The functions of a TensorFlow 2 SavedModel, read as the graph that they are.

A SavedModel's signature calls functions of its library, whose bodies hold every op of the model:
activations, masks, directions and wiring are all there. What the functions capture are variables,
which the function that saves them names by key.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from rnnscope.checkpoints.tf1.graph.evaluation.proving.turning import turned as as_processed
from rnnscope.checkpoints.tf1.graph_model import GraphModel, read_graph_model
from rnnscope.checkpoints.tf1.unused_ops import prune_functions
from rnnscope.checkpoints.tf2.names import FullNames
from rnnscope.model.cell import Array, Option
from rnnscope.model.layers.later_result import LaterResult
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Signal

SIGNATURES = ("serving_default", "serve")
"""Signatures that are read before all others; Keras 3 writes both, and they compute the same."""

_CELL = re.compile(r"/(lstm|gru|simple_rnn)_cell(_\d+)?$")


def read_functions(meta: Any, stored: FullNames) -> GraphModel:
    """The layers that the functions of a signature compute.

    Parameters
    ----------
    meta : MetaGraphDef message
        It is changed: its variables get the names that they had in their program.
    stored : FullNames
    """
    _use_full_names(meta.graph_def, stored)
    _keep_one_signature(meta)
    prune_functions(meta.graph_def)
    model = read_graph_model(meta.graph_def, stored)
    new = _new_names(model.network)
    returned = _as_returned(model.network, model.turned_back)
    behind = model.later_results
    turned = {
        new.get(node.name, node.name): node.recurrent
        for node in model.network.recurrent
        if node.recurrent is not None and node.name in returned
    }

    def later_results() -> tuple[Node, ...]:
        found = behind() if behind is not None else ()
        return tuple(_of_turned(_renamed(node, new), turned) for node in found)

    network = model.network.replaced(returned)
    nodes = tuple(_renamed(node, new) for node in network.nodes)
    return replace(model, network=replace(network, nodes=nodes), later_results=later_results)


def _as_returned(network: Network, turned_back: Collection[str]) -> dict[str, Node]:
    """Layers of Keras in the order in which they return their outputs, where it is another.

    A graph is read with every sequence in the order of the input. A layer with ``go_backwards``
    returns its outputs as it makes them, unless something turns them back, as a Bidirectional does;
    what reads them as they are reads forward. Where some readers do and others do not, the order
    of the input is kept: the numbers are the same.
    """
    found: dict[str, Node] = {}
    for node in network.recurrent:
        if node.name in found or not _is_left_turned(node, turned_back):
            continue
        reached = network.downstream_of([node.name])
        behind = [one for one in network.recurrent if one.name in reached and one is not node]
        if all(_is_left_turned(one, turned_back) and _counts_all(one) for one in behind):
            found[node.name] = _with(node, outputs_in_input_order=False)
            for one in behind:
                found[one.name] = _with(one, backward=Option(False, "graph"))
    return found


def _is_left_turned(node: Node, turned_back: Collection[str]) -> bool:
    """Whether a layer of Keras reads from the end, and its outputs are left in that order."""
    layer = node.recurrent
    return (
        layer is not None
        and layer.cell.from_keras
        and layer.backward.value
        and node.name not in turned_back
    )


def _counts_all(node: Node) -> bool:
    """Whether a layer has no lengths, which would be those of the order that it reads in."""
    return node.recurrent is not None and node.recurrent.lengths.value.kind == "unused"


def _with(node: Node, **changes: Any) -> Node:
    assert node.recurrent is not None
    return replace(node, layer=replace(node.recurrent, **changes))


def _of_turned(node: Node, turned: Mapping[str, RecurrentLayer]) -> Node:
    """A later result of layers some of which return their outputs as they make them."""
    later = node.layer
    if turned.keys().isdisjoint(node.reads) or not isinstance(later, LaterResult):
        return node

    def in_input_order(name: str, signal: Signal) -> Signal:
        if name not in turned:
            return signal
        lengths = None if signal.mask is None else signal.mask.sum(axis=1)
        return Signal(as_processed(turned[name], signal.values, lengths), signal.mask)

    def function(signals: tuple[Signal, ...]) -> Array:
        pairs = zip(node.reads, signals, strict=True)
        return later.function(tuple(in_input_order(name, signal) for name, signal in pairs))

    return replace(node, layer=replace(later, function=function))


def _use_full_names(graph: Any, stored: FullNames) -> None:
    """Let the saving function name variables as `stored` does, not by key."""
    for function in graph.library.function:
        constants = {node.name: node for node in function.node_def if node.op == "Const"}
        for node in function.node_def:
            names = constants.get(node.input[1].split(":")[0]) if node.op == "SaveV2" else None
            if names is None:
                continue
            values = names.attr["value"].tensor.string_val
            for position, key in enumerate(values):
                name = stored.name_of(key.decode("utf-8", "replace"))
                if name is not None:
                    values[position] = name.encode()


def _keep_one_signature(meta: Any) -> None:
    """Leave out of the graph what the chosen signature does not need, but for the saving."""
    signatures = meta.signature_def
    chosen = next((name for name in SIGNATURES if name in signatures), None)
    if chosen is None:
        return
    nodes = {node.name: node for node in meta.graph_def.node}
    roots = [info.name for info in signatures[chosen].outputs.values()]
    saving = _saving_functions(meta.graph_def)
    roots += [
        node.name
        for node in nodes.values()
        if "f" in node.attr and node.attr["f"].func.name in saving
    ]
    kept: set[str] = set()
    pending = deque(roots)
    while pending:
        name = pending.popleft().lstrip("^").split(":")[0]
        if name in nodes and name not in kept:
            kept.add(name)
            pending.extend(nodes[name].input)
    if kept:
        graph = [node for node in meta.graph_def.node if node.name in kept]
        copies = [type(node).FromString(node.SerializeToString()) for node in graph]
        del meta.graph_def.node[:]
        meta.graph_def.node.extend(copies)


def _saving_functions(graph: Any) -> frozenset[str]:
    """The functions that save variables, by name."""
    return frozenset(
        function.signature.name
        for function in graph.library.function
        if any(op.op == "SaveV2" for op in function.node_def)
    )


def _new_names(network: Network) -> dict[str, str]:
    """Names of layers of Keras without that of the cell inside, by those that the graph tells."""
    taken = {node.name for node in network.nodes}
    names = {node.name: _CELL.sub("", node.name) for node in network.recurrent}
    new = {old: name for old, name in names.items() if name not in taken}
    return {} if len(set(new.values())) < len(new) else new


def _renamed(node: Node, new: dict[str, str]) -> Node:
    layer = node.layer
    if node.recurrent is not None:
        layer = node.recurrent.renamed(lambda name: new.get(name, name))
    reads = tuple(new.get(name, name) for name in node.reads)
    return replace(node, name=new.get(node.name, node.name), layer=layer, reads=reads)
