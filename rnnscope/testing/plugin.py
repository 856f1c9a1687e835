"""What pytest takes from rnnscope: a fixture, and tracebacks that end where the test calls us."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rnnscope.model.cell import Array
    from rnnscope.record.results.run_report import RunReport

PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep
MODULES = __name__.partition(".")[0] + "."


class OrdinaryImports:
    """Finds our modules as Python itself does, before pytest's import hook finds them.

    pytest rewrites the asserts of every module of a distribution that has a plugin. Ours raise
    AssertionError with their own words, and a run imports modules in its threads, where parsing
    for a rewrite fails at times with "AST constructor recursion depth mismatch" (a fault of
    earlier Pythons 3.11 and 3.12, python/cpython#106905). What is found here is not rewritten.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module of ours lies; None for every other module."""
        return PathFinder.find_spec(name, path, target) if name.startswith(MODULES) else None

    def pytest_unconfigure(self) -> None:
        """Leave Python's imports as they were."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Have our modules imported as they are from here on.

    There are no options: of all that pytest calls, this comes before any conftest is read.
    """
    finder = OrdinaryImports()
    sys.meta_path.insert(0, finder)
    pluginmanager.register(finder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """Leave our own functions out of the traceback of an error that we raised on purpose.

    What is left is the line of the test, and what, where, expected, found and next of the error; a
    bug of ours keeps its whole traceback.
    """
    errors = sys.modules.get("rnnscope.errors")
    caught = call.excinfo
    if caught is not None and errors and isinstance(caught.value, errors.RnnscopeError):
        _end_before_package(caught.tb)
        # What the error was made of is in its `found`.
        caught.value.__cause__, caught.value.__suppress_context__ = None, True
        caught.traceback = type(caught.traceback)(caught.tb)
    return (yield)


def _end_before_package(traceback: TracebackType) -> None:
    """Cut a traceback off where it comes to our own files."""
    here: TracebackType | None = traceback
    while here is not None and here.tb_next is not None:
        if here.tb_next.tb_frame.f_code.co_filename.startswith(PACKAGE):
            here.tb_next = None
        here = here.tb_next


@pytest.fixture
def rnnscope_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``rnnscope_run(checkpoint, inputs, **options)``: run a checkpoint, return its trace.

    Options are all those of ``rnnscope run``, with _ for -: ``lengths=[10, 6]``, ``gates=True``,
    ``forget_bias=1.0``; `inputs` may be an array. With ``verify=`` a difference from the other
    engine is an assertion that fails.
    """

    def run(
        checkpoint: str | os.PathLike[str], inputs: str | os.PathLike[str] | Array, **options: Any
    ) -> Path:
        __tracebackhide__ = True
        from rnnscope.record.recipes.recipe import Recipe
        from rnnscope.record.recording import record
        from rnnscope.record.targets import Target

        recipe = Recipe.make(checkpoint, inputs, where="rnnscope_run", **options)
        trace = tmp_path_factory.mktemp("rnnscope") / "trace.h5"
        report = record(recipe, Target(trace), command="rnnscope_run").report
        if any(not row.ok for row in report.verify):
            raise AssertionError(_verify_words(report))
        return trace

    return run


def _verify_words(report: RunReport) -> str:
    wrong = [row for row in report.verify if not row.ok]
    return "\n".join(
        f"layer '{row.layer}', {row.state}: differs from {row.kernel or report.verified_by} by "
        f"{row.difference:.3g}, more than {row.limit:.3g}"
        for row in wrong
    )
