"""The smallest case of a difference: what was kept, what was tried, and what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar, Literal

from rnnscope.deferred_dataclass import dataclass

StartFrom = Literal["beginning", "A", "B"]
"""The state in front of the first step of a case: that of the run's beginning, or what A or B has
before that step."""


@dataclass(frozen=True)
class CaseSize:
    """Sequences, steps and units of a layer."""

    sequences: int
    timesteps: int
    units: int


@dataclass(frozen=True)
class TriedCase:
    """A smaller pair that was computed and compared.

    Attributes
    ----------
    what : str
        In words: ``"step 3 alone, from A's state before it"``.
    timesteps, units : int
    differs : bool
        Whether the two sides still differed.
    difference : float
        The largest difference in its last step.
    """

    what: str
    timesteps: int
    units: int
    differs: bool
    difference: float


@dataclass(frozen=True)
class HeldArray:
    """An array of the written case."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Reduction:
    """What became of a pair that differs.

    Attributes
    ----------
    case : str
        The file that was written; empty if none was.
    reason : str
        Why nothing was written; empty otherwise.
    layer : str
        Of the recomputed side.
    cell : str
        Its kind of cell.
    array : str
        The array that differs in the case: ``c``, ``final/m`` …
    sequence : int
        In the whole pair.
    timesteps : tuple of int
        The steps that were kept, as the whole pair counts them, in the order of processing.
    unit : int
        The unit that differs most in the last of them.
    units : int
        How many units of that array differ there.
    a, b : float
        The two values of that unit.
    before, after : CaseSize
    start : StartFrom
    recomputed : tuple of str
        The sides, ``"A"`` and ``"B"``, whose function is in the case.
    tried : tuple of TriedCase
    arrays : tuple of HeldArray
    bytes : int
        Of the file.
    versions : mapping of str to str
    source : mapping of str to str
        What the recomputed side says it came from: checkpoint, its format and framework.
    notes : tuple of str
    commands : tuple of str
        What runs the case again, and what compares.
    """

    json_properties: ClassVar[tuple[str, ...]] = ("difference",)

    case: str = ""
    reason: str = ""
    layer: str = ""
    cell: str = ""
    array: str = ""
    sequence: int = 0
    timesteps: tuple[int, ...] = ()
    unit: int = 0
    units: int = 0
    a: float = 0.0
    b: float = 0.0
    before: CaseSize = CaseSize(0, 0, 0)
    after: CaseSize = CaseSize(0, 0, 0)
    start: StartFrom = "beginning"
    recomputed: tuple[str, ...] = ()
    tried: tuple[TriedCase, ...] = ()
    arrays: tuple[HeldArray, ...] = ()
    bytes: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    source: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()

    @property
    def difference(self) -> float:
        """|a - b|."""
        return abs(self.a - self.b)
