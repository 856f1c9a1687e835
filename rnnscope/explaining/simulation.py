"""Many setups computed at once, and given up where they leave the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import InputError
from rnnscope.explaining.setup import DrivenLayer, Setup
from rnnscope.explaining.stacking import (
    project,
    stack_cells,
    step,
    unprojected,
)
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.model.initial_state import FinalState, join_state
from rnnscope.model.network import Node
from rnnscope.model.signal import Signal

LOOKS_AFTER = (1, 3, 8)
"""Steps after which what was computed is held to the reference, before the whole is done."""

STACK_BYTES = 24 * 2**20
MOST_STACKED = 192

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


def groups(setups: Sequence[Setup]) -> list[list[int]]:
    """Places of setups that can be computed at once."""
    found: dict[object, list[int]] = {}
    for at, setup in enumerate(setups):
        key = (
            setup.transposed,
            setup.mask is None,
            tuple((name, x.shape) for name, x in setup.inputs.items()),
            id(setup.nodes),
            tuple(driven.structure for driven in setup.layers.values()),
        )
        found.setdefault(key, []).append(at)
    return [
        members[start : start + size]
        for members in found.values()
        for size in [_stack_size(setups[members[0]])]
        for start in range(0, len(members), size)
    ]


def _stack_size(setup: Setup) -> int:
    bytes_each = 0
    for driven in setup.layers.values():
        bytes_each += driven.bytes_of_weights
        bytes_each += setup.sequences * setup.timesteps * driven.cell.num_units * 8 * 6
    return int(np.clip(STACK_BYTES // max(bytes_each, 1), 1, MOST_STACKED))


def simulate(setups: Sequence[Setup], watcher: Watcher) -> Array:
    """Compute setups of one group; returns the places of those that were kept to the end."""
    return _Run(setups, watcher).run()


class _Run:
    def __init__(self, setups: Sequence[Setup], watcher: Watcher) -> None:
        self._setups = list(setups)
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
            self._signals[name] = (x, mask)
        wanted = _wanted(first.nodes, self._watcher)
        for node in first.nodes:
            if not len(self._alive):
                break
            if node.name not in wanted:
                continue
            if node.name in first.layers:
                self._recurrent(node)
            else:
                self._plain(node)
        return self._alive

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
        rule = driven.layer.padding.value
        used = None if rule == "none" else mask
        if not driven.stackable:
            results, final = self._by_engine(node, x, used)
            keep = self._shown(node, results, None)
            if keep is not None:
                results = {key: array[keep] for key, array in results.items()}
                final = {key: array[keep] for key, array in final.items()}
        elif driven.kept:
            results, final = self._one_after_another(node, x, used)
        else:
            results, final, _ = self._steps(node, x, used, self._starts(node), watch=True)
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
            made, final, _ = self._steps(node, x[:, one], own_mask, starts, watch=False)
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
    ) -> tuple[dict[str, Array], dict[str, Array], Array | None]:
        """Step through time, and show what was computed now and then."""
        driven = self._setups[0].layers[node.name]
        cells = [setup.layers[node.name].cell for setup in self._setups]
        looks = {look for look in LOOKS_AFTER if look < x.shape[2]} if watch else set()
        watch = watch and self._watcher.watches(node.name)
        if not watch:
            looks = set()
        cell = stack_cells(cells, from_zeros=not starts and 1 in looks)
        turn = _Turn.of(driven, mask, x.shape[2])
        with np.errstate(all="ignore"):
            z = project(cell, turn(x))
        steps_mask = None if mask is None else turn(mask)
        stack, rows, timesteps = len(self._setups), x.shape[1], x.shape[2]
        whole = driven.cell
        widths = CELLS[whole.kind].widths(whole)
        state = {
            name: np.broadcast_to(starts.get(name, np.zeros((1, 1, 1))), (stack, rows, width))
            for name, width in widths.items()
        }
        start = dict(state)
        kept: dict[str, Array] = {
            name: np.zeros((stack, rows, timesteps, width)) for name, width in widths.items()
        }
        kept["outputs"] = np.zeros((stack, rows, timesteps, whole.output_size))
        for gate in CELLS[whole.kind].gates:
            if self._watcher.wants(node.name, f"gates/{gate}"):
                kept[f"gates/{gate}"] = np.zeros((stack, rows, timesteps, whole.num_units))
        projected = whole.num_proj is not None and whole.kind == "lstm"
        raw = projected and self._watcher.wants(node.name, "unprojected")
        if raw:
            for name in ("unprojected", "unprojected outputs"):
                kept[name] = np.zeros((stack, rows, timesteps, whole.num_units))
        last_raw: Array = np.zeros((1, 1, 1))
        made: Array = last_raw
        held = np.zeros((1, 1, whole.output_size))
        every: Array | None = None
        for t in range(timesteps):
            before = _carried(driven, t, state, start)
            with np.errstate(all="ignore"):
                new, gates = step(driven, cell, z[:, :, t], before)
                if raw:
                    made = unprojected(cell, new, gates)
            counts = None if steps_mask is None else steps_mask[:, :, t, None]
            returned = new["m"]
            if counts is not None:
                new = {name: np.where(counts, new[name], state[name]) for name in new}
                past = held if driven.layer.padding.value == "hold" else 0.0
                returned = np.where(counts, returned, past)
            if raw:
                last_raw = made if counts is None else np.where(counts, made, last_raw)
                kept["unprojected"][:, :, t] = last_raw
                hold = driven.layer.padding.value == "hold"
                kept["unprojected outputs"][:, :, t] = (
                    last_raw if hold or counts is None else np.where(counts, made, 0.0)
                )
            held = returned
            state = new
            for name, array in state.items():
                shown = (
                    array if counts is None or not driven.zero_past else np.where(counts, array, 0)
                )
                kept[name][:, :, t] = shown
            kept["outputs"][:, :, t] = returned
            for gate, array in gates.items():
                if f"gates/{gate}" in kept:
                    shown = array if counts is None else np.where(counts, array, 0)
                    kept[f"gates/{gate}"][:, :, t] = shown
            if t + 1 in looks:
                keep = self._look(node, driven, kept, turn, t + 1)
                if keep is not None and not keep.all():
                    every = keep
                    if not keep.any():
                        return kept, state, keep
                    count = len(keep)

                    def cut(array: Array, keep: Array = keep, count: int = count) -> Array:
                        return array[keep] if len(array) == count and count > 1 else array

                    kept = {name: array[keep] for name, array in kept.items()}
                    state = {name: array[keep] for name, array in state.items()}
                    start = {name: array[keep] for name, array in start.items()}
                    z, held, last_raw = cut(z), cut(held), cut(last_raw)
                    x = cut(x)
                    mask = None if mask is None else cut(mask)
                    steps_mask = None if steps_mask is None else cut(steps_mask)
                    turn = turn.kept(keep)
                if t == 0 or (keep is not None and not keep.all()):
                    cell = stack_cells([setup.layers[node.name].cell for setup in self._setups])
        results = _in_input_order(driven, kept, turn)
        results |= {f"final/{name}": array for name, array in state.items()}
        results["last"] = results["outputs"][:, :, -1]
        if raw:
            results["final/unprojected"] = last_raw
        if watch:
            keep = self._shown(node, results, None)
            if keep is not None and not keep.all():
                every = keep
                results = {name: array[keep] for name, array in results.items()}
                state = {name: array[keep] for name, array in state.items()}
        return results, state, every

    def _look(
        self, node: Node, driven: DrivenLayer, kept: Mapping[str, Array], turn: _Turn, steps: int
    ) -> Array | None:
        if turn.free:
            shown = {name: array[:, :, :steps] for name, array in kept.items()}
            done = np.ones((1, 1, steps), bool)
            return self._shown(node, shown, done)
        shape = next(iter(kept.values())).shape[:3]
        flags = np.zeros((1, *shape[1:]), bool)
        flags[:, :, :steps] = True
        done = turn(flags)
        if not driven.layer.outputs_in_input_order:
            kept = {name: array for name, array in kept.items() if name != "outputs"}
        return self._shown(node, {name: turn(array) for name, array in kept.items()}, done)


def _wanted(nodes: Sequence[Node], watcher: Watcher) -> frozenset[str]:
    """The nodes that a watcher watches, and those that they need."""
    found: set[str] = set()
    for node in reversed(nodes):
        if node.name in found or watcher.watches(node.name):
            found.update((node.name, *node.reads, *node.starts_from))
    return frozenset(found)


def _carried(
    driven: DrivenLayer, t: int, state: Mapping[str, Array], start: Mapping[str, Array]
) -> Mapping[str, Array]:
    """The state that a step sees, which is usually the one that the last step left."""
    if t == 0:
        return state
    if driven.reset_every and t % driven.reset_every == 0:
        return start
    if driven.dropped:
        state = {
            name: start[name] if name in driven.dropped else array for name, array in state.items()
        }
    if driven.swapped and state.keys() == {"c", "m"} and state["c"].shape == state["m"].shape:
        return {"c": state["m"], "m": state["c"]}
    return state


def _in_input_order(
    driven: DrivenLayer, kept: Mapping[str, Array], turn: _Turn
) -> dict[str, Array]:
    return {
        name: array
        if name == "outputs" and not driven.layer.outputs_in_input_order
        else turn(array)
        for name, array in kept.items()
    }


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


class _Turn:
    """Turning the time axis (axis 2) of a backward layer; done twice, it undoes itself."""

    def __init__(self, order: Array | None, *, whole: bool = False) -> None:
        self._order = order
        self._whole = whole

    @classmethod
    def of(cls, driven: DrivenLayer, mask: Array | None, timesteps: int) -> _Turn:
        if not driven.layer.backward.value:
            return cls(None)
        if driven.layer.reversal == "whole" or mask is None:
            return cls(None, whole=True)
        steps = np.arange(timesteps)
        lengths = np.where(mask, steps + 1, 0).max(axis=2, initial=0)[:, :, None]
        return cls(np.where(steps < lengths, lengths - 1 - steps, steps))

    @property
    def free(self) -> bool:
        """Whether time stays as it is."""
        return self._order is None and not self._whole

    def kept(self, keep: Array) -> _Turn:
        """The turn for a part of the stack."""
        if self._order is None or len(self._order) == 1:
            return self
        return _Turn(self._order[keep])

    def __call__(self, array: Array) -> Array:
        if self._whole:
            turned_whole: Array = array[:, :, ::-1]
            return turned_whole
        if self._order is None:
            return array
        stack = max(len(array), len(self._order))
        order = np.broadcast_to(self._order, (stack, *self._order.shape[1:]))
        whole = np.broadcast_to(array, (stack, *array.shape[1:]))
        index = order.reshape(order.shape + (1,) * (array.ndim - 3))
        turned: Array = np.take_along_axis(whole, index, axis=2)
        return turned


def results_of(
    setup: Setup, turned: Callable[[Array], Array] | None = None
) -> dict[str, dict[str, Array]]:
    """Every result of one setup, by node and key, without the axis of the stack."""
    found: dict[str, dict[str, Array]] = {}

    class Collector:
        def watches(self, node: str) -> bool:  # noqa: ARG002
            return True

        def wants(self, node: str, key: str) -> bool:  # noqa: ARG002
            return True

        def see(self, node: str, results: Results, done: Array | None) -> None:
            if done is None:
                found[node] = {
                    key: (array[0] if turned is None else turned(array[0]))
                    for key, array in results.items()
                }

    simulate([prepared(setup)], Collector())
    return found


def prepared(setup: Setup) -> Setup:
    """The setup as it is computed: with sequences and timesteps changed over, where it says so."""
    if not setup.transposed:
        return setup
    inputs = {name: np.ascontiguousarray(x.swapaxes(0, 1)) for name, x in setup.inputs.items()}
    return replace(setup, inputs=inputs, mask=None)
