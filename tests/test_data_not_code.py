"""Files are data: what would execute or unpickle one stands where the user has to ask for it."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "rnnscope"
EXECUTES = {"load_model", "Unpickler", "exec", "eval", "unsafe_load", "marshal", "import_graph_def"}
ASKED_FOR = {"oracles/keras_front.py: load_model"}
OWN_TEXT = {"deferred_dataclass.py: exec"}
"""Methods made of the names of fields of our own classes."""

"""Started by `trust_model` alone, in a process of its own."""


def called_name(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_one_call_executes_what_a_file_holds():
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and called_name(node) in EXECUTES:
                found.add(f"{path.relative_to(PACKAGE).as_posix()}: {called_name(node)}")
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [one.name for one in node.names] + [getattr(node, "module", None) or ""]
                for name in names:
                    if name.split(".")[0] in ("pickle", "marshal", "dill", "joblib", "cloudpickle"):
                        found.add(f"{path.relative_to(PACKAGE).as_posix()}: import {name}")
    assert found == ASKED_FOR | OWN_TEXT
