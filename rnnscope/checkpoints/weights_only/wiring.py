"""What the next layer may read, where a file of weights does not say what feeds what."""

from __future__ import annotations

from rnnscope.checkpoints.weights_only.layers import INPUT
from rnnscope.deferred_dataclass import dataclass


@dataclass(frozen=True)
class Feed:
    """A node or input that the next layer may read.

    Attributes
    ----------
    name : str
    width : int or None
        Features of its outputs; None where that is not known.
    """

    name: str = INPUT
    width: int | None = None
