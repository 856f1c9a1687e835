"""A setup run over time on numbers of forty digits."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import localcontext

import numpy as np

from rnnscope.explaining.computing.setup import DrivenLayer, Setup
from rnnscope.explaining.computing.turning import Turn
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.model.initial_state import FinalState, join_state
from rnnscope.model.layers import BidirectionalMerge, PassThrough
from rnnscope.model.signal import Signal
from rnnscope.vectors.exact.cells import ExactCell
from rnnscope.vectors.exact.functions import CONTEXT
from rnnscope.vectors.exact.products import to_decimal

Results = dict[str, dict[str, Array]]


class ExactRun:
    """The recurrent layers of a setup, ready to be run exactly over inputs.

    Parameters
    ----------
    setup : Setup
        Any with these nodes and layers; plain nodes that are not of `computes` must not be read.

    Raises
    ------
    UnsupportedCellError
        An activation is not computed exactly.
    """

    def __init__(self, setup: Setup) -> None:
        self._cells = {name: ExactCell(driven.cell) for name, driven in setup.layers.items()}

    def results(self, setup: Setup) -> Results:
        """Every result, float64 and rounded once, by node and key as `results_of` has them.

        Returns
        -------
        dict of str to dict of str to ndarray
            ``outputs``, states and ``gates/…`` (sequence, timestep, width), ``final/…`` (sequence,
            width); ``value`` of a node without states.
        """
        with localcontext(CONTEXT):
            exact = self._exact(setup)
            return {
                node: {key: array.astype(np.float64) for key, array in results.items()}
                for node, results in exact.items()
            }

    def _exact(self, setup: Setup) -> Results:
        signals = {name: Signal(to_decimal(x), setup.mask) for name, x in setup.inputs.items()}
        found: Results = {}
        final: dict[str, Mapping[str, Array]] = {}
        for node in setup.nodes:
            reads = [signals[name] for name in node.reads]
            if node.recurrent is None:
                signals[node.name] = node.layer(*reads)  # type: ignore[operator]
                found[node.name] = {"value": signals[node.name].values}
                continue
            driven = setup.layers[node.name]
            start = _start(driven, final, setup.sequences)
            results, ends = self._layer(node.name, driven, reads[0], start)
            final[node.name] = ends
            found[node.name] = results
            whole = driven.layer.return_sequences
            signals[node.name] = Signal(
                results["outputs"] if whole else ends["m"], reads[0].mask if whole else None
            )
        return found

    def _layer(
        self, name: str, driven: DrivenLayer, read: Signal, start: Mapping[str, Array]
    ) -> tuple[dict[str, Array], Mapping[str, Array]]:
        cell, layer = self._cells[name], driven.layer
        counted = layer.padding.value != "none"
        mask = read.mask if counted else None
        x = read.values
        turn = Turn.of(driven, None if mask is None else mask[None], x.shape[1])

        def turned(array: Array) -> Array:
            return np.asarray(turn(array[None])[0])

        z = cell.project(x.reshape(-1, x.shape[-1]))
        z = turned(z.reshape(*x.shape[:2], -1))
        counts = np.ones(x.shape[:2], bool) if mask is None else turned(mask)
        state: Mapping[str, Array] = start
        held = to_decimal(np.zeros_like(state["m"], np.float64))
        kept: dict[str, list[Array]] = {}
        for t in range(x.shape[1]):
            here = counts[:, t, None]
            made, gates = cell.step(z[:, t], state)
            past = held if layer.padding.value == "hold" else 0 * held
            held = np.where(here, made["m"], past)
            state = {key: np.where(here, made[key], state[key]) for key in made}
            shown = {**state, "outputs": held}
            shown |= {f"gates/{gate}": np.where(here, gates[gate], 0 * gates[gate])
                      for gate in gates}  # fmt: skip
            for key, array in shown.items():
                kept.setdefault(key, []).append(array)
        results = {key: np.stack(arrays, axis=1) for key, arrays in kept.items()}
        results = {
            key: array if key == "outputs" and not layer.outputs_in_input_order else turned(array)
            for key, array in results.items()
        }
        results |= {f"final/{key}": array for key, array in state.items()}
        return results, state


def _start(
    driven: DrivenLayer, final: Mapping[str, Mapping[str, Array]], sequences: int
) -> dict[str, Array]:
    """The states before the first step, zeros where nothing gives them."""
    parts = driven.layer.initial_state.value.parts
    found = {}
    for state, width in CELLS[driven.cell.kind].widths(driven.cell).items():
        part = parts.get(state)
        if state in driven.start:
            given = np.broadcast_to(driven.start[state], (sequences, width))
            found[state] = to_decimal(given)
        elif isinstance(part, FinalState):
            found[state] = join_state([final[name][state] for name in part.layers], part.join)
        else:
            found[state] = to_decimal(np.zeros((sequences, width)))
    return found


def computes(layer: object) -> bool:
    """Whether a node without states is computed exactly: it adds, multiplies and joins at most."""
    return isinstance(layer, (PassThrough, BidirectionalMerge))
