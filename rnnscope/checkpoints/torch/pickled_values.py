"""What the pickles of PyTorch files become: names, records, tensors and arrays, and no code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import Any

from rnnscope.deferred_dataclass import dataclass

MAX_AXES = 32
"""Of a tensor or an array."""


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle names, as a name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Record:
    """An object of a class that is not known here, or what a function would have given: its parts.

    Nothing is imported for it, and nothing called.

    Attributes
    ----------
    name : Name
        The class or function.
    arguments : tuple
        What it would have been called with.
    state : object
        What the object would have taken for its attributes; most often a dict.
    items : list
        What the object would have been filled with; of a mapping (key, value).
    """

    name: Name
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)

    @property
    def attributes(self) -> dict[Any, Any]:
        """Its attributes by name, those of slots among them."""
        parts = self.state if type(self.state) is tuple else (self.state,)
        found: dict[Any, Any] = {}
        for part in parts:
            if type(part) is dict:
                found.update(part)
        return found

    def __repr__(self) -> str:
        return f"<{self.name}>"


@dataclass(eq=False)
class Script(Record):
    """An object of a TorchScript archive: its attributes, and no code."""


ITEM_BYTES = {
    "BFloat16Storage": 2, "BoolStorage": 1, "ByteStorage": 1, "CharStorage": 1,
    "ComplexDoubleStorage": 16, "ComplexFloatStorage": 8, "DoubleStorage": 8, "FloatStorage": 4,
    "HalfStorage": 2, "IntStorage": 4, "LongStorage": 8, "QInt32Storage": 4, "QInt8Storage": 1,
    "QUInt2x4Storage": 1, "QUInt4x2Storage": 1, "QUInt8Storage": 1, "ShortStorage": 2,
    "UntypedStorage": 1,
}  # fmt: skip
"""Types of storages, and the bytes of an element."""

DTYPE_STORAGES = {
    "bfloat16": "BFloat16Storage", "bool": "BoolStorage", "uint8": "ByteStorage",
    "int8": "CharStorage", "complex128": "ComplexDoubleStorage", "complex64": "ComplexFloatStorage",
    "float64": "DoubleStorage", "float32": "FloatStorage", "float16": "HalfStorage",
    "int32": "IntStorage", "int64": "LongStorage", "int16": "ShortStorage",
}  # fmt: skip
"""Names of torch's dtypes to the storage that holds them."""

DTYPE_BYTES = {"uint16": 2, "uint32": 4, "uint64": 8, "complex32": 4}
"""Those that no storage of a type of its own holds; the others of that kind take one byte."""


@dataclass(frozen=True)
class Storage:
    """The bytes behind tensors: what a persistent id says of them.

    Attributes
    ----------
    kind : str
        A key of `ITEM_BYTES`.
    key : str
    count : int
        Elements.
    data : bytes, memoryview or None
        The bytes, where the pickle itself holds them.
    """

    kind: str
    key: str
    count: int
    data: bytes | memoryview | None = field(default=None, repr=False)

    @property
    def bytes(self) -> int:
        return self.count * ITEM_BYTES[self.kind]


@dataclass(frozen=True)
class PickledTensor:
    """A view of a storage.

    Attributes
    ----------
    storage : Storage
    offset : int
        Of its first element, in elements.
    shape, strides : tuple of int
    kind : str
        The storage's, or what an untyped storage holds: a key of `ITEM_BYTES`, or a dtype that
        is none of them.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    kind: str


@dataclass(eq=False)
class Dtype:
    """A dtype of numpy: its code, such as ``f4``, and the byte order."""

    code: str
    order: str = "="


@dataclass(eq=False)
class PickledArray:
    """An array of numpy.

    Attributes
    ----------
    dtype : Dtype or None
        None until the pickle says more.
    shape : tuple of int
    fortran : bool
        The first axis runs fastest.
    data : bytes or memoryview
    objects : list
        What an array of objects holds.
    """

    dtype: Dtype | None = None
    shape: tuple[int, ...] = ()
    fortran: bool = False
    data: bytes | memoryview = field(default=b"", repr=False)
    objects: list[Any] = field(default_factory=list, repr=False)


@dataclass(eq=False)
class OpaqueKey:
    """The key of a dict that could take long to hash: nothing is looked up by it."""

    key: Any = field(repr=False)

    def __str__(self) -> str:
        return f"({type(self.key).__name__})"


def walk_children(item: Any) -> Iterator[tuple[str, Any]]:
    """What a dict, sequence or record holds, by name; numbers, texts and names are passed over."""
    if isinstance(item, dict):
        pairs: Iterable[tuple[Any, Any]] = item.items()
    elif isinstance(item, Record):
        pairs = _parts_of(item)
    else:
        pairs = enumerate(item)
    for key, child in pairs:
        if type(child) not in _PLAIN:
            yield str(key), child


_PLAIN = frozenset({int, float, str, bytes, bool, type(None), complex, bytearray, memoryview, Name})


def _parts_of(record: Record) -> Iterator[tuple[Any, Any]]:
    yield from enumerate(record.arguments)
    if type(record.state) in (dict, tuple):
        yield from record.attributes.items()
    elif record.state is not None:
        yield "state", record.state
    for number, child in enumerate(record.items):
        pair = type(child) is tuple and len(child) == 2
        yield (child[0], child[1]) if pair else (number, child)
