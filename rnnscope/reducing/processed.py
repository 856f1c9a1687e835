"""One sequence of a layer, step by step in the order in which the layer takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.model.cell import Array, Option
from rnnscope.model.initial_state import ZERO_STATE
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.states import LayerStates
from rnnscope.running.compute import Computed

State = Mapping[str, Array]
"""Arrays (width,) by state: ``c`` and ``m``."""


@dataclass(frozen=True, eq=False)
class ProcessedSequence:
    """A sequence as a layer processed it.

    Attributes
    ----------
    layer : RecurrentLayer
        As a forward layer that starts from what it is given.
    timesteps : ndarray of int (position,)
        The step of the input at each position.
    x : ndarray (position, input)
    counts : ndarray of bool (position,)
        False where the layer computes nothing new: past the length, at masked steps.
    initial : mapping of str to ndarray (width,)
    states : mapping of str to ndarray (position, width)
    returns_m : bool
        Whether the outputs are m, step by step in the order of the input.
    """

    layer: RecurrentLayer
    timesteps: Array
    x: Array
    counts: Array
    initial: State
    states: Mapping[str, Array]
    returns_m: bool

    @classmethod
    def of(cls, computed: Computed) -> ProcessedSequence:
        """What a run made of one sequence.

        Parameters
        ----------
        computed : Computed
            Of a slice of one sequence.
        """
        layer = computed.node.recurrent
        assert layer is not None
        mask = None if computed.mask is None else computed.mask[0]
        order = processing_order(layer, mask, computed.x.shape[1])
        counts = np.ones(len(order), bool)
        if mask is not None and layer.padding.value != "none":
            counts = mask[order]
        plain = replace(
            layer,
            backward=Option(False, "config", "the steps are in the order of processing"),
            outputs_in_input_order=True,
            feedback=None,
            wrapper=(),
            initial_state=Option(ZERO_STATE, "config"),
        )
        return cls(
            plain,
            order,
            computed.x[0][order],
            counts,
            {name: values[0] for name, values in computed.states.initial.items()},
            {name: values[0][order] for name, values in computed.states.states.items()},
            returns_m=layer.returns_m and layer.outputs_in_input_order,
        )

    def position(self, timestep: int) -> int:
        """Where a step of the input stands."""
        return int(np.flatnonzero(self.timesteps == timestep)[0])

    def counting(self, last: int) -> list[int]:
        """The positions up to one at which something new is computed."""
        return [int(at) for at in np.flatnonzero(self.counts[: last + 1])]

    def before(self, position: int) -> State:
        """The state in front of a position."""
        if not position:
            return self.initial
        return {name: values[position - 1] for name, values in self.states.items()}

    def run(self, positions: Sequence[int], start: State, *, gates: bool = False) -> LayerStates:
        """The layer over some positions alone, from a state.

        Steps that count nothing are no part of it unless they are among the positions.
        """
        at = list(positions)
        mask = None if self.counts[at].all() else self.counts[at][None]
        return run_layer(self.layer, self.x[at][None], mask, _rows(start), gates=gates)


def _rows(start: State) -> dict[str, Array]:
    return {name: np.asarray(values)[None] for name, values in start.items()}


def processing_order(layer: RecurrentLayer, mask: Array | None, timesteps: int) -> Array:
    """The steps of the input in the order in which a layer takes them.

    Parameters
    ----------
    layer : RecurrentLayer
    mask : ndarray of bool (timestep,) or None
    timesteps : int
    """
    steps = np.arange(timesteps)
    if not layer.backward.value:
        return steps
    if layer.reversal == "whole" or mask is None or layer.padding.value == "none":
        return steps[::-1]
    length = int(np.flatnonzero(mask)[-1]) + 1 if mask.any() else 0
    return np.concatenate([steps[:length][::-1], steps[length:]])
