"""A TensorFlow 1 graph and the variables beside it, as the layers they make.

The graph comes from a ``.meta`` file, a SavedModel or a frozen ``.pb``; the variables from a
table of either generation, or from the graph's own constants.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rnnscope.checkpoints.interface import LeftOut
from rnnscope.deferred_dataclass import dataclass
from rnnscope.files.tensorflow.bundle import VariableInfo
from rnnscope.model.cell import Array
from rnnscope.model.network import Network, Node

if TYPE_CHECKING:
    from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphView

OPTIMIZER_SLOT = re.compile(
    r"/(Adam|Adam_1|Adamax|Adamax_1|RMSProp|RMSProp_1|Momentum|Adagrad|Adadelta|Adadelta_1|Ftrl|"
    r"Ftrl_1|AdagradDA|gradient_accumulator|gradient_squared_accumulator|LazyAdam|Nadam)(_\d+)?$"
    r"|(^|/)beta[12]_power(_\d+)?$"
)
MOVING_AVERAGE = re.compile(r"/(ExponentialMovingAverage|EMA|moving_average|biased|local_step)$")
STEP = re.compile(r"(^|/)(global_step|epoch|step)$")

LARGEST_ARRAY = 1 << 28
"""Bytes of the largest array that is made while a graph is held to what was read of it."""

PLAIN_REASONS = ("dense layer", "not recurrent")
"""Reasons of `reason_left_out` that say no more than that no cell uses a variable."""


class Variables(Protocol):
    """Stored variables by name, whichever file holds them: a bundle, V1 tables, constants."""

    @property
    def variables(self) -> Mapping[str, VariableInfo]: ...

    @property
    def files(self) -> tuple[Path, ...]: ...

    def read(self, name: str) -> Array: ...


@dataclass(frozen=True)
class GraphModel:
    """What a graph and its variables make: the parts of a Checkpoint that readers share.

    `later_results` is that of a Checkpoint, but keeps the graph: see `read_again`. `turned_back`
    names the layers whose outputs a graph turns round.
    """

    network: Network
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    later_results: Callable[[], tuple[Node, ...]] | None = None
    turned_back: frozenset[str] = frozenset()


def read_again(
    model: GraphModel, read: Callable[[], GraphModel]
) -> Callable[[], tuple[Node, ...]] | None:
    """`Checkpoint.later_results` of a model: it is read once more, so that no run keeps a graph.

    Parameters
    ----------
    model : GraphModel
    read : callable
        ``read() -> GraphModel``, the same again.
    """
    if model.later_results is None:
        return None

    def later_results() -> tuple[Node, ...]:
        again = read().later_results
        return () if again is None else again()

    return later_results


def read_graph_model(graph: Any, stored: Variables) -> GraphModel:
    """The layers of a graph.

    Parameters
    ----------
    graph : GraphDef message
    stored : Variables

    Raises
    ------
    CheckpointError
        Naming the variable that does not fit what the graph says.
    """
    from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphView

    return read_view_model(GraphView(graph), stored)


def read_view_model(view: GraphView, stored: Variables) -> GraphModel:
    """As `read_graph_model`, from a view of the graph."""
    from rnnscope.checkpoints.tf1.graph.cells.finders import find_cells, find_suspects
    from rnnscope.checkpoints.tf1.graph.evaluation.proving.proof import prove
    from rnnscope.checkpoints.tf1.graph.evaluation.settling.settle import settle
    from rnnscope.checkpoints.tf1.graph.evaluation.settling.shape_probes import without_shape_probes
    from rnnscope.checkpoints.tf1.graph.evaluation.values.loops import Loops
    from rnnscope.checkpoints.tf1.graph.layers.network import build_network
    from rnnscope.checkpoints.tf1.graph.nodes.weights import GraphWeights
    from rnnscope.checkpoints.tf1.half_float_ops import half_float_note
    from rnnscope.model.ops.interface import at_most

    shapes = {name: variable.shape for name, variable in stored.variables.items()}
    weights = GraphWeights(view, shapes, stored.read)
    cells = [
        cell
        for cell in find_cells(view, weights)
        if all(name in stored.variables for name in weights.variables(cell.kernel))
    ]
    loops = Loops(view)
    cells = without_shape_probes(view, weights, cells, loops)
    known = {name for cell in cells for name in weights.variables(cell.kernel)}
    suspects = find_suspects(view, weights, known)
    found = build_network(view, weights, cells)
    with at_most(LARGEST_ARRAY):  # of the random inputs; a run may make larger ones
        proof = prove(view, weights, found, loops)
        found = settle(view, weights, found, proof)

    def behind() -> tuple[Node, ...]:
        from rnnscope.checkpoints.tf1.graph.evaluation.later.later_results import later_results

        with at_most(LARGEST_ARRAY):
            return later_results(view, weights, found, proof)

    left_out = tuple(
        LeftOut(
            name,
            suspects.get(name) or reason_left_out(name, variable.shape, found.embeddings),
            variable.shape,
        )
        for name, variable in stored.variables.items()
        if name not in found.used
    )
    states = [tensor for cell in cells for tensor in cell.after.values()]
    note = half_float_note(view, states)
    notes = (*found.notes, note) if note else found.notes
    return GraphModel(found.network, left_out, notes, behind, found.turned_back)


def reason_left_out(
    name: str, shape: tuple[int, ...], embeddings: frozenset[str] = frozenset()
) -> str:
    """Why a variable is no part of a recurrent layer, by its name and shape."""
    if OPTIMIZER_SLOT.search(name):
        return "optimizer slot"
    if MOVING_AVERAGE.search(name):
        return "moving average"
    if STEP.search(name):
        return "training step"
    if name in embeddings or "embedding" in name.lower():
        return "embedding"
    return "dense layer" if len(shape) == 2 else "not recurrent"


def tensorflow_version(meta: Any) -> str:
    """Who wrote a MetaGraphDef: ``"TensorFlow 1.15.5"``."""
    version = meta.meta_info_def.tensorflow_version
    return f"TensorFlow {version}" if version else "TensorFlow"
