"""What a Keras layer becomes: one or more steps of the network, before they are wired."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field

from rnnscope.checkpoints.interface import LeftOut
from rnnscope.checkpoints.keras.dialect import Dialect
from rnnscope.checkpoints.keras.weights import LayerWeights
from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.messages.json_config import ConfigView
from rnnscope.model.layers import Unsupported
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Layer


@dataclass
class Findings:
    """What the reader tells besides the network, gathered on the way."""

    notes: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep a sentence, once."""
        if text not in self.notes:
            self.notes.append(text)


@dataclass(frozen=True, eq=False)
class StoredLayer:
    """One entry of a model's list of layers.

    Attributes
    ----------
    name : str
        With the names of the models around it: ``"encoder/lstm"``.
    class_name : str
    config : ConfigView
    weights : LayerWeights
    dialect : Dialect
    findings : Findings
    """

    name: str
    class_name: str
    config: ConfigView
    weights: LayerWeights
    dialect: Dialect
    findings: Findings


@dataclass(frozen=True, eq=False)
class LayerStep:
    """A node of the network to be.

    Attributes
    ----------
    suffix : str
        Added to the layer's name: empty, or ``"/forward_lstm"``.
    layer : RecurrentLayer or Layer
    reads : tuple of str or None
        Suffixes of earlier steps; None for the inputs of the Keras layer.
    states : tuple of (int, int)
        Which of the initial states that the call may give are for this step: from, to.
    """

    suffix: str
    layer: RecurrentLayer | Layer
    reads: tuple[str, ...] | None = None
    states: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class StepOutput:
    """A tensor that a Keras layer returns: a step's outputs, or one of its final states."""

    suffix: str = ""
    state: str = ""
    """Empty, or ``"h"`` or ``"c"`` as Keras calls them."""


@dataclass(frozen=True, eq=False)
class BuiltLayer:
    """The steps of a Keras layer, in order, and the tensors that it returns."""

    steps: tuple[LayerStep, ...]
    outputs: tuple[StepOutput, ...] = (StepOutput(),)
    takes_no_states: str = ""
    """Why a call that gives initial states is not computed, the end of a sentence; else empty."""


Builder = Callable[[StoredLayer], BuiltLayer]


def plain(layer: Layer) -> BuiltLayer:
    """A Keras layer that is one plain layer."""
    return BuiltLayer((LayerStep("", layer),))


def leave_out(stored: StoredLayer, reason: str) -> None:
    """List a layer's variables among what is no part of the recurrent computation."""
    for variable in stored.weights.variables():
        stored.findings.left_out.append(LeftOut(variable.name, reason, variable.shape))


def unsupported(stored: StoredLayer, reason: str = "is not computed by rnnscope") -> BuiltLayer:
    """A layer that is kept by name only; it is listed among what was left out."""
    stored.findings.left_out.append(LeftOut(stored.name, f"{stored.class_name}: {reason}"))
    return plain(Unsupported(stored.class_name, stored.name, reason))
