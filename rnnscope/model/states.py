"""The states of every timestep of one recurrent layer, and what is known of it beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.recurrent_layer import PaddingRule, Reversal
from rnnscope.model.resets import ResetState


@dataclass(frozen=True, eq=False)
class LayerStates:
    """The states of one recurrent layer over some sequences, in input time order.

    Attributes
    ----------
    states : mapping of str to ndarray (sequence, timestep, width)
        By name: ``c`` (width num_units) and ``m`` (width num_proj or num_units); a cell without
        a c (GRU) has ``m`` alone. Past the length they hold the carried state.
    outputs : ndarray (sequence, timestep, output)
        What the framework returns for every step, padding rule applied. In processing order for
        a layer whose ``outputs_in_input_order`` is False.
    initial, final : mapping of str to ndarray (sequence, width)
        The state before the first and after the last processed step, by state name. The final
        state of a backward layer sits at timestep 0 of `states`.
    gates : mapping of str to ndarray (sequence, timestep, num_units)
        ``i f g o`` after their activations; empty when not asked for.
    inputs : ndarray (sequence, timestep, input) or None
        The x of every step, where the layer's own outputs made it (a loop function).
    """

    states: Mapping[str, Array]
    outputs: Array
    initial: Mapping[str, Array]
    final: Mapping[str, Array]
    gates: Mapping[str, Array] = field(default_factory=dict)
    inputs: Array | None = None

    @property
    def c(self) -> Array | None:
        return self.states.get("c")

    @property
    def m(self) -> Array:
        return self.states["m"]


def joined(parts: Sequence[LayerStates], inputs: Array | None = None) -> LayerStates:
    """States of runs that follow one another in time, each starting where the last one ended."""

    def over_time(arrays: Iterable[Mapping[str, Array]]) -> dict[str, Array]:
        every = list(arrays)
        return {name: np.concatenate([part[name] for part in every], axis=1) for name in every[0]}

    return LayerStates(
        states=over_time(part.states for part in parts),
        outputs=np.concatenate([part.outputs for part in parts], axis=1),
        initial=parts[0].initial,
        final=parts[-1].final,
        gates=over_time(part.gates for part in parts),
        inputs=inputs,
    )


def beside(parts: Sequence[LayerStates]) -> LayerStates:
    """States of parts of a batch, as those of the whole."""

    def together(kind: str) -> dict[str, Array]:
        arrays = [getattr(part, kind) for part in parts]
        return {name: np.concatenate([one[name] for one in arrays]) for name in arrays[0]}

    return LayerStates(
        states=together("states"),
        outputs=np.concatenate([part.outputs for part in parts]),
        initial=together("initial"),
        final=together("final"),
        gates=together("gates"),
    )


@dataclass(frozen=True)
class LayerFacts:
    """What a check may know of a layer beside its arrays; all of it is kept in the trace.

    Attributes
    ----------
    name : str
    cell : str
        The kind of cell, a key of CELLS.
    backward : bool
    reversal : Reversal
    padding : PaddingRule
        The rule that was applied past the length.
    m_bound : float or None
        The largest |m| that the activation (and proj_clip) allow; None if unbounded.
    outputs_in_input_order : bool
    outputs_are_m : bool
        False where a wrapper stands between m and the outputs (projection wrapper, residual).
    """

    name: str
    cell: str = "lstm"
    backward: bool = False
    reversal: Reversal = "whole"
    padding: PaddingRule = "none"
    m_bound: float | None = None
    outputs_in_input_order: bool = True
    outputs_are_m: bool = True


@dataclass(frozen=True, eq=False)
class LayerSlice:
    """Some sequences of one layer, all timesteps.

    Attributes
    ----------
    facts : LayerFacts
    states : LayerStates
    lengths : ndarray of int (sequence,) or None
        Valid steps a sequence, when lengths were given (or the mask is a plain prefix).
    mask : ndarray of bool (sequence, timestep) or None
        True at valid steps; given whenever lengths or a mask were.
    input_steps : ndarray of int (sequence,) or None
        Steps up to and including the last row of the layer's input that is not all zero.
        None for layers that do not read the run's input themselves.
    first_sequence : int
        The number of the slice's first sequence in the whole run.
    held : ndarray (sequence, output) or None
        The output before the first step, where the slice is cut out of a longer time; else zeros.
    resets : ndarray of bool (sequence, timestep) or None
        Steps before which the state returns to `reset_state`, as given.
    reset_state : ResetState
    """

    facts: LayerFacts
    states: LayerStates
    lengths: Array | None = None
    mask: Array | None = None
    input_steps: Array | None = None
    first_sequence: int = 0
    held: Array | None = None
    resets: Array | None = None
    reset_state: ResetState = "initial"
