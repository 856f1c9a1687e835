"""A case as a file, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from rnnscope import __version__
from rnnscope.comparing.reduction import CaseSize, HeldArray, Reduction
from rnnscope.comparing.tolerance import DiffSettings
from rnnscope.errors import spell_command
from rnnscope.files.arrays.stored_array import LoadedArray
from rnnscope.reducing.case import Case, arrays_of
from rnnscope.reducing.kept import Kept
from rnnscope.reducing.operands import Operand
from rnnscope.reducing.search import StepSearch
from rnnscope.states.saving import save_file, write_npz

WHAT = "case"
"""What messages call the file."""


def reduction_of(
    search: StepSearch, kept: Kept, case: Case, before: CaseSize, notes: tuple[str, ...]
) -> Reduction:
    """What is told of a case, but for its layer and its file."""
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


def commands_of(
    target: Path, case: Case, own: Operand, settings: DiffSettings, layer: str
) -> tuple[str, ...]:
    """What anybody runs who has the case alone."""
    name, trace = target.name, f"{target.stem}.trace.h5"
    options = _tolerance_options(settings, layer)
    side = own.side.lower()
    stored = f"{trace}::{side}" if len(case.layers) > 1 else trace
    return (
        spell_command("diff", f"{name}::a", f"{name}::b", **options),
        spell_command("run", name, name, output=trace),
        spell_command("diff", stored, f"{name}::{side}"),
    )


def _tolerance_options(settings: DiffSettings, layer: str) -> dict[str, object]:
    """The tolerances of a comparison; those of other layers mean nothing to the case."""
    from fnmatch import fnmatchcase

    given = settings.tolerances
    options: dict[str, object] = {}
    for name, pairs in (("atol", given.atol), ("rtol", given.rtol)):
        bounds = []
        for pattern, value in pairs:
            front, _, array = pattern.rpartition("/")
            if fnmatchcase(layer, front):
                pattern = array  # noqa: PLW2901 - the case calls its layer otherwise
            array = "" if pattern == "*" else f"{pattern}:"
            bounds.append(f"{array}{value:g}")
        if bounds:
            options[name] = tuple(bounds)
    others = {"exact": given.exact, "equal_nan": given.equal_nan, "ulp": given.ulp,
              "padding": settings.padding}  # fmt: skip
    return options | {name: value for name, value in others.items()
                      if value is not None and value is not False}  # fmt: skip


def write_case(reduction: Reduction, case: Case, target: Path, *, force: bool) -> Reduction:
    """Write the file, whole or not at all, and tell what is in it."""
    arrays = arrays_of(case, reduction)
    held = tuple(
        HeldArray(
            name, tuple(map(int, array.shape)), "text" if name == "recipe" else str(array.dtype)
        )
        for name, array in arrays.items()
    )
    stored = {name: LoadedArray(np.asarray(array)) for name, array in arrays.items()}
    save_file(target, lambda path: write_npz(path, stored), force=force, what=WHAT,
              option="reduce")  # fmt: skip
    return replace(reduction, case=str(target), arrays=held, bytes=target.stat().st_size)
