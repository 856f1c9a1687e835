"""`dataclass`, but ``__init__`` is compiled when it has been called some times.

The standard library compiles the text of up to six methods for each class that it decorates, half a
millisecond to more than one for a frozen class. A small run imports some 235 such classes, makes
instances of a hundred, compares three and prints none: that was half of the time before its first
step. Here the standard library still finds the fields, so that `dataclasses.fields`, `replace`,
`asdict` and `is_dataclass` work as ever; what compares, prints and refuses assignment are plain
closures; and ``__init__`` sets the fields one by one until it is asked for or called often.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property, partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

__all__ = ["dataclass"]

FEW = 16
"""So many instances of a class are made without an ``__init__`` of its own."""

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass
else:

    def dataclass(cls: type | None = None, /, *, frozen: bool = False, eq: bool = True) -> Any:
        """Decorate a class as `dataclasses.dataclass` does with the same options.

        Parameters
        ----------
        frozen : bool
            Instances refuse assignment.
        eq : bool
            Instances with equal fields are equal, and frozen ones have a hash.

        Notes
        -----
        `dataclasses.InitVar`, ``order``, ``slots`` and the other options are the standard library's
        alone. Fields in an order that no signature can have are told with the first instance.
        """

        def decorated(cls: type) -> type:
            return _decorate(cls, frozen, eq)

        return decorated if cls is None else decorated(cls)


def _decorate(cls: type, frozen: bool, eq: bool) -> type:
    if cls.__doc__ is None:
        cls.__doc__ = cls.__name__  # dataclasses would compose a signature, which takes long
    own = set(vars(cls))
    dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
    fields = dataclasses.fields(cls)
    made: dict[str, Any] = {"__init__": _Init(cls, frozen), "__repr__": _repr(fields)}
    if eq:
        compared = _values([f.name for f in fields if f.compare])
        made["__eq__"] = _eq(compared)
        # A class body that defines __eq__ alone holds __hash__ = None, which nobody wrote.
        if vars(cls).get("__hash__") is None:
            own.discard("__hash__")
            hashed = [f.name for f in fields if (f.compare if f.hash is None else f.hash)]
            made["__hash__"] = _hash(_values(hashed)) if frozen else None
    if frozen:
        names = frozenset(f.name for f in fields)
        made["__setattr__"] = _refusing(cls, names, "assign to", object.__setattr__)
        made["__delattr__"] = _refusing(cls, names, "delete", object.__delattr__)
    for name, method in made.items():
        if name not in own:
            if method is not None and name != "__init__":
                method.__name__ = name
                method.__qualname__ = f"{cls.__qualname__}.{name}"
            setattr(cls, name, method)
    return cls


class _Init:
    """Stands for ``__init__`` until it is called often, and then puts the compiled one there.

    To compile it takes as long as to set the fields of some thirty instances one by one, and most
    classes have one or two instances in a run.
    """

    def __init__(self, cls: type, frozen: bool) -> None:
        self.cls = cls
        self.frozen = frozen
        self.made = 0

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is not None and self.made < FEW:
            self.made += 1
            return partial(self.set_fields, instance)
        method = self.compiled
        self.cls.__init__ = method  # type: ignore[misc]
        return method if instance is None else method.__get__(instance, owner)

    @cached_property
    def compiled(self) -> Any:
        return _compiled_init(self.cls, self.frozen)

    @cached_property
    def parameters(self) -> _Parameters | None:
        return _parameters(self.cls)

    def set_fields(self, instance: Any, /, *args: Any, **given: Any) -> None:
        """What the compiled one does, where it would not complain; it words its own errors."""
        names = self.parameters
        if names is None or len(args) > len(names.positional):
            return self.compiled(instance, *args, **given)  # type: ignore[no-any-return]
        values = dict(zip(names.positional, args)) if args else {}  # noqa: B905, fewer may be given
        if not (
            given.keys() <= names.allowed
            and values.keys().isdisjoint(given)
            and names.required <= values.keys() | given.keys()
        ):
            return self.compiled(instance, *args, **given)  # type: ignore[no-any-return]
        values |= given
        assign = object.__setattr__ if self.frozen else setattr
        for name, field in names.fields:
            if name in values:
                value = values[name]
            elif field.default_factory is not dataclasses.MISSING:
                value = field.default_factory()
            else:
                value = field.default
            assign(instance, name, value)
        if names.then is not None:
            names.then(instance)
        return None


class _Parameters(NamedTuple):
    """What ``__init__`` of a class takes, and sets."""

    positional: tuple[str, ...]
    allowed: frozenset[str]
    required: frozenset[str]
    fields: tuple[tuple[str, dataclasses.Field[Any]], ...]
    then: Any


def _parameters(cls: type) -> _Parameters | None:
    """None where fields are in an order that no signature can have."""
    fields = dataclasses.fields(cls)
    unset = dataclasses.MISSING
    given = [f for f in fields if f.init]
    positional = [f for f in given if not f.kw_only]
    needed = [f.default is unset and f.default_factory is unset for f in positional]
    if needed != sorted(needed, reverse=True):
        return None
    return _Parameters(
        tuple(f.name for f in positional),
        frozenset(f.name for f in given),
        frozenset(
            f.name for f in given if f.default is unset and f.default_factory is unset
        ),
        # Without ``init`` and a default, __post_init__ sets it.
        tuple((f.name, f) for f in fields
              if f.init or f.default is not unset or f.default_factory is not unset),
        getattr(cls, "__post_init__", None),
    )  # fmt: skip


def _compiled_init(cls: type, frozen: bool) -> Any:
    """``__init__`` with the class's own signature, as `dataclasses` would compile it."""
    names: dict[str, Any] = {"_set": object.__setattr__, "_unset": _UNSET}
    positional: list[str] = []
    keywords: list[str] = []
    body: list[str] = []
    for field in dataclasses.fields(cls):
        value = field.name
        default = ""
        if field.default is not dataclasses.MISSING:
            names[f"_default_{value}"] = field.default
            default = f"=_default_{value}"
        elif field.default_factory is not dataclasses.MISSING:
            names[f"_factory_{value}"] = field.default_factory
            default = "=_unset"
        if not field.init:
            if not default:
                continue  # __post_init__ gives it
            value = default[1:] if default != "=_unset" else f"_factory_{value}()"
        else:
            (keywords if field.kw_only else positional).append(value + default)
            if default == "=_unset":
                value = f"_factory_{value}() if {value} is _unset else {value}"
        body.append(
            f"_set(self, {field.name!r}, {value})" if frozen else f"self.{field.name} = {value}"
        )
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    parameters = ["self", *positional, *(["*", *keywords] if keywords else [])]
    lines = "".join(f"\n  {line}" for line in body or ["pass"])
    exec(f"def __init__({', '.join(parameters)}):{lines}", names)  # noqa: S102, of names alone
    method = names["__init__"]
    method.__module__ = cls.__module__
    method.__qualname__ = f"{cls.__qualname__}.__init__"
    method.__annotations__ = {f.name: f.type for f in dataclasses.fields(cls) if f.init}
    method.__annotations__["return"] = None
    return method


class _Unset:
    def __repr__(self) -> str:
        return "<factory>"


_UNSET = _Unset()
"""What a parameter holds whose default a factory makes."""


def _values(names: list[str]) -> Callable[[Any], Any]:
    """What reads these fields of an instance, as a tuple that can be compared and hashed."""
    if len(names) < 2:  # of one name attrgetter gives no tuple, and of none it makes nothing
        return lambda self: tuple(getattr(self, name) for name in names)
    return attrgetter(*names)


def _eq(values: Callable[[Any], Any]) -> Any:
    def equal(self: Any, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return equal


def _hash(values: Callable[[Any], Any]) -> Any:
    def hashed(self: Any) -> int:
        return hash(values(self))

    return hashed


def _repr(fields: tuple[dataclasses.Field[Any], ...]) -> Any:
    names = [f.name for f in fields if f.repr]

    def shown(self: Any) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{self.__class__.__qualname__}({values})"

    return shown


def _refusing(cls: type, names: frozenset[str], what: str, otherwise: Any) -> Any:
    """`__setattr__` or `__delattr__` that leaves the fields, and the class itself, as they are."""

    def refuse(self: Any, name: str, *value: Any) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot {what} field {name!r}")
        otherwise(self, name, *value)

    return refuse
