"""A plan as variables of TensorFlow 1 by scope, in whichever file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rnnscope.checkpoints.tf1.names import place_of
from rnnscope.converting.folding import folding_words
from rnnscope.converting.interface import Level, Plan, Written
from rnnscope.converting.left_out_words import wiring_words
from rnnscope.converting.names import clean_names
from rnnscope.converting.tf1_arrays import class_scope, constructor, variables
from rnnscope.model.cell import Array, CellSpec
from rnnscope.running.overrides import LayerOptions, ValuesByLayer

Arrays = dict[str, Array]


def write_scopes(plan: Plan, save: Callable[[Path, Arrays], None], what: str) -> Written:
    """Every cell below ``LAYER/lstm_cell``, or ``LAYER/fw`` and ``LAYER/bw`` of two directions.

    Parameters
    ----------
    plan : Plan
    save : callable
        ``save(path, arrays) -> None``.
    what : str
        What the file is, in words.
    """
    named = clean_names((level.name for level in plan.levels), misread=_says_direction)
    arrays: Arrays = {}
    names: dict[str, str] = {}
    lines: list[str] = []
    for level in plan.levels:
        for node, cell, direction in zip(level.nodes, level.cells, _directions(level), strict=True):
            scope = f"{named[level.name]}{direction}/{class_scope(cell)}"
            names[node.name] = scope
            arrays |= {f"{scope}/{key}": array for key, array in variables(cell).items()}
        lines.append(_call(level, named[level.name]))
    return Written(
        save=lambda path: save(path, arrays),
        names=names,
        load=tuple(lines),
        folded=folding_words(plan, joined=True, forget_bias=False),
        left_out=wiring_words(plan, what),
        notes=_notes(plan, what),
        given=_given(plan, names),
    )


def _says_direction(name: str) -> bool:
    return place_of(f"{name}/lstm_cell").backward is not None


def _directions(level: Level) -> tuple[str, ...]:
    if len(level.nodes) == 2:
        return ("/fw", "/bw")
    return ("/bw",) if level.layers[0].backward.value else ("",)


def _call(level: Level, scope: str) -> str:
    cells = ", ".join(map(constructor, level.cells))
    more = f"sequence_length=n, dtype=tf.{level.cell.dtype.name}"
    if len(level.nodes) == 2:
        return f'tf.nn.bidirectional_dynamic_rnn({cells}, x, {more}, scope="{scope}")'
    if level.layers[0].backward.value:
        turned = "tf.reverse_sequence(x, n, 1)"
        return f'tf.nn.dynamic_rnn({cells}, {turned}, {more}, scope="{scope}/bw")'
    return f'tf.nn.dynamic_rnn({cells}, x, {more}, scope="{scope}")'


def _given(plan: Plan, names: dict[str, str]) -> LayerOptions:
    """What the lines that build the cells say, and variables do not."""
    cells = {names[node.name]: node.recurrent.cell for node in plan.nodes if node.recurrent}

    def values(option: str, kinds: tuple[str, ...]) -> ValuesByLayer:
        return ValuesByLayer(
            tuple(
                (scope, getattr(cell.options, option).value)
                for scope, cell in cells.items()
                if cell.kind in kinds
            )
        )

    projected = {scope: cell for scope, cell in cells.items() if cell.num_proj is not None}
    options = LayerOptions(
        forget_bias=values("forget_bias", ("lstm",)),
        activation=values("activation", ("lstm", "gru", "simple_rnn")),
        cell_clip=values("cell_clip", ("lstm",)),
    )
    clips = tuple((scope, cell.options.proj_clip.value) for scope, cell in projected.items())
    return replace(options, proj_clip=ValuesByLayer(clips))


def _notes(plan: Plan, what: str) -> tuple[str, ...]:
    cells: list[CellSpec] = [cell for level in plan.levels for cell in level.cells]
    notes = []
    if any(cell.kind == "lstm" for cell in cells):
        notes.append(
            f"{what[0].upper()}{what[1:]} holds variables alone: forget_bias, clips and "
            "activations are what the lines below give; other values compute other states."
        )
    if any(cell.kind == "gru" and cell.options.reset_after.value for cell in cells):
        notes.append("CudnnCompatibleGRUCell is of tf.contrib, which TensorFlow 2 does not have.")
    return tuple(notes)
