"""What several places must agree on stands in one of them."""

from __future__ import annotations

import ast
import builtins
from pathlib import Path

import rnnscope
from rnnscope.files.archives import first_bytes
from rnnscope.model.ops import MISFITS

SOURCES = sorted(Path(rnnscope.__file__).parent.rglob("*.py"))


def test_the_signature_of_hdf5_is_spelled_once():
    spelled = [path.stem for path in SOURCES for node in ast.walk(ast.parse(path.read_text()))
               if isinstance(node, ast.Constant) and isinstance(node.value, bytes)
               and node.value.startswith(first_bytes.HDF5[:4])]  # fmt: skip
    assert spelled == ["first_bytes"]


def test_a_list_of_misfits_is_stated_once():
    """A second list that is kept lacks what the first one learns."""
    stated = [path.name for path in SOURCES for node in ast.parse(path.read_text()).body
              if isinstance(node, ast.Assign)
              and len(_exceptions(node.value) & {*MISFITS}) > 4]  # fmt: skip
    assert stated == ["interface.py"]


def _exceptions(value):
    names = [one.id for one in getattr(value, "elts", ()) if isinstance(one, ast.Name)]
    return {getattr(builtins, name, None) for name in names}
