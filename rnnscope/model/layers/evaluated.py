"""A piece of a stored graph between layers, evaluated op by op."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError
from rnnscope.model.cell import Array
from rnnscope.model.ops.interface import EvaluationError
from rnnscope.model.signal import Layer, Signal

PieceFunction = Callable[[tuple[Array, ...], Array | None], Array]
"""``function(arrays, lengths) -> array``: arrays (sequence, …) in, (sequence, …) out; lengths
(sequence,) or None."""


@dataclass(frozen=True, eq=False)
class EvaluatedPiece(Layer):
    """What a stored graph computes between what this layer reads and what reads it.

    Attributes
    ----------
    kind : str
        Its ops, for people: ``"Conv, Relu, Transpose"``.
    name : str
        The op that makes its result, as the graph names it.
    function : callable
        See `PieceFunction`.
    ids : bool
        Whether it looks whole numbers up.
    """

    kind: str
    name: str
    function: PieceFunction
    ids: bool = False

    @property
    def takes_ids(self) -> bool:
        return self.ids

    def __call__(self, *signals: Signal) -> Signal:
        """Compute it; a mask passes where the number of timesteps stays.

        Raises
        ------
        InputError
            The graph cannot take values of these shapes.
        """
        mask = signals[0].mask
        values = self._computed(signals)
        kept = mask is not None and values.ndim > 2 and values.shape[:2] == mask.shape
        return Signal(values, mask if kept else None)

    def _computed(self, signals: tuple[Signal, ...]) -> Array:
        mask = signals[0].mask
        lengths = None if mask is None else np.count_nonzero(mask, axis=1)
        try:
            return self.function(tuple(signal.values for signal in signals), lengths)
        except EvaluationError as error:
            raise InputError(
                "What stands in front of a layer cannot be computed for this input.",
                where=self.name,
                expected="values that the model's graph takes",
                found=f"{', '.join(str(signal.values.shape) for signal in signals)}: {error}",
                hint="the model may have been exported for one size of input alone",
            ) from error


@dataclass(frozen=True, eq=False)
class EvaluatedMask(Layer):
    """Lengths that a stored graph computes: the first signal, with a mask of them.

    Attributes
    ----------
    name : str
        The op that makes the lengths.
    function : callable
        See `PieceFunction`; of the signals behind the first, it makes lengths (sequence,).
    kind : str
    ids : bool
        Whether it reads whole numbers.
    """

    name: str
    function: PieceFunction
    kind: str = "lengths"
    ids: bool = False
    makes_mask = True

    @property
    def takes_ids(self) -> bool:
        return self.ids

    def __call__(self, *signals: Signal) -> Signal:
        """The first signal with the mask of the lengths that the others make."""
        piece = EvaluatedPiece("lengths", self.name, self.function)
        lengths = piece(*signals[1:]).values
        values = signals[0].values
        return Signal(values, np.arange(values.shape[1]) < lengths[:, None])
