"""The simple recurrence ``m = act(x @ kernel + m_prev @ recurrent_kernel + bias)``.

References
----------
Elman (1990), "Finding structure in time". TensorFlow 1's ``BasicRNNCell.call`` (rnn_cell_impl.py),
Keras ``SimpleRNNCell``, torch ``nn.RNN`` and the ONNX operator ``RNN`` compute this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.activations import activation
from rnnscope.model.cell import NO_CLIP, Array, CellSpec, Option, WeightSizes
from rnnscope.model.cells.interface import Cell, State


@dataclass(frozen=True, eq=False)
class SimpleRNNWeights(WeightSizes):
    """The weights of one simple cell, all of one dtype.

    Attributes
    ----------
    kernel : ndarray (input, num_units)
        Applied to x.
    recurrent_kernel : ndarray (num_units, num_units)
        Applied to the previous m.
    bias : ndarray (num_units,)
        The sum of both biases where a framework keeps two (torch, ONNX).
    added_bias : ndarray (num_units,) or None
        The second of these, as of `LSTMWeights`.
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    added_bias: Array | None = None


@dataclass(frozen=True)
class SimpleRNNOptions:
    """What turns a simple cell's weights into a computation.

    Attributes
    ----------
    activation : Option[str]
        A name in `rnnscope.model.activations.ACTIVATIONS`.
    gate_clip : Option[float | None]
        Bound of what the activation is applied to (ONNX ``clip``); None for no clipping.
    """

    activation: Option[str]
    gate_clip: Option[float | None] = NO_CLIP

    def items(self) -> Iterator[tuple[str, Option[Any]]]:
        """The options by name, in the order of the class; `gate_clip` only where it clips."""
        for field in fields(self):
            option = getattr(self, field.name)
            if field.name != "gate_clip" or option.value:
                yield field.name, option


def _project(spec: CellSpec, x: Array) -> Array:
    z: Array = x @ spec.weights.kernel + spec.weights.bias
    return z


def _step(spec: CellSpec, z: Array, state: State) -> tuple[State, State]:
    act = activation(spec.options.activation.value).function
    z = z + state["m"] @ spec.weights.recurrent_kernel
    bound = spec.options.gate_clip.value
    if bound is not None:
        z = np.clip(z, -z.dtype.type(bound), z.dtype.type(bound))
    return {"m": act(z)}, {}


SIMPLE_RNN = Cell(
    kind="simple_rnn",
    title="Simple recurrent cell (Elman)",
    states=("m",),
    gates=(),
    widths=lambda spec: {"m": spec.output_size},
    project=_project,
    step=_step,
    m_bound=lambda spec: activation(spec.options.activation.value).bound,
)
