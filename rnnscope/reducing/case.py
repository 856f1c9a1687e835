"""What goes into a case, whole or of one unit: layers, input, states before, both's numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from rnnscope.checkpoints.case.case_file import RECIPE, VERSION, VERSION_KEY
from rnnscope.checkpoints.case.layer_entries import WEIGHTS, entry_of, weights_of
from rnnscope.comparing.reduction import Reduction, TriedCase
from rnnscope.comparing.result import SideName
from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.json_values import plain
from rnnscope.model.cell import Array
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.reducing.kept import Kept, computed, reproduces
from rnnscope.reducing.one_unit import one_unit, why_whole
from rnnscope.reducing.processed import ProcessedSequence, State
from rnnscope.reducing.search import StepSearch
from rnnscope.states.state_set import FINAL, INITIAL


@dataclass(frozen=True, eq=False)
class Case:
    """A pair that differs, as small as it was made.

    Attributes
    ----------
    layers : mapping of SideName to RecurrentLayer
        Of the sides that can be computed again.
    x : ndarray (step, input)
    mask : ndarray of bool (step,) or None
    starts : mapping of SideName to State
        Before the first step, as far as it is known.
    values : mapping of SideName to mapping of str to ndarray (step or 1, unit)
    unit : int
        The place of the unit that differs, in `values`.
    notes : tuple of str
    """

    layers: Mapping[SideName, RecurrentLayer]
    x: Array
    mask: Array | None
    starts: Mapping[SideName, State]
    values: Mapping[SideName, Mapping[str, Array]]
    unit: int
    notes: tuple[str, ...] = ()

    @property
    def units(self) -> int:
        return next(iter(self.layers.values())).cell.num_units


def make_case(
    search: StepSearch, kept: Kept, partner: ProcessedSequence | None, why_not: str = ""
) -> Case:
    """The case of the steps that are left: of one unit where that shows the same.

    Parameters
    ----------
    search : StepSearch
        What is tried is added to its list.
    kept : Kept
    partner : ProcessedSequence or None
        The other side, where it can be computed again.
    why_not : str
        Why it cannot, though it has a recipe.
    """
    ours, at = search.ours, list(kept.positions)
    layers: dict[SideName, RecurrentLayer] = {search.side: ours.layer}
    starts: dict[SideName, State] = {search.side: kept.start}
    notes = [*kept.notes, *([why_not] if why_not else [])]
    theirs = search.their_state(at[0] - 1) if at[0] else None
    if kept.start_from == search.side and theirs is not None:
        starts[search.other] = theirs
    elif kept.start_from != search.side and search.target.family != "initial":
        starts[search.other] = kept.start
    if partner is not None:
        if (words := _why_apart(ours, partner, at, search, kept)) is None:
            layers[search.other] = partner.layer
            starts[search.other] = kept.start
        else:
            notes.append(words)
    mask = None if ours.counts[at].all() else ours.counts[at]
    whole = Case(layers, ours.x[at], mask, starts, kept.values, kept.unit, tuple(notes))
    return _of_one_unit(search, kept, whole)


def _why_apart(
    ours: ProcessedSequence,
    partner: ProcessedSequence,
    at: list[int],
    search: StepSearch,
    kept: Kept,
) -> str | None:
    """Why the other side's function is not in the case; None if it gives its numbers there."""
    if search.target.family == "initial":
        return (
            f"{search.other}'s layer starts from other states: only A's or B's can be in the case."
        )
    if partner.x.shape != ours.x.shape or not np.array_equal(
        partner.timesteps[at], ours.timesteps[at]
    ):
        return (
            f"{search.other} reads another input or in another order: its layer is not in the case."
        )
    gap = float(np.abs(partner.x[at].astype("f8") - ours.x[at].astype("f8")).max(initial=0.0))
    if gap:
        return (
            f"The layer reads other inputs in A and in B at these steps, by up to {gap:.3g}: look "
            f"at what stands before it. {search.other}'s layer is not in the case."
        )
    run = partner.run(at, kept.start, gates=kept.key.startswith("gates/"))
    again = computed(run, kept.key)
    names = search.pair.unit_names(kept.key if kept.key in search.pair.arrays else kept.key[6:])
    again = again[:, names] if names.max(initial=-1) < again.shape[1] else again
    if not reproduces(again[-1, kept.unit], kept, search.other):
        return (
            f"{search.other}'s recipe does not give its numbers in these steps alone: its layer is "
            "not in the case."
        )
    return None


def _of_one_unit(search: StepSearch, kept: Kept, whole: Case) -> Case:
    """The case of one unit, if it shows the difference; else the whole."""
    cell = search.ours.layer.cell
    single = len(kept.positions) == 1 and whole.mask is None
    if cell.num_units == 1 or not single or kept.key.startswith(INITIAL):
        return whole
    for layer in whole.layers.values():
        if why := why_whole(layer.cell):
            return replace(whole, notes=(*whole.notes, f"All units are kept: {why}."))
    unit = int(search.pair.unit_names(_step_key(kept.key, search))[kept.unit])
    cut = {
        side: one_unit(layer.cell, unit, whole.x, kept.start)
        for side, layer in whole.layers.items()
    }
    first = cut[search.side]
    places = {
        key: np.flatnonzero(search.pair.unit_names(_step_key(key, search)) == unit)
        for key in whole.values[search.side]
    }
    case = Case(
        {side: replace(layer, cell=cut[side].cell) for side, layer in whole.layers.items()},
        first.x,
        None,
        {
            side: first.start if side in cut else {key: one[[unit]] for key, one in start.items()}
            for side, start in whole.starts.items()
        },
        {
            side: {key: array[:, places[key]] for key, array in arrays.items() if len(places[key])}
            for side, arrays in whole.values.items()
        },
        0,
        (*whole.notes, f"Of unit {unit} alone {first.words}."),
    )
    same = all(_shows(case, kept, side) for side in case.layers)
    a, b = (float(kept.values[side][kept.key][-1, kept.unit]) for side in ("A", "B"))
    search.tried.append(TriedCase(f"unit {unit} alone", 1, 1, same, abs(a - b)))
    if not same:
        why = "a unit computed by itself does not show the difference"
        return replace(whole, notes=(*whole.notes, f"All units are kept: {why}."))
    return case


def _step_key(key: str, search: StepSearch) -> str:
    return key if key in search.pair.arrays else key.removeprefix(FINAL)


def _shows(case: Case, kept: Kept, side: SideName) -> bool:
    start = {name: values[None] for name, values in case.starts[side].items()}
    run = run_layer(case.layers[side], case.x[None], None, start, gates=True)
    return reproduces(computed(run, kept.key)[-1, 0], kept, side)


def arrays_of(case: Case, reduction: Reduction) -> dict[str, Array]:
    """The arrays of the file, by name, in the order in which they are read by people."""
    found: dict[str, Array] = {RECIPE: np.array(recipe_text(case, reduction))}
    found["x"] = case.x[None]
    if case.mask is not None:
        found["mask"] = case.mask[None]
    for side, start in case.starts.items():
        # The input of a run takes the first by name; the second is what somebody else had.
        mark = "_" if side in case.layers else "/"
        for name, values in start.items():
            found[f"{side.lower()}/initial{mark}{name}"] = np.asarray(values)[None]
    for side, arrays in case.values.items():
        for key, array in arrays.items():
            name = f"{side.lower()}/{key}"
            if key.startswith(INITIAL) and side in case.layers:
                name = f"{side.lower()}/initial_{key.removeprefix(INITIAL)}"
            found[name] = array if key.startswith((FINAL, INITIAL)) else array[None]
    for side, layer in case.layers.items():
        for name, array in weights_of(layer.cell).items():
            found[f"{WEIGHTS}/{side.lower()}/{name}"] = array
    return found


def recipe_text(case: Case, reduction: Reduction) -> str:
    """What the case is, as JSON that people can read."""
    import json

    told = plain(reduction)
    for key in ("case", "reason", "arrays", "bytes", "tried"):
        told.pop(key)
    document = {
        VERSION_KEY: VERSION,
        "layers": {side.lower(): entry_of(layer) for side, layer in case.layers.items()},
        "what": told,
    }
    return json.dumps(document, indent=1)
