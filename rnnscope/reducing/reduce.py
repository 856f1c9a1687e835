"""From two sets of states that differ to the smallest case of it, written as a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope import __version__
from rnnscope.checkpoints.case.layer_entries import KINDS
from rnnscope.comparing.compare import aligned_layers
from rnnscope.comparing.reduction import CaseSize, HeldArray, Reduction
from rnnscope.comparing.result import DiffResult, SideName
from rnnscope.comparing.tolerance import DiffSettings
from rnnscope.errors import OptionError, UnsupportedCellError, spell
from rnnscope.files.arrays.reference import split_reference
from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.record.recipe import Recipe
from rnnscope.record.replay import Recomputation, Replay, open_recomputation
from rnnscope.reducing.case import Case, arrays_of, make_case
from rnnscope.reducing.layer_pair import LayerPair
from rnnscope.reducing.processed import ProcessedSequence
from rnnscope.reducing.search import Kept, StepSearch
from rnnscope.reducing.target import Target, find_target
from rnnscope.states.recognise import Recognised
from rnnscope.states.saving import save_file, write_npz
from rnnscope.trace import Trace, check_target
from rnnscope.trace.target import refuse_stdout

WHAT = "case"
SUFFIX = ".npz"


@dataclass(frozen=True, eq=False)
class Operand:
    """One side as it was given.

    Attributes
    ----------
    side : SideName
    given : object
        A path, an open `Trace`, or arrays.
    read : Recognised
    recipe : Recipe or None
        In place of the trace's own text of it.
    """

    side: SideName
    given: Any
    read: Recognised
    recipe: Recipe | None = None

    @property
    def has_recipe(self) -> bool:
        return self.read.states.has_recipe


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
    with _recomputed(own) as again:
        notes = [*again.notes]
        sequence = _processed(again, layer_name, goal, own)
        source = _source(again)
        sizes = CaseSize(
            again.source.sequences, len(sequence.timesteps), sequence.layer.cell.num_units
        )
    search = StepSearch(pair, sequence, own.side, goal)
    kept = search.find()
    if kept is None:
        raise _other_numbers(own, layer_name, search)
    partner, why = _partner(other, pair, goal) if other.has_recipe else (None, "")
    case = make_case(search, kept, partner, why)
    lower = _unknown_below(layer_name, pair, result, own)
    reduction = _told(search, kept, case, sizes, (*notes, *lower, *case.notes))
    reduction = replace(
        reduction, layer=layer_name, cell=sequence.layer.cell.kind, source=source,
        commands=_commands(target, case, own, settings, pair.a.layer.name),
    )  # fmt: skip
    return _written(reduction, case, target, force=force)


def _roles(a: Operand, b: Operand) -> tuple[Operand, Operand]:
    """The side that is computed again, and the other."""
    if a.has_recipe or b.has_recipe:
        return (a, b) if a.has_recipe else (b, a)
    raise OptionError(
        "Neither side can be computed again, so that nothing can be made smaller.",
        where=f"{a.read.states.name} and {b.read.states.name}",
        expected="a trace with its recipe on one side",
        found="states alone on both",
        hint="rnnscope run CHECKPOINT INPUT -o TRACE makes one; compare that",
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


@contextmanager
def _recomputed(operand: Operand) -> Iterator[Recomputation]:
    replay = Replay(recipe=operand.recipe)
    if isinstance(operand.given, Trace):
        with open_recomputation(operand.given, replay) as again:
            yield again
        return
    path, _ = split_reference(str(operand.given))
    with Trace.open(path) as trace, open_recomputation(trace, replay) as again:
        yield again


def _processed(
    again: Recomputation, layer: str, goal: Target, operand: Operand
) -> ProcessedSequence:
    computed = again.again(slice(goal.sequence, goal.sequence + 1))
    one = computed[layer]
    if one.states.states and (kind := one.node.recurrent) and kind.cell.kind not in KINDS:
        raise UnsupportedCellError(
            "The cell of the layer that differs is none that a case can hold.",
            where=f"{operand.read.states.name}: {layer}",
            expected=", ".join(KINDS),
            found=kind.cell.kind,
            hint="compare without the reduction",
        )
    return ProcessedSequence.of(one)


def _source(again: Recomputation) -> dict[str, str]:
    header = again.trace.header
    return {
        "checkpoint": header.checkpoint,
        "format": header.checkpoint_format,
        "framework": header.framework,
        "checkpoint_sha256": header.checkpoint_sha256,
    }


def _other_numbers(own: Operand, layer: str, search: StepSearch) -> UnsupportedCellError:
    last = search.tried[-1] if search.tried else None
    return UnsupportedCellError(
        f"{own.side}'s recipe, run again, does not give what {own.side} holds where both differ.",
        where=f"{own.read.states.name}: {layer}, sequence {search.target.sequence}",
        expected="its own numbers, but for rounding",
        found="others" if last is None else f"others, in {last.what}",
        hint="was the checkpoint or the input changed? 'rnnscope rerun' tells; "
        "a difference of a few ULP may be no more than the rounding of two engines",
    )


def _partner(other: Operand, pair: LayerPair, goal: Target) -> tuple[ProcessedSequence | None, str]:
    """The other side computed again; or why it is not."""
    from rnnscope.errors import RnnscopeError

    name = pair.of(other.side).layer.name
    try:
        with _recomputed(other) as again:
            return _processed(again, name, goal, other), ""
    except RnnscopeError as error:
        return None, f"{other.side}'s run cannot be done again: {error.what}"


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


def _told(
    search: StepSearch, kept: Kept, case: Case, before: CaseSize, notes: tuple[str, ...]
) -> Reduction:
    a, b = (float(kept.values[side][kept.key][-1, kept.unit]) for side in ("A", "B"))
    key = kept.key if kept.key in search.pair.arrays else kept.key.removeprefix("final/")
    return Reduction(
        array=kept.key,
        sequence=search.target.sequence,
        timesteps=tuple(int(search.ours.timesteps[at]) for at in kept.positions),
        unit=int(search.pair.unit_names(key)[kept.unit]),
        units=kept.units,
        a=a,
        b=b,
        before=before,
        after=CaseSize(1, len(kept.positions), case.units),
        start=kept.start_from,
        recomputed=tuple(sorted(case.layers)),
        tried=tuple(search.tried),
        versions={"rnnscope": __version__, "numpy": np.__version__},
        notes=notes,
    )


def _commands(
    target: Path, case: Case, own: Operand, settings: DiffSettings, layer: str
) -> tuple[str, ...]:
    """What anybody runs who has the case alone."""
    from shlex import quote

    name = quote(target.name)
    options = _tolerance_options(settings, layer)
    side = own.side.lower()
    trace = quote(f"{target.stem}.trace.h5")
    stored = f"{trace}::{side}" if len(case.layers) > 1 else trace
    return (
        f"rnnscope diff {name}::a {name}::b{options}",
        f"rnnscope run {name} {name} -o {trace}",
        f"rnnscope diff {stored} {name}::{side}",
    )


def _tolerance_options(settings: DiffSettings, layer: str) -> str:
    """The tolerances of a comparison as flags; those of other layers mean nothing to the case."""
    from fnmatch import fnmatchcase
    from shlex import quote

    given = settings.tolerances
    words = []
    for name, pairs in (("atol", given.atol), ("rtol", given.rtol)):
        for pattern, value in pairs:
            front, _, array = pattern.rpartition("/")
            if fnmatchcase(layer, front):
                pattern = array  # noqa: PLW2901 - the case calls its layer otherwise
            array = "" if pattern == "*" else f"{pattern}:"
            words.append(f" --{name} {quote(f'{array}{value:g}')}")
    words += [" --exact"] * given.exact + [" --equal-nan"] * given.equal_nan
    words += [f" --ulp {given.ulp}"] if given.ulp is not None else []
    words += [" --padding"] * settings.padding
    return "".join(words)


def _written(reduction: Reduction, case: Case, target: Path, *, force: bool) -> Reduction:
    arrays = arrays_of(case, reduction)
    held = tuple(
        HeldArray(
            name, tuple(map(int, array.shape)), "text" if name == "recipe" else str(array.dtype)
        )
        for name, array in arrays.items()
    )
    stored = {name: LoadedArray(np.asarray(array)) for name, array in arrays.items()}
    save_file(target, lambda path: write_npz(path, stored), force=force, what=WHAT)
    return replace(reduction, case=str(target), arrays=held, bytes=target.stat().st_size)
