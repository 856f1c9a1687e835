"""An array given as the value of an option: kept for the run, named by its digest afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from rnnscope.deferred_dataclass import dataclass

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARK = "array"


@dataclass(frozen=True)
class HeldArray:
    """An array that Python code handed over in place of a file.

    Attributes
    ----------
    shape : tuple of int
    dtype : str
    sha256 : str
        Of the values in C order, in hexadecimal.
    array : ndarray or None
        None once only the trace's description of it is left.
    """

    shape: tuple[int, ...]
    dtype: str
    sha256: str
    array: NDArray[Any] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, array: Any) -> HeldArray:
        """Hold an array, or what numpy makes one of."""
        import numpy as np

        held = np.asarray(array)
        import hashlib

        digest = hashlib.sha256(np.ascontiguousarray(held).tobytes()).hexdigest()
        return cls(tuple(held.shape), str(held.dtype), digest, held)

    def to_json(self) -> dict[str, Any]:
        """Everything but the values."""
        shown = {"shape": list(self.shape), "dtype": self.dtype, "sha256": self.sha256}
        return {MARK: shown}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> HeldArray:
        """What `to_json` wrote, without values."""
        shown = value[MARK]
        return cls(tuple(map(int, shown["shape"])), str(shown["dtype"]), str(shown["sha256"]))

    def __str__(self) -> str:
        return f"an array of shape {self.shape}, {self.dtype}"


def is_array(value: object) -> bool:
    """Whether a value is an array, without importing numpy for the question."""
    return hasattr(value, "__array__") and hasattr(value, "shape")
