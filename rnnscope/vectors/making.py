"""From a planned model to vectors: inputs that tell readings apart, and exact results over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import OptionError, RnnscopeError, spell
from rnnscope.explaining.setup import DrivenLayer, Setup
from rnnscope.explaining.simulation import results_of
from rnnscope.files.guarding.hashing import files_sha256
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.record.planning import PlannedRun
from rnnscope.vectors.cases import ExpectedLayer, LayerNotes, VectorCase, VectorSet
from rnnscope.vectors.drawing import SCALES, Drawn, plain_case, searched_case
from rnnscope.vectors.exact.run import ExactRun
from rnnscope.vectors.parts import Part, Results, parts_of
from rnnscope.vectors.readings import (
    APART,
    NOTHING,
    KnownReading,
    known_readings,
    not_told_apart,
    reason_of,
)
from rnnscope.vectors.result import LeftOut, NotSeparated
from rnnscope.vectors.tolerance import rounding_tolerance

TRIES = 2 * len(SCALES)

PLAIN_TRIES = 6

MOST_CASES = 4
"""Of one part, beside the plain one."""

COARSER = 4.0
"""An input over which rounding may do more than so many times what it may over the others is left
alone: the tolerance of all would have to be that of the worst."""

DOUBLE_SLACK = 8.0
"""Tolerances that the engine in float64 may be from the exact results: it rounds as well."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class VectorsRequest:
    """What is wanted.

    Attributes
    ----------
    sequences, timesteps : int
        Of the inputs that are searched.
    seed : int
    weights : bool
        Whether the weights are written as well.
    """

    sequences: int = 3
    timesteps: int = 20
    seed: int = 0
    weights: bool = False

    def require_sense(self) -> None:
        """Refuse sizes on which nothing can be told apart.

        Raises
        ------
        OptionError
        """
        for name, value, least, most in (
            ("sequences", self.sequences, 2, 64),
            ("steps", self.timesteps, 4, 200),
        ):
            if not least <= value <= most:
                raise OptionError(
                    f"{spell(name)} makes no vectors to test with.",
                    where=spell(name, str(value)),
                    expected=f"a number from {least} to {most}",
                    found=value,
                )
        if self.seed < 0:
            raise OptionError(
                f"{spell('seed')} is no seed.", expected="a whole number from 0", found=self.seed
            )


@dataclass(eq=False)
class _Tried:
    """An input, what it gives, and how far rounding may move that."""

    drawn: Drawn
    setup: Setup
    results: Results
    tolerance: float


@dataclass(eq=False)
class _Searched:
    """A part, its inputs, and the readings that they are meant to tell apart."""

    part: Part
    random: np.random.Generator
    chosen: list[_Tried]
    readings: list[KnownReading]
    tried: int

    @property
    def tolerance(self) -> float:
        return max(one.tolerance for one in self.chosen)


def make_vectors(
    planned: PlannedRun, request: VectorsRequest, progress: Progress | None = None
) -> VectorSet:
    """Vectors for every part of a planned model.

    Parameters
    ----------
    planned : PlannedRun
        Its input's numbers mean nothing.
    request : VectorsRequest
    progress : callable, optional
        ``progress(words, part)``.

    Raises
    ------
    UnsupportedCellError
        No layer can have vectors.
    RnnscopeError
        The engine and the exact equations disagree.
    """
    say = progress or (lambda words, part: None)
    parts, left_out = parts_of(planned)
    searched = []
    for number, part in enumerate(parts):
        say(f"searching inputs for {part.name}", number / (2 * len(parts)))
        searched.append(_begin(part, request, number))
    tolerance = max(each.tolerance for each in searched)
    for each in searched:
        _add_cases(each, request, tolerance)
    tolerance = max(each.tolerance for each in searched)
    cases: list[VectorCase] = []
    not_separated: list[NotSeparated] = []
    readings = 0
    for number, each in enumerate(searched):
        say(f"computing {each.part.name}", 0.5 + number / (2 * len(parts)))
        left, meant = _left(each, tolerance)
        readings += meant
        not_separated += left
        cases += _cases(each)
    recipe = planned.recipe.with_options(random=None)
    return VectorSet(
        model=Path(recipe.checkpoint).name,
        sha256=files_sha256(planned.checkpoint.files),
        options=recipe.to_dict()["options"],
        seed=request.seed,
        tolerance=tolerance,
        layers=tuple(_notes(part, request) for part in parts if part.layer) + tuple(
            _notes_of_whole(parts, request)
        ),
        cases=tuple(cases),
        readings=readings,
        not_separated=tuple(not_separated),
        left_out=(*left_out, *_not_covered(planned)),
    )


def _begin(part: Part, request: VectorsRequest, number: int) -> _Searched:
    """A part with two inputs: the plain one, and one with lengths and states before it."""
    # A seed of its own for each part, so that one layer's vectors are the same in any model.
    random = np.random.Generator(np.random.PCG64([request.seed, number]))
    # Of inputs with which an implementation begins, the one over which rounding does least.
    drawn = [_tried(part, plain_case(part, random)) for _ in range(PLAIN_TRIES)]
    plain = min(drawn, key=lambda one: one.tolerance)
    first = _tried(part, _drawn(part, random, 0, request))
    readings = known_readings(part, first.setup, first.results)
    return _Searched(part, random, [plain, first], readings, PLAIN_TRIES + 1)


def _add_cases(searched: _Searched, request: VectorsRequest, tolerance: float) -> None:
    """Add inputs for as long as a reading is left that the others do not tell apart."""
    part = searched.part
    waiting = searched.readings
    for one in searched.chosen:
        waiting = _still(part, waiting, one, tolerance)
    reached: set[tuple[str, str, int]] = set()
    for attempt in range(1, TRIES):
        # What gives the same numbers over inputs of every scale is the same function.
        if attempt == len(SCALES):
            waiting = [one for one in waiting if one.key in reached]
        if not waiting or len(searched.chosen) > MOST_CASES:
            break
        other = _tried(part, _drawn(part, searched.random, attempt, request))
        searched.tried += 1
        # What needs an input over which rounding does more comes late, if at all.
        left = _not_apart(part, waiting, other, APART * max(tolerance, other.tolerance))
        reached |= {one.key for at, one in enumerate(waiting) if _differs(left, at)}
        if other.tolerance > tolerance * (1 if attempt < len(SCALES) else COARSER):
            continue
        if len(left) < len(waiting):
            searched.chosen.append(other)
            waiting = [waiting[at] for at in sorted(left)]


def _differs(left: Mapping[int, float | None], at: int) -> bool:
    """Whether a reading gives other numbers at all, by what `not_told_apart` says."""
    difference = left.get(at, np.inf)  # what is told apart is not in it
    return difference is not None and difference > NOTHING


def _drawn(
    part: Part, random: np.random.Generator, attempt: int, request: VectorsRequest
) -> Drawn:
    return searched_case(part, random, attempt, request.sequences, request.timesteps)


def _tried(part: Part, drawn: Drawn) -> _Tried:
    setup = part.with_input(drawn.x, drawn.given_lengths, drawn.initial)
    results = results_of(setup)
    return _Tried(drawn, setup, results, rounding_tolerance(setup, results, part.dtype))


def _still(
    part: Part, readings: list[KnownReading], tried: _Tried, tolerance: float
) -> list[KnownReading]:
    """The readings that an input does not tell apart."""
    left = _not_apart(part, readings, tried, APART * tolerance)
    return [readings[at] for at in sorted(left)]


def _not_apart(
    part: Part, readings: list[KnownReading], tried: _Tried, limit: float
) -> dict[int, float | None]:
    """As of `not_told_apart`; over the plain input readings are those that mean the same there."""
    if not tried.drawn.plain:
        return not_told_apart(readings, tried.setup, tried.results, limit)
    # A reading is made for a number of sequences, steps and lengths.
    own = {one.key: one for one in known_readings(part, tried.setup, tried.results)}
    same = [at for at, one in enumerate(readings) if one.key in own]
    left = not_told_apart(
        [own[readings[at].key] for at in same], tried.setup, tried.results, limit
    )
    found: dict[int, float | None] = {same[at]: apart for at, apart in left.items()}
    found.update(dict.fromkeys(set(range(len(readings))) - set(same)))
    return found


def _left(searched: _Searched, tolerance: float) -> tuple[list[NotSeparated], int]:
    """The readings that no input tells apart by a hundred of the tolerance of all; all that mean
    something over any."""
    waiting: dict[int, float | None] = dict.fromkeys(range(len(searched.readings)))
    for one in searched.chosen:
        places = sorted(waiting)
        some = [searched.readings[at] for at in places]
        left = _not_apart(searched.part, some, one, APART * tolerance)
        kept: dict[int, float | None] = {}
        for place, difference in left.items():
            before = waiting[places[place]]
            known = [d for d in (before, difference) if d is not None]
            kept[places[place]] = max(known) if known else None
        waiting = kept
    meant = {at: difference for at, difference in waiting.items() if difference is not None}
    setup = searched.chosen[1].setup
    found: dict[tuple[str, str], NotSeparated] = {}  # one line for all that are called the same
    for at, difference in sorted(meant.items()):
        reading = searched.readings[at]
        reason = reason_of(reading, setup, difference, tolerance, searched.tried)
        name = searched.part.layer or searched.part.name
        found.setdefault(reading.name, NotSeparated(name, *reading.name, reason))
    empty = len(waiting) - len(meant)
    return list(found.values()), len(searched.readings) - empty


def _cases(searched: _Searched) -> list[VectorCase]:
    part, exact = searched.part, ExactRun(searched.part.setup)
    found = []
    for number, one in enumerate(searched.chosen, 1):
        results = exact.results(one.setup)
        _require_agreement(part, one, results)
        layers = {
            name: _expected(driven, results[name], part.dtype)
            for name, driven in one.setup.layers.items()
        }
        last = results[part.last]
        outputs = last.get("outputs", last.get("value"))
        assert outputs is not None
        found.append(
            VectorCase(
                name=f"{part.name}-{number}",
                layer=part.layer,
                x=one.drawn.x.astype(part.dtype),
                lengths=one.drawn.lengths.astype(np.int64),
                initial=_initial(part, one.drawn),
                layers=layers,
                outputs=outputs.astype(part.dtype),
                tolerance=one.tolerance,
            )
        )
    return found


def _initial(part: Part, drawn: Drawn) -> dict[str, Array]:
    """The state before the first step, whole; nothing where the part starts as the model does."""
    if drawn.initial is None:
        return {}
    widths = CELLS[part.driven.cell.kind].widths(part.driven.cell)
    zeros = {name: np.zeros((len(drawn.x), width)) for name, width in widths.items()}
    return {name: array.astype(part.dtype) for name, array in (zeros | drawn.initial).items()}


def _require_agreement(part: Part, tried: _Tried, exact: Results) -> None:
    """Refuse to write what the engine does not compute: one of both would be wrong.

    Raises
    ------
    RnnscopeError
    """
    unit = float(np.finfo(part.dtype).eps) / 2
    limit = DOUBLE_SLACK * tried.tolerance * 2.0**-53 / unit
    for node, arrays in exact.items():
        for key, array in arrays.items():
            got = tried.results[node][key]
            largest = float(np.abs(array).max(initial=0.0)) or 1.0
            apart = float(np.abs(got - array).max(initial=0.0))
            if not apart <= limit * largest:
                raise RnnscopeError(
                    "The engine and the equations in forty digits disagree: nothing was written.",
                    where=f"{node}, {key}",
                    expected=f"the same within {limit * largest:.1g}",
                    found=f"{apart:.1g}",
                    hint="this is a mistake of rnnscope's: please report it with the checkpoint",
                )


def step_order(driven: DrivenLayer) -> tuple[str, ...]:
    """Gates and states in the order in which a step computes them, then ``outputs``."""
    cell = driven.cell
    if cell.kind == "lstm":
        sees_c = cell.weights.peephole_o is not None
        return ("i", "f", "g", *(("c", "o") if sees_c else ("o", "c")), "m", "outputs")
    return (*CELLS[cell.kind].gates, *CELLS[cell.kind].states, "outputs")


def _expected(
    driven: DrivenLayer, results: Mapping[str, Array], dtype: np.dtype[Any]
) -> ExpectedLayer:
    gates = CELLS[driven.cell.kind].gates
    steps = {
        name: results[f"gates/{name}" if name in gates else name].astype(dtype)
        for name in step_order(driven)
    }
    final = {
        name: results[f"final/{name}"].astype(dtype) for name in CELLS[driven.cell.kind].states
    }
    return ExpectedLayer(steps, final)


def _notes_of_whole(parts: list[Part], request: VectorsRequest) -> list[LayerNotes]:
    """The layers that only the whole has vectors of; none, usually."""
    alone = {part.layer for part in parts}
    return [
        _notes(replace(part, layer=name, name=name), request)
        for part in parts if not part.layer
        for name in part.setup.layers if name not in alone
    ]  # fmt: skip


def _notes(part: Part, request: VectorsRequest) -> LayerNotes:
    driven = part.driven
    cell, layer = driven.cell, driven.layer
    options = {name: option.value for name, option in cell.options.items()}
    options |= {
        "direction": "backward" if layer.backward.value else "forward",
        "reversal": layer.reversal,
        "padding": layer.padding.value,
        "outputs_in_input_order": layer.outputs_in_input_order,
    }
    weights: dict[str, Array] = {}
    if request.weights:
        weights = {
            item.name: array.astype(part.dtype)
            for item in fields(cell.weights)
            if (array := getattr(cell.weights, item.name)) is not None
            and item.name != "added_bias"
        }
    return LayerNotes(
        name=part.layer,
        part=part.name,
        kind=cell.kind,
        inputs=cell.input_size,
        units=cell.num_units,
        outputs=cell.output_size,
        gates=tuple(CELLS[cell.kind].gates),
        options=options,
        weights=weights,
    )


def _not_covered(planned: PlannedRun) -> list[LeftOut]:
    """What stands before the layers and has no vectors."""
    ran = {node.name for node in planned.plan.nodes}
    return [
        LeftOut(node.name, f"{node.layer.kind} stands before the recurrent layers")  # type: ignore[union-attr]
        for node in planned.checkpoint.network.nodes
        if node.recurrent is None and node.name not in ran
        and planned.checkpoint.network.upstream_of(
            [one.name for one in planned.plan.layers]) >= {node.name}
    ]  # fmt: skip
