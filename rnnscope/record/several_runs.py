"""One checkpoint over several inputs: a trace for each, and one report of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from rnnscope.checks.interface import STATUS_ORDER
from rnnscope.checks.result import CheckStatus
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, RnnscopeError, spell
from rnnscope.printable import Printable
from rnnscope.record.recipes.recipe import Recipe
from rnnscope.record.results.run_report import RunReport
from rnnscope.record.targets import Target
from rnnscope.trace.target import trace_beside

SUFFIXES = (".npy", ".npz", ".csv", ".mat", ".parquet")
"""What is taken for an input in a folder. HDF5 files may be traces, and need a dataset's name."""


@dataclass(frozen=True)
class RunOfSeveral:
    """One of several runs.

    Attributes
    ----------
    input : str
    trace : str
    error : str
        Why it could not be done; empty if it could.
    report : RunReport or None
    """

    input: str
    trace: str
    error: str = ""
    report: RunReport | None = None


@dataclass(frozen=True)
class SeveralRuns(Printable):
    """What ``rnnscope run`` found over several inputs.

    Attributes
    ----------
    command, checkpoint : str
    runs : tuple of RunOfSeveral
    """

    report_kind: ClassVar[str] = "runs"
    json_properties: ClassVar[tuple[str, ...]] = ("status",)

    command: str
    checkpoint: str
    runs: tuple[RunOfSeveral, ...]

    @property
    def status(self) -> CheckStatus:
        """The worst status of all; ``"error"`` where one could not be done."""
        if any(run.error for run in self.runs):
            return "error"
        found = [run.report.status for run in self.runs if run.report is not None]
        return max(found, key=STATUS_ORDER.index, default="skip")


def inputs_in(given: Iterable[str]) -> list[str]:
    """The inputs that are named: files as they are, of a folder those in it, sorted.

    Raises
    ------
    OptionError
        A folder holds no input.
    """
    found: list[str] = []
    for one in given:
        folder = Path(one)
        if not folder.is_dir():
            found.append(one)
            continue
        inside = sorted(
            str(path) for path in folder.iterdir()
            if path.suffix.lower() in SUFFIXES and path.is_file()
        )  # fmt: skip
        if not inside:
            raise OptionError(
                "The folder holds no input.",
                where=folder,
                expected=", ".join(SUFFIXES),
                found=", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing",
            )
        found += inside
    return found


def traces_of(inputs: Iterable[str], folder: Path | None) -> list[Path]:
    """A trace for each input: beside it, or in a folder.

    Raises
    ------
    OptionError
        Two inputs would have one trace, or the folder is none.
    """
    inputs = list(inputs)
    beside = [trace_beside(one) for one in inputs]
    traces = beside if folder is None else [folder / path.name for path in beside]
    for number, path in enumerate(traces):
        if path in traces[:number]:
            first = inputs[traces.index(path)]
            raise OptionError(
                "Two inputs would have the same trace.",
                where=path,
                expected="inputs of different names",
                found=f"{first} and {inputs[number]}",
                hint="run them one by one",
            )
    if folder is not None and not folder.is_dir():
        raise OptionError(
            "The traces of several inputs go into a folder.",
            where=spell("output", str(folder)),
            expected="a folder that exists",
            found="a file" if folder.exists() else "nothing",
            hint=f"mkdir -p {folder}",
        )
    return traces


def record_several(
    recipes: Iterable[Recipe],
    targets: Iterable[Target],
    run: Callable[[Recipe, Target], RunReport],
    *,
    command: str = "",
) -> SeveralRuns:
    """Run recipes one after the other; what goes wrong with one is in the report.

    Parameters
    ----------
    recipes : iterable of Recipe
    targets : iterable of Target
        As many.
    run : callable
        ``run(recipe, target) -> RunReport``.
    command : str
    """
    done, checkpoint = [], ""
    for recipe, target in zip(recipes, targets, strict=True):
        checkpoint = recipe.checkpoint
        try:
            report, error = run(recipe, target), ""
        except RnnscopeError as refused:
            report, error = None, refused.describe()
        done.append(RunOfSeveral(str(recipe.input), str(target.path), error, report))
    return SeveralRuns(command, checkpoint, tuple(done))
