"""What a check is: data about it, and a function from a slice of a layer to a finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, fields
from typing import TYPE_CHECKING, Literal

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.states import LayerSlice, LayerStates
from rnnscope.model.verification import KernelDifference

if TYPE_CHECKING:
    # A run checks without comparing anything.
    from rnnscope.comparing.result import LayerDiff

Status = Literal["pass", "warn", "fail", "skip"]
"""``warn`` names something the user should see; only ``fail`` changes the exit code."""

STATUS_ORDER: tuple[Status, ...] = ("skip", "pass", "warn", "fail")


@dataclass(frozen=True)
class GoldenDiff:
    """How a layer compares with a stored trace.

    Attributes
    ----------
    layer : LayerDiff or None
        None: the stored trace lacks the layer.
    differences : tuple of str
        What differs of the whole traces: lengths, masks.
    """

    layer: LayerDiff | None
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CheckContext:
    """What a whole trace tells of a layer, apart from the arrays of the slice.

    Attributes
    ----------
    options : mapping of str to number, str, bool or None
        The options of the cell as the trace keeps them; empty where nothing does (bare arrays).
    last : bool
        No slice of the trace follows.
    projected : bool
        A projection stands between o * act(c) and m.
    mask_given : bool
        A mask was given beside the lengths; else `LayerSlice.mask` only repeats them.
    m_peaks : ndarray (unit,) or None
        The largest |m| of each unit at valid steps, over this slice and those before it.
    alone : LayerStates or None
        Each sequence of the slice computed by itself, without padding after its last valid step.
    wide : LayerStates or None
        The slice computed in float64.
    origin : mapping of str to ndarray (sequence, width), or None
        The final state of the layer that this one starts from.
    verified : tuple of KernelDifference or None
        The trace against what another engine computes, so far.
    golden : GoldenDiff or None
    limits : mapping of str to float
        Limits that the user sets, by id of the check.
    """

    options: Mapping[str, float | int | str | bool | None] = field(default_factory=dict)
    last: bool = True
    projected: bool = False
    mask_given: bool = False
    m_peaks: Array | None = None
    alone: LayerStates | None = None
    wide: LayerStates | None = None
    origin: Mapping[str, Array] | None = None
    verified: tuple[KernelDifference, ...] | None = None
    golden: GoldenDiff | None = None
    limits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class CheckedSlice(LayerSlice):
    """A slice as checks see it.

    Attributes
    ----------
    context : CheckContext or None
        None while a run is under way: the checks that need it are left out then.
    """

    context: CheckContext | None = None

    @classmethod
    def of(cls, layer: LayerSlice, context: CheckContext | None = None) -> CheckedSlice:
        """A slice with what else is known of its layer."""
        parts = {item.name: getattr(layer, item.name) for item in fields(LayerSlice)}
        return cls(**parts, context=context)


@dataclass(frozen=True)
class StatePlace:
    """Where something was measured; None where the axis does not apply."""

    sequence: int | None = None
    timestep: int | None = None
    unit: int | None = None

    def __str__(self) -> str:
        named = [("sequence", self.sequence), ("timestep", self.timestep), ("unit", self.unit)]
        return ", ".join(f"{name} {value}" for name, value in named if value is not None)


def index(place: StatePlace | None) -> str:
    """The place as an index into a state array: ``[1, 4, 0]``, ``[1, :, 2]``, ``[1, 6]``."""
    if place is None:
        return ""
    parts = [place.sequence, place.timestep, place.unit]
    while parts and parts[-1] is None:
        parts.pop()
    return f"[{', '.join(':' if part is None else str(part) for part in parts)}]" if parts else ""


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
    place : StatePlace or None
        Where `measured` was found.
    """

    check: str
    layer: str
    status: Status
    message: str
    measured: float | None = None
    limit: float | None = None
    place: StatePlace | None = None


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
        What to look at when it fails; options in braces, as `rnnscope.errors.spelled` takes them.
    requires : tuple of str
        What a slice must hold: keys of `rnnscope.checks.REQUIREMENTS`. Where one is missing the
        check is skipped and says which.
    function : callable
        ``function(slice: CheckedSlice) -> Finding``. It sees a slice of sequences; findings of
        several slices are merged by `rnnscope.checks.merge`: the worst status, then the largest
        measured value, wins.
    counted : str
        What `Finding.measured` counts (``"sequences"``, ``"values"``); empty where it is a value
        of the arrays. Counts of several slices are added up.
    during_run : bool
        Whether ``rnnscope run`` does it, too; others look at traces alone (`CheckedSlice.context`).
    at_end : bool
        It tells nothing before all slices were seen, and is done with the last one.
    limit : float or None
        The limit where it is one of taste, which the user may set; None where the check knows
        what is right. A default of this kind warns; a limit that was set is a promise, and fails.
    scaled : bool
        `limit` is in units of rounding: times the dtype's epsilon and the largest value. One that
        the user sets is a plain difference.
    """

    id: str
    title: str
    advice: str
    requires: tuple[str, ...]
    function: Callable[[CheckedSlice], Finding]
    counted: str = ""
    during_run: bool = True
    at_end: bool = False
    limit: float | None = None
    scaled: bool = False
