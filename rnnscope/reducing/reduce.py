"""From two sets of states that differ to the smallest case of it, written as a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rnnscope.comparing.compare import aligned_layers
from rnnscope.comparing.reduction import CaseSize, Reduction
from rnnscope.comparing.result import DiffResult
from rnnscope.comparing.tolerance import DiffSettings
from rnnscope.errors import OptionError, UnsupportedCellError, spell, spell_command
from rnnscope.reducing.case import make_case
from rnnscope.reducing.layer_pair import LayerPair
from rnnscope.reducing.operands import (
    Operand,
    partner_of,
    processed_sequence,
    recomputed,
    source_of,
)
from rnnscope.reducing.search import StepSearch
from rnnscope.reducing.target import Target, find_target
from rnnscope.reducing.writing import WHAT, commands_of, reduction_of, write_case
from rnnscope.trace import check_target
from rnnscope.trace.target import refuse_stdout

SUFFIX = ".npz"


def check_case_target(path: Path, *, force: bool, inputs: tuple[Path, ...] = ()) -> Path:
    """The real path of a case that is to be written.

    Raises
    ------
    OptionError, TraceError
        It is no ``.npz``, or may not be written.
    """
    refuse_stdout(path, WHAT, "reduce")
    if path.suffix.lower() != SUFFIX:
        raise OptionError(
            "A case is an .npz file, and this is the name of another kind.",
            where=spell("reduce", str(path)),
            expected=SUFFIX,
            found=path.suffix or "no suffix",
            hint=spell("reduce", str(path.with_suffix(SUFFIX))),
        )
    return check_target(path, force, inputs, WHAT, option="reduce")


def reduce_difference(
    a: Operand,
    b: Operand,
    result: DiffResult,
    settings: DiffSettings,
    target: Path,
    *,
    force: bool = False,
) -> Reduction:
    """Write the smallest case of a difference.

    Parameters
    ----------
    a, b : Operand
        Still open.
    result : DiffResult
        What their comparison found.
    settings : DiffSettings
        Of the comparison.
    target : Path
        As of `check_case_target`.
    force : bool
        Replace an existing file.

    Returns
    -------
    Reduction
        Without a file, but with a reason, if there is nothing to reduce.

    Raises
    ------
    OptionError
        Neither side is a trace with its recipe.
    UnsupportedCellError
        The cell of the layer is none that a case can hold.
    RnnscopeError
        The run cannot be done again, or the file not be written.
    """
    if result.verdict == "same":
        return Reduction(reason="nothing differs")
    own, other = _roles(a, b)
    found = _first_layer(own, a, b, result, settings)
    if found is None:
        return Reduction(reason=_nothing(result))
    pair, layer_name, goal = found
    with recomputed(own) as again:
        notes = [*again.notes]
        sequence = processed_sequence(again, layer_name, goal, own)
        source = source_of(again)
        sizes = CaseSize(
            again.source.sequences, len(sequence.timesteps), sequence.layer.cell.num_units
        )
    search = StepSearch(pair, sequence, own.side, goal)
    kept = search.find()
    if kept is None:
        raise _other_numbers(own, layer_name, search)
    partner, why = partner_of(other, pair, goal) if other.has_recipe else (None, "")
    case = make_case(search, kept, partner, why)
    lower = _unknown_below(layer_name, pair, result, own)
    reduction = reduction_of(search, kept, case, sizes, (*notes, *lower, *case.notes))
    reduction = replace(
        reduction, layer=layer_name, cell=sequence.layer.cell.kind, source=source,
        commands=commands_of(target, case, own, settings, pair.a.layer.name),
    )  # fmt: skip
    return write_case(reduction, case, target, force=force)


def _roles(a: Operand, b: Operand) -> tuple[Operand, Operand]:
    """The side that is computed again, and the other."""
    if a.has_recipe or b.has_recipe:
        return (a, b) if a.has_recipe else (b, a)
    raise OptionError(
        "Neither side can be computed again, so that nothing can be made smaller.",
        where=f"{a.read.states.name} and {b.read.states.name}",
        expected="a trace with its recipe on one side",
        found="states alone on both",
        hint=f"{spell_command('run', 'CHECKPOINT', 'INPUT', output='TRACE')} makes one; compare "
        "that",
    )


def _first_layer(
    own: Operand, a: Operand, b: Operand, result: DiffResult, settings: DiffSettings
) -> tuple[LayerPair, str, Target] | None:
    """The layer that is computed first of those that differ."""
    layers = {layer.a: layer for layer in result.layers}
    order = {layer.name: number for number, layer in enumerate(own.read.states.layers)}
    pairs = []
    for one, other, _ in aligned_layers(a.read, b.read):
        pair = LayerPair(one, other, settings)
        pairs.append((order.get(pair.of(own.side).layer.name, 0), pair))
    for _, pair in sorted(pairs, key=lambda entry: entry[0]):
        goal = find_target(
            layers[pair.a.layer.name], pair, own.side, other_lengths=bool(result.differences)
        )
        if goal is not None:
            return pair, pair.of(own.side).layer.name, goal
    return None


def _nothing(result: DiffResult) -> str:
    """Why no case is made of a pair that differs."""
    what = [*result.differences]
    what += [
        f"{array.name}: {problem}"
        for layer in result.layers
        for array in layer.arrays
        for problem in array.problems
    ]
    what += [f"layer {name} in one side alone" for name in (*result.only_a, *result.only_b)]
    what += [
        f"{array.name} of {layer.a}"
        for layer in result.layers
        for array in layer.arrays
        if array.first is not None
    ]
    words = "; ".join(what)
    return f"what differs is no state of a step that can be computed again ({words})"


def _other_numbers(own: Operand, layer: str, search: StepSearch) -> UnsupportedCellError:
    last = search.tried[-1] if search.tried else None
    return UnsupportedCellError(
        f"{own.side}'s recipe, run again, does not give what {own.side} holds where both differ.",
        where=f"{own.read.states.name}: {layer}, sequence {search.target.sequence}",
        expected="its own numbers, but for rounding",
        found="others" if last is None else f"others, in {last.what}",
        hint="was the checkpoint or the input changed? "
        f"{spell_command('rerun', 'TRACE')} tells; a difference of a few ULP may be no more than "
        "the rounding of two engines",
    )


def _unknown_below(
    layer: str, pair: LayerPair, result: DiffResult, own: Operand
) -> tuple[str, ...]:
    """A note where the other side has nothing of a layer in front of this one."""
    ours = [one.name for one in own.read.states.layers]
    known = {entry.a if own.side == "A" else entry.b for entry in result.layers}
    front = [name for name in ours[: ours.index(layer)] if name not in known]
    if not front or not pair.arrays:
        return ()
    other = "B" if own.side == "A" else "A"
    names = ", ".join(f"'{name}'" for name in front)
    return (
        f"{other} holds nothing of {names}: whether the layer read the same there is not known.",
    )
