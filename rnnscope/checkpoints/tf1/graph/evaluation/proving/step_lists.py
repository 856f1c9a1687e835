"""Layers whose steps are fed apart: a placeholder of features or of ids for each.

TensorFlow's seq2seq functions of old take such lists, and what is written out by hand does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rnnscope.checkpoints.tf1.graph.evaluation.proving.cell_record import CellRecord
from rnnscope.checkpoints.tf1.graph.evaluation.proving.recorded_signals import gap_of
from rnnscope.errors import RnnscopeError
from rnnscope.model.cell import Array
from rnnscope.model.network import Network, Node
from rnnscope.model.signal import Signal


def reads_list(
    network: Network, node: Node, record: CellRecord, fed_steps: Iterable[Array]
) -> bool:
    """Whether every step of a layer reads what is made of a placeholder of its own.

    Parameters
    ----------
    network : Network
        As it was read.
    node : Node
        The layer.
    record : CellRecord
    fed_steps : iterable of ndarray (sequence, input) or (sequence,)
        What was fed for single steps: features or ids.
    """
    if record.steps < 2:
        return False
    between = _between(network, node)
    made = [_through(between, value) for value in fed_steps]
    fitting = [one for one in made if one is not None and one.shape == record.x.shape[1:]]
    matches = [{place for place, one in enumerate(fitting) if gap_of(x, one) == 0}
               for x in record.x]  # fmt: skip
    return all(matches) and len(set[int]().union(*matches)) >= record.steps


def _between(network: Network, node: Node) -> Sequence[Node]:
    """The nodes between an input of the model and a layer, the first one first."""
    found: list[Node] = []
    below = network.by_name.get(node.reads[0])
    while below is not None and below.recurrent is None and len(below.reads) == 1:
        found.append(below)
        below = network.by_name.get(below.reads[0])
    return found[::-1]


def _through(between: Iterable[Node], value: Array) -> Array | None:
    """What some nodes make of what was fed for one step; None where it does not fit them."""
    signal = Signal(value)
    try:
        for node in between:
            signal = node.layer(signal)  # type: ignore[operator]
    except (RnnscopeError, ValueError, IndexError):
        return None
    return signal.values
