"""How far an implementation may be from the equations: what rounding in its dtype can make of them.

A sum of n products in floating point is the exact sum of factors that are each off by some √n units
in the last place, and an activation is off by a few (Wilkinson's backward error; √n rather than n
by Higham and Mary 2019, "A new approach to probabilistic rounding error analysis"). So weights are
moved by so much, at random, and the equations are run over the input: how far their results move
is how far rounding moves them, over as many steps as the case has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from math import floor, log10

import numpy as np

from rnnscope.explaining.computing.grouping import groups
from rnnscope.explaining.computing.setup import DrivenLayer, Setup
from rnnscope.explaining.computing.simulation import simulate
from rnnscope.model.cell import Array
from rnnscope.vectors.parts import Results

REPLICAS = 8

MOVE = 2.0**-24
"""By which weights are moved, times √n: half a unit in the last place of float32."""

SAFETY = 3.0
"""Times the largest move of all replicas: they are a sample."""

ULPS_OF_ACTIVATIONS = 4.0
"""Units in the last place that exp and tanh of the usual libraries are off by at most, and with it
the least that is allowed."""


def rounding_tolerance(setup: Setup, results: Results, dtype: np.dtype[np.floating]) -> float:
    """What counts as rounding, in units of the largest value of each array.

    Parameters
    ----------
    setup : Setup
    results : dict of str to dict of str to ndarray
        What the setup gives.
    dtype : dtype
        float32 or float64: that of the implementation.

    Returns
    -------
    float
        Two digits, rounded up, so that it is the same on every machine.
    """
    # Moves by a float64's own rounding would drown in it, and that of each machine is another.
    # They are so small that twice the move moves the results twice as far.
    random = np.random.Generator(np.random.PCG64(1))
    moved = [setup.changed(lambda driven: _moved(driven, random)) for _ in range(REPLICAS)]
    watcher = _Apart(results)
    setups = [one for one in moved if one is not None]
    for members in groups(setups):
        simulate([setups[at] for at in members], watcher)
    unit = float(np.finfo(dtype).eps) / 2
    return two_digits_up((SAFETY * watcher.most / MOVE + ULPS_OF_ACTIVATIONS) * unit)


def _moved(driven: DrivenLayer, random: np.random.Generator) -> DrivenLayer:
    weights = driven.cell.weights
    inner = driven.cell.input_size + driven.cell.output_size
    changed = {}
    for field in fields(weights):
        array = getattr(weights, field.name)
        if array is None or field.name == "added_bias":
            continue
        noise = (2 * random.random(array.shape) - 1) * MOVE
        changed[field.name] = array * (1 + noise * np.sqrt(inner))
        if field.name == "bias":
            changed[field.name] += noise * ULPS_OF_ACTIVATIONS
    return driven.with_weights(**changed)


class _Apart:
    """A `Watcher` that keeps the largest difference, in units of each array's largest value."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self.most = 0.0

    def watches(self, node: str) -> bool:
        return node in self._results

    def wants(self, node: str, key: str) -> bool:
        return key in self._results.get(node, {})

    def see(self, node: str, results: Mapping[str, Array], done: Array | None) -> None:
        if done is not None:
            return
        for key, array in self._results[node].items():
            largest = float(np.abs(array).max(initial=0.0))
            if largest:
                apart = float(np.abs(results[key] - array).max())
                self.most = max(self.most, apart / largest)


def two_digits_up(value: float) -> float:
    """The next number of two digits."""
    power = floor(log10(value)) - 1
    digits = int(np.ceil(value / 10.0**power * (1 - 1e-9)))
    return float(f"{digits}e{power}")
