"""Where a graph has what its layers return: found by value, on random input.

A loop leaves lists, fused ops leave arrays, written-out steps leave one tensor each; transposed,
turned back or padded they may be before anything else reads them. Whichever tensor first is equal
to a layer's outputs stands for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from rnnscope.checkpoints.later_results import agree
from rnnscope.checkpoints.tf1.graph.cells.appearance import FoundCell
from rnnscope.checkpoints.tf1.graph.evaluation.later.forward_flow import ForwardFlow
from rnnscope.checkpoints.tf1.graph.evaluation.later.graph_trial import GraphTrial
from rnnscope.checkpoints.tf1.graph.evaluation.proving.recording import takes_sequences
from rnnscope.checkpoints.tf1.graph.evaluation.proving.turning import turned
from rnnscope.checkpoints.tf1.graph.evaluation.values.loops import EXITS, Loops
from rnnscope.checkpoints.tf1.graph.layers.network import GraphNetwork
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import LOOPS, GraphTensor, GraphView
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.layers.elementwise import LastStep
from rnnscope.model.ops import MISFITS, EvaluationError
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Signal

MOST_BETWEEN = 12
"""Ops between what a loop leaves and what it is read as: gathered, transposed, turned, padded."""


@dataclass(frozen=True, eq=False)
class LayerTensor:
    """A tensor that is made of what a layer returns, without being computed with.

    Attributes
    ----------
    tensor : GraphTensor
    layer : str
    value : callable
        ``value(signal) -> ndarray``, as the graph has it.
    """

    tensor: GraphTensor
    layer: str
    value: Callable[[Signal], Array]


def layer_tensors(
    view: GraphView, flow: ForwardFlow, loops: Loops, built: GraphNetwork, trial: GraphTrial
) -> dict[GraphTensor, LayerTensor]:
    """The tensors that stand for what layers return, as near to the layers as there are any.

    Parameters
    ----------
    view : GraphView
    flow : ForwardFlow
    loops : Loops
    built : GraphNetwork
    trial : GraphTrial
    """
    layers = {node.name: node.recurrent for node in built.network.recurrent if node.recurrent}
    forms = [
        (name, value, value(signal))
        for name, signal in trial.signals.items()
        for value in _forms(
            layers[name], signal.values.shape[1], unrolled=_is_unrolled(loops, built, name)
        )
    ]
    found: dict[GraphTensor, LayerTensor] = {}
    pending = [(tensor, 0) for tensor in _left(view, loops, built)]
    seen = {tensor for tensor, _ in pending}
    while pending:
        tensor, depth = pending.pop(0)
        value = _array(trial, tensor)
        known = None
        if value is not None and value.dtype.kind == "f":
            known = next(
                (LayerTensor(tensor, name, form) for name, form, made in forms
                 if agree(value, made)), None,
            )  # fmt: skip
        if known is not None:
            found[tensor] = known
        elif depth < MOST_BETWEEN:
            onward = [one for one in flow.onward(tensor) if one not in seen]
            seen.update(onward)
            pending.extend((one, depth + 1) for one in onward)
    return found


def _is_unrolled(loops: Loops, built: GraphNetwork, name: str) -> bool:
    """Whether a layer's steps are written out, a tensor each."""
    if name not in built.appearances:
        return False
    cell = built.appearances[name].cells[0]
    return loops.around(cell.m) is None and not takes_sequences(cell)


def _left(view: GraphView, loops: Loops, built: GraphNetwork) -> Iterator[GraphTensor]:
    """What the loops of layers leave behind, and what cells outside of loops make."""
    cells = [cell for one in built.appearances.values() for cell in one.cells]
    around = {loop.name for cell in cells if (loop := loops.around(cell.m)) is not None}
    if any(node.name not in built.appearances for node in built.network.recurrent):
        around.update(loops.every)  # which one a layer without a known cell is does not matter
    for node in view:
        if node.op in EXITS:
            ends = [GraphTensor(node.name)]
        elif node.op in LOOPS:
            ends = [GraphTensor(node.name, index) for index in range(len(node.inputs))]
        else:
            continue
        for tensor in ends:
            left = loops.left_by(tensor)
            if left is not None and left[0].name in around:
                yield tensor
    for cell in cells:
        if loops.around(cell.m) is None:
            yield from _made(cell)


def _made(cell: FoundCell) -> Iterator[GraphTensor]:
    yield cell.m
    if cell.outputs is not None:
        yield cell.outputs


def _array(trial: GraphTrial, tensor: GraphTensor) -> Array | None:
    try:
        with np.errstate(all="ignore"):
            value = trial.evaluator.value(tensor)
    except (EvaluationError, *MISFITS):
        return None
    return value if isinstance(value, np.ndarray) else None


def _forms(
    layer: RecurrentLayer, timesteps: int, *, unrolled: bool
) -> Iterator[Callable[[Signal], Array]]:
    """The ways in which a graph may have what a layer returns."""
    yield lambda signal: signal.values.swapaxes(0, 1)
    yield lambda signal: signal.values
    if layer.backward.value:
        yield lambda signal: _as_processed(layer, signal).swapaxes(0, 1)
        yield lambda signal: _as_processed(layer, signal)
    if unrolled:
        yield from (_step(number) for number in range(timesteps))
    pick = LastStep(layer.backward.value, masked=layer.padding.value != "none")
    yield lambda signal: pick(signal).values


def _step(number: int) -> Callable[[Signal], Array]:
    def taken(signal: Signal) -> Array:
        if number >= signal.values.shape[1]:
            raise EvaluationError(f"there is no step {number}")
        return signal.values[:, number]

    return taken


def _as_processed(layer: RecurrentLayer, signal: Signal) -> Array:
    lengths = None if signal.mask is None else signal.mask.sum(axis=1)
    return turned(layer, signal.values, lengths)
