"""What a cell is: how its inputs are projected, and one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.states import LayerStates

State = Mapping[str, Array]
"""A cell's state by name, for example ``{"c": (sequence, unit), "m": (sequence, output)}``."""


@dataclass(frozen=True)
class Cell:
    """One entry of CELLS.

    Attributes
    ----------
    kind : str
        The key in CELLS and in a trace.
    title : str
        One line for people.
    states : tuple of str
        Names of the states, those of `State`.
    gates : tuple of str
        Names of the gates that `step` returns.
    widths : callable
        ``widths(spec) -> dict``: the width of each state.
    project : callable
        ``project(spec, x) -> z``: the part of the pre-activations that depends on x alone, for
        x of shape (…, input), bias included; one matrix product for all steps at once.
    step : callable
        ``step(spec, z, state) -> (state, gates)`` for one timestep: z is (sequence, …).
    m_bound : callable
        ``m_bound(spec) -> float | None``: the largest |m| the options allow, None if unbounded.
    run : callable or None
        ``run(spec, x, lengths, initial) -> LayerStates``, in the order of processing: for a cell
        that runs whole sequences itself, in place of `project` and `step`.
    """

    kind: str
    title: str
    states: tuple[str, ...]
    gates: tuple[str, ...]
    widths: Callable[[CellSpec], dict[str, int]]
    project: Callable[[CellSpec, Array], Array]
    step: Callable[[CellSpec, Array, State], tuple[State, Mapping[str, Array]]]
    m_bound: Callable[[CellSpec], float | None]
    run: Callable[[CellSpec, Array, Array | None, State], LayerStates] | None = None
