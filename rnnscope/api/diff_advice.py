"""What to do instead where states are asked of checkpoints, and next where states differ."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnscope.errors import RnnscopeError
    from rnnscope.states.interface import ReadOptions


def refusal_of_checkpoints(a: Any, b: Any) -> RnnscopeError | None:
    """What to do with checkpoints where states were asked for; None if neither is one."""
    from rnnscope.errors import OptionError, spell, spell_command

    sides = {name: path for name, path in (("A", a), ("B", b)) if _is_checkpoint(path)}
    if len(sides) == 2:
        return OptionError(
            "Both are checkpoints, which hold weights and no states.",
            where=f"{a} and {b}",
            expected="how to compare them",
            found=f"neither {spell('weights')} nor {spell('input')}",
            hint=f"{spell('weights')} compares their recurrent weights and options; "
            f"{spell('input', 'X')} runs both over X, an .npy or .npz, and compares their states",
        )
    if not sides:
        return None
    (name, path), *_ = sides.items()
    other = b if name == "A" else a
    if not isinstance(other, (str, os.PathLike)):
        other = "B" if name == "A" else "A"
    return OptionError(
        f"{name} is a checkpoint, which holds weights and no states.",
        where=path,
        expected="states: a trace, or a file of c and m",
        found="a saved model",
        hint=f"run it first: {spell_command('run', path, 'INPUT', output='TRACE')}; or let "
        f"rnnscope look for why states differ: {spell_command('explain', path, 'INPUT', other)}",
    )


def _is_checkpoint(operand: Any) -> bool:
    """Whether it is a saved model that can be read: of a damaged file the damage is to be told."""
    from rnnscope.checkpoints import is_checkpoint, read_checkpoint
    from rnnscope.errors import RnnscopeError

    if not isinstance(operand, (str, os.PathLike)):
        return False
    path = Path(os.fspath(operand))
    try:
        return is_checkpoint(path) and bool(read_checkpoint(path).network.recurrent)
    except RnnscopeError:
        return False


def explain_command(a: Any, b: Any, reading: tuple[ReadOptions, ReadOptions]) -> str:
    """What looks for the reason of a difference, where one side is a trace that `explain` takes."""
    from rnnscope.errors import spell_command

    sides = recipe_trace(a, b)
    if sides is None or not isinstance(sides[1], (str, os.PathLike)):
        return ""
    trace, reference = sides
    how = reading[1 if trace is a else 0].format
    options = {} if how is None else {"reference_format": how}
    return spell_command("explain", os.fspath(trace), os.fspath(reference), **options)


def recipe_trace(a: Any, b: Any) -> tuple[Any, Any] | None:
    """The side that is the file of a trace that can be explained, and the other one, or None."""
    from rnnscope.explaining.explainable import is_explainable

    for trace, reference in ((a, b), (b, a)):
        if isinstance(trace, (str, os.PathLike)) and is_explainable(Path(os.fspath(trace))):
            return trace, reference
    return None
