"""What an entry of the layers' table gets: the graph that is written, and what it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

from rnnscope.checkpoints.coreml.network.weights import (
    is_quantised,
    read_weights,
    weights_in_file,
)
from rnnscope.checkpoints.translated.messages import GraphUnderConstruction
from rnnscope.checkpoints.translated.reading import SourceOperator
from rnnscope.deferred_dataclass import dataclass


@dataclass(eq=False)
class NetworkScope:
    """A neural network on its way into an ONNX graph.

    Attributes
    ----------
    made : GraphUnderConstruction
    five_axes : bool
        Whether every value has five axes, unless a layer says otherwise.
    values : dict of str to str
        The key of each value that was written.
    from_zeros : set of str
        Optional inputs of the model: states that are zero where nobody gives them.
    sources : dict of str to SourceOperator
        See `Translation`.
    notes : list of str
    """

    made: GraphUnderConstruction
    five_axes: bool = False
    values: dict[str, str] = field(default_factory=dict)
    from_zeros: set[str] = field(default_factory=set)
    sources: dict[str, SourceOperator] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def inputs(self, layer: Any) -> list[str]:
        """The keys of what a layer reads."""
        return [self.values.get(name, name) for name in layer.input]

    def store(self, layer: Any, role: str, params: Any, shape: Sequence[int]) -> str:
        """Write weights of a layer."""
        name = f"{layer.name}/{role}"
        if is_quantised(params):
            self.notes.append(
                "Some weights are stored quantised; they are computed with as they are widened."
            )
        in_file = weights_in_file(params, shape)
        if in_file is not None:
            return self.made.in_file(name, shape, in_file)
        return self.made.stored(name, read_weights(params, shape, name))


Writer = Callable[[NetworkScope, Any, Any], Sequence[str]]
"""``writer(scope, layer, params) -> keys`` of the layer's outputs. It raises `NotTranslated`."""
