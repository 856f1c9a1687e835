"""Readings that fit, best first."""

from __future__ import annotations

from collections.abc import Iterable

from rnnscope.explaining.readings.deviations import Reading


def ranked(found: Iterable[Reading], tolerance: float) -> list[Reading]:
    """Best first; of readings that say the same, one; none far behind the best."""
    best: dict[object, Reading] = {}
    for reading in sorted(found, key=lambda one: one.error):
        best.setdefault(reading.key, reading)
    readings = list(best.values())
    if not readings:
        return []
    limit = max(readings[0].error * 1000, 1e-12, tolerance / 100)
    readings = [one for one in readings if one.error <= limit]
    # Numbers that were solved for come near whatever there is: what has fewer of them stands.
    fewest: dict[frozenset[str], int] = {}
    for one in readings:
        ids = frozenset(deviation.id for deviation in one.every)
        fewest[ids] = min(fewest.get(ids, one.numbers), one.numbers)
    return [
        one
        for one in readings
        if one.numbers == fewest[frozenset(deviation.id for deviation in one.every)]
    ]
