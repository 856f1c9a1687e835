"""Arrays of a file by name, each read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array


@dataclass(frozen=True, eq=False)
class LoadableArray:
    """A named array that has not been read yet.

    Attributes
    ----------
    name : str
        As the file gives it.
    shape : tuple of int
    load : callable
        ``load() -> ndarray`` of that shape, 16-bit floats widened to float32; raises
        `CheckpointError` where the file is damaged.
    """

    name: str
    shape: tuple[int, ...]
    load: Callable[[], Array]


def reading_by_name(arrays: Iterable[LoadableArray]) -> Callable[[str], Array]:
    """``read(name) -> ndarray`` over arrays; it raises `KeyError` where there is none."""
    by_name = {array.name: array for array in arrays}
    return lambda name: by_name[name].load()
