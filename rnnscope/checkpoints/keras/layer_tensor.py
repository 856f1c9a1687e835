"""What flows between the layers of a Keras model."""

from __future__ import annotations

from rnnscope.checkpoints.keras.calls.constants import ConstantArray
from rnnscope.deferred_dataclass import dataclass

STATES = {"h": "m", "c": "c"}
"""Our names of the states that Keras calls so, in the order of `initial_state`."""


@dataclass(frozen=True)
class LayerTensor:
    """What flows between layers: a node's outputs, or one of its final states."""

    node: str
    state: str = ""
    """Empty, or ``"h"`` or ``"c"``."""

    @property
    def words(self) -> str:
        return f"{self.state} of layer '{self.node}'" if self.state else f"layer '{self.node}'"


StateTensor = LayerTensor | ConstantArray
"""What a layer may start from: a tensor, or an array of the configuration."""
