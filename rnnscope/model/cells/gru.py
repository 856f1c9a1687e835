"""The GRU recurrence in both of its variants: the equations and nothing else.

References
----------
Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder for statistical
machine translation": the reset gate is applied to m before the matrix product (``reset_after``
False: TensorFlow 1's ``GRUCell.call``, rnn_cell_impl.py; Keras 1 and 2). cuDNN applies it after
the product (``reset_after`` True: Keras since 2.1, torch ``nn.GRU``, ONNX ``linear_before_reset``).
In all of these ``m = z * m_prev + (1 - z) * n``; Cho et al. print z and 1 - z the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.activations import activation
from rnnscope.model.cell import NO_CLIP, Array, CellSpec, Option, WeightSizes
from rnnscope.model.cells.interface import Cell, State

GRU_GATE_ORDER = ("r", "z", "n")
"""Reset, update, candidate: the order of the gate blocks in `GRUWeights`."""


@dataclass(frozen=True, eq=False)
class GRUWeights(WeightSizes):
    """The weights of one GRU cell, all of one dtype.

    Attributes
    ----------
    kernel : ndarray (input, 3·num_units)
        Applied to x. Column blocks in `GRU_GATE_ORDER`.
    recurrent_kernel : ndarray (num_units, 3·num_units)
        Applied to the previous m; its last block to r * m where the reset gate comes first.
    bias : ndarray (3·num_units,)
        Added to the part of x.
    recurrent_bias : ndarray (3·num_units,) or None
        Added to the part of m. With ``reset_after`` its last block is multiplied by r, and so
        cannot be folded into `bias`.
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    recurrent_bias: Array | None = None

    blocks: ClassVar[int] = len(GRU_GATE_ORDER)


@dataclass(frozen=True)
class GRUOptions:
    """What turns a GRU's weights into a computation.

    Attributes
    ----------
    activation, recurrent_activation : Option[str]
        Names in `rnnscope.model.activations.ACTIVATIONS`: for the candidate n, and for r and z.
    reset_after : Option[bool]
        Whether r multiplies the product of m (True) or m itself (False).
    gate_clip : Option[float | None]
        Bound of what the activations are applied to (ONNX ``clip``); None for no clipping.
    """

    activation: Option[str]
    recurrent_activation: Option[str]
    reset_after: Option[bool]
    gate_clip: Option[float | None] = NO_CLIP

    def items(self) -> Iterator[tuple[str, Option[Any]]]:
        """The options by name, in the order of the class; `gate_clip` only where it clips."""
        for field in fields(self):
            option = getattr(self, field.name)
            if field.name != "gate_clip" or option.value:
                yield field.name, option


def gru_step(
    z_x: Array, m_prev: Array, weights: GRUWeights, options: GRUOptions
) -> dict[str, Array]:
    """One timestep of a GRU, in the dtype of its weights.

    Parameters
    ----------
    z_x : ndarray (sequence, 3·num_units)
        ``x @ kernel + bias``, column blocks in `GRU_GATE_ORDER`.
    m_prev : ndarray (sequence, num_units)
    weights : GRUWeights
    options : GRUOptions

    Returns
    -------
    dict of str to ndarray (sequence, num_units)
        The new ``m``, and the gates ``r``, ``z`` and ``n`` after their activations.
    """
    act = activation(options.activation.value).function
    rec_act = activation(options.recurrent_activation.value).function
    bound = options.gate_clip.value

    def clip(z: Array) -> Array:
        return z if bound is None else np.clip(z, -z.dtype.type(bound), z.dtype.type(bound))

    recurrent_r, recurrent_z, recurrent_n = np.split(weights.recurrent_kernel, 3, axis=-1)
    bias = weights.recurrent_bias
    if bias is None:
        bias = np.zeros(z_x.shape[-1], z_x.dtype)
    bias_r, bias_z, bias_n = np.split(bias, 3, axis=-1)
    z_r, z_z, z_n = np.split(z_x, 3, axis=-1)

    r = rec_act(clip(z_r + m_prev @ recurrent_r + bias_r))
    z = rec_act(clip(z_z + m_prev @ recurrent_z + bias_z))
    if options.reset_after.value:
        n = act(clip(z_n + r * (m_prev @ recurrent_n + bias_n)))
    else:
        n = act(clip(z_n + (r * m_prev) @ recurrent_n + bias_n))
    return {"m": z * m_prev + (1 - z) * n, "r": r, "z": z, "n": n}


def _project(spec: CellSpec, x: Array) -> Array:
    z: Array = x @ spec.weights.kernel + spec.weights.bias
    return z


def _step(spec: CellSpec, z: Array, state: State) -> tuple[State, State]:
    new = gru_step(z, state["m"], spec.weights, spec.options)
    return {"m": new.pop("m")}, new


def _m_bound(spec: CellSpec) -> float | None:
    """The bound of n: m lies between the previous m and n wherever z lies between 0 and 1."""
    bound = activation(spec.options.activation.value).bound
    # Only at 1 does the weighted mean of two values at the bound round to the bound again.
    bounded = "sigmoid" in spec.options.recurrent_activation.value and bound == 1
    return bound if bounded else None


GRU = Cell(
    kind="gru",
    title="GRU, with the reset gate before or after the matrix product",
    states=("m",),
    gates=GRU_GATE_ORDER,
    widths=lambda spec: {"m": spec.output_size},
    project=_project,
    step=_step,
    m_bound=_m_bound,
)
