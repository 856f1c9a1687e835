"""A table that stays in its file until a row of it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rnnscope.model.cell import Array


class DeferredTable:
    """Stands for an array (id, feature): embeddings are large, and many runs need none.

    Parameters
    ----------
    shape : (int, int)
    load : callable
        ``load() -> ndarray`` of that shape; called once, when values are asked for. It raises
        `CheckpointError` where the file is damaged.
    """

    def __init__(self, shape: tuple[int, ...], load: Callable[[], Array]) -> None:
        self.shape = shape
        self._load = load
        self._array: Array | None = None

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def array(self) -> Array:
        """All of it."""
        if self._array is None:
            self._array = self._load()
        return self._array

    def __getitem__(self, ids: Any) -> Any:
        return self.array[ids]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self.array.astype(dtype or self.array.dtype, copy=bool(copy))
