"""How the layers of a file feed each other: nodes in order, recurrent and other.

A `Network` is a list of nodes in which every node comes after the nodes it reads. A node's
operation is a recurrent layer (`RecurrentLayer`) or one of the plain layers of
`rnnscope.layers`. What flows between nodes is a `Signal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from rnnscope.cell import Array, CellSpec, Option

PaddingRule = Literal["zeros", "hold", "none"]
"""What a layer does past a sequence's length, or at a masked step.

``zeros``: outputs are zero, the state is carried (dynamic_rnn with sequence_length, torch, ONNX).
``hold``: the previous output is repeated, the state is carried (Keras masking; zeros before the
first valid step). ``none``: every step is computed, lengths or not.
"""

Reversal = Literal["whole", "within length"]
"""How a backward layer turns time: the whole axis (Keras), or each sequence's valid steps
(TensorFlow's reverse_sequence, torch, ONNX), which leaves the padding at the end."""


MERGES_WITH_X = ("Add", "Concatenate")
"""Kinds of layers that, as wrappers, take the layer's own x as their second input."""


@dataclass(frozen=True, eq=False)
class Signal:
    """What one node hands to the next.

    Attributes
    ----------
    values : ndarray
        (sequence, timestep, feature), or (sequence, feature) after a layer that returns its last
        output only, or (sequence, timestep) integers in front of an embedding.
    mask : ndarray of bool (sequence, timestep) or None
        True where a step counts; None where every step does.
    """

    values: Array
    mask: Array | None = None


class Layer(Protocol):
    """A layer without a state over time: `Signal`s in, one `Signal` out."""

    kind: str
    """What users call it: ``"Dense"``, ``"Embedding"``, ``"Concatenate"``."""

    def __call__(self, *signals: Signal) -> Signal: ...


@dataclass(frozen=True, eq=False)
class RecurrentLayer:
    """One direction of one recurrent layer, and how it is driven over time.

    Attributes
    ----------
    cell : CellSpec
    backward : Option[bool]
        True if it reads the sequence from its end.
    reversal : Reversal
        What a backward layer turns round.
    padding : Option[PaddingRule]
    lengths : Option[str]
        Words on where the stored model takes its lengths or mask from, for `inspect`; for example
        ``"sequence_length from placeholder 'lengths'"`` or ``"not used"``.
    initial_state : Option[str]
        Words on the state before the first step: ``"zeros"``, or what feeds it.
    outputs_in_input_order : bool
        False for Keras ``go_backwards`` on its own: its outputs come in the order of processing.
    return_sequences : bool
        False if the layer after it receives the last output only. The trace holds every step.
    initial_values : mapping of str to ndarray (width,) or (sequence, width)
        Initial states that the file holds (a learned initial state), by state name.
    initial_from : str or None
        The recurrent layer whose final state this one starts from.
    stored_lengths : ndarray of int (sequence,) or None
        Lengths that are a constant of the stored graph.
    state_format : Option[str]
        ``"tuple (c, m)"``, ``"concat [c, m]"``, ``"list [h, c]"``.
    wrapper : tuple of Layer
        What stands between m and the outputs of each step, before the padding rule: a dense layer
        (OutputProjectionWrapper), a merge with the layer's own x (ResidualWrapper).
    """

    cell: CellSpec
    backward: Option[bool]
    padding: Option[PaddingRule]
    lengths: Option[str]
    initial_state: Option[str]
    state_format: Option[str]
    reversal: Reversal = "whole"
    outputs_in_input_order: bool = True
    return_sequences: bool = True
    initial_values: Mapping[str, Array] = field(default_factory=dict)
    initial_from: str | None = None
    stored_lengths: Array | None = None
    wrapper: tuple[Layer, ...] = ()

    @property
    def output_size(self) -> int:
        """Width of the outputs: that of m, unless a wrapper changes it."""
        cell = self.cell
        m, x = (
            np.zeros((1, cell.output_size), cell.dtype),
            np.zeros((1, cell.input_size), cell.dtype),
        )
        return int(self.returned(m, x).shape[-1]) if self.wrapper else cell.output_size

    def returned(self, m: Array, x: Array) -> Array:
        """What the layer returns for m (sequence, output) of a step that read x."""
        for layer in self.wrapper:
            signals = (Signal(m), Signal(x)) if layer.kind in MERGES_WITH_X else (Signal(m),)
            m = layer(*signals).values
        return m


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
