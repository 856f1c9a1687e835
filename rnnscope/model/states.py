"""What an engine returns: the states of every timestep of one recurrent layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rnnscope.model.cell import Array


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
