"""ONNX's LSTM, GRU and RNN, step by step as the operators' pages define them.

Written without the cells of rnnscope, whose gates, biases and directions it is to judge. What
``clip`` clips is onnxruntime's: what enters the activations of the gates.

References
----------
https://onnx.ai/onnx/operators/onnx__LSTM.html, onnx__GRU.html and onnx__RNN.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.nodes import CELL_CLIP, OnnxNode
from rnnscope.checkpoints.onnx.operations.interface import Evaluate, given
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array
from rnnscope.model.ops import OPS, EvaluationError

Function = Callable[[Array], Array]
Step = Callable[["Direction", Array, list[Array]], list[Array]]

FUNCTIONS: dict[str, tuple[str, tuple[str, ...], tuple[float | None, ...]]] = {
    "affine": ("affine", ("alpha", "beta"), (None, None)),
    "elu": ("elu", ("alpha",), (1.0,)),
    "hardsigmoid": ("hard_sigmoid", ("alpha", "beta"), (0.2, 0.5)),
    "leakyrelu": ("leaky_relu", ("alpha",), (0.01,)),
    "relu": ("relu", (), ()),
    "scaledtanh": ("scaled_tanh", ("alpha", "beta"), (None, None)),
    "sigmoid": ("sigmoid", (), ()),
    "softplus": ("softplus", (), ()),
    "softsign": ("softsign", (), ()),
    "tanh": ("tanh", (), ()),
    "thresholdedrelu": ("thresholded_relu", ("alpha",), (1.0,)),
}
"""The operation of OPS, the constants that it takes, and their defaults; None: there is none."""

DEFAULTS = {
    "LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)
}  # fmt: skip
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@dataclass(frozen=True, eq=False)
class Direction:
    """One direction of a recurrent node.

    Attributes
    ----------
    w, r : ndarray (gates·unit, input), (gates·unit, unit)
    wb, rb : ndarray (gates·unit,)
        The two halves of B.
    p : ndarray (3·unit,) or None
        Peepholes.
    functions : list of callable
    clip : float
        0 where nothing is clipped.
    reset_after : bool
        ``linear_before_reset`` of GRU.
    coupled : bool
        ``input_forget`` of LSTM.
    cell_clip : float
        0 where c is not bounded; see `rnnscope.checkpoints.onnx.graph.nodes.CELL_CLIP`.
    """

    w: Array
    r: Array
    wb: Array
    rb: Array
    p: Array | None
    functions: list[Function]
    clip: float = 0.0
    reset_after: bool = False
    coupled: bool = False
    cell_clip: float = 0.0

    def clipped(self, z: Array) -> Array:
        """What enters an activation."""
        return z if not self.clip else np.clip(z, -self.clip, self.clip).astype(z.dtype)


def _gates(z: Array, count: int) -> list[Array]:
    units = z.shape[-1] // count
    return [z[..., at * units : (at + 1) * units] for at in range(count)]


def _lstm_step(cell: Direction, x: Array, state: list[Array]) -> list[Array]:
    h, c = state
    f, g, last = cell.functions
    # Gates lie in the order i, o, f, c; peepholes as i, o, f.
    zi, zo, zf, zc = _gates(x @ cell.w.T + h @ cell.r.T + cell.wb + cell.rb, 4)
    pi, po, pf = (0, 0, 0) if cell.p is None else np.split(cell.p, 3)
    i = f(cell.clipped(zi + pi * c))
    forget = 1 - i if cell.coupled else f(cell.clipped(zf + pf * c))
    new = forget * c + i * g(cell.clipped(zc))
    if cell.cell_clip:
        new = np.clip(new, -cell.cell_clip, cell.cell_clip).astype(new.dtype)
    o = f(cell.clipped(zo + po * new))
    return [o * last(new), new]


def _gru_step(cell: Direction, x: Array, state: list[Array]) -> list[Array]:
    (h,) = state
    f, g = cell.functions
    wz, wr, wh = _gates(x @ cell.w.T + cell.wb, 3)
    rz, rr, rh = np.split(cell.r, 3)
    bz, br, bh = np.split(cell.rb, 3)
    z = f(cell.clipped(wz + h @ rz.T + bz))
    r = f(cell.clipped(wr + h @ rr.T + br))
    inner = r * (h @ rh.T + bh) if cell.reset_after else (r * h) @ rh.T + bh
    candidate = g(cell.clipped(wh + inner))
    return [(1 - z) * candidate + z * h]


def _rnn_step(cell: Direction, x: Array, state: list[Array]) -> list[Array]:
    (h,) = state
    return [cell.functions[0](cell.clipped(x @ cell.w.T + h @ cell.r.T + cell.wb + cell.rb))]


def functions_of(node: OnnxNode, directions: int, kind: str) -> list[list[Function]]:
    """The activations of each direction of a node of a kind of DEFAULTS."""
    defaults = DEFAULTS[kind]
    names = node.texts("activations") or defaults * directions
    if len(names) != len(defaults) * directions:
        raise EvaluationError(f"it names {len(names)} activations")
    given_constants = {
        "alpha": iter(node.floats("activation_alpha")),
        "beta": iter(node.floats("activation_beta")),
    }
    made = [_function(name, given_constants) for name in names]
    return [made[at : at + len(defaults)] for at in range(0, len(made), len(defaults))]


def _function(name: str, constants: dict[str, Iterator[float]]) -> Function:
    if name.lower() not in FUNCTIONS:
        raise EvaluationError(f"it has the activation {name}")
    operation, keys, defaults = FUNCTIONS[name.lower()]
    values = {
        key: next(constants[key], default) for key, default in zip(keys, defaults, strict=True)
    }
    if None in values.values():
        raise EvaluationError(f"it has {name} without its constants")
    return lambda x: OPS[operation](x, **values)


def _directions(node: OnnxNode, inputs: list[Any]) -> list[Direction]:
    w, r, b = (given(inputs, number) for number in (1, 2, 3))
    p = given(inputs, 7) if node.op == "LSTM" else None
    if b is None:
        b = np.zeros((len(w), 2 * w.shape[1]), w.dtype)
    clip = node.number("clip") or 0.0
    return [
        Direction(
            w[number], r[number], b[number][: w.shape[1]], b[number][w.shape[1] :],
            None if p is None else p[number], functions, clip,
            bool(node.integer("linear_before_reset")), bool(node.integer("input_forget")),
            node.number(CELL_CLIP) or 0.0,
        )
        for number, functions in enumerate(functions_of(node, len(w), node.op))
    ]  # fmt: skip


def _over_time(step: Step, states: int) -> Evaluate:
    def evaluate(node: OnnxNode, inputs: list[Any]) -> Any:
        batch_first = bool(node.integer("layout"))
        x = inputs[0].swapaxes(0, 1) if batch_first else inputs[0]
        steps, batch = x.shape[:2]
        cells = _directions(node, inputs)
        kind = node.text("direction", "forward")
        if len(cells) != (2 if kind == "bidirectional" else 1):
            raise EvaluationError("it has weights of other directions")
        lengths = given(inputs, 4)
        lengths = np.full(batch, steps) if lengths is None else np.asarray(lengths, np.int64)
        y = np.zeros((steps, len(cells), batch, cells[0].r.shape[-1]), x.dtype)
        final: list[list[Array]] = []
        for number, cell in enumerate(cells):
            state = [_start(given(inputs, 5 + s), number, batch_first, y) for s in range(states)]
            backward = kind == "reverse" or number == 1
            final.append(_run(step, cell, x, lengths, state, backward, y[:, number]))
        ends = [np.stack([one[s] for one in final], axis=1 if batch_first else 0)
                for s in range(states)]  # fmt: skip
        return (y.transpose(2, 0, 1, 3) if batch_first else y, *ends)

    return evaluate


def _start(value: Array | None, number: int, batch_first: bool, y: Array) -> Array:
    if value is None:
        return np.zeros((y.shape[2], y.shape[3]), y.dtype)
    return value[:, number] if batch_first else value[number]


def _run(
    step: Step,
    cell: Direction,
    x: Array,
    lengths: Array,
    state: list[Array],
    backward: bool,
    y: Array,
) -> list[Array]:
    """Fill y (timestep, sequence, unit) of one direction; the state after the last valid step."""
    for t in range(len(x)):
        # Every sequence has its own first step: the last valid one, where it is read backwards.
        place = np.where(t < lengths, lengths - 1 - t, t) if backward else np.full(len(lengths), t)
        rows = np.arange(len(lengths))
        new = step(cell, x[place, rows], state)
        valid = (t < lengths)[:, None]
        state = [np.where(valid, now, before) for now, before in zip(new, state, strict=True)]
        y[place, rows] = np.where(valid, new[0], 0)
    return state


RECURRENT: dict[str, Evaluate] = {
    "GRU": _over_time(_gru_step, 1),
    "LSTM": _over_time(_lstm_step, 2),
    "RNN": _over_time(_rnn_step, 1),
}
"""By operator."""
