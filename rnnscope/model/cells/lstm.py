"""The LSTM recurrence: the equations and nothing else.

References
----------
Gers, Schraudolph, Schmidhuber (2002), "Learning precise timing with LSTM recurrent networks":
the peepholes. Sak, Senior, Beaufays (2014), "Long short-term memory based recurrent neural
network architectures": the projection. The order of operations is that of TensorFlow's
``LSTMCell.call`` (rnn_cell_impl.py): the forget bias is added before the peephole, the clip of c
comes before the output gate's peephole sees it, the clip of m after the projection. The clip of
the gates and the coupled forget gate are those of the ONNX operator LSTM, as onnxruntime computes
them: its ``clip`` bounds what enters the activations of i, f, g and o, not the c that enters h.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rnnscope.model.activations import activation
from rnnscope.model.cell import Array, CellSpec, LSTMOptions, LSTMWeights
from rnnscope.model.cells.interface import Cell, State


class LSTMStep(NamedTuple):
    """What one LSTM step computes, each (sequence, width)."""

    c: Array
    m: Array
    i: Array
    f: Array
    g: Array
    o: Array


def lstm_step(
    z_x: Array, c_prev: Array, m_prev: Array, weights: LSTMWeights, options: LSTMOptions
) -> LSTMStep:
    """One timestep of an LSTM, in the dtype of its weights.

    Parameters
    ----------
    z_x : ndarray (sequence, 4·num_units)
        ``x @ kernel + bias``, column blocks in GATE_ORDER.
    c_prev : ndarray (sequence, num_units)
    m_prev : ndarray (sequence, output)
    weights : LSTMWeights
    options : LSTMOptions

    Returns
    -------
    LSTMStep
        The new c (clipped) and m (projected, clipped), and the gates after their activations.
    """
    act = activation(options.activation.value).function
    rec_act = activation(options.recurrent_activation.value).function
    out_act = activation(options.output_activation.value).function
    kind = weights.dtype.type

    def clip(z: Array) -> Array:
        bound = options.gate_clip.value
        return z if bound is None else np.clip(z, -kind(bound), kind(bound))

    z_i, z_f, z_g, z_o = np.split(z_x + m_prev @ weights.recurrent_kernel, 4, axis=-1)
    z_f = z_f + kind(options.forget_bias.value)
    if weights.peephole_f is not None:
        z_f = z_f + weights.peephole_f * c_prev
    if weights.peephole_i is not None:
        z_i = z_i + weights.peephole_i * c_prev
    i, g = rec_act(clip(z_i)), act(clip(z_g))
    f = 1 - i if options.coupled.value else rec_act(clip(z_f))

    c = f * c_prev + i * g
    if options.cell_clip.value is not None:
        c = np.clip(c, -kind(options.cell_clip.value), kind(options.cell_clip.value))

    if weights.peephole_o is not None:
        z_o = z_o + weights.peephole_o * c
    o = rec_act(clip(z_o))

    m = o * out_act(c)
    if weights.projection is not None:
        m = m @ weights.projection
        if options.proj_clip.value is not None:
            m = np.clip(m, -kind(options.proj_clip.value), kind(options.proj_clip.value))
    return LSTMStep(c, m, i, f, g, o)


def _project(spec: CellSpec, x: Array) -> Array:
    flat: Array = x.reshape(-1, x.shape[-1]) @ spec.weights.kernel
    flat += spec.weights.bias
    return flat.reshape(*x.shape[:-1], flat.shape[-1])


def _step(spec: CellSpec, z: Array, state: State) -> tuple[State, State]:
    new = lstm_step(z, state["c"], state["m"], spec.weights, spec.options)
    return {"c": new.c, "m": new.m}, {"i": new.i, "f": new.f, "g": new.g, "o": new.o}


def _m_bound(spec: CellSpec) -> float | None:
    """The largest |m|: bound of o times that of act(c), then through the projection."""
    gate = activation(spec.options.recurrent_activation.value).bound
    out = activation(spec.options.output_activation.value)
    clip = spec.options.cell_clip.value
    bound = out.bound
    if bound is None and clip is not None and out.name in ("relu", "linear"):
        bound = clip
    largest = None if gate is None or bound is None else gate * bound
    projection = spec.weights.projection
    if projection is None:
        return largest
    proj_clip: float | None = spec.options.proj_clip.value
    if proj_clip is not None:
        return proj_clip
    return None if largest is None else largest * float(np.abs(projection).sum(axis=0).max())


LSTM = Cell(
    kind="lstm",
    title="LSTM with optional peepholes, projection and clips",
    states=("c", "m"),
    gates=("i", "f", "g", "o"),
    widths=lambda spec: {"c": spec.num_units, "m": spec.output_size},
    project=_project,
    step=_step,
    m_bound=_m_bound,
)
