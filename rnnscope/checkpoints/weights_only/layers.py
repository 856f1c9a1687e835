"""Layers of which only the weights are known: everything else is a default or a guess."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import takewhile

from rnnscope.model.cell import CellSpec, Option
from rnnscope.model.initial_state import ZERO_STATE
from rnnscope.model.lengths_source import LENGTHS_NOT_STORED
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import PaddingRule, RecurrentLayer

INPUT = "input"
"""What every layer reads that no other is known to feed; with its width where widths differ."""


def named_layer(cell: CellSpec, backward: bool | None, told: str) -> RecurrentLayer:
    """A layer of which the file holds the cell alone.

    Parameters
    ----------
    cell : CellSpec
    backward : bool or None
        None for a layer that is no direction of a bidirectional one.
    told : str
        What tells the direction, in words.
    """
    keras = cell.from_keras
    padding: Option[PaddingRule]
    if not keras:
        padding = Option("zeros", "guess", "dynamic_rnn's rule with sequence_length")
    elif backward is not None:
        padding = Option("zeros", "class default", "inside Bidirectional masked steps give zeros")
    else:
        padding = Option("hold", "class default", "Keras repeats the last output at masked steps")
    two_states = cell.kind not in {"gru", "simple_rnn"}
    own_format = "list [h, c]" if keras else "tuple (c, m)"
    return RecurrentLayer(
        cell=cell,
        backward=Option(bool(backward), "guess", told),
        padding=padding,
        lengths=Option(LENGTHS_NOT_STORED, "guess"),
        initial_state=Option(ZERO_STATE, "guess"),
        state_format=Option(own_format if two_states else "m", "class default"),
        reversal="whole" if keras else "within length",
        # A layer with go_backwards, which a flag may tell, returns outputs as it makes them.
        outputs_in_input_order=backward is not None or not keras,
    )


def separate_inputs(nodes: Iterable[Node], inputs: Iterable[str] = (INPUT,)) -> Network:
    """The network with an input for every width that first layers take: one of them is given.

    Parameters
    ----------
    nodes : iterable of Node
        Each after all that it reads.
    inputs : iterable of str
        What first layers are said to read so far.
    """
    all_nodes, outer = tuple(nodes), tuple(inputs)
    first = {node.name: _taken(node) for node in all_nodes if node.reads[0] in outer}
    if len(set(first.values())) < 2:
        first = dict.fromkeys(first, INPUT)
    wired = tuple(
        replace(node, reads=(first[node.name],)) if node.name in first else node
        for node in all_nodes
    )
    return Network(tuple(dict.fromkeys(first.values())) or (INPUT,), wired)


def shared_scope(names: Iterable[str]) -> str:
    """What the names of several layers begin with, in whole parts; empty if nothing."""
    parts = zip(*(name.split("/") for name in names), strict=False)
    return "/".join(same[0] for same in takewhile(lambda each: len(set(each)) == 1, parts))


def _taken(node: Node) -> str:
    layer = node.recurrent
    if layer is None:
        return f"{INPUT} of {node.name}"
    return f"{INPUT} ({layer.cell.input_size} features)"
