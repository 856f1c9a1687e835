"""A model that is held as ONNX messages: the network that is found in it, and its later results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.graph.constants import MAX_CHAIN, OnnxConstants
from rnnscope.checkpoints.onnx.graph.element_types import computing_in_16_bits, rounds
from rnnscope.checkpoints.onnx.graph.flattening import flatten
from rnnscope.checkpoints.onnx.graph.nodes import OnnxGraph
from rnnscope.checkpoints.onnx.graph.stored_values import StoredValues
from rnnscope.checkpoints.onnx.graph.tensors import BFLOAT16, FLOAT16, TensorStore
from rnnscope.checkpoints.onnx.network.later_results import later_results
from rnnscope.checkpoints.onnx.network.operators import OPERATORS
from rnnscope.checkpoints.onnx.network.recurrent import FIRST_STATE_INPUT, MOVING, RECURRENT
from rnnscope.checkpoints.onnx.network.sorting import sorting_nodes
from rnnscope.checkpoints.onnx.network.wiring import LOOPS, OnnxWiring
from rnnscope.checkpoints.onnx.proof.whole_graph import Settled, settle
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import UnsupportedCellError
from rnnscope.model.network import Network, Node


@dataclass(frozen=True, eq=False)
class StoredModel:
    """A model, and what was found in it.

    Attributes
    ----------
    model : ModelProto
    store : TensorStore
    graph : OnnxGraph
    program : OnnxProgram
    wiring : OnnxWiring
    settled : Settled
    """

    model: Any
    store: TensorStore
    graph: OnnxGraph
    program: OnnxProgram
    wiring: OnnxWiring
    settled: Settled

    @classmethod
    def of(cls, model: Any, path: Path, titles: Mapping[str, str] | None = None) -> StoredModel:
        """Read a ModelProto; `path` is the file whose folder holds its external data.

        `titles` are those of `OnnxGraph`.

        Raises
        ------
        CheckpointError
            A tensor of a recurrent node is damaged; it names the tensor.
        """
        graph = flatten(model, path)
        graph.titles = titles or {}
        store = TensorStore(path)
        program = OnnxProgram(graph, StoredValues(graph, store), sorting_nodes(graph))
        wiring = OnnxWiring(graph, OnnxConstants(program), OPERATORS)
        wiring.follow()
        return cls(model, store, graph, program, wiring, settle(wiring, program))

    def network(self, title: str, reasons: Sequence[str] = ()) -> Network:
        """The recurrent layers and what they read.

        Parameters
        ----------
        title : str
            What kind of model it is, for people: ``"ONNX"``.
        reasons : sequence of str
            Why recurrent operators of it could not be read, a sentence each.

        Raises
        ------
        UnsupportedCellError
            There is none; it names the operators there are.
        """
        network = self.wiring.network()
        if not network.nodes:
            raise _nothing_recurrent(self.store.path, self.graph, title, reasons)
        return network

    def later_results(self) -> tuple[Node, ...]:
        """See `Checkpoint.later_results`."""
        return later_results(self.wiring, self.program, self.settled)

    def axes(self, network: Network) -> dict[str, tuple[str, ...]]:
        """See `Checkpoint.input_axes`."""
        axes = self.settled.axes
        return {name: axes[name] for name in network.inputs if name in axes}

    def notes(self, axes: Mapping[str, tuple[str, ...]]) -> list[str]:
        """What users should know of the inputs and of the weights."""
        notes = [f"The model's input '{name}' is ({', '.join(own)})." for name, own in axes.items()]
        if any(node.op.endswith("DynamicQuantizeLSTM") for node in self.graph.nodes):
            notes.append(
                "DynamicQuantizeLSTM is computed as ONNX Runtime does with one thread, all "
                "sequences together; each of several threads quantises m of its own part of them."
            )
        notes += _of_16_bits(self.graph)
        narrow = {
            stored for node in self.graph.nodes if node.op in RECURRENT
            for key in filter(None, node.inputs[1:4])
            for stored in self.wiring.constants.names(key)
            if stored in self.graph.initializers
            and self.graph.initializers[stored].data_type in (FLOAT16, BFLOAT16)
        }  # fmt: skip
        if narrow:
            notes.append(
                "The weights are stored in 16 bits; they are widened, and computed with in float32."
            )
        return notes


def _of_16_bits(graph: OnnxGraph) -> list[str]:
    """What other programs compute in 16 bits and rnnscope does not."""
    notes = []
    nodes = [node for node in computing_in_16_bits(graph) if node.op not in RECURRENT]
    if nodes:
        named = ", ".join(f"{node.op} '{node.name}'" for node in nodes[:3])
        more = f" and {len(nodes) - 3} more" if len(nodes) > 3 else ""
        notes.append(
            f"The graph computes in 16 bits: {named}{more}. rnnscope computes it in float32, and "
            "rounds to 16 bits where the graph casts."
        )
    rounded = {
        graph.behind(key, MOVING) for node in graph.nodes if node.op in RECURRENT
        for key in filter(None, node.inputs[FIRST_STATE_INPUT:]) if _is_rounded(graph, key)
    }  # fmt: skip
    notes.extend(
        f"The graph rounds initial state '{name}' to 16 bits; rnnscope takes it as it is given."
        for name in sorted(rounded.intersection(graph.inputs))
    )
    return notes


def _is_rounded(graph: OnnxGraph, key: str) -> bool:
    """Whether a value is rounded to 16 bits on its way through operators that move it."""
    for _ in range(MAX_CHAIN):
        caster = graph.producers.get(graph.behind(key, MOVING - {"Cast"}))
        if caster is None or caster.op != "Cast":
            return False
        if rounds(graph, caster):
            return True
        key = caster.input(0)
    return False


def _nothing_recurrent(
    path: Path, graph: OnnxGraph, title: str, reasons: Sequence[str]
) -> UnsupportedCellError:
    words = (*RECURRENT, *LOOPS)
    recurrent_like = sorted(
        {node.op for node in graph.nodes if any(word in node.op for word in words)}
    )
    found = recurrent_like or sorted({node.op for node in graph.nodes})
    others = "an operator of another domain, or a loop that is not computed, is not read"
    return UnsupportedCellError(
        f"The {title} model holds no LSTM, GRU or RNN node.",
        where=path,
        expected="a node of one of these operators",
        found=", ".join(found[:12]) or "no nodes",
        hint=" ".join(reasons[:4]) or (others if recurrent_like else None),
    )
