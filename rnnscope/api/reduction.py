"""The smallest case of a comparison, from Python: where it goes, and what it is made of."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnscope.comparing.reduction import Reduction
    from rnnscope.comparing.result import DiffResult, SideName
    from rnnscope.comparing.tolerance import DiffSettings
    from rnnscope.record.diff_checkpoints import RunSide
    from rnnscope.states.recognise import Recognised


def case_target(
    reduce: Any, force: Any, operands: tuple[Any, ...], *, fail_fast: Any, weights: Any
) -> tuple[Path, bool] | None:
    """Where a case goes, and whether a file may be replaced; None if none is asked for.

    Raises
    ------
    OptionError, TraceError
        It is no place for a case: a file that is compared is none.
    """
    from rnnscope.errors import OptionError, spell
    from rnnscope.options.interface import accept
    from rnnscope.options.kinds import Switch

    replaces = accept(Switch(), force, called=spell("force"))
    if reduce is None:
        if replaces:
            raise OptionError(
                f"{spell('force')} replaces a case, and none is asked for.",
                expected=f"{spell('reduce', 'CASE.npz')} beside it",
                found=f"{spell('force')} alone",
            )
        return None
    for name, value in (("weights", weights), ("fail_fast", fail_fast)):
        if value:
            raise OptionError(
                f"{spell('reduce')} and {spell(name)} do not go together.",
                expected="two sets of states, compared to their ends",
                found=spell(name),
                hint=f"leave {spell(name)} out",
            )
    from rnnscope.files.arrays.reference import split_reference
    from rnnscope.reducing.reduce import check_case_target

    paths = [os.fspath(one) for one in operands if isinstance(one, (str, os.PathLike))]
    inputs = tuple(split_reference(path)[0] for path in paths)
    target = check_case_target(Path(os.fspath(reduce)), force=replaces, inputs=inputs)
    return target, replaces


def reduced_states(
    a: tuple[Any, Recognised],
    b: tuple[Any, Recognised],
    found: DiffResult,
    settings: DiffSettings,
    case: tuple[Path, bool],
) -> Reduction:
    """The smallest case of two operands, each as it was given and as it was read."""
    from rnnscope.api.trace import StateTrace, operand_of
    from rnnscope.reducing.operands import Operand
    from rnnscope.reducing.reduce import reduce_difference

    def operand(side: SideName, given: Any, read: Recognised) -> Operand:
        recipe = given.recipe if isinstance(given, StateTrace) else None
        return Operand(side, operand_of(given), read, recipe)

    target, force = case
    return reduce_difference(
        operand("A", *a), operand("B", *b), found, settings, target, force=force
    )


def reduced_runs(
    settings: DiffSettings,
    case: tuple[Path, bool],
    sides: tuple[RunSide, RunSide],
    found: DiffResult,
) -> DiffResult:
    """The comparison of two checkpoints that were run, with its smallest case."""
    from rnnscope.reducing.operands import Operand
    from rnnscope.reducing.reduce import reduce_difference

    a, b = sides
    target, force = case
    reduced = reduce_difference(
        Operand("A", a.trace, a.read, a.recipe),
        Operand("B", b.trace, b.read, b.recipe),
        found, settings, target, force=force,
    )  # fmt: skip
    return replace(found, reduced=reduced)
