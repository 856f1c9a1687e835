"""What a stored graph computes in front of a recurrent layer, evaluated as it stands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.signal import Layer, Signal


@dataclass(frozen=True, eq=False)
class GraphFront(Layer):
    """From the model's own input to what a recurrent layer receives.

    Attributes
    ----------
    name : str
        The op that makes the layer's x, as the graph names it.
    function : callable
        ``function(values, lengths) -> x``: values (sequence, timestep, …), lengths (sequence,) or
        None, x (sequence, timestep, input).
    features : int or None
        Features of the model's input; None for ids and where the graph does not say.
    ids : bool
        Whether the model's input is ids.
    """

    name: str
    function: Callable[[Array, Array | None], Array]
    features: int | None = None
    ids: bool = False
    kind: str = "graph ops"

    @property
    def takes_ids(self) -> bool:
        return self.ids

    def __call__(self, *signals: Signal) -> Signal:
        """Compute x; lengths in front are those behind, counted in the steps of x."""
        mask = signals[0].mask
        lengths = None if mask is None else np.count_nonzero(mask, axis=1)
        x = self.function(signals[0].values, lengths)
        if mask is not None and lengths is not None and x.shape[1] != mask.shape[1]:
            mask = np.arange(x.shape[1]) < lengths[:, None]
        return Signal(x, mask)


@dataclass(frozen=True)
class IdsAsFeatures(Layer):
    """Ids as numbers, one feature a step: for a graph cell, which looks them up itself."""

    kind: str = "ids"

    @property
    def takes_ids(self) -> bool:
        return True

    def __call__(self, *signals: Signal) -> Signal:
        """(sequence, timestep) integers as (sequence, timestep, 1) floats, which hold them all."""
        return Signal(signals[0].values.astype(np.float64)[..., None], signals[0].mask)
