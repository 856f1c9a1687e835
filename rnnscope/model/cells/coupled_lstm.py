"""The LSTM whose input gate is one minus its forget gate: the equations and nothing else.

References
----------
Greff et al. (2015), "LSTM: a search space odyssey": the variant CIFG. The order of operations is
that of TensorFlow 1's ``CoupledInputForgetGateLSTMCell.call`` (contrib/rnn/python/ops/
rnn_cell.py), which has peepholes of f and o, a projection and its clip, and no clip of c.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.activations import activation
from rnnscope.model.cell import Array, CellSpec, Option, WeightSizes
from rnnscope.model.cells.interface import Cell, State

COUPLED_GATE_ORDER = ("f", "g", "o")
"""Forget gate, candidate, output gate: the order of the gate blocks in `CoupledLSTMWeights`."""


@dataclass(frozen=True, eq=False)
class CoupledLSTMWeights(WeightSizes):
    """The weights of one coupled LSTM cell, all of one dtype.

    Attributes
    ----------
    kernel : ndarray (input, 3·num_units)
        Applied to x. Column blocks in `COUPLED_GATE_ORDER`.
    recurrent_kernel : ndarray (output, 3·num_units)
        Applied to the previous m.
    bias : ndarray (3·num_units,)
        Without the forget bias that the cell adds at run time.
    peephole_f, peephole_o : ndarray (num_units,) or None
        Diagonal weights on c: f sees the previous c, o the new one.
    projection : ndarray (num_units, num_proj) or None
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    peephole_f: Array | None = None
    peephole_o: Array | None = None
    projection: Array | None = None

    blocks: ClassVar[int] = len(COUPLED_GATE_ORDER)


@dataclass(frozen=True)
class CoupledLSTMOptions:
    """What turns the weights into a computation.

    Attributes
    ----------
    forget_bias : Option[float]
        Added to the forget gate at run time.
    activation, recurrent_activation : Option[str]
        Names in `rnnscope.model.activations.ACTIVATIONS`: for the candidate and c, and for f and o.
    proj_clip : Option[float | None]
        Bound of the projected m; None for no clipping.
    """

    forget_bias: Option[float]
    activation: Option[str]
    recurrent_activation: Option[str]
    proj_clip: Option[float | None]

    def items(self) -> Iterator[tuple[str, Option[Any]]]:
        """The options by name, in the order of the class."""
        return ((field.name, getattr(self, field.name)) for field in fields(self))


def _project(spec: CellSpec, x: Array) -> Array:
    z: Array = x @ spec.weights.kernel + spec.weights.bias
    return z


def _step(spec: CellSpec, z: Array, state: State) -> tuple[State, State]:
    weights, options, kind = spec.weights, spec.options, spec.dtype.type
    act = activation(options.activation.value).function
    rec_act = activation(options.recurrent_activation.value).function

    z_f, z_g, z_o = np.split(z + state["m"] @ weights.recurrent_kernel, 3, axis=-1)
    z_f = z_f + kind(options.forget_bias.value)
    if weights.peephole_f is not None:
        z_f = z_f + weights.peephole_f * state["c"]
    f, g = rec_act(z_f), act(z_g)
    i = 1 - f

    c = f * state["c"] + i * g
    if weights.peephole_o is not None:
        z_o = z_o + weights.peephole_o * c
    o = rec_act(z_o)

    m = o * act(c)
    if weights.projection is not None:
        m = m @ weights.projection
        if options.proj_clip.value is not None:
            m = np.clip(m, -kind(options.proj_clip.value), kind(options.proj_clip.value))
    return {"c": c, "m": m}, {"i": i, "f": f, "g": g, "o": o}


def _m_bound(spec: CellSpec) -> float | None:
    """The bound of act(c), since o is at most 1; then through the projection."""
    if spec.weights.projection is not None and spec.options.proj_clip.value is not None:
        clip: float = spec.options.proj_clip.value
        return clip
    gate = activation(spec.options.recurrent_activation.value).bound
    out = activation(spec.options.activation.value).bound
    if gate is None or out is None:
        return None
    if spec.weights.projection is None:
        return gate * out
    return gate * out * float(np.abs(spec.weights.projection).sum(axis=0).max())


COUPLED_LSTM = Cell(
    kind="coupled_lstm",
    title="LSTM with input gate 1 - f (CoupledInputForgetGateLSTMCell)",
    states=("c", "m"),
    gates=("i", "f", "g", "o"),
    widths=lambda spec: {"c": spec.num_units, "m": spec.output_size},
    project=_project,
    step=_step,
    m_bound=_m_bound,
)
