"""The pickles inside PyTorch files, interpreted as data: nothing is imported, nothing called.

A pickle is a program for a small stack machine; its opcodes are read with `pickletools` and those
that build numbers, texts, lists, dicts and tensors are carried out here. A pickle that names any
other class or function is refused by that name, before anything after it is looked at.

References
----------
Lib/pickletools.py; torch/_weights_only_unpickler.py admits the same things and more.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

from rnnscope.errors import CheckpointError

MAX_OPCODES = 20_000_000
"""Nothing that torch saves comes near it."""


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle names, as a name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Storage:
    """The bytes behind tensors: what a persistent id says of them."""

    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class PickledTensor:
    """A view of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(eq=False)
class Script:
    """An object of a TorchScript archive: its attributes, and no code."""

    attributes: dict[str, Any] = field(default_factory=dict)


STORAGES = (
    "BFloat16Storage", "BoolStorage", "ByteStorage", "CharStorage", "ComplexDoubleStorage",
    "ComplexFloatStorage", "DoubleStorage", "FloatStorage", "HalfStorage", "IntStorage",
    "LongStorage", "ShortStorage",
)  # fmt: skip

ORDERED_DICT = Name("collections", "OrderedDict")
REBUILD = (Name("torch._utils", "_rebuild_tensor_v2"), Name("torch._utils", "_rebuild_tensor"))
REBUILD_PARAMETER = Name("torch._utils", "_rebuild_parameter")
SCRIPT_TAGS = tuple(
    Name("torch.jit._pickle", name)
    for name in ("restore_type_tag", "build_intlist", "build_doublelist", "build_boollist",
                 "build_tensorlist")
)  # fmt: skip
ADMITTED = (
    ORDERED_DICT, *REBUILD, REBUILD_PARAMETER, *(Name("torch", kind) for kind in STORAGES)
)  # fmt: skip
"""All that a pickle may name."""

_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple
}  # fmt: skip
_LITERALS = (
    "BINFLOAT", "BININT", "BININT1", "BININT2", "BINSTRING", "BINUNICODE", "BINUNICODE8", "INT",
    "LONG", "LONG1", "LONG4", "SHORT_BINSTRING", "SHORT_BINUNICODE", "STRING", "UNICODE", "FLOAT",
)  # fmt: skip
_NOTHING = ("PROTO", "FRAME")
_GETS = ("BINGET", "LONG_BINGET", "GET")
_PUTS = ("BINPUT", "LONG_BINPUT", "PUT")
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickle(
    stream: IO[bytes],
    where: object,
    *,
    script: bool = False,
    storages: dict[str, Storage] | None = None,
) -> Any:
    """Interpret one pickle; the stream is left behind its end.

    Parameters
    ----------
    stream : binary file object
    where : object
        The file, for messages.
    script : bool
        True in a TorchScript archive: objects of its own classes become `Script`.
    storages : dict of str to Storage, optional
        Takes all storages that the pickle names, by key.

    Returns
    -------
    object
        Dicts, lists, tuples, numbers, texts, None; `PickledTensor`, `Storage`, `Script` and `Name`.

    Raises
    ------
    CheckpointError
        The pickle names something that is not admitted, uses an opcode that no state dict needs,
        or is damaged.
    """
    try:
        return _Machine(where, script, {} if storages is None else storages).run(stream)
    except (
        ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError,
        struct.error, RecursionError,
    ) as error:  # fmt: skip
        raise CheckpointError(
            "A pickle of the PyTorch file is damaged.",
            where=where,
            expected="a pickle as torch.save writes it",
            found=str(error)[:200] or type(error).__name__,
            hint="copy or download the file again, and compare its size with the original",
        ) from error


class _Machine:
    def __init__(self, where: object, script: bool, storages: dict[str, Storage]) -> None:
        self._where = where
        self._storages = storages
        self._script = script
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, stream: IO[bytes]) -> Any:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if opcode.name == "STOP":
                return self._stack.pop()
            if count > MAX_OPCODES:
                raise ValueError(f"more than {MAX_OPCODES} opcodes")
            self._step(opcode.name, argument)
        raise ValueError("it ends without STOP")

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _PUTS:
            self._memo[int(argument)] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in _GETS:
            stack.append(self._memo[int(argument)])
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [tuple(stack[-count:])]
        elif name in ("TUPLE", "LIST", "DICT"):
            items = self._to_mark()
            stack.append(
                tuple(items) if name == "TUPLE" else items if name == "LIST" else _pairs(items)
            )
        elif name in ("SETITEM", "SETITEMS", "APPEND", "APPENDS"):
            self._fill(name)
        elif name == "GLOBAL":
            stack.append(self._admit(*str(argument).split(" ", 1)))
        elif name == "STACK_GLOBAL":
            owned, module = stack.pop(), stack.pop()
            stack.append(self._admit(str(module), str(owned)))
        elif name == "BINPERSID":
            storage = _storage(stack.pop())
            if self._storages.setdefault(storage.key, storage) != storage:
                raise ValueError(f"two storages of the key {storage.key}")
            stack.append(storage)
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, made = stack.pop(), stack.pop()
            stack.append(self._make(made, arguments))
        elif name == "BUILD":
            self._build(stack.pop())
        elif name not in _NOTHING:
            raise self._refused(f"the opcode {name}", "no state dict needs it")

    def _to_mark(self) -> list[Any]:
        items: list[Any] = []
        while (item := self._stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _fill(self, name: str) -> None:
        if name.endswith("S"):
            items = self._to_mark()
        else:
            taken = 2 if name == "SETITEM" else 1
            items = self._stack[-taken:]
            del self._stack[-taken:]
        target = self._stack[-1]
        if name.startswith("SET") and type(target) is dict:
            target.update(_pairs(items))
        elif name.startswith("APPEND") and type(target) is list:
            target.extend(items)
        else:
            raise TypeError(f"{name} into a {type(target).__name__}")

    def _admit(self, module: str, name: str) -> Name:
        found = Name(module, name)
        if found in ADMITTED:
            return found
        own = module == "__torch__" or module.startswith("__torch__.")
        if self._script and (own or found in SCRIPT_TAGS):
            return found
        hint = "save the model's weights alone: torch.save(model.state_dict(), PATH)"
        raise self._refused(f"'{found}'", "only tensors and ordered dicts are admitted", hint)

    def _refused(self, found: str, why: str, hint: str | None = None) -> CheckpointError:
        return CheckpointError(
            f"The PyTorch file's pickle asks for {found}, which is refused: {why}.",
            where=self._where,
            expected=", ".join(str(name) for name in ADMITTED[:4]) + " and torch storages",
            found=found,
            hint=hint or "nothing of it was executed; is this a file that torch.save wrote?",
        )

    def _make(self, made: Any, arguments: Any) -> Any:
        """What calling an admitted name would give."""
        if type(made) is not Name or type(arguments) is not tuple:
            raise TypeError("a call of what is no name")
        if made == ORDERED_DICT:
            pairs = arguments[0] if arguments else []
            return dict(pairs) if type(pairs) is list else {}
        if made in REBUILD:
            storage, offset, shape, strides = arguments[:4]
            return _tensor(storage, offset, shape, strides)
        if made == REBUILD_PARAMETER or made in SCRIPT_TAGS:
            return arguments[0]
        if made.module.startswith("__torch__"):
            return Script()
        raise self._refused(f"a call of '{made}'", "it is a type of storage, and no function")

    def _build(self, state: Any) -> None:
        """Attributes of a TorchScript object. An ordered dict's, its versions, are dropped."""
        target = self._stack[-1]
        if type(target) is Script and type(state) is dict:
            target.attributes.update(state)
        elif type(target) is not dict:
            raise TypeError(f"attributes of a {type(target).__name__}")


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _storage(persistent: Any) -> Storage:
    """('storage', its type, its key, the device, its number of elements, …)."""
    if type(persistent) is not tuple or len(persistent) < 5 or persistent[0] != "storage":
        raise ValueError("a persistent id that is no storage")
    if any(part is not None for part in persistent[5:]):
        raise ValueError("a storage that is a view of another")
    _, kind, key, _, count = persistent[:5]
    if type(kind) is not Name or kind.name not in STORAGES or type(count) is not int or count < 0:
        raise ValueError("a storage without a type or size")
    return Storage(kind.name, str(key), count)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> PickledTensor:
    numbers = (offset, *shape, *strides)
    whole = all(type(number) is int and number >= 0 for number in numbers)
    if type(storage) is not Storage or not whole or not len(shape) == len(strides) <= 32:
        raise ValueError("a tensor without a storage, shape or strides")
    # Where the last element lies; a tensor without elements lies nowhere.
    steps = (stride * (size - 1) for stride, size in zip(strides, shape, strict=True))
    if 0 not in shape and offset + sum(steps) >= storage.count:
        raise ValueError(f"a tensor that reaches beyond the {storage.count} elements it views")
    return PickledTensor(storage, offset, tuple(shape), tuple(strides))
