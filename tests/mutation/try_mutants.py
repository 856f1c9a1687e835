"""Small wrong changes of a module: each must fail a test.

``python tests/mutation/try_mutants.py model/cells/lstm`` changes one operator, comparison,
constant, condition or argument of a module at a time, in memory alone, and runs the tests that
stand for it in a forked process until one fails. What no test notices is a survivor: told with its
line, and in `README.md` either explained or followed by a new test. ``--list`` shows all changes,
``--only N`` tries one of them, ``--most N`` a sample.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.machinery
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

TESTS = {
    "model/cells/": ("tests/model/cells",),
    "model/ops/": ("tests/model/ops",),
    "model/": ("tests/model",),
    "checks/": ("tests/checks", "tests/record/checking/test_trace_checks.py"),
    "comparing/": ("tests/comparing",),
    "states/": ("tests/states",),
    "trace/": ("tests/trace",),
    "files/": ("tests/files", "tests/hostile/limits", "tests/hostile/writes_outside"),
    "checkpoints/tf1/graph/evaluation/": ("tests/checkpoints/tf1/graph",),
}
"""The tests that stand for a module: of the first folder that fits."""

SECONDS = 60
"""Of computing, for each: a change may make a loop endless."""

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult,
    ast.MatMult: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Add, ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Lt: ast.LtE, ast.LtE: ast.Lt,
    ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot,
    ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.USub: ast.UAdd, ast.Invert: ast.UAdd,
}  # fmt: skip


@dataclass
class Mutant:
    """A changed tree, and the change in words."""

    line: int
    words: str
    tree: ast.Module


def mutants(source: str) -> Iterator[Mutant]:
    """Every change of a module; the order is that of the tree."""
    whole = ast.parse(source)
    # ``@dataclass(frozen=True, eq=False)`` forbids and compares, and computes nothing.
    aside = {
        id(inner)
        for node in ast.walk(whole)
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        for inner in ast.walk(decorator)
    }
    for number, node in enumerate(ast.walk(whole)):
        if id(node) in aside:
            continue
        for words, change in changes(node):
            tree = copy.deepcopy(whole)
            twin = next(one for place, one in enumerate(ast.walk(tree)) if place == number)
            before = ast.unparse(twin)
            change(twin)
            line = getattr(node, "lineno", 0)
            after = ast.unparse(twin)
            told = f"{before} -> {after}" if before != after else words
            yield Mutant(line, told.replace("\n", "; ")[:160], ast.fix_missing_locations(tree))


def changes(node: ast.AST) -> Iterator[tuple[str, object]]:
    """What may be changed at a node: words, and what does it to the node's twin."""
    if isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp, ast.UnaryOp)):
        other = SWAPS.get(type(node.op))
        if other is not None and not _is_annotation(node):
            yield "op", lambda twin: setattr(twin, "op", other())
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield "not", lambda twin: twin.__dict__.update(op=ast.UAdd(), operand=_truth(twin))
    elif isinstance(node, ast.Compare):
        for place, op in enumerate(node.ops):
            other = SWAPS.get(type(op))
            if other is not None:
                yield "compare", lambda twin, p=place, o=other: twin.ops.__setitem__(p, o())
    elif isinstance(node, ast.Constant) and not isinstance(node.value, (str, bytes)):
        value = node.value
        if isinstance(value, bool):
            yield "flag", lambda twin: setattr(twin, "value", not value)
        elif isinstance(value, (int, float)):
            yield "number", lambda twin: setattr(twin, "value", value + 1)
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        never = ast.Constant(False)
        yield "never", lambda twin: setattr(twin, "test", never)
        if not isinstance(node, ast.While):
            yield "always", lambda twin: setattr(twin, "test", ast.Constant(True))
    elif isinstance(node, ast.Call) and node.keywords:
        for place, keyword in enumerate(node.keywords):
            if keyword.arg is not None:
                yield "keyword", lambda twin, p=place: twin.keywords.pop(p)


def _is_annotation(node: ast.AST) -> bool:
    """``int | None``: types, which nothing computes."""
    return isinstance(node, ast.BinOp) and any(
        (isinstance(side, ast.Constant) and side.value is None)
        or (isinstance(side, ast.Name) and side.id in ("int", "str", "float", "bool", "Array"))
        for side in (node.left, node.right)
    )


def _truth(twin: ast.UnaryOp) -> ast.expr:
    return ast.Call(ast.Name("bool", ast.Load()), [twin.operand], [])


def outcome(path: Path, mutant: Mutant, tests: tuple[str, ...]) -> str:
    """``killed``, ``endless`` or ``SURVIVES``."""
    process = os.fork()
    if not process:
        _run(path, mutant, tests)
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        over = os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM)
        return "endless" if over else "killed"
    return "SURVIVES" if os.WEXITSTATUS(status) == 0 else "killed"


def _run(path: Path, mutant: Mutant, tests: tuple[str, ...]) -> None:
    code = 3
    try:
        real = importlib.machinery.SourceFileLoader.get_code

        def get_code(self: object, name: str) -> object:
            if Path(self.path) == path:  # type: ignore[attr-defined]
                return compile(mutant.tree, str(path), "exec")
            return real(self, name)  # type: ignore[arg-type]

        # Not by way of pytest, which rewrites the asserts of packages with plugins.
        importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[assignment]
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        signal.alarm(10 * SECONDS)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        import pytest

        options = ["-x", "-q", "-n0", "--assert=plain", "-p", "no:cacheprovider", "-m", "not slow"]
        code = int(pytest.main([*options, *tests]))
    finally:
        os._exit(code)


def import_what_stays() -> None:
    """So that forked processes need not; nothing of the package itself."""
    import click  # noqa: F401
    import h5py  # noqa: F401
    import numpy as np  # noqa: F401
    import pytest  # noqa: F401
    import rich.console  # noqa: F401


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="+", help="such as model/cells/lstm")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--only", type=int)
    parser.add_argument("--most", type=int, default=10**9)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--tests", action="append", help="instead of those of the table")
    given = parser.parse_args()
    os.chdir(ROOT)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # children are forked, which takes no threads
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import_what_stays()
    until, survivors = time.monotonic() + given.seconds, 0
    for module in given.modules:
        path = ROOT / "rnnscope" / f"{module}.py"
        found = list(enumerate(mutants(path.read_text("utf-8"))))
        tests = given.tests or next(
            tests for fits, tests in TESTS.items() if module.startswith(fits)
        )
        if len(found) > given.most:
            found = sorted(random.Random(1).sample(found, given.most))  # noqa: S311
        if given.only is not None:
            found = [one for one in found if one[0] == given.only]
        told = {"killed": 0, "endless": 0, "SURVIVES": 0}
        for number, mutant in found:
            if given.list:
                print(f"{number:4} line {mutant.line}: {mutant.words}")
                continue
            if time.monotonic() > until:
                break
            result = outcome(path, mutant, tuple(tests))
            told[result] += 1
            if result == "SURVIVES":
                print(f"  {module} {number} line {mutant.line}: {mutant.words}", flush=True)
        survivors += told["SURVIVES"]
        print(f"{module}: {sum(told.values())} of {len(found)} tried, {told}", flush=True)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
