"""Many setups computed at once, and given up where they leave the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import InputError
from rnnscope.explaining.computing.layer_steps import LayerSteps
from rnnscope.explaining.computing.setup import DrivenLayer, Setup
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.initial_state import FinalState, join_state
from rnnscope.model.network import Node
from rnnscope.model.signal import Signal

LOOKS_AFTER = (1, 3, 8)
"""Steps after which what was computed is held to the reference, before the whole is done."""

Results = Mapping[str, Array]
"""By key: (stack, row, timestep, width) or (stack, row, width)."""


class Watcher(Protocol):
    """Who sees what is computed, and may say which setups are not worth going on with."""

    def watches(self, node: str) -> bool:
        """Whether the steps of a node are to be shown."""
        ...

    def wants(self, node: str, key: str) -> bool:
        """Whether a result that takes work of its own is asked for: gates, ``unprojected``."""
        ...

    def see(self, node: str, results: Results, done: Array | None) -> Array | None:
        """Look at results; which of the stack to keep, or None for all.

        ``done`` is (stack or 1, row, timestep), True where a step has been computed; None where
        all of a node's results are there.
        """
        ...


def simulate(setups: Sequence[Setup], watcher: Watcher, steps: int | None = None) -> Array:
    """Compute setups of one group; returns the places of those that were kept to the end.

    With `steps`, only so many steps of the layers that read the input are computed, of a backward
    layer the last ones of the input, and shown as done.
    """
    return _Run(setups, watcher, steps).run()


class _Run:
    def __init__(self, setups: Sequence[Setup], watcher: Watcher, most: int | None) -> None:
        self._setups = list(setups)
        self._most = most
        self._watcher = watcher
        self._alive = np.arange(len(setups))
        self._signals: dict[str, tuple[Array, Array | None]] = {}
        self._final: dict[str, dict[str, Array]] = {}

    def run(self) -> Array:
        first = self._setups[0]
        mask = _stack([setup.mask for setup in self._setups])
        for name in first.inputs:
            x = _stack([setup.inputs[name] for setup in self._setups])
            assert x is not None
            self._signals[name] = (x, None if name in first.of_decoder else mask)
        wanted = _wanted(first.nodes, self._watcher)
        for node in first.nodes:
            if not len(self._alive):
                break
            if node.name not in wanted:
                continue
            if self._most is not None:
                self._begun(node, self._most)
            elif node.name in first.layers:
                self._recurrent(node)
            else:
                self._plain(node)
        return self._alive

    def _begun(self, node: Node, most: int) -> None:
        """The first steps of a layer that needs nothing but the input for them."""
        driven = self._setups[0].layers.get(node.name)
        reads = self._signals.get(node.reads[0])
        if driven is None or reads is None or not driven.stackable:
            return
        if driven.handed_over or driven.kept:
            return
        x, mask = reads
        steps = self._layer_steps(node, x, mask, self._starts(node))
        for t in range(min(most, steps.timesteps)):
            steps.step(t)
        self._shown(node, *steps.shown(min(most, steps.timesteps)))

    def _plain(self, node: Node) -> None:
        assert node.recurrent is None
        if not self._signals.keys() >= {*node.reads}:
            self._cannot(node)
            return
        reads = [self._signals[name] for name in node.reads]
        stack = max(len(values) for values, _ in reads)
        flat = [
            Signal(_flat(values, stack), None if mask is None else _flat(mask, stack))
            for values, mask in reads
        ]
        try:
            with np.errstate(all="ignore"):
                made = node.layer(*flat)  # type: ignore[operator]
        except (
            InputError,
            ValueError,
        ):
            # A layer for one number of steps, of an input with its axes changed over.
            self._cannot(node)
            return
        values = made.values.reshape(stack, -1, *made.values.shape[1:])
        mask = None if made.mask is None else made.mask.reshape(stack, -1, *made.mask.shape[1:])
        self._signals[node.name] = (values, mask)
        if self._watcher.watches(node.name):
            results = {"value": self._whole(values)}
            if values.ndim == 4:
                results["last"] = results["value"][:, :, -1]
                if node.layer.joins_directions:  # type: ignore[union-attr]
                    results["final/m"] = self._joined_final(node)
            self._keep(self._watcher.see(node.name, results, None))

    def _cannot(self, node: Node) -> None:
        """Nothing that these setups compute is the result of a node, nor of what reads it."""
        if self._watcher.watches(node.name):
            self._keep(self._watcher.see(node.name, {}, None))

    def _joined_final(self, node: Node) -> Array:
        """The final outputs of two directions, joined as their outputs are."""
        finals = [self._final[name]["m"] for name in node.reads]
        joined = node.layer(*(Signal(_flat(final, len(self._setups))) for final in finals))  # type: ignore[operator]
        whole: Array = joined.values.reshape(len(self._setups), -1, joined.values.shape[-1])
        return whole

    def _whole(self, values: Array) -> Array:
        """Values with as many in front as there are setups."""
        return np.broadcast_to(values, (len(self._setups), *values.shape[1:]))

    def _keep(self, keep: Array | None) -> None:
        if keep is None or keep.all():
            return
        self._alive = self._alive[keep]
        count = len(keep)
        self._setups = [setup for setup, kept in zip(self._setups, keep, strict=True) if kept]

        def cut(array: Array | None) -> Array | None:
            return array[keep] if array is not None and len(array) == count > 1 else array

        self._signals = {
            name: (cut(values), cut(mask))  # type: ignore[misc]
            for name, (values, mask) in self._signals.items()
        }
        self._final = {
            name: {state: cut(array) for state, array in states.items()}  # type: ignore[misc]
            for name, states in self._final.items()
        }

    def _recurrent(self, node: Node) -> None:
        driven = self._setups[0].layers[node.name]
        x, mask = self._signals[node.reads[0]]
        stack = len(self._setups)
        used = _counted(driven, mask)
        if not driven.stackable:
            results, final = self._by_engine(node, x, used)
            keep = self._shown(node, results, None)
            if keep is not None:
                results = {key: array[keep] for key, array in results.items()}
                final = {key: array[keep] for key, array in final.items()}
        elif driven.kept:
            results, final = self._one_after_another(node, x, used)
        else:
            results, final = self._steps(node, x, used, self._starts(node), watch=True)
        if not len(self._alive):
            return
        outputs = results["outputs"]
        self._final[node.name] = final
        handed = outputs if driven.layer.return_sequences else final["m"]
        if driven.last_of_array and not driven.layer.return_sequences:
            handed = results["last"]
        if mask is not None and len(mask) == stack > 1:
            mask = self._signals[node.reads[0]][1]  # cut as the stack was
        self._signals[node.name] = (handed, mask if driven.layer.return_sequences else None)

    def _shown(self, node: Node, results: Results, done: Array | None) -> Array | None:
        if not self._watcher.watches(node.name):
            return None
        keep = self._watcher.see(node.name, results, done)
        self._keep(keep)
        return keep

    def _starts(self, node: Node) -> dict[str, Array]:
        """The states before the first step, (stack or 1, row or 1, width), as far as not zero."""
        first = self._setups[0].layers[node.name]
        starts = {}
        for state in first.start:
            start = _stack([setup.layers[node.name].start[state] for setup in self._setups])
            assert start is not None
            starts[state] = start
        for state, part in first.layer.initial_state.value.parts.items():
            if isinstance(part, FinalState) and state not in starts:
                finals = [self._final[name][state] for name in part.layers]
                starts[state] = join_state(finals, part.join)
        if first.start_swapped:
            starts = {"c": starts["m"], "m": starts["c"]}
        return starts

    def _by_engine(
        self, node: Node, x: Array, mask: Array | None
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """A layer whose cell is not stepped in stacks, by the engine, one setup after another."""
        made = []
        starts = self._starts(node)
        for at, setup in enumerate(self._setups):
            own = {name: _at(array, at) for name, array in starts.items()}
            own_mask = None if mask is None else _at(mask, at)
            own_x = np.ascontiguousarray(_at(x, at))
            made.append(run_layer(setup.layers[node.name].layer, own_x, own_mask, own, gates=True))
        results = {name: np.stack([one.states[name] for one in made]) for name in made[0].states}
        results["outputs"] = np.stack([one.outputs for one in made])
        for gate in made[0].gates:
            results[f"gates/{gate}"] = np.stack([one.gates[gate] for one in made])
        final = {name: np.stack([one.final[name] for one in made]) for name in made[0].final}
        results |= {f"final/{name}": array for name, array in final.items()}
        results["last"] = results["outputs"][:, :, -1]
        return results, final

    def _one_after_another(
        self, node: Node, x: Array, mask: Array | None
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Sequences each of which starts from the final state of the one before."""
        starts, parts, finals = self._starts(node), [], []
        starts = {name: array[:, :1] for name, array in starts.items()}
        for row in range(x.shape[1]):
            one = slice(row, row + 1)
            own_mask = None if mask is None else mask[:, one]
            made, final = self._steps(node, x[:, one], own_mask, starts, watch=False)
            parts.append(made)
            finals.append(final)
            starts = final
        results = {key: np.concatenate([part[key] for part in parts], axis=1) for key in parts[0]}
        final = {key: np.concatenate([part[key] for part in finals], axis=1) for key in finals[0]}
        keep = self._shown(node, results, None)
        if keep is not None:
            results = {key: array[keep] for key, array in results.items()}
            final = {key: array[keep] for key, array in final.items()}
        return results, final

    def _steps(
        self, node: Node, x: Array, mask: Array | None, starts: Mapping[str, Array], *, watch: bool
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Step through time, and show what was computed now and then."""
        watch = watch and self._watcher.watches(node.name)
        looks = {look for look in LOOKS_AFTER if look < x.shape[2]} if watch else set()
        one_from_zeros = not starts and 1 in looks
        steps = self._layer_steps(node, x, mask, starts, one_from_zeros=one_from_zeros)
        for t in range(steps.timesteps):
            steps.step(t)
            if t + 1 not in looks:
                continue
            keep = self._shown(node, *steps.shown(t + 1))
            fewer = keep is not None and not keep.all()
            if keep is not None and fewer:
                steps.keep(keep)
                if not keep.any():
                    return steps.kept, steps.state
            if t == 0 or fewer:
                steps.go_on_with(self._cells(node))
        results, final = steps.results(), steps.state
        keep = self._shown(node, results, None) if watch else None
        if keep is not None and not keep.all():
            results = {name: array[keep] for name, array in results.items()}
            final = {name: array[keep] for name, array in final.items()}
        return results, final

    def _layer_steps(
        self, node: Node, x: Array, mask: Array | None, starts: Mapping[str, Array],
        *, one_from_zeros: bool = False,
    ) -> LayerSteps:  # fmt: skip
        driven = self._setups[0].layers[node.name]
        return LayerSteps(
            driven,
            self._cells(node),
            x,
            _counted(driven, mask),
            starts,
            wants=lambda key: self._watcher.wants(node.name, key),
            one_from_zeros=one_from_zeros,
        )

    def _cells(self, node: Node) -> list[CellSpec]:
        return [setup.layers[node.name].cell for setup in self._setups]


def _counted(driven: DrivenLayer, mask: Array | None) -> Array | None:
    """The mask that a layer heeds."""
    return None if driven.layer.padding.value == "none" else mask


def _wanted(nodes: Sequence[Node], watcher: Watcher) -> frozenset[str]:
    """The nodes that a watcher watches, and those that they need."""
    found: set[str] = set()
    for node in reversed(nodes):
        if node.name in found or watcher.watches(node.name):
            found.update((node.name, *node.reads, *node.starts_from))
    return frozenset(found)


def _stack(arrays: Sequence[Array | None]) -> Array | None:
    """Arrays with an axis in front: 1 long where all are the same object."""
    first = arrays[0]
    if first is None:
        return None
    if all(array is first for array in arrays):
        return first[None]
    whole: Array = np.stack([array for array in arrays if array is not None])
    return whole


def _at(array: Array, place: int) -> Array:
    one: Array = array[place if len(array) > 1 else 0]
    return one


def _flat(array: Array, stack: int) -> Array:
    """(stack or 1, row, …) as (stack x row, …)."""
    whole = np.broadcast_to(array, (stack, *array.shape[1:]))
    return whole.reshape(-1, *array.shape[2:])
