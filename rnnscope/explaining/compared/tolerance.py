"""How far a reading may be from a reference and still be it."""

from __future__ import annotations

import numpy as np

from rnnscope.explaining.compared.reference import Reference
from rnnscope.explaining.compared.subject import Subject
from rnnscope.explaining.readings.deviations import Reading

SINGLE, DOUBLE = 1e-5, 1e-10
"""How far a reading may be from a reference of float32 or float64, in units of the largest value.

Another order of the same sums leaves differences of some 1e-7 and 1e-15; a real confusion, hardly
any below 1e-4."""

ROUNDED_STATES = 4.0
"""Half units in the last place that states rounded at every step may be apart, of the largest."""


def rounding(subject: Subject, reference: Reference) -> float:
    """How far a reading may be from a reference and still be it."""
    if reference.precision > 2.0**-24:
        return max(SINGLE, 1.05 * reference.precision)
    layers = [node.recurrent for node in subject.planned.plan.layers if node.recurrent]
    double = all(layer.cell.dtype == np.float64 for layer in layers)
    double = double and reference.precision < 1e-12
    return DOUBLE if double else SINGLE


def tolerance_of(reading: Reading, tolerance: float, *, rounded: bool) -> float:
    """States that are rounded at every step may round another way where sums differ a little."""
    if any(one.rounding for one in reading.setup.layers.values()) and rounded:
        half = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
        least = max(half[one.rounding] for one in reading.setup.layers.values() if one.rounding)
        return max(tolerance, ROUNDED_STATES * least)
    return tolerance
