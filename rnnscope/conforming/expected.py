"""The states that are right: the readable numpy engine on a case's own numbers, in long double.

A case's weights are those of its dtype; the truth is what they give without rounding on the way,
rounded to float64 once. Where long double is no wider (Windows, macOS on ARM) its own error is that
of sums in float64, in an order that the CPU's products choose. A test sums in another one and
measures it; only cases in float64 have a tolerance anywhere near it.

The operator ONNX LSTM is the one place where the truth is not what rnnscope computes for a file:
its ``clip`` "is applied to the input of activations", and h is one of the activations f, g, h, so
that the c which enters h is clipped, too. rnnscope reads such files as ONNX Runtime computes them,
without that clip; the judge here is the specification.

References
----------
https://onnx.ai/onnx/operators/onnx__LSTM.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from rnnscope.conforming.case import Answer, Case
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.model.activations import activation
from rnnscope.model.cell import Array
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.states import LayerStates

WIDE = np.dtype(np.longdouble)


def expected(case: Case, *, clip_reaches_c: bool = True) -> Answer:
    """Every state of a case, by direction, sequence first, in float64.

    Parameters
    ----------
    case : Case
    clip_reaches_c : bool
        As the specification has it; False: as ONNX Runtime has it.

    Returns
    -------
    tuple of dict of str to ndarray
        The arrays of `rnnscope.conforming.case.ARRAYS`, each of the shape that
        `rnnscope.conforming.case.shapes` says.
    """
    return tuple(_direction(case, number, clip_reaches_c) for number in range(len(case.layers)))


def _direction(case: Case, number: int, clip_reaches_c: bool) -> Mapping[str, Array]:
    layer = case.layers[number]
    layer = replace(layer, cell=layer.cell.in_dtype(WIDE))
    start = {name: value.astype(WIDE) for name, value in case.start(number).items()}
    x = case.x.astype(WIDE)
    clipped = clip_reaches_c and case.cell == "lstm" and case.option("gate_clip")
    run = _run_clipping_c if clipped else run_layer
    states = run(layer, x, case.mask, start)
    found = {"outputs": states.outputs, "final_m": states.final["m"]}
    if "c" in states.states:
        found |= {"c": states.states["c"], "final_c": states.final["c"]}
    return {name: array.astype(np.float64) for name, array in found.items()}


def _run_clipping_c(
    layer: RecurrentLayer, x: Array, mask: Array | None, start: Mapping[str, Array]
) -> LayerStates:
    """Step by step by the engine, with m made anew of the gate o and the clipped c.

    The peephole of o is fed the c that is not clipped: it enters a sum, and the sum is clipped.
    """
    bound = layer.cell.options.gate_clip.value
    function = activation(layer.cell.options.output_activation.value).function
    forward = replace(layer, backward=replace(layer.backward, value=False))
    lengths = np.full(len(x), x.shape[1]) if mask is None else mask.sum(axis=1)
    steps = np.arange(x.shape[1])
    order = np.tile(steps, (len(x), 1))
    if layer.backward.value:
        order = np.where(order < lengths[:, None], lengths[:, None] - 1 - order, order)
    state = dict(start)
    shape = (*x.shape[:2], layer.cell.num_units)
    arrays = {name: np.zeros(shape, x.dtype) for name in ("c", "m", "outputs")}
    rows = np.arange(len(x))
    for t in steps:
        one = run_layer(forward, x[rows, order[:, t]][:, None], None, state, gates=True)
        c = one.states["c"][:, 0]
        m = one.gates["o"][:, 0] * function(np.clip(c, -bound, bound))
        valid = (t < lengths)[:, None]
        state = {"c": np.where(valid, c, state["c"]), "m": np.where(valid, m, state["m"])}
        arrays["c"][rows, order[:, t]] = state["c"]
        arrays["m"][rows, order[:, t]] = state["m"]
        arrays["outputs"][rows, order[:, t]] = np.where(valid, m, 0)
    return LayerStates(
        {"c": arrays["c"], "m": arrays["m"]}, arrays["outputs"], dict(start), dict(state)
    )
