"""What simulations of setups give: results of nodes, and what a setup is before its first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rnnscope.explaining.computing.setup import Setup
from rnnscope.explaining.computing.simulation import Results, simulate
from rnnscope.model.cell import Array


class _Collector:
    """A watcher that keeps every result of a setup, or what is done of it in the end."""

    def __init__(self, turned: Callable[[Array], Array] | None = None) -> None:
        self.found: dict[str, dict[str, Array]] = {}
        self._turned = turned or (lambda array: array)

    def watches(self, node: str) -> bool:
        del node
        return True

    def wants(self, node: str, key: str) -> bool:
        del node, key
        return True

    def see(self, node: str, results: Results, done: Array | None) -> None:
        shown = {key: self._turned(array[0]) for key, array in results.items()}
        if done is not None:
            shown = {key: np.where(done[0][..., None], array, 0) for key, array in shown.items()}
        self.found[node] = shown


def results_of(
    setup: Setup, turned: Callable[[Array], Array] | None = None
) -> dict[str, dict[str, Array]]:
    """Every result of one setup, by node and key, without the axis of the stack."""
    collector = _Collector(turned)
    simulate([prepared(setup)], collector)
    return collector.found


def beginnings_of(setup: Setup, steps: int) -> dict[str, dict[str, Array]]:
    """What the first steps of layers that read the input give; zeros where they give nothing."""
    collector = _Collector()
    simulate([prepared(setup)], collector, steps)
    return collector.found


def prepared(setup: Setup) -> Setup:
    """The setup as it is computed: with sequences and timesteps changed over, where it says so."""
    if not setup.transposed:
        return setup
    inputs = {name: np.ascontiguousarray(x.swapaxes(0, 1)) for name, x in setup.inputs.items()}
    return replace(setup, inputs=inputs, mask=None)
