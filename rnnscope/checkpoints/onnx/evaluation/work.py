"""What evaluating a graph may cost, in multiplications and elements made."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnnscope.model.ops import EvaluationError

UNLIMITED = 1 << 62

_RECURRENT = ("LSTM", "GRU", "RNN", "com.microsoft.DynamicQuantizeLSTM")


class Work:
    """A limit on what is spent; operations are counted before they are run."""

    def __init__(self, limit: int = UNLIMITED) -> None:
        self._limit = limit
        self.spent = 0

    @property
    def exhausted(self) -> bool:
        """Whether more was asked for than may be spent."""
        return self.spent > self._limit

    def allow(self, limit: int) -> None:
        """Begin anew with another limit."""
        self._limit, self.spent = limit, 0

    def spend(self, amount: int) -> None:
        """Count an operation.

        Raises
        ------
        EvaluationError
            It is too much.
        """
        self.spent += amount
        if self.spent > self._limit:
            raise EvaluationError(f"it takes more than {self._limit} operations")


def cost_of(op: str, inputs: list[Any]) -> int:
    """Multiplications that an operator needs beyond one for each element that it makes."""
    shapes: list[tuple[int, ...]] = [
        () if isinstance(one, list) else np.shape(one) for one in inputs
    ]
    if op in ("MatMul", "Gemm", "MatMulInteger", "Conv", "ConvTranspose") and len(shapes) > 1:
        left, right = shapes[:2]
        if op.startswith("Conv"):
            places = math.prod(left[2:]) * (left[0] if left else 1)
            return int(places * math.prod(right))
        return int(math.prod(left) * (right[-1] if right else 1))
    if op in _RECURRENT and len(shapes) > 2:
        return int(math.prod(shapes[0][:2]) * (math.prod(shapes[1]) + math.prod(shapes[2])))
    return 0
