"""What the recorded steps of a graph's layers hand on: which steps count, outputs, final states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rnnscope.checkpoints.tf1.graph.evaluation.proving.cell_record import CellRecord
from rnnscope.checkpoints.tf1.graph.evaluation.proving.turning import turned
from rnnscope.checkpoints.tf1.graph.evaluation.proving.verdict import LIMITS
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor
from rnnscope.errors import RnnscopeError
from rnnscope.model.cell import Array
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Signal


class RecordedSignals:
    """What layers hand on, by what was recorded of them.

    Parameters
    ----------
    network : Network
        As it was read.
    records : mapping of str to CellRecord
        By layer; those that could not be recorded are missing.
    value_of : callable
        ``value_of(tensor) -> ndarray or None``: what one of the model's inputs was fed.
    lengths : list of ndarray (sequence,)
        What was fed as lengths.
    time_major : bool
        Which axis of the inputs is time.
    """

    def __init__(
        self,
        network: Network,
        records: Mapping[str, CellRecord],
        value_of: Callable[[GraphTensor], Array | None],
        lengths: list[Array],
        *,
        time_major: bool,
    ) -> None:
        self._network = network
        self._records = records
        self._value_of = value_of
        self._lengths = lengths
        self._time_major = time_major
        self._signals: dict[str, Signal | None] = {}
        self._taken: dict[str, Array] = {}
        self._turned: dict[str, RecurrentLayer] = {}

    def turn(self, name: str, layer: RecurrentLayer) -> None:
        """Take a layer in the direction in which it agrees, where it was read in another."""
        self._turned[name] = layer

    def counted(self, name: str, record: CellRecord) -> Array:
        """The steps that count; by the lengths that were fed, where the states do not tell."""
        taken = self.taken(name)
        if np.all(taken | rows_alike(record.carried, record.before)):
            return taken
        steps = np.arange(record.steps)[:, None]
        for lengths in self._lengths:
            if len(lengths) == taken.shape[1]:
                shorter: Array = steps < lengths
                return shorter
        return np.ones_like(taken)

    def taken(self, name: str) -> Array:
        """The steps (step, sequence) whose new state a layer carried on."""
        if name not in self._taken:
            record = self._records[name]
            counts = record.counts
            if counts is None:
                counts = rows_alike(record.carried, record.after)
            self._taken[name] = counts
        return self._taken[name]

    def final(self, name: str, state: str) -> Array:
        """The state of a layer after the last step that counts (sequence, width)."""
        record = self._records[name]
        if record.counts is None:
            end: Array = record.carried[state][-1]
            return end
        last = np.maximum(np.count_nonzero(record.counts, axis=0) - 1, 0)
        final: Array = record.carried[state][last, np.arange(len(last))]
        return final

    def signal(self, name: str) -> Signal | None:
        """What a node or input of the network hands on, in the order of the input's steps."""
        if name not in self._signals:
            self._signals[name] = None
            self._signals[name] = self._made(name)
        return self._signals[name]

    def _made(self, name: str) -> Signal | None:
        node = self._network.by_name.get(name)
        if node is None:
            node_name, _, index = name.partition(":")
            value = self._value_of(GraphTensor(node_name, int(index or 0)))
            if value is None:
                return None
            swapped = value.swapaxes(0, 1) if self._time_major and value.ndim > 1 else value
            return Signal(swapped)
        if node.recurrent is not None:
            return self._returned(node, self._turned.get(name, node.recurrent))
        signals = [self.signal(read) for read in node.reads]
        if any(signal is None for signal in signals):
            return None
        try:
            return node.layer(*[one for one in signals if one is not None])  # type: ignore[operator]
        except (RnnscopeError, ValueError, IndexError):
            return None

    def _returned(self, node: Node, layer: RecurrentLayer) -> Signal | None:
        record = self._records.get(node.name)
        if record is None:
            return None
        outputs = self.outputs(node.name, layer, record).swapaxes(0, 1)
        if not layer.return_sequences:
            return Signal(self.final(node.name, "m"))
        taken = self.taken(node.name)
        counts = np.count_nonzero(taken, axis=0)
        mask = None if takes_every_step(layer) else turned(layer, taken.T, counts)
        if layer.outputs_in_input_order:
            outputs = turned(layer, outputs, counts)
        return Signal(outputs, mask)

    def outputs(self, name: str, layer: RecurrentLayer, record: CellRecord) -> Array:
        """What a layer returns (step, sequence, output), in the order of processing."""
        m = record.after["m"].reshape(-1, record.after["m"].shape[-1])
        x = record.x.reshape(-1, record.x.shape[-1])
        made = layer.returned(m, x).reshape(*record.x.shape[:2], -1)
        taken = self.taken(name)[..., None]
        if layer.padding.value == "zeros":
            return np.where(taken, made, 0).astype(made.dtype)
        if layer.padding.value == "hold":
            held = np.zeros_like(made[0])
            rows = []
            for counts, row in zip(taken, made, strict=True):
                held = np.where(counts, row, held)
                rows.append(held)
            return np.stack(rows)
        return made


def takes_every_step(layer: RecurrentLayer) -> bool:
    """Whether a layer, as it was read, has no lengths and no mask."""
    return layer.padding.value == "none" or layer.lengths.value.kind == "unused"


def rows_alike(one: Mapping[str, Array], other: Mapping[str, Array]) -> Array:
    """Where (step, sequence) every state of one is that of the other."""
    alike: Any = True
    for name, array in one.items():
        if array.shape != other[name].shape:
            return np.zeros(array.shape[:2], bool)
        scale = max(1.0, float(np.max(np.abs(array), initial=0)))
        limit = limit_of(array) * scale
        alike = alike & np.all(np.abs(array - other[name]) <= limit, axis=-1)
    return np.asarray(alike)


def limit_of(array: Array) -> float:
    """How far rounding alone may take values of this dtype apart."""
    return LIMITS.get(array.dtype, 2e-5)


def gap_of(one: Array, other: Array) -> float:
    """The largest difference, relative to the largest value (at least 1)."""
    if one.shape != other.shape:
        return float("inf")
    if not one.size:
        return 0.0
    with np.errstate(all="ignore"):
        worst = float(np.max(np.abs(one.astype(np.float64) - other)))
        return worst / max(1.0, float(np.max(np.abs(one))))
