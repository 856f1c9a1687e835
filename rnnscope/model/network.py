"""How the layers of a file feed each other: nodes in order, recurrent and other.

A `Network` is a list of nodes in which every node comes after the nodes it reads. A node's
operation is a recurrent layer (`RecurrentLayer`) or one of the plain layers of
`rnnscope.model.layers`. What flows between nodes is a `Signal`.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Layer


@dataclass(frozen=True, eq=False)
class Node:
    """A named layer and the nodes it reads.

    Attributes
    ----------
    name : str
        As the file gives it; unique in the network. A recurrent node's name becomes its group in
        the trace. The two directions of a Keras Bidirectional layer ``b`` are ``b/forward_…`` and
        ``b/backward_…``, and ``b`` is the merge of both.
    layer : RecurrentLayer or Layer
    inputs : tuple of str
        Names of earlier nodes, or of entries of `Network.inputs`.
    wiring : Origin-like str
        ``"graph"``, ``"config"``, ``"guess"`` or ``"flag"``: how the inputs are known.
    """

    name: str
    layer: RecurrentLayer | Layer
    inputs: tuple[str, ...]
    wiring: str = "graph"

    @property
    def recurrent(self) -> RecurrentLayer | None:
        return self.layer if isinstance(self.layer, RecurrentLayer) else None

    @property
    def reads(self) -> tuple[str, ...]:
        """The inputs that are read step by step; Keras names initial states among `inputs`, too."""
        return self.inputs[:1] if self.recurrent else self.inputs


@dataclass(frozen=True, eq=False)
class Network:
    """Every layer of a file that rnnscope can compute, in an order that can be run.

    Attributes
    ----------
    inputs : tuple of str
        The model's own inputs.
    nodes : tuple of Node
        Each after all that it reads.
    """

    inputs: tuple[str, ...]
    nodes: tuple[Node, ...]

    @property
    def recurrent(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.recurrent)

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)
