"""`rnnscope.deferred_dataclass` makes what the standard library makes, and makes it later."""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pytest

import rnnscope
from rnnscope.deferred_dataclass import FEW, dataclass

ROOT = Path(rnnscope.__file__).parent
ORDERED = ROOT / "checkpoints" / "tf1" / "graph" / "nodes" / "graph_view.py"
"""Its one ordered class is the standard library's."""

Decorator = Callable[..., Any]


class Bodies:
    """Class bodies, each decorated by both decorators and compared."""

    @staticmethod
    def plain(decorate: Decorator) -> type:
        @decorate
        class Plain:
            """A class."""

            units: int
            name: str = "lstm"
            sizes: list[int] = field(default_factory=list)
            shared: ClassVar[int] = 3

        return Plain

    @staticmethod
    def frozen(decorate: Decorator) -> type:
        @decorate(frozen=True)
        class Frozen:
            units: int
            name: str = field(default="lstm", repr=False)
            note: str = field(default="", compare=False)
            sizes: tuple[int, ...] = field(default_factory=tuple)

            @cached_property
            def twice(self) -> int:
                return 2 * self.units

        return Frozen

    @staticmethod
    def without_eq(decorate: Decorator) -> type:
        @decorate(frozen=True, eq=False)
        class WithoutEq:
            units: int = 1

        return WithoutEq

    @staticmethod
    def inherited(decorate: Decorator) -> type:
        @decorate(frozen=True)
        class Base:
            units: int
            name: str = "base"

        @decorate(frozen=True)
        class Inherited(Base):
            name: str = "derived"
            last: bool = field(default=False, kw_only=True)

            def __post_init__(self) -> None:
                if self.units < 0:
                    raise ValueError("units")

        return Inherited

    @staticmethod
    def computed(decorate: Decorator) -> type:
        @decorate(frozen=True)
        class Computed:
            units: int
            half: int = field(init=False)
            cache: dict[str, int] = field(init=False, default_factory=dict, hash=False)

            def __post_init__(self) -> None:
                object.__setattr__(self, "half", self.units // 2)

        return Computed

    @staticmethod
    def own_methods(decorate: Decorator) -> type:
        @decorate(frozen=True)
        class OwnMethods:  # noqa: PLW1641, without a hash of its own it is given one
            units: int = 1

            def __init__(self, units: int) -> None:
                object.__setattr__(self, "units", units + 1)

            def __repr__(self) -> str:
                return "mine"

            def __eq__(self, other: object) -> bool:
                return True

        return OwnMethods

    @staticmethod
    def own_hash(decorate: Decorator) -> type:
        @decorate
        class OwnHash:
            units: int = 1

            def __hash__(self) -> int:
                return 7

        return OwnHash

    @staticmethod
    def empty(decorate: Decorator) -> type:
        @decorate(frozen=True)
        class Empty:
            pass

        return Empty


BODIES = [value for name, value in vars(Bodies).items() if not name.startswith("_")]
CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    ((4,), {}),
    ((-4,), {}),
    ((4, "gru"), {}),
    ((4,), {"name": "gru"}),
    ((4,), {"last": True}),
    ((4,), {"units": 5}),
    ((4,), {"wrong": 5}),
    ((4, "a", [1], 2, 3, 4), {}),
]


def outcome(act: Callable[[], Any]) -> Any:
    """What a call gives, or the kind of error and its message."""
    try:
        return act()
    except Exception as error:  # noqa: BLE001, any error is compared
        return type(error), str(error)


def seen(cls: type, args: tuple[Any, ...], keywords: dict[str, Any]) -> list[Any]:
    """Everything that can be seen of an instance, or of the failure to make it."""
    made = outcome(lambda: cls(*args, **keywords))
    if not isinstance(made, cls):
        return [made]
    again = cls(*args, **keywords)
    other = outcome(lambda: dataclasses.replace(made, units=99))
    return [
        repr(made),
        vars(made),
        made == again,
        made != again,
        made == other,
        made == 3,
        outcome(lambda: hash(made) == hash(again)) if cls.__eq__ is not object.__eq__ else "by id",
        outcome(lambda: setattr(made, "units", 5)),
        outcome(lambda: setattr(made, "unknown", 5)),
        outcome(lambda: delattr(made, "units")),
        vars(made),
        outcome(lambda: vars(copy.deepcopy(made))),
        outcome(lambda: vars(other)),
        outcome(lambda: made.twice),
    ]


@pytest.mark.parametrize("first", [True, False], ids=["field by field", "compiled"])
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__func__.__name__)
@pytest.mark.parametrize(("args", "keywords"), CALLS)
def test_instances_are_those_of_the_standard_library(
    body: Any, args: tuple[Any, ...], keywords: dict[str, Any], *, first: bool
) -> None:
    """Values, errors and their messages, equality, hash, text, refusals: all the same."""
    ours, theirs = body.__func__(dataclass), body.__func__(dataclasses.dataclass)
    if not first:
        assert inspect.isfunction(ours.__init__)  # which it is as soon as it is looked at
    assert seen(ours, args, keywords) == seen(theirs, args, keywords)
    assert [(f.name, f.type) for f in dataclasses.fields(ours)] == [
        (f.name, f.type) for f in dataclasses.fields(theirs)
    ]


def test_init_is_compiled_when_it_is_called_often() -> None:
    """Until then it is not there, which is why a start is quick; the instances are alike."""
    made = Bodies.frozen(dataclass)
    instances = []
    for _ in range(FEW):
        instances.append(made(3, note="n"))
        assert not inspect.isfunction(vars(made)["__init__"])
    instances.append(made(3, note="n"))
    assert inspect.isfunction(vars(made)["__init__"])
    assert all(vars(one) == vars(instances[-1]) for one in instances)


def test_a_class_that_sets_its_own_way_is_asked() -> None:
    """Only a frozen class is filled behind its own back."""

    @dataclass
    class Loud:
        units: int

        def __setattr__(self, name: str, value: Any) -> None:
            object.__setattr__(self, name, 2 * value)

    assert [Loud(3).units for _ in range(FEW + 1)] == [6] * (FEW + 1)


def test_fields_in_an_order_that_no_signature_has_are_told() -> None:
    """With the first instance."""

    @dataclass
    class Unordered:
        name: str = "lstm"
        units: int  # type: ignore[misc]

    with pytest.raises(SyntaxError):
        Unordered("gru", 3)


@dataclass(frozen=True)
class Pickled:
    """At the top of a module, where pickle finds it."""

    units: int


def test_an_instance_is_pickled_before_and_after() -> None:
    """Workers of a cluster get what they are given."""
    data = pickle.dumps(Pickled(3))
    assert pickle.loads(data) == Pickled(3)  # noqa: S301, our own bytes


def modules() -> list[str]:
    """Every module of the package that defines a dataclass."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        if "deferred_dataclass import dataclass" in path.read_text(encoding="utf-8"):
            parts = path.relative_to(ROOT.parent).with_suffix("").parts
            found.append(".".join(part for part in parts if part != "__init__"))
    return found


def test_every_signature_of_the_package_is_the_standard_librarys() -> None:
    """Order, defaults and annotations of ``__init__`` of each of our classes."""
    compared = 0
    for name in modules():
        module = __import__(name, fromlist=["_"])
        for cls in vars(module).values():
            if not (inspect.isclass(cls) and dataclasses.is_dataclass(cls)):
                continue
            if cls.__module__ != name or "__init__" not in vars(cls):
                continue
            entries = {}
            for f in dataclasses.fields(cls):
                entry = copy.copy(f)
                entry.kw_only = dataclasses.MISSING  # type: ignore[assignment]
                entries[f.name] = entry
            body = {"__annotations__": {f.name: f.type for f in dataclasses.fields(cls)}, **entries}
            theirs = inspect.signature(dataclasses.dataclass(type(cls.__name__, (), body)).__init__)
            ours = inspect.signature(cls.__init__)
            if inspect.getsourcefile(cls.__init__) is None or "_set" in cls.__init__.__globals__:
                assert str(ours) == str(theirs), cls
                compared += 1
    assert compared > 500


def test_no_module_takes_the_slow_one() -> None:
    """One `dataclasses.dataclass` more costs every start a millisecond."""
    slow = []
    for path in sorted(ROOT.rglob("*.py")):
        if path.name == "deferred_dataclass.py" or path == ORDERED:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "dataclasses":
                slow += [str(path) for name in node.names if name.name == "dataclass"]
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "dataclasses.dataclass":
                slow.append(str(path))
    assert slow == []
