"""Where two traces part first, and the difference there as something to look at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError
from rnnscope.files.arrays.array_views import Lazy, cut_to
from rnnscope.files.arrays.stored_array import Key
from rnnscope.model.cell import Array
from rnnscope.seeing.state_view import StateView, open_view
from rnnscope.states.state_set import GATES
from rnnscope.trace import Trace

if TYPE_CHECKING:
    from rnnscope.comparing.result import ArrayDiff, DiffResult, LayerDiff
    from rnnscope.comparing.tolerance import Tolerances


@dataclass(frozen=True)
class FirstDivergence:
    """The place from which on two traces are no longer the same.

    Attributes
    ----------
    layer_a, layer_b : str
        Its name in each trace.
    array : str
        ``"c"``, ``"m"``, ``"gates/f"`` …
    sequence, timestep, unit : int
        By the numbers of the run.
    a, b : float
        The two values.
    gate : str
        Where it comes from, as far as the gates tell.
    tolerance : str
        Beyond which they differ.
    growth : tuple of float
        The largest difference of each timestep, or of each of up to 60 runs of timesteps.
    """

    layer_a: str
    layer_b: str
    array: str
    sequence: int
    timestep: int
    unit: int
    a: float
    b: float
    gate: str = ""
    tolerance: str = ""
    growth: tuple[float, ...] = ()


class Difference(Lazy):
    """What one array exceeds another by, in float64; both have the same places."""

    def __init__(self, a: Any, b: Any) -> None:
        self._a, self._b = a, b
        self.shape: tuple[int, ...] = a.shape
        self.dtype: np.dtype[Any] = np.dtype(np.float64)

    def _part(self, key: Key) -> Array:
        with np.errstate(invalid="ignore"):  # infinity less infinity
            difference: Array = self._a.read(key).astype(np.float64) - self._b.read(key)
        return difference


def diff_traces(a: Trace, b: Trace, tolerances: Tolerances | None = None) -> DiffResult:
    """The comparison that ``rnnscope diff`` makes of two open traces.

    Raises
    ------
    InputError
        They have no array in common.
    """
    from rnnscope.comparing import DiffSettings, Tolerances, diff_states
    from rnnscope.states.interface import ReadOptions
    from rnnscope.states.recognise import recognise

    options = ReadOptions("trace")
    one, other = recognise((a, b), (options, options))
    return diff_states(one, other, DiffSettings(tolerances or Tolerances(), hints=False))


def first_divergence(a: Trace, result: DiffResult) -> FirstDivergence | None:
    """The first place of the first layer that differs; None if no array over time does.

    What a later layer makes of it follows. Within the layer, the first step in the order of
    processing counts, and at one step gates before c before m.

    Parameters
    ----------
    a : Trace
        The first operand of `result`, for the order of its layers.
    result : DiffResult
    """
    order = {header.name: number for number, header in enumerate((*a.layers, *a.merges))}
    for layer in sorted(result.layers, key=lambda layer: order.get(layer.a, len(order))):
        found = [array for array in layer.arrays if array.first and len(array.first.place) == 3]
        if found:
            backward = a.layer(layer.a).known_facts.backward
            return _divergence(layer, min(found, key=lambda one: _when(one, backward=backward)))
    return None


def _when(array: ArrayDiff, *, backward: bool) -> tuple[int, int]:
    assert array.first is not None
    step = array.first.place[1]
    kinds = (array.name.startswith(GATES), array.name == "c", array.name == "m", True)
    return (-step if backward else step, kinds.index(True))


def _divergence(layer: LayerDiff, array: ArrayDiff) -> FirstDivergence:
    first = array.first
    assert first is not None
    sequence, timestep, unit = first.place
    return FirstDivergence(
        layer.a, layer.b, array.name, sequence, timestep, unit, first.a, first.b, first.gate,
        array.tolerance, array.growth,
    )  # fmt: skip


def subtract(a: StateView, b: StateView) -> StateView:
    """The view of a - b at the places that both have; else as `a`.

    Raises
    ------
    OptionError
        They have no places in common.
    """
    _, steps_a, steps_b = np.intersect1d(a.steps, b.steps, return_indices=True)
    _, units_a, units_b = np.intersect1d(a.units, b.units, return_indices=True)
    one, other = a.take(steps_a, units_a), b.take(steps_b, units_b)
    sequences = min(a.sequences, b.sequences)
    if not (len(steps_a) and len(units_a) and sequences):
        raise OptionError(
            f"The two have no places of {a.name} in common.",
            where=f"{a.layer.name} and {b.layer.name}",
            expected="some of the same timesteps and units",
            found=f"{a.array.shape} and {b.array.shape}",
        )
    rows = np.arange(sequences)
    arrays = (cut_to(view.array, (rows,)) for view in (one, other))
    return replace(one, array=Difference(*arrays))


def difference_view(a: Trace, b: Trace, found: FirstDivergence) -> StateView:
    """The difference of the array in which two traces part first, a - b."""
    return subtract(
        open_view(a, found.layer_a, found.array), open_view(b, found.layer_b, found.array)
    )
