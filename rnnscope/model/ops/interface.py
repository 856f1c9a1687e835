"""What an operation of OPS is, and the limit on what one may allocate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from rnnscope.model.cell import Array

Operation = Callable[..., Any]
"""``operation(*arrays, **attributes) -> ndarray``, or a tuple of ndarrays for several outputs.

Pure: it neither keeps nor changes what it is given, reads and writes nothing, and calls nothing
that its arguments name.
"""

MAX_BYTES = 1 << 31
"""The largest array that one operation may make, in bytes, unless `at_most` says less."""

_limit: ContextVar[int] = ContextVar("largest array", default=MAX_BYTES)


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """A smaller limit for every operation within: random inputs need no large arrays."""
    token = _limit.set(size)
    try:
        yield
    finally:
        _limit.reset(token)


class EvaluationError(Exception):
    """An operation of a stored graph that cannot be computed; the message says which and why."""


MISFITS = (ValueError, IndexError, TypeError, KeyError, ArithmeticError, AttributeError,
           MemoryError, AssertionError)  # fmt: skip
"""What numpy and operations raise where a damaged graph hands them nonsense."""


class MissingInputError(EvaluationError):
    """The value of an input is needed that a run does not give.

    Attributes
    ----------
    name : str
        That of the input.
    """

    def __init__(self, words: str, name: str) -> None:
        super().__init__(words)
        self.name = name


class RandomNumbersError(EvaluationError):
    """A value depends on random numbers, which nothing in the graph turns off."""


def check_size(shape: Iterable[int], dtype: Any) -> tuple[int, ...]:
    """The shape, unless an array of it would be larger than `MAX_BYTES`.

    Raises
    ------
    EvaluationError
        A size is negative, or the array would be too large.
    """
    sizes = tuple(int(size) for size in shape)
    if any(size < 0 for size in sizes):
        raise EvaluationError(f"an array of shape {sizes} cannot be made")
    if math.prod(sizes) * np.dtype(dtype).itemsize > _limit.get():
        raise EvaluationError(f"an array of shape {sizes} is larger than {_limit.get() >> 20} MiB")
    return sizes


def broadcast_size(*arrays: Array) -> None:
    """Check what arrays become when they are broadcast against each other."""
    if len({np.shape(array) for array in arrays}) > 1:
        try:
            shape = np.broadcast_shapes(*(np.shape(array) for array in arrays))
        except ValueError as error:
            raise EvaluationError(f"shapes do not fit each other: {error}") from error
        check_size(shape, np.result_type(*arrays))
