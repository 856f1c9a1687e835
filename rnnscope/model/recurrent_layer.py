"""One direction of a recurrent layer, and how it is driven over time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, CellSpec, Option, Origin
from rnnscope.model.evidence import BY_NAME, Evidence
from rnnscope.model.initial_state import InitialState
from rnnscope.model.lengths_source import LengthsSource
from rnnscope.model.signal import Layer, Signal

PaddingRule = Literal["zeros", "hold", "none"]
"""What a layer does past a sequence's length, or at a masked step.

``zeros``: outputs are zero, the state is carried (dynamic_rnn with sequence_length, torch, ONNX).
``hold``: the previous output is repeated, the state is carried (Keras masking; zeros before the
first valid step). ``none``: every step is computed, lengths or not.
"""

Reversal = Literal["whole", "within length"]
"""How a backward layer turns time: the whole axis (Keras), or each sequence's valid steps
(TensorFlow's reverse_sequence, torch, ONNX), which leaves the padding at the end."""


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
        The same as the option ``loop_function`` says it, and who does so.
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
    lengths : Option[LengthsSource]
        Where the stored model takes its lengths or mask from.
    initial_state : Option[InitialState]
        The state before the first step, and where each part of it is from.
    outputs_in_input_order : bool
        False for Keras ``go_backwards`` on its own: its outputs come in the order of processing.
    return_sequences : bool
        False if the layer after it receives the last output only. The trace holds every step.
    feedback : Feedback or None
        What makes this layer's x after its first step, where its own outputs do.
    state_format : Option[str]
        ``"tuple (c, m)"``, ``"concat [c, m]"``, ``"list [h, c]"``.
    wrapper : tuple of Layer
        What stands between m and the outputs of each step, before the padding rule: a dense layer
        (OutputProjectionWrapper), a merge with the layer's own x (ResidualWrapper).
    evidence : Evidence
        How it is known that this is what the layer computes.
    """

    cell: CellSpec
    backward: Option[bool]
    padding: Option[PaddingRule]
    lengths: Option[LengthsSource]
    initial_state: Option[InitialState]
    state_format: Option[str]
    reversal: Reversal = "whole"
    outputs_in_input_order: bool = True
    return_sequences: bool = True
    feedback: Feedback | None = None
    wrapper: tuple[Layer, ...] = ()
    evidence: Evidence = BY_NAME

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
    def returns_m(self) -> bool:
        """Whether m itself is what the padding rule is applied to; else something is in between."""
        return not self.wrapper and self.cell.kind != "graph"

    def options(self) -> Iterator[tuple[str, Option[Any]]]:
        """Every option by name, the cell's first, its value as a number, a truth value or text."""
        yield from self.cell.options.items()
        yield "backward", self.backward
        yield "padding", self.padding
        yield "lengths", self.lengths.as_text()
        yield "initial_state", self.initial_state.as_text()
        yield "state_format", self.state_format
        if self.feedback is not None:
            yield "loop_function", self.feedback.option

    @property
    def starts_from_layers(self) -> tuple[str, ...]:
        """The layers whose final states this one starts from; none for most."""
        return self.initial_state.value.from_layers

    def starting(self, state: InitialState, origin: Origin, detail: str = "") -> RecurrentLayer:
        """The layer with another state before its first step."""
        return replace(self, initial_state=Option(state, origin, detail))

    def renamed(self, new: Callable[[str], str]) -> RecurrentLayer:
        """The layer with other names for the layers that it refers to."""
        start, back = self.initial_state, self.feedback
        return replace(
            self,
            initial_state=replace(start, value=start.value.renamed(new)),
            feedback=None if back is None else replace(back, source=new(back.source)),
        )

    def returned(self, m: Array, x: Array) -> Array:
        """What the layer returns for m (sequence, output) of a step that read x."""
        for layer in self.wrapper:
            signals = (Signal(m), Signal(x)) if layer.merges_with_x else (Signal(m),)
            m = layer(*signals).values
        return m
