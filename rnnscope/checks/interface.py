"""What a check is: data about it, and a function from a slice of a layer to a finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rnnscope.cell import Array
from rnnscope.engines.interface import LayerStates
from rnnscope.network import PaddingRule, Reversal

Status = Literal["pass", "warn", "fail", "skip"]
"""``warn`` names something the user should see; only ``fail`` changes the exit code."""

STATUS_ORDER: tuple[Status, ...] = ("skip", "pass", "warn", "fail")


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
    """

    facts: LayerFacts
    states: LayerStates
    lengths: Array | None = None
    mask: Array | None = None
    input_steps: Array | None = None
    first_sequence: int = 0
    held: Array | None = None


@dataclass(frozen=True)
class Place:
    """Where something was measured; None where the axis does not apply."""

    sequence: int | None = None
    timestep: int | None = None
    unit: int | None = None

    def __str__(self) -> str:
        named = [("sequence", self.sequence), ("timestep", self.timestep), ("unit", self.unit)]
        return ", ".join(f"{name} {value}" for name, value in named if value is not None)


@dataclass(frozen=True)
class Finding:
    """What one check found in one layer.

    Attributes
    ----------
    check, layer : str
        The check's id and the layer's name.
    status : Status
    message : str
        One sentence in plain words: what is so, or what was lacking for a skipped check.
    measured, limit : float or None
        The number that decides and the bound it is held to, both in the unit of the arrays.
    place : Place or None
        Where `measured` was found.
    """

    check: str
    layer: str
    status: Status
    message: str
    measured: float | None = None
    limit: float | None = None
    place: Place | None = None


@dataclass(frozen=True)
class Check:
    """One entry of CHECKS.

    Attributes
    ----------
    id : str
        Stable, kebab-case, used in reports and suites.
    title : str
        One line.
    advice : str
        What to look at when it fails.
    requires : tuple of str
        What a slice must hold, of: ``c m outputs gates final lengths mask input_steps``. Where
        one is missing the check is skipped and says which.
    function : callable
        ``function(slice: LayerSlice) -> Finding``. It sees a slice of sequences; findings of
        several slices are merged by `rnnscope.checks.merge`: the worst status, then the largest
        measured value, wins.
    counted : str
        What `Finding.measured` counts (``"sequences"``, ``"values"``); empty where it is a value
        of the arrays. Counts of several slices are added up.
    """

    id: str
    title: str
    advice: str
    requires: tuple[str, ...]
    function: Callable[[LayerSlice], Finding]
    counted: str = ""
