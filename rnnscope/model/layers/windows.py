"""Windows that slide over the axes between sequences and features: what convolutions see.

References
----------
TensorFlow, "Neural network ops: convolution": the rule of padding ``SAME``, which Keras follows
with every backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError
from rnnscope.model.cell import Array
from rnnscope.model.ops.interface import EvaluationError


@dataclass(frozen=True)
class Windows:
    """Where windows lie.

    Attributes
    ----------
    size, strides, dilation : tuple of int
        One for each axis that they slide over.
    padding : str
        ``"valid"``, ``"same"``, or ``"causal"`` for one axis.
    channels_first : bool
        The features are axis 1, not the last one.
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str = "valid"
    channels_first: bool = False

    def channels_last(self, values: Array) -> Array:
        """Values with their features on the last axis.

        Raises
        ------
        InputError
            They have not the axes that the windows slide over.
        """
        if values.ndim != len(self.size) + 2:
            raise InputError(
                "The input does not fit a convolution or pooling layer of the model.",
                expected=f"{len(self.size) + 2} axes, the sequence's and the features' among them",
                found=f"shape {values.shape}",
            )
        return np.moveaxis(values, 1, -1) if self.channels_first else values

    def as_stored(self, values: Array) -> Array:
        """Values (sequence, …, feature) with their features where the layer has them."""
        return np.moveaxis(values, -1, 1) if self.channels_first else values

    def of(self, values: Array, fill: float = 0.0) -> Array:
        """Every window of values (sequence, *axes, feature), padded with `fill`.

        Returns
        -------
        ndarray (sequence, *windows, feature, *size)
            A view.
        """
        from rnnscope.model.ops.linear import windows

        reach = [(k - 1) * d + 1 for k, d in zip(self.size, self.dilation, strict=True)]
        padded = np.pad(
            values,
            ((0, 0), *self._widths(values.shape[1:-1], reach), (0, 0)),
            constant_values=values.dtype.type(fill),
        )
        try:
            # The features stand aside: windows are over the last axes.
            seen = windows(np.moveaxis(padded, -1, 1), self.size, self.strides, self.dilation)
        except EvaluationError as error:
            raise InputError(
                "The input is too small for a convolution or pooling layer of the model.",
                expected=f"at least {' x '.join(map(str, reach))}",
                found=" x ".join(map(str, values.shape[1:-1])),
            ) from error
        ordered: Array = np.moveaxis(seen, 1, 1 + len(self.size))
        return ordered

    def _widths(self, sizes: Sequence[int], reach: Sequence[int]) -> list[tuple[int, int]]:
        """How much is added before and behind each axis."""
        if self.padding == "causal":
            return [(width - 1, 0) for width in reach]
        if self.padding == "valid":
            return [(0, 0)] * len(reach)
        totals = [
            max((ceil(size / stride) - 1) * stride + width - size, 0)
            for size, stride, width in zip(sizes, self.strides, reach, strict=True)
        ]
        return [(total // 2, total - total // 2) for total in totals]
