"""One recurrent layer of many setups, stepped through time at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from rnnscope.explaining.computing.setup import DrivenLayer
from rnnscope.explaining.computing.stacking import project, stack_cells, step, unprojected
from rnnscope.explaining.computing.turning import Turn
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.cells import CELLS


class LayerSteps:
    """The states of a stack of layers that differ in numbers alone, step after step.

    Parameters
    ----------
    driven : DrivenLayer
        Any of the stack.
    cells : sequence of CellSpec
        Of every one.
    x : ndarray (stack or 1, row, timestep, feature)
    mask : ndarray of bool (stack or 1, row, timestep) or None
        True where a step counts.
    starts : mapping of str to ndarray (stack or 1, row or 1, width)
        States before the first step; zeros where they are not there.
    wants : callable
        ``wants(key) -> bool``: whether gates or what lies before a projection are kept.
    one_from_zeros : bool
        Only the first step is computed with these cells, and it starts from zeros.

    Attributes
    ----------
    kept : dict of str to ndarray (stack, row, timestep, width)
        By key, in the order in which steps are computed.
    state : dict of str to ndarray (stack, row, width)
        After the last step.
    """

    def __init__(
        self,
        driven: DrivenLayer,
        cells: Sequence[CellSpec],
        x: Array,
        mask: Array | None,
        starts: Mapping[str, Array],
        *,
        wants: Callable[[str], bool],
        one_from_zeros: bool = False,
    ) -> None:
        self._driven = driven
        self._cell = stack_cells(cells, from_zeros=one_from_zeros)
        self._hold = driven.layer.padding.value == "hold"
        stack, rows, self.timesteps = len(cells), x.shape[1], x.shape[2]
        whole = driven.cell
        self.turn = Turn.of(driven, mask, self.timesteps)
        with np.errstate(all="ignore"):
            self._z = project(self._cell, self.turn(x))
        self._mask = None if mask is None else self.turn(mask)
        widths = CELLS[whole.kind].widths(whole)
        self.state = {
            name: np.broadcast_to(starts.get(name, np.zeros((1, 1, 1))), (stack, rows, width))
            for name, width in widths.items()
        }
        self._start = dict(self.state)
        gates = [gate for gate in CELLS[whole.kind].gates if wants(f"gates/{gate}")]
        projected = whole.num_proj is not None and whole.kind == "lstm"
        self._raw = projected and wants("unprojected")
        shown = {**widths, "outputs": whole.output_size}
        shown |= {f"gates/{gate}": whole.num_units for gate in gates}
        if self._raw:
            shown |= dict.fromkeys(("unprojected", "unprojected outputs"), whole.num_units)
        self.kept = {
            name: np.zeros((stack, rows, self.timesteps, width)) for name, width in shown.items()
        }
        self._held = np.zeros((1, 1, whole.output_size))
        self._held_raw = np.zeros((1, 1, whole.num_units))

    def step(self, t: int) -> None:
        """Compute step t, which follows the one before."""
        before = self._carried(t)
        with np.errstate(all="ignore"):
            new, gates = step(self._driven, self._cell, self._z[:, :, t], before)
            raw = unprojected(self._cell, new, gates) if self._raw else None
        counts = None if self._mask is None else self._mask[:, :, t, None]
        returned = new["m"]
        if counts is not None:
            new = {name: np.where(counts, new[name], self.state[name]) for name in new}
            returned = np.where(counts, returned, self._held if self._hold else 0.0)
        self._held = returned
        self.state = new
        if raw is not None:
            self._keep_raw(t, raw, counts)
        for name, array in new.items():
            if counts is not None and self._driven.zero_past:
                self.kept[name][:, :, t] = np.where(counts, array, 0)
            else:
                self.kept[name][:, :, t] = array
        self.kept["outputs"][:, :, t] = returned
        for gate, array in gates.items():
            if f"gates/{gate}" in self.kept:
                shown = array if counts is None else np.where(counts, array, 0)
                self.kept[f"gates/{gate}"][:, :, t] = shown

    def _keep_raw(self, t: int, raw: Array, counts: Array | None) -> None:
        """Keep m before its projection, as c and as outputs are kept at steps that do not count."""
        self._held_raw = raw if counts is None else np.where(counts, raw, self._held_raw)
        self.kept["unprojected"][:, :, t] = self._held_raw
        returned = self._held_raw
        if counts is not None and not self._hold:
            returned = np.where(counts, raw, 0.0)
        self.kept["unprojected outputs"][:, :, t] = returned

    def _carried(self, t: int) -> Mapping[str, Array]:
        """The state that a step sees, which is usually the one that the last step left."""
        driven, state, start = self._driven, self.state, self._start
        if t == 0:
            return state
        if driven.reset_every and t % driven.reset_every == 0:
            return start
        if driven.dropped:
            state = {
                name: start[name] if name in driven.dropped else array
                for name, array in state.items()
            }
        if driven.swapped and state.keys() == {"c", "m"} and state["c"].shape == state["m"].shape:
            return {"c": state["m"], "m": state["c"]}
        return state

    def keep(self, keep: Array) -> None:
        """Give up a part of the stack: `keep` is bool (stack,)."""
        count = len(keep)

        def cut(array: Array) -> Array:
            return array[keep] if len(array) == count > 1 else array

        self.kept = {name: array[keep] for name, array in self.kept.items()}
        self.state = {name: array[keep] for name, array in self.state.items()}
        self._start = {name: array[keep] for name, array in self._start.items()}
        self._z, self._held, self._held_raw = cut(self._z), cut(self._held), cut(self._held_raw)
        self._mask = None if self._mask is None else cut(self._mask)
        self.turn = self.turn.kept(keep)

    def go_on_with(self, cells: Sequence[CellSpec]) -> None:
        """Take the cells of what is left of the stack."""
        self._cell = stack_cells(cells)

    def shown(self, steps: int) -> tuple[dict[str, Array], Array]:
        """What is there after so many steps, as the input has its steps, and which they are.

        Returns
        -------
        results : dict of str to ndarray (stack, row, timestep, width)
        done : ndarray of bool (1 or stack, row or 1, timestep)
        """
        if self.turn.free:
            results = {name: array[:, :, :steps] for name, array in self.kept.items()}
            return results, np.ones((1, 1, steps), bool)
        flags = np.zeros((1, *next(iter(self.kept.values())).shape[1:3]), bool)
        flags[:, :, :steps] = True
        kept = self.kept
        if not self._driven.layer.outputs_in_input_order:
            kept = {name: array for name, array in kept.items() if name != "outputs"}
        return {name: self.turn(array) for name, array in kept.items()}, self.turn(flags)

    def results(self) -> dict[str, Array]:
        """Everything after the last step, by key."""
        as_computed = not self._driven.layer.outputs_in_input_order
        found = {
            name: array if name == "outputs" and as_computed else self.turn(array)
            for name, array in self.kept.items()
        }
        found |= {f"final/{name}": array for name, array in self.state.items()}
        found["last"] = found["outputs"][:, :, -1]
        if self._raw:
            found["final/unprojected"] = self._held_raw
        return found
