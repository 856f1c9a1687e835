"""The house stands: no room imports one above it, and none imports itself through another."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "rnnscope"

FLOORS = (
    ("errors", "wording", "json_values", "printable", "deferred_dataclass"),
    ("model",),
    ("files",),
    ("engines", "clusters"),
    ("checkpoints", "inputs"),
    ("trace",),
    ("oracles",),
    ("running",),
    ("options",),
    ("states",),
    ("comparing",),
    ("checks",),
    ("pooling",),
    ("seeing",),
    ("record",),
    ("explaining", "converting", "conforming", "reducing"),
    ("vectors", "streaming"),
    ("report",),
    ("api",),
    ("cli", "testing"),
    ("__main__", "__init__"),
)
"""From the ground up; rooms of one floor do not know each other. CONTRIBUTING.md draws them."""

FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

SIDE_BY_SIDE = {
    ("printable", "json_values"), ("printable", "errors"), ("wording", "errors"),
    ("testing", "cli"),
}  # fmt: skip
"""Modules of one floor that may know each other, in this direction."""

INNER_FLOORS = {
    "checkpoints/tf1/graph": ("nodes", "cells", "feeds", "layers", "evaluation"),
    "checkpoints/tf1/graph/evaluation": ("values", "proving", "settling", "later"),
    "explaining": ("computing", "readings", "compared", "confusions", "searching"),
}
"""Rooms inside a room, from the ground up; modules that lie beside them stand on all of them."""


def room_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(path):
    """Every module of the package that a file imports, at the top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            if node.module == "rnnscope":
                yield from (f"rnnscope.{alias.name}" for alias in node.names)
            elif node.module.startswith("rnnscope."):
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("rnnscope."))


def modules():
    return {
        ".".join(("rnnscope", *path.relative_to(PACKAGE).with_suffix("").parts)): path
        for path in PACKAGE.rglob("*.py")
    }


def test_every_room_has_a_floor():
    rooms = {room_of(module) for module in modules()}
    assert rooms - {"__init__"} <= FLOOR.keys()


@pytest.mark.parametrize("room", sorted(FLOOR))
def test_no_room_imports_one_above_it(room):
    upward = []
    for module, path in modules().items():
        if room_of(module) != room:
            continue
        for wanted in imports(path):
            other = room_of(wanted)
            if other in ("__version__", room) or (room, other) in SIDE_BY_SIDE:
                continue
            if FLOOR.get(other, len(FLOORS)) >= FLOOR[room] and room != "__init__":
                upward.append(f"{module} imports {wanted}")
    assert upward == []


@pytest.mark.parametrize("room", sorted(INNER_FLOORS))
def test_every_inner_room_has_a_floor(room):
    folders = {path.parent.name for path in (PACKAGE / room).glob("*/__init__.py")}
    assert folders == set(INNER_FLOORS[room])


@pytest.mark.parametrize(
    ("room", "inner"),
    [(room, inner) for room, floors in sorted(INNER_FLOORS.items()) for inner in floors],
)
def test_no_inner_room_imports_one_above_it(room, inner):
    here = f"rnnscope.{room.replace('/', '.')}"
    floors = INNER_FLOORS[room]
    allowed = floors[: floors.index(inner) + 1]
    upward = [
        f"{module} imports {wanted}"
        for module, path in modules().items()
        if module.startswith(f"{here}.{inner}.")
        for wanted in imports(path)
        if wanted.startswith(f"{here}.")
        if wanted.removeprefix(f"{here}.").split(".")[0] not in allowed
    ]
    assert upward == []


def test_no_module_imports_itself_through_others():
    known = modules()
    packages = {name.removesuffix(".__init__") for name in known if name.endswith(".__init__")}
    arrows = defaultdict(set)
    for module, path in known.items():
        for wanted in imports(path):
            # A package's own file hands names on; what it imports lazily is no circle.
            if wanted in known and wanted != module and wanted not in packages:
                arrows[module].add(wanted)
    state = {}
    circles = []

    def visit(module, path):
        state[module] = "open"
        for other in sorted(arrows[module]):
            if state.get(other) == "open":
                circles.append(" -> ".join([*path[path.index(other) :], other]))
            elif other not in state:
                visit(other, [*path, other])
        state[module] = "done"

    for module in sorted(known):
        if module not in state:
            visit(module, [module])
    assert circles == []


def test_nothing_in_the_house_is_left_behind_by_an_editor_or_a_merge():
    """A `.orig` of a module was shipped."""
    known = {".py", ".md", ".json", ".js", ".mjs", ".css", ".html", ".c", ".yml", ".yaml", ".typed"}
    found = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
        if path.suffix not in known and path.name != "py.typed"
    ]
    assert found == []
