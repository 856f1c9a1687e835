"""From a planned model to vectors: inputs that tell readings apart, and exact results over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.errors import RnnscopeError
from rnnscope.explaining.computing.setup import DrivenLayer
from rnnscope.files.guarding.hashing import files_sha256
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.record.planning import PlannedRun
from rnnscope.vectors.cases import ExpectedLayer, LayerNotes, VectorCase, VectorSet
from rnnscope.vectors.drawing import Drawn
from rnnscope.vectors.exact.run import ExactRun
from rnnscope.vectors.parts import Part, Results, parts_of
from rnnscope.vectors.result import LeftOut, NotSeparated
from rnnscope.vectors.searching import (
    Searched,
    Tried,
    VectorsRequest,
    add_cases,
    begin_search,
    not_separated,
)

DOUBLE_SLACK = 8.0
"""Tolerances that the engine in float64 may be from the exact results: it rounds as well."""

Progress = Callable[[str, float], None]


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
    say = progress or _silent
    parts, left_out = parts_of(planned)
    searched = []
    for number, part in enumerate(parts):
        say(f"searching inputs for {part.name}", number / (3 * len(parts)))
        searched.append(begin_search(part, request, number))
    begun = max(each.tolerance for each in searched)
    for number, each in enumerate(searched):
        say(f"telling readings apart for {each.part.name}", 1 / 3 + number / (3 * len(parts)))
        add_cases(each, request, begun)
    tolerance = max(each.tolerance for each in searched)
    cases: list[VectorCase] = []
    same: list[NotSeparated] = []
    readings = 0
    for number, each in enumerate(searched):
        say(f"computing {each.part.name}", 2 / 3 + number / (3 * len(parts)))
        # A larger tolerance than was gone by may undo what was told apart.
        some = each.waiting if tolerance <= begun else each.readings
        left, nothing = not_separated(each, some, tolerance)
        # One misreading may be made in several ways: it counts once, as it is listed once.
        readings += len({one.name for one in each.readings if one.key not in nothing})
        same += left
        cases += _cases(each)
    recipe = planned.recipe.with_options(random=None)
    return VectorSet(
        model=Path(recipe.checkpoint).name,
        sha256=files_sha256(planned.checkpoint.files),
        options=recipe.to_dict()["options"],
        seed=request.seed,
        tolerance=tolerance,
        layers=tuple(_notes(part, request) for part in parts if part.layer)
        + tuple(_notes_of_whole(parts, request)),
        cases=tuple(cases),
        readings=readings,
        not_separated=tuple(same),
        left_out=(*left_out, *_not_covered(planned)),
    )


def _silent(words: str, part: float) -> None:
    """Nobody looks on."""


def _cases(searched: Searched) -> list[VectorCase]:
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


def _require_agreement(part: Part, tried: Tried, exact: Results) -> None:
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
            if (array := getattr(cell.weights, item.name)) is not None and item.name != "added_bias"
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
