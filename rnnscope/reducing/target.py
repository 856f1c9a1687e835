"""Which difference of a layer is reduced: the earliest, in the order in which it was computed."""

from __future__ import annotations

from typing import Literal

from rnnscope.comparing.compare import ORDER
from rnnscope.comparing.result import LayerDiff, SideName
from rnnscope.deferred_dataclass import dataclass
from rnnscope.reducing.layer_pair import LayerPair
from rnnscope.states.state_set import FINAL, GATES, INITIAL

Family = Literal["initial", "step", "final"]


@dataclass(frozen=True)
class Target:
    """A place where two layers part.

    Attributes
    ----------
    family : Family
        States before the first step, of a step, or after the last.
    keys : tuple of str
        The arrays of the family that can be recomputed, whether they differ or not.
    sequence : int
    timestep : int or None
        Of the input; None where it follows from the family.
    """

    family: Family
    keys: tuple[str, ...]
    sequence: int
    timestep: int | None = None


def find_target(
    found: LayerDiff, pair: LayerPair, side: SideName, *, other_lengths: bool = False
) -> Target | None:
    """The earliest difference that the recomputed side can be asked about; None if there is none.

    Parameters
    ----------
    found : LayerDiff
    pair : LayerPair
    side : SideName
        The one that is recomputed.
    other_lengths : bool
        The lengths of both sides differ: their final states are those of other steps.
    """
    firsts = {array.name: array.first for array in found.arrays if array.first is not None}
    layer = pair.of(side).layer
    facts = layer.facts
    plain = facts is None or (facts.outputs_are_m and facts.outputs_in_input_order)
    steps = tuple(
        key
        for key, arrays in pair.arrays.items()
        if len(arrays.a.shape) == 3
        and (key in ("c", "m") or key.startswith(GATES) or (key == "outputs" and plain))
    )
    initial = tuple(key for key in pair.arrays if key.startswith(INITIAL))
    # Sides with other steps have other last ones: their final states are no pair.
    other_lengths = other_lengths or any(array.problems for array in found.arrays)
    final = tuple(key for key in pair.arrays if key.startswith(FINAL) and not other_lengths)
    if here := [firsts[key] for key in initial if key in firsts]:
        return Target("initial", initial, min(first.place[0] for first in here))
    if here := [firsts[key] for key in steps if key in firsts]:
        turn = -1 if layer.backward else 1
        sequence, timestep = min(
            ((first.place[0], first.place[1]) for first in here),
            key=lambda place: (turn * place[1], place[0]),
        )
        return Target("step", steps, sequence, timestep)
    rows = {row for key in final if key in firsts for row in pair.final_rows(key)}
    if not rows:
        return None
    lengths = pair.of(side).states.valid_steps()
    short = min(rows, key=lambda row: (0 if lengths is None else int(lengths[row]), row))
    return Target("final", final, short)


def in_order(keys: tuple[str, ...]) -> list[str]:
    """Arrays in the order of reports."""
    return sorted(keys, key=lambda key: (ORDER.index(key) if key in ORDER else len(ORDER), key))
