"""Dense layers that a file of weights holds behind its recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import RnnscopeError
from rnnscope.model.activations import activation
from rnnscope.model.cell import Array
from rnnscope.model.network import Network, Node
from rnnscope.model.signal import Layer, Signal

ENDS = ("linear", "softmax", "sigmoid", "log_softmax")
"""What may follow the product; a file of weights does not say it."""

MOST_WEIGHTS = 4_000_000


@dataclass(frozen=True, eq=False)
class StoredDense(Layer):
    """``end(x @ kernel + bias)`` over the last axis.

    Attributes
    ----------
    kernel : ndarray (feature, unit)
    bias : ndarray (unit,)
    end : str
        One of `ENDS`.
    """

    kernel: Array
    bias: Array
    end: str = "linear"
    kind: str = "Dense"
    step_by_step = True

    def __call__(self, *signals: Signal) -> Signal:
        """Values (…, feature) to (…, unit)."""
        z = signals[0].values @ self.kernel + self.bias
        if self.end == "log_softmax":
            z = z - z.max(axis=-1, keepdims=True)
            return Signal(z - np.log(np.exp(z).sum(axis=-1, keepdims=True)), signals[0].mask)
        return Signal(activation(self.end).function(z), signals[0].mask)


@dataclass(frozen=True)
class LastStep(Layer):
    """The output of the last valid step of each sequence, of outputs over time."""

    kind: str = "LastStep"

    def __call__(self, *signals: Signal) -> Signal:
        """(sequence, timestep, feature) to (sequence, feature)."""
        values, mask = signals[0].values, signals[0].mask
        if mask is None:
            return Signal(values[:, -1])
        steps = np.arange(values.shape[1])
        last = np.where(mask, steps, 0).max(axis=1)
        return Signal(values[np.arange(len(values)), last])


def stored_heads(checkpoint: Checkpoint, nodes: Sequence[Node]) -> list[Node]:
    """A node for each way in which a dense layer of the file may follow its last layers."""
    if checkpoint.read_variable is None and checkpoint.read_left_out is None:
        return []
    tops = _tops(nodes)
    found: list[Node] = []
    for name, kernel, bias in _dense_layers(checkpoint):
        for top, width in tops:
            for matrix in (kernel, kernel.T):
                if matrix.shape[0] != width or len(bias) not in (0, matrix.shape[1]):
                    continue
                whole = bias if len(bias) else np.zeros(matrix.shape[1])
                found += _nodes(name, top, matrix, whole)
                break
    return found


def _nodes(name: str, top: str, kernel: Array, bias: Array) -> Iterator[Node]:
    last = f"{name} after the last step"
    yield Node(f"{top}, last step", LastStep(), (top,))
    for end in ENDS:
        words = "" if end == "linear" else f" and {end}"
        layer = StoredDense(kernel, bias, end)
        yield Node(f"{name}{words}", layer, (top,))
        yield Node(f"{last}{words}", layer, (f"{top}, last step",))


def _tops(nodes: Sequence[Node]) -> list[tuple[str, int]]:
    """The nodes that nothing reads, and how wide they are, as far as that is known."""
    read = {name for node in nodes for name in node.reads}
    widths: dict[str, int] = {}
    for node in nodes:
        layer: Any = node.layer
        if node.recurrent is not None:
            widths[node.name] = node.recurrent.output_size
        elif layer.joins_directions and all(name in widths for name in node.reads):
            parts = [widths[name] for name in node.reads]
            widths[node.name] = sum(parts) if layer.mode == "concat" else parts[0]
    tops = [(name, width) for name, width in widths.items() if name not in read]
    return tops or [
        (node.name, widths[node.name]) for node in Network((), tuple(nodes)).recurrent[-1:]
    ]


def _dense_layers(checkpoint: Checkpoint) -> Iterator[tuple[str, Array, Array]]:
    """Matrices that are no recurrent layer's, each with the vector that stands beside it."""
    read = checkpoint.read_variable or checkpoint.read_left_out
    assert read is not None
    plain = {entry.name: entry.shape for entry in checkpoint.left_out
             if entry.reason in ("dense layer", "not recurrent")}  # fmt: skip
    for name, shape in plain.items():
        if len(shape) != 2 or int(np.prod(shape)) > MOST_WEIGHTS:
            continue
        stem = _owner(name)
        vectors = [
            other
            for other, size in plain.items()
            if len(size) == 1 and size[0] in shape and _owner(other) == stem
        ]
        if len(vectors) > 1:
            continue  # which of them is its bias is not known
        try:
            kernel = np.asarray(read(name), np.float64)
            bias = np.asarray(read(vectors[0]) if vectors else [], np.float64)
        except (RnnscopeError, ValueError, KeyError, OSError):
            continue
        yield stem or name, kernel, bias


def _owner(name: str) -> str:
    """The layer that a variable belongs to, as its name says."""
    return name.rpartition("." if "." in name else "/")[0]
