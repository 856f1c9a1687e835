"""How the layers of a file feed each other: nodes in order, recurrent and other.

A `Network` is a list of nodes in which every node comes after the nodes it reads. A node's
operation is a recurrent layer (`RecurrentLayer`) or one of the plain layers of
`rnnscope.model.layers`. What flows between nodes is a `Signal`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Literal, Protocol

import numpy as np

from rnnscope.model.cell import Array, CellSpec, Option

PaddingRule = Literal["zeros", "hold", "none"]
"""What a layer does past a sequence's length, or at a masked step.

``zeros``: outputs are zero, the state is carried (dynamic_rnn with sequence_length, torch, ONNX).
``hold``: the previous output is repeated, the state is carried (Keras masking; zeros before the
first valid step). ``none``: every step is computed, lengths or not.
"""

Reversal = Literal["whole", "within length"]
"""How a backward layer turns time: the whole axis (Keras), or each sequence's valid steps
(TensorFlow's reverse_sequence, torch, ONNX), which leaves the padding at the end."""


HandoverJoin = Literal["concat", "sum"]
"""How the final states of two directions become one initial state."""

MERGES_WITH_X = ("Add", "Concatenate")
"""Kinds of layers that, as wrappers, take the layer's own x as their second input."""


def join_states(finals: Sequence[Mapping[str, Array]], join: HandoverJoin) -> dict[str, Array]:
    """The initial state (sequence, width), by name, that final states of several layers make."""
    made = {}
    for name in finals[0]:
        parts = [final[name] for final in finals]
        made[name] = np.concatenate(parts, -1) if join == "concat" else reduce(np.add, parts)
    return made


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
class Feedback:
    """A loop function: a decoder's next x, made of its last output.

    Attributes
    ----------
    source : str
        The recurrent layer whose outputs are fed back: the decoder itself, or the top of its stack.
    layers : tuple of Layer
        What stands between an output and the next x; none for the identity.
    option : Option[str]
        The same in the words of ``--loop-function``, and who says so.
    of_m : bool
        True where m itself is fed back, also if a wrapper stands between it and the outputs.
    """

    source: str
    layers: tuple[Layer, ...]
    option: Option[str]
    of_m: bool = False

    def __call__(self, outputs: Array) -> Array:
        """The next x (sequence, timestep, input) of outputs, or m, (sequence, timestep, output)."""
        signal = Signal(outputs)
        for layer in self.layers:
            signal = layer(signal)
        return signal.values


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
    initial_beside : tuple of str
        More layers whose final states are joined to that one's: another direction.
    initial_join : HandoverJoin
        How they are joined, in the order `initial_from`, `initial_beside`.
    feedback : Feedback or None
        What makes this layer's x after its first step, where its own outputs do.
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
    initial_beside: tuple[str, ...] = ()
    initial_join: HandoverJoin = "concat"
    feedback: Feedback | None = None
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

    @property
    def handed_by(self) -> tuple[str, ...]:
        """Every layer whose final state this one starts from."""
        return () if self.initial_from is None else (self.initial_from, *self.initial_beside)

    def renamed(self, new: Callable[[str], str]) -> RecurrentLayer:
        """The layer with other names for the layers that it refers to."""
        if self.initial_from is None and self.feedback is None:
            return self
        names = [new(name) for name in self.handed_by]
        back = self.feedback
        return replace(
            self,
            initial_from=names[0] if names else None,
            initial_beside=tuple(names[1:]),
            feedback=None if back is None else replace(back, source=new(back.source)),
        )

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
