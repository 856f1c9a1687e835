"""The layer-normalised LSTM of TensorFlow 1's contrib: the equations and nothing else.

References
----------
Ba, Kiros, Hinton (2016), "Layer normalization". The order of operations is that of TensorFlow's
``LayerNormBasicLSTMCell.call`` (contrib/rnn/python/ops/rnn_cell.py): every gate is normalised on
its own, the forget bias is added after that, and the new c is normalised before it is handed on:
the carried state is the NORMALISED c. Normalising is ``contrib.layers.layer_norm``: mean and
population variance over the units, with 1e-12 added to the variance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.activations import activation
from rnnscope.model.cell import GATE_ORDER, Array, CellSpec, Option, WeightSizes
from rnnscope.model.cells.interface import Cell, State


@dataclass(frozen=True, eq=False)
class LayerNormLSTMWeights(WeightSizes):
    """The weights of one layer-normalised LSTM cell, all of one dtype.

    Attributes
    ----------
    kernel : ndarray (input, 4·num_units)
        Applied to x. Column blocks in `GATE_ORDER`. There is no bias: beta takes its place.
    recurrent_kernel : ndarray (num_units, 4·num_units)
        Applied to the previous m.
    gamma, beta : ndarray (4·num_units,)
        Scale and offset of the normalised gates, blocks in `GATE_ORDER`.
    state_gamma, state_beta : ndarray (num_units,)
        Scale and offset of the normalised c.
    """

    kernel: Array
    recurrent_kernel: Array
    gamma: Array
    beta: Array
    state_gamma: Array
    state_beta: Array

    blocks: ClassVar[int] = len(GATE_ORDER)


@dataclass(frozen=True)
class LayerNormLSTMOptions:
    """What turns the weights into a computation.

    Attributes
    ----------
    forget_bias : Option[float]
        Added to the normalised forget gate at run time.
    activation, recurrent_activation : Option[str]
        Names in `rnnscope.model.activations.ACTIVATIONS`: for the candidate and c, and for i, f, o.
    epsilon : Option[float]
        Added to each variance.
    """

    forget_bias: Option[float]
    activation: Option[str]
    recurrent_activation: Option[str]
    epsilon: Option[float]

    def items(self) -> Iterator[tuple[str, Option[Any]]]:
        """The options by name, in the order of the class."""
        return ((field.name, getattr(self, field.name)) for field in fields(self))


def normalise(z: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    """Values (…, width) with mean 0 and variance 1 over the last axis, then scaled and offset."""
    centred = z - z.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    result: Array = centred / np.sqrt(variance + z.dtype.type(epsilon)) * gamma + beta
    return result


def _project(spec: CellSpec, x: Array) -> Array:
    z: Array = x @ spec.weights.kernel
    return z


def _step(spec: CellSpec, z: Array, state: State) -> tuple[State, State]:
    weights, options = spec.weights, spec.options
    act = activation(options.activation.value).function
    rec_act = activation(options.recurrent_activation.value).function
    epsilon, kind = options.epsilon.value, spec.dtype.type

    z = z + state["m"] @ weights.recurrent_kernel
    z_i, z_f, z_g, z_o = (
        normalise(block, gamma, beta, epsilon)
        for block, gamma, beta in zip(
            np.split(z, 4, axis=-1), np.split(weights.gamma, 4), np.split(weights.beta, 4),
            strict=True,
        )
    )  # fmt: skip
    i, f = rec_act(z_i), rec_act(z_f + kind(options.forget_bias.value))
    g, o = act(z_g), rec_act(z_o)
    c = normalise(f * state["c"] + i * g, weights.state_gamma, weights.state_beta, epsilon)
    return {"c": c, "m": o * act(c)}, {"i": i, "f": f, "g": g, "o": o}


def _m_bound(spec: CellSpec) -> float | None:
    gate = activation(spec.options.recurrent_activation.value).bound
    out = activation(spec.options.activation.value).bound
    return None if gate is None or out is None else gate * out


LAYER_NORM_LSTM = Cell(
    kind="layer_norm_lstm",
    title="Layer-normalised LSTM (LayerNormBasicLSTMCell); c is the normalised one",
    states=("c", "m"),
    gates=GATE_ORDER,
    widths=lambda spec: {"c": spec.num_units, "m": spec.output_size},
    project=_project,
    step=_step,
    m_bound=_m_bound,
)
