"""What stands between the trace and the place where it lies: groups, arrays, attributes.

The schema is written once, in terms of these; a store keeps them as its format has them. A store
that is written is a `Draft`: nothing has the target's name before `Draft.finish`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any, Protocol

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.arrays.stored_array import StoredArray
from rnnscope.model.cell import Array

ALL = slice(None)
Corner = tuple[int, ...]


@dataclass(frozen=True)
class NewArray:
    """An array that is to be made.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
        Floats or integers.
    dimensions : tuple of str
        The name of each axis, which is that of an array of coordinates in its group or in one
        above.
    over_time : bool
        It holds states of every step: such arrays alone are compressed, or cut into chunks.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    dimensions: tuple[str, ...]
    over_time: bool = False


class ArrayNode(ABC):
    """An array of a store.

    Attributes
    ----------
    path : str
        From the root, with a leading slash.
    """

    path: str

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]: ...

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """As it is stored, whatever its byte order.

        Raises
        ------
        TypeError, ValueError, OSError, RuntimeError
            numpy has no such type.
        """

    @property
    @abstractmethod
    def attributes(self) -> Mapping[str, Any]:
        """By name; text as ``str``."""

    @property
    @abstractmethod
    def dimensions(self) -> tuple[str, ...]:
        """The name of each axis; empty text where the store has none."""

    @property
    @abstractmethod
    def is_coordinate(self) -> bool:
        """Whether it holds the coordinates of a dimension."""

    @property
    def is_elsewhere(self) -> bool:
        """Whether the values are in other files, which the store reads as they are asked for."""
        return False

    @abstractmethod
    def read(self, rows: slice = ALL) -> Array:
        """Some rows of the first axis.

        Raises
        ------
        TraceError
            It is damaged, lies elsewhere, or is compressed by what is not installed.
        """

    @abstractmethod
    def lazily(self) -> StoredArray:
        """The array to be read in slices; errors are those of `read`, or `InputError`."""

    @abstractmethod
    def coordinates(self, axis: int) -> ArrayNode | None:
        """The array of an axis' coordinates, if the store has it."""

    @abstractmethod
    def same_as(self, other: object) -> bool:
        """Whether the other is this array under another name."""


class WritableArray(ABC):
    """An array of a store that is written.

    Attributes
    ----------
    path : str
        From the root, with a leading slash.
    """

    path: str

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]: ...

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]: ...

    @abstractmethod
    def set_attribute(self, name: str, value: Any) -> None:
        """Keep a number, a text or a list of texts."""

    def flush(self) -> None:  # noqa: B027  # most stores hold nothing back
        """Hand what is written to the system, where the store holds it back and may fail later."""

    @abstractmethod
    def write_block(self, array: Array, corner: Corner) -> None:
        """Write an array of this dtype, C-contiguous, to the place that begins at `corner`."""

    @abstractmethod
    def read_block(self, out: Array, corner: Corner) -> None:
        """Read back what was written to the place that begins at `corner`."""


class GroupNode(ABC):
    """A group of a store.

    Attributes
    ----------
    path : str
        From the root, which is ``/``.
    store_name : str
        What messages call the store: a path or a URL.
    kind : str
        ``"hdf5"`` or ``"zarr"``.
    """

    path: str
    store_name: str
    kind: str

    @property
    @abstractmethod
    def is_open(self) -> bool: ...

    @property
    @abstractmethod
    def attributes(self) -> Mapping[str, Any]:
        """By name; text as ``str``."""

    @property
    @abstractmethod
    def identity(self) -> Hashable:
        """The same for two names of one group."""

    @abstractmethod
    def names(self) -> list[str]:
        """What is in it, in the order of names."""

    @abstractmethod
    def child(self, path: str) -> GroupNode | ArrayNode | None:
        """What is at a path below.

        Raises
        ------
        TraceError
            A link to elsewhere is on the way; it is not followed.
        """

    def __contains__(self, name: str) -> bool:
        return self.child(name) is not None

    def array(self, path: str) -> ArrayNode | None:
        """The array at a path below, or None."""
        found = self.child(path)
        return found if isinstance(found, ArrayNode) else None

    def group(self, path: str) -> GroupNode | None:
        """The group at a path below, or None."""
        found = self.child(path)
        return found if isinstance(found, GroupNode) else None

    @abstractmethod
    def arrays(self) -> dict[str, ArrayNode]:
        """Every array of numbers below, by path; one of two names once."""


class WritableGroup(ABC):
    """A group of a store that is written."""

    @abstractmethod
    def set_attribute(self, name: str, value: Any) -> None:
        """Keep a number, a text or a list of texts."""

    @abstractmethod
    def create_group(self, path: str) -> WritableGroup:
        """A new group, and those on the way to it."""

    @abstractmethod
    def create_coordinates(self, name: str, places: Array) -> WritableArray:
        """A dimension of this name: its coordinates, int64."""

    @abstractmethod
    def create_array(
        self, path: str, new: NewArray, coordinates: Mapping[str, WritableArray]
    ) -> WritableArray:
        """A new array without values; `coordinates` has those of its dimensions."""

    @abstractmethod
    def create_name(self, name: str, of: str) -> None:
        """A second name for an array of this group."""

    @abstractmethod
    def writable(self, path: str) -> WritableArray | None:
        """The array at a path below, to write to."""


class Commit(Protocol):
    """What a run left for the one that continues it.

    Attributes
    ----------
    done : int
        Sequences whose every array is stored.
    state : str
        The caller's.
    """

    @property
    def done(self) -> int: ...
    @property
    def state(self) -> str: ...


class Draft(Protocol):
    """A store that is written, before it has its name; one process at a time has it.

    Attributes
    ----------
    commit : Commit or None
        The last one, of this run or of the earlier one that is taken up.
    fingerprint : str or None
        Of the run; set before `open` if a run is to be continued. While it is None nothing is left
        to be taken up.
    """

    commit: Any
    fingerprint: str | None

    @property
    def root(self) -> WritableGroup:
        """After `open`."""

    @property
    def kept(self) -> str | None:
        """What an interrupted run would leave: a path; None if nothing."""

    def open(self) -> bool:
        """Open it; True if it was left by a run that can be continued."""

    def restart(self) -> None:
        """Begin with an empty one."""

    def laid_out(self) -> None:
        """All groups, arrays and attributes are there: from here on numbers alone are written."""

    def write_commit(self, done: int, state: str) -> None:
        """Make sure of what is written, if a later run may go on from it."""

    def finish(self) -> None:
        """Mark it complete and give it the target's name."""

    def abandon(self, keep: bool) -> None:
        """Remove it, unless it is to be kept and holds a commit."""
