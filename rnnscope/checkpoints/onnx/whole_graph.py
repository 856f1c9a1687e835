"""A model's graph, followed from its inputs to its outputs and held to what it computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.checkpoints.onnx.constants import OnnxConstants
from rnnscope.checkpoints.onnx.evaluation import OnnxProgram
from rnnscope.checkpoints.onnx.flattening import flatten
from rnnscope.checkpoints.onnx.graph import OnnxGraph
from rnnscope.checkpoints.onnx.later_results import later_results
from rnnscope.checkpoints.onnx.operators import OPERATORS
from rnnscope.checkpoints.onnx.proof import Settled, settle
from rnnscope.checkpoints.onnx.sorting import sorting_nodes
from rnnscope.checkpoints.onnx.stored_values import StoredValues
from rnnscope.checkpoints.onnx.tensors import TensorStore
from rnnscope.checkpoints.onnx.wiring import OnnxWiring
from rnnscope.model.network import Network, Node

Load = Callable[[], Any]
"""``load() -> ModelProto``: it may be called again, for what is behind the recurrent layers."""


@dataclass(frozen=True, eq=False)
class WholeGraph:
    """A model, and what was found in it.

    Attributes
    ----------
    path : Path
    load : callable
        See `Load`.
    model : ModelProto
    store : TensorStore
    graph : OnnxGraph
    program : OnnxProgram
    wiring : OnnxWiring
    settled : Settled
    """

    path: Path
    load: Load
    model: Any
    store: TensorStore
    graph: OnnxGraph
    program: OnnxProgram
    wiring: OnnxWiring
    settled: Settled

    @classmethod
    def read(cls, path: Path, load: Load, titles: Mapping[str, str] | None = None) -> WholeGraph:
        """Follow a model's graph, and hold what is read to what it computes.

        `titles` are those of `OnnxGraph`.
        """
        model = load()
        graph = flatten(model, path)
        graph.titles = titles or {}
        store = TensorStore(path)
        program = OnnxProgram(graph, StoredValues(graph, store), sorting_nodes(graph))
        wiring = OnnxWiring(graph, OnnxConstants(program), OPERATORS)
        wiring.follow()
        settled = settle(wiring, program)
        return cls(path, load, model, store, graph, program, wiring, settled)

    @cached_property
    def network(self) -> Network:
        """The recurrent layers, and what they read."""
        return self.wiring.network()

    def checkpoint(self, *, reader: str, framework: str, notes: tuple[str, ...]) -> Checkpoint:
        """What a reader returns."""
        settled = self.settled.axes
        axes = {name: settled[name] for name in self.network.inputs if name in settled}
        said = [f"The model's input '{name}' is ({', '.join(own)})." for name, own in axes.items()]
        return Checkpoint(
            path=self.path,
            format=reader,
            framework=framework,
            files=(self.path, *self.store.files),
            network=self.network,
            notes=(*said, *notes),
            input_axes=axes,
            later_results=partial(_later_results, self.path, self.load),
        )


def _later_results(path: Path, load: Load) -> tuple[Node, ...]:
    """See `Checkpoint.later_results`; the file is read again, so that no run keeps all of it."""
    again = WholeGraph.read(path, load)
    return later_results(again.wiring, again.program, again.settled)
