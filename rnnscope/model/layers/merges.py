"""Layers that join several signals into one, and the join of a Bidirectional layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Literal

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.signal import Layer, Signal

MaskRule = Literal["all", "any"]
"""How masks join. ``all``: a step counts if it does in every input that has a mask (Keras before
3.4). ``any``: if it does in any, and no mask comes out of element-wise merges when one input has
none (Keras 3.4 and later)."""

MERGES: dict[str, Callable[[Sequence[Array]], Array]] = {
    "Add": lambda arrays: reduce(np.add, arrays),
    "Subtract": lambda arrays: reduce(np.subtract, arrays),
    "Multiply": lambda arrays: reduce(np.multiply, arrays),
    "Average": lambda arrays: reduce(np.add, arrays) / arrays[0].dtype.type(len(arrays)),
    "Maximum": lambda arrays: reduce(np.maximum, arrays),
    "Minimum": lambda arrays: reduce(np.minimum, arrays),
}
"""The element-wise merge layers of Keras, by class name."""


def _same_rank(arrays: Sequence[Array]) -> list[Array]:
    """Insert axes behind the first, as Keras does, until all have the rank of the largest."""
    rank = max(array.ndim for array in arrays)
    return [
        array.reshape(array.shape[:1] + (1,) * (rank - array.ndim) + array.shape[1:])
        for array in arrays
    ]


def _merged_mask(signals: Sequence[Signal], rule: MaskRule) -> Array | None:
    masks = [signal.mask for signal in signals if signal.mask is not None]
    if not masks or (rule == "any" and len(masks) < len(signals)):
        return None
    joined: Array = reduce(np.logical_and if rule == "all" else np.logical_or, masks)
    return joined


def _concatenated_mask(signals: Sequence[Signal], axis: int, rule: MaskRule) -> Array | None:
    if all(signal.mask is None or signal.values.ndim < 3 for signal in signals):
        return None
    wide = [
        np.broadcast_to(
            True if signal.mask is None else signal.mask[..., None], signal.values.shape
        )
        for signal in signals
    ]
    joined = np.concatenate(wide, axis=axis)
    return np.asarray(joined.all(axis=-1) if rule == "all" else joined.any(axis=-1))


@dataclass(frozen=True)
class Merge(Layer):
    """Concatenate, Add, Subtract, Multiply, Average, Maximum or Minimum.

    Attributes
    ----------
    kind : str
        The Keras class: ``"Concatenate"`` or a key of `MERGES`.
    axis : int
        Of Concatenate only.
    mask_rule : MaskRule
    """

    kind: str
    axis: int = -1
    mask_rule: MaskRule = "all"
    merges_with_x = True

    @property
    def step_by_step(self) -> bool:
        """Where features are joined, not timesteps; axis 2 is that of features, too."""
        return self.kind != "Concatenate" or self.axis in (-1, 2)

    def __call__(self, *signals: Signal) -> Signal:
        """Join values of fitting shapes."""
        arrays = [signal.values for signal in signals]
        if self.kind == "Concatenate":
            mask = _concatenated_mask(signals, self.axis, self.mask_rule)
            return Signal(np.concatenate(arrays, axis=self.axis), mask)
        return Signal(MERGES[self.kind](_same_rank(arrays)), _merged_mask(signals, self.mask_rule))


_BIDIRECTIONAL: dict[str, Callable[[Array, Array], Array]] = {
    "concat": lambda forward, backward: np.concatenate([forward, backward], axis=-1),
    "sum": np.add,
    "ave": lambda forward, backward: (forward + backward) / forward.dtype.type(2),
    "mul": np.multiply,
}


@dataclass(frozen=True)
class BidirectionalMerge(Layer):
    """The join of the two directions of a Keras Bidirectional layer.

    Attributes
    ----------
    mode : str
        ``"concat"``, ``"sum"``, ``"ave"`` or ``"mul"``. The mode None needs no join: whatever
        reads the layer reads one of the directions.
    flip_second : bool
        True where the second direction reads forward (`go_backwards` was given to the wrapped
        layer): Keras turns its outputs round all the same.
    """

    mode: str
    flip_second: bool = False
    kind: str = "Bidirectional"
    joins_directions = True

    @property
    def step_by_step(self) -> bool:
        """Unless the second direction has to be turned round."""
        return not self.flip_second

    def __call__(self, *signals: Signal) -> Signal:
        """Join (forward, backward), both in input time order or both without time."""
        forward, backward = signals
        second = backward.values
        if self.flip_second and second.ndim > 2:
            second = second[:, ::-1]
        values = _BIDIRECTIONAL[self.mode](forward.values, second)
        return Signal(values, forward.mask if values.ndim > 2 else None)


BIDIRECTIONAL_MODES = tuple(_BIDIRECTIONAL)
