"""Large values that stay in their files until somebody asks for them.

In a message, a stand-in takes the place of such a value: it says where the bytes lie, and how they
become the value if they are not the value themselves.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

import numpy as np

from rnnscope.errors import CheckpointError
from rnnscope.model.cell import Array

LARGE_BYTES = 2**20
"""A value of less is no large one; of a large one so much is read at a time."""

_MARK = secrets.token_bytes(32)
"""What a stand-in begins with: no file can hold one, since nobody knows it before this process."""


class HeldValue(Protocol):
    """A value that is in no memory.

    Attributes
    ----------
    size : int
        In bytes, once it is read.
    dtype : str
        What it is a list of, in numpy's words; empty where it is bytes.
    """

    @property
    def size(self) -> int: ...
    @property
    def dtype(self) -> str: ...
    def stand_in(self) -> bytes:
        """What is stored in its place, for this process alone."""

    def pieces(self) -> Iterator[Any]:
        """Its bytes, piece by piece; no element of an array is in two pieces."""

    def read(self) -> memoryview:
        """Its bytes.

        Raises
        ------
        CheckpointError
            A file is shorter than it was.
        """


class Place(NamedTuple):
    """Bytes of a file that follow one another."""

    path: str
    start: int
    size: int

    @classmethod
    def at(cls, path: Path, start: int, size: int) -> Place:
        """A place in a file that stays it when the program changes its folder."""
        return cls(str(path.absolute()), start, size)


class ValueInFile(NamedTuple):
    """A value that is stored as it is; implements `HeldValue`.

    Attributes
    ----------
    places : tuple of Place
        Its bytes are those of all places, put together.
    dtype : str
    """

    places: tuple[Place, ...]
    dtype: str = ""

    @classmethod
    def at(cls, path: str, start: int, size: int, dtype: str = "") -> ValueInFile:
        """A value that lies in one place."""
        return cls((Place.at(Path(path), start, size),), dtype)

    @property
    def size(self) -> int:
        return sum(place.size for place in self.places)

    def stand_in(self) -> bytes:
        """See `HeldValue`."""
        return make_stand_in("stored", self)

    def pieces(self) -> Iterator[Any]:
        """See `HeldValue`; all but the last are of `LARGE_BYTES`."""
        piece = bytearray()
        for place in self.places:
            with _opened(place) as file:
                file.seek(place.start)
                left = place.size
                while left:
                    part = bytearray(min(left, LARGE_BYTES - len(piece)))
                    _fill(file, memoryview(part), place)
                    left -= len(part)
                    piece = piece + part if piece else part
                    if len(piece) == LARGE_BYTES:
                        yield piece
                        piece = bytearray()
        if piece:
            yield piece

    def read(self) -> memoryview:
        """See `HeldValue`."""
        made = np.empty(self.size, np.uint8).data
        done = 0
        for place in self.places:
            with _opened(place) as file:
                file.seek(place.start)
                _fill(file, made[done : done + place.size], place)
            done += place.size
        return made.toreadonly()


class Grid(NamedTuple):
    """What whole numbers stand for: ``(number - zero) * scale + least``.

    Attributes
    ----------
    scale : float or ValueInFile
        One number, or where a list of them lies, one for every place on an axis.
    zero : int or ValueInFile
        Likewise; a list of fewer numbers is repeated.
    least : float
    axis : int
        That of the lists.
    """

    scale: float | ValueInFile
    zero: int | ValueInFile = 0
    least: float = 0.0
    axis: int = 0


class WidenedValue(NamedTuple):
    """Floats of 32 bits that are stored in fewer, or on a grid; implements `HeldValue`.

    Attributes
    ----------
    stored : ValueInFile
        Its `dtype` is that of the stored numbers.
    shape : tuple of int
    grid : Grid or None
        None of what are floats already.
    dtype : str
    """

    stored: ValueInFile
    shape: tuple[int, ...]
    grid: Grid | None = None
    dtype: str = "<f4"

    @property
    def size(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def stand_in(self) -> bytes:
        """See `HeldValue`."""
        return make_stand_in("widened", self)

    def pieces(self) -> Iterator[Array]:
        """See `HeldValue`."""
        dtype, first = np.dtype(self.stored.dtype), 0
        lists = None if self.grid is None else [_numbers(self.grid.scale), _numbers(self.grid.zero)]
        for piece in self.stored.pieces():
            numbers = np.frombuffer(piece, dtype)
            if lists is None or self.grid is None:
                yield numbers.astype(self.dtype)
            else:
                yield floats_on_grid(
                    numbers, lists[0], lists[1], self.grid.least,
                    first=first, shape=self.shape, axis=self.grid.axis,
                ).astype(self.dtype)  # fmt: skip
            first += len(numbers)

    def read(self) -> memoryview:
        """See `HeldValue`."""
        made, done = np.empty(math.prod(self.shape), self.dtype), 0
        for piece in self.pieces():
            made[done : done + len(piece)] = piece
            done += len(piece)
        return made.view(np.uint8).data.toreadonly()


def floats_on_grid(
    numbers: Array, scale: Array, zero: Array, least: float = 0.0, *,
    first: int = 0, shape: tuple[int, ...], axis: int = 0,
) -> Array:  # fmt: skip
    """What elements of an array of whole numbers stand for, float64; see `Grid`.

    Parameters
    ----------
    numbers : ndarray (element,)
        Of those of the whole array, in order, some that follow one another.
    scale : ndarray
        One, or one for every place on an axis.
    zero : ndarray
        Repeated until there are as many.
    least : float
    first : int
        The number of the first element.
    shape : tuple of int
        That of the whole array.
    axis : int
    """
    zero = np.resize(zero, scale.size)
    if scale.size > 1:
        within = math.prod(shape[axis + 1 :])
        own = np.arange(first, first + numbers.size) // within % scale.size
        scale, zero = scale[own], zero[own]
    made: Array = (numbers.astype(np.int64) - zero) * scale.astype(np.float64)
    return made + least if least else made


def value_in_file(stored: bytes) -> HeldValue | None:
    """What a stand-in stands for; None of bytes that are the value themselves."""
    if not stored.startswith(_MARK):
        return None
    kind, told = json.loads(stored[len(_MARK) :])
    return KINDS[kind](told)


def whole_value(stored: bytes) -> bytes | memoryview:
    """The bytes of a value, read now if they stayed in their file."""
    found = value_in_file(stored)
    return stored if found is None else found.read()


def make_stand_in(kind: str, value: tuple[Any, ...]) -> bytes:
    """What is stored in the place of a value of one of `KINDS`: what it is a tuple of, as JSON."""
    return _MARK + json.dumps([kind, value]).encode("ascii")


def stored_value(told: Iterable[Any]) -> ValueInFile:
    """A value from what its stand-in tells."""
    places, dtype = told
    return ValueInFile(tuple(Place(*one) for one in places), dtype)


def _widened(told: Iterable[Any]) -> WidenedValue:
    stored, shape, grid, dtype = told
    if grid is not None:
        scale, zero = (stored_value(one) if isinstance(one, list) else one for one in grid[:2])
        grid = Grid(scale, zero, *grid[2:])
    return WidenedValue(stored_value(stored), tuple(shape), grid, dtype)


KINDS: dict[str, Callable[[Any], HeldValue]] = {"stored": stored_value, "widened": _widened}
"""What makes a value of what its stand-in tells; a module of another kind adds its own."""


def _numbers(stated: float | ValueInFile) -> Array:
    """One number, or a list that is read now."""
    if isinstance(stated, ValueInFile):
        return np.frombuffer(stated.read(), stated.dtype)
    return np.asarray([stated])


@contextmanager
def _opened(place: Place) -> Iterator[BinaryIO]:
    """The file of a place, without a buffer; it may be long since its name was looked at."""
    try:
        with Path(place.path).open("rb", buffering=0) as file:
            yield cast("BinaryIO", file)
    except OSError as error:
        raise CheckpointError(
            "The file cannot be read any more.",
            where=place.path,
            found=error.strerror or str(error),
            hint="leave it where it is until the run is done",
        ) from error


def _fill(file: BinaryIO, buffer: memoryview, place: Place) -> None:
    done = 0
    while done < len(buffer):
        count = cast("Any", file).readinto(buffer[done:])
        if not count:
            raise CheckpointError(
                "The file is shorter than it was when it was opened.",
                where=place.path,
                expected=f"{place.size} bytes from byte {place.start} on",
                found=f"{Path(place.path).stat().st_size} bytes in all",
                hint="has another program changed it meanwhile?",
            )
        done += count
