"""The pickles inside PyTorch files, interpreted as data: nothing is imported, nothing called.

A pickle is a program for a small stack machine; its opcodes are read with `pickletools` and carried
out here. Numbers, texts, lists, dicts, tensors and arrays of numpy come as what they are; an object
of any other class, and what any other function would give, is a `Record` of its parts. What has no
place in a saved model (``os.system``) is refused by name, before anything after it is looked at.

References
----------
Lib/pickletools.py; torch/_weights_only_unpickler.py.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from typing import IO, Any

from rnnscope.checkpoints.torch.pickled_calls import (
    build,
    call,
    key,
    named,
)
from rnnscope.checkpoints.torch.pickled_refusals import is_refused
from rnnscope.checkpoints.torch.pickled_tensors import storage
from rnnscope.checkpoints.torch.pickled_values import Name, Record, Storage
from rnnscope.errors import CheckpointError
from rnnscope.files.guarding.limits import check_time

AnyBytes = bytes | memoryview

LARGE_BYTES = 2**20
"""Bytes from so many on are left in the file."""

MAX_OPCODES = 4_000_000
"""Nothing that torch saves comes near it."""

FREE_COPIES = 2**24
COPIES_OF_FILE = 4
"""Calls copy texts, bytes and dicts: together not more than so many times what the file holds."""

LOAD_FROM_BYTES = Name("torch.storage", "_load_from_bytes")

OPCODES = {
    opcode.code.encode("latin-1"): (opcode.name, opcode.arg.reader if opcode.arg else None)
    for opcode in pickletools.opcodes
}
"""Opcodes by their byte: the name, and what reads the argument."""

_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": list
}  # fmt: skip
_LITERALS = frozenset({
    "BINFLOAT", "BININT", "BININT1", "BININT2", "BINSTRING", "BINUNICODE", "BINUNICODE8", "INT",
    "LONG", "LONG1", "LONG4", "SHORT_BINSTRING", "SHORT_BINUNICODE", "STRING", "UNICODE", "FLOAT",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"
})  # fmt: skip
_BYTES = {"BINBYTES": "<I", "BINBYTES8": "<Q", "BYTEARRAY8": "<Q"}
"""Opcodes of bytes, and how their length is stored in front of them."""
_NOTHING = ("PROTO", "FRAME")
_GETS = ("BINGET", "LONG_BINGET", "GET")
_PUTS = ("BINPUT", "LONG_BINPUT", "PUT")
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_COPIED = (str, bytes, bytearray, list, tuple, dict)


def read_pickle(
    stream: IO[bytes],
    where: object,
    *,
    script: bool = False,
    storages: dict[str, Storage] | None = None,
    load_bytes: Callable[[AnyBytes], Any] | None = None,
    content: memoryview | None = None,
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
    load_bytes : callable, optional
        What a file of torch that lies in the pickle as bytes holds.
    content : memoryview, optional
        All that the stream reads from: large bytes are then views of it, which nobody has read.

    Returns
    -------
    object
        Dicts, lists, tuples, numbers, texts, bytes, None; sets as lists; and what
        `pickled_values` has.

    Raises
    ------
    CheckpointError
        The pickle names what no saved model needs, uses an opcode that none needs, or is damaged.
    """
    try:
        found = {} if storages is None else storages
        budget = FREE_COPIES + COPIES_OF_FILE * _bytes_left(stream)
        return _Machine(where, script, found, load_bytes, budget, content).run(stream)
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


OPCODES_A_LOOK = 1024
"""Opcodes from one look at the clock to the next."""


class _Machine:
    def __init__(
        self,
        where: object,
        script: bool,
        storages: dict[str, Storage],
        load_bytes: Callable[[AnyBytes], Any] | None,
        budget: int,
        content: memoryview | None,
    ) -> None:
        self._content = content
        self._where = where
        self._budget = budget
        self._storages = storages
        self._script = script
        self._load_bytes = load_bytes
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, stream: IO[bytes]) -> Any:
        for number in range(MAX_OPCODES):
            if number % OPCODES_A_LOOK == 0:
                check_time(self._where, CheckpointError)
            code = stream.read(1)
            opcode = OPCODES.get(code)
            if opcode is None:
                raise ValueError(f"the opcode {code!r}" if code else "it ends without STOP")
            name, reader = opcode
            if name == "STOP":
                return self._stack.pop()
            argument = self._view(name, stream)
            if argument is None and reader is not None:
                argument = reader(stream)
            self._step(name, argument)
        raise ValueError(f"more than {MAX_OPCODES} opcodes")

    def _view(self, name: str, stream: IO[bytes]) -> memoryview | None:
        """The bytes of a large argument where they lie; the stream is left behind them."""
        if self._content is None or name not in _BYTES:
            return None
        length, start = struct.Struct(_BYTES[name]), stream.tell()
        (size,) = length.unpack_from(self._content, start)
        if size < LARGE_BYTES:
            return None
        start += length.size
        if size > len(self._content) - start:
            raise ValueError(f"{size} bytes from byte {start} on, of {len(self._content)}")
        stream.seek(start + size)
        return self._content[start : start + size]

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _PUTS:
            self._memo[int(argument)] = stack[-1]
        elif name in _GETS:
            stack.append(self._memo[int(argument)])
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            stack[-count:] = [tuple(stack[-count:])]
        elif name in _COLLECTIONS:
            stack.append(_COLLECTIONS[name](self._to_mark()))
        elif name in ("SETITEM", "SETITEMS", "APPEND", "APPENDS", "ADDITEMS"):
            self._fill(name)
        elif name not in _NOTHING:
            self._rarely(name, argument)

    def _rarely(self, name: str, argument: Any) -> None:
        """The opcodes that name and make objects, and those that copy and drop them."""
        stack = self._stack
        if name == "GLOBAL":
            stack.append(self._admit(*str(argument).split(" ", 1)))
        elif name == "STACK_GLOBAL":
            owned, module = stack.pop(), stack.pop()
            stack.append(self._admit(str(module), str(owned)))
        elif name == "BINPERSID":
            stack.append(self._persistent(stack.pop()))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, made = stack.pop(), stack.pop()
            stack.append(self._call(made, arguments))
        elif name == "NEWOBJ_EX":
            named_ones, arguments, made = stack.pop(), stack.pop(), stack.pop()
            stack.append(self._call(made, (*arguments, named_ones) if named_ones else arguments))
        elif name in ("OBJ", "INST"):
            parts = self._to_mark()
            made = parts.pop(0) if name == "OBJ" else self._admit(*str(argument).split(" ", 1))
            stack.append(self._call(made, tuple(parts)))
        elif name == "BUILD":
            state = stack.pop()
            build(stack[-1], state)
        elif name == "POP":
            stack.pop()
        elif name == "POP_MARK":
            self._to_mark()
        elif name == "DUP":
            stack.append(stack[-1])
        else:
            raise self._refused(f"the opcode {name}", "no saved model needs it")

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
        elif name.startswith("SET") and isinstance(target, Record):
            target.items.extend(zip(items[::2], items[1::2], strict=True))
        elif not name.startswith("SET") and type(target) is list:
            target.extend(items)
        elif not name.startswith("SET") and isinstance(target, Record):
            target.items.extend(items)
        else:
            raise TypeError(f"{name} into a {type(target).__name__}")

    def _persistent(self, what: Any) -> Any:
        # Old files keep the source of a module's class beside its name.
        if type(what) is tuple and len(what) > 1 and what[0] == "module":
            return what[1]
        found = storage(what)
        if self._storages.setdefault(found.key, found) != found:
            raise ValueError(f"two storages of the key {found.key}")
        return found

    def _call(self, made: Any, arguments: Any) -> Any:
        self._spend(len(arguments))
        self._spend(sum(len(part) for part in arguments if type(part) in _COPIED))
        if made == LOAD_FROM_BYTES and self._load_bytes is not None:
            (data,) = arguments
            return self._load_bytes(data)
        return call(made, arguments, script=self._script)

    def _spend(self, copied: int) -> None:
        self._budget -= copied
        if self._budget < 0:
            raise ValueError("calls that copy more than the file holds")

    def _admit(self, module: str, name: str) -> Name:
        found = named(module, name)
        if is_refused(found):
            raise self._refused(f"'{found}'", "no saved model has a use for it")
        return found

    def _refused(self, found: str, why: str) -> CheckpointError:
        return CheckpointError(
            f"The PyTorch file's pickle asks for {found}, which is refused: {why}.",
            where=self._where,
            expected="tensors, arrays, dicts, and objects of classes, which are read as records",
            found=found,
            hint="nothing of it was executed; is this a file that torch.save wrote?",
        )


def _bytes_left(stream: IO[bytes]) -> int:
    here = stream.tell()
    stream.seek(0, 2)
    size = stream.tell()
    stream.seek(here)
    return size - here


def _pairs(items: list[Any]) -> dict[Any, Any]:
    names, values = items[::2], items[1::2]
    return {key(name): value for name, value in zip(names, values, strict=True)}


_COLLECTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "TUPLE": tuple, "LIST": list, "DICT": _pairs, "FROZENSET": list
}  # fmt: skip
