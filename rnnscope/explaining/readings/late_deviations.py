"""Which deviations leave the first step as it is: what goes wrong there is none of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnscope.explaining.computing.setup import Setup
from rnnscope.explaining.computing.simulated import beginnings_of, results_of
from rnnscope.explaining.readings.deviations import Deviation


def late_deviations(fixed: Sequence[Deviation], look: Setup) -> set[int]:
    """The deviations, by `id`, that leave the first step of the first sequence as it is."""
    one = look.rows(np.arange(1))
    cut = one.first_steps(1)
    begun = cut is None  # a backward layer begins at the end
    if cut is None:
        cut = one
    plain = beginnings_of(cut, 1) if begun else results_of(cut)
    late = set()
    for deviation in fixed:
        assert deviation.change is not None
        other = deviation.change(cut)
        if other is None or (other.first_steps(1) is None) != begun:
            continue
        made = beginnings_of(other, 1) if begun else results_of(other)
        if made.keys() == plain.keys() and all(
            np.array_equal(made[node][key], array)
            for node, results in plain.items()
            for key, array in results.items()
            if key in made[node]
        ):
            late.add(id(deviation))
    return late
