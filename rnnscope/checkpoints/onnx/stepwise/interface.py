"""Recurrent operators of runtimes beyond ONNX's own, as cells that are stepped as the runtime does.

Such an operator is no cell of CELLS: it quantises what it multiplies, or normalises its gates in
its own way. What it computes at a step is a function of ours; time, directions and lengths are the
same for all of them and stand here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.deferred_dataclass import dataclass
from rnnscope.model.cell import Array, CellSpec, Option
from rnnscope.model.cells.graph_cell import GraphComputation, GraphOptions
from rnnscope.model.ops import EvaluationError
from rnnscope.model.states import LayerStates

States = Mapping[str, Array]
FLOAT = np.dtype(np.float32)
FIRST_START = 5
"""Inputs of the node from here on are initial states, as ONNX's LSTM has them; 4 are lengths."""


@dataclass(frozen=True, eq=False)
class StepCell:
    """One direction of such an operator.

    Attributes
    ----------
    title : str
        Of the operator, for people: ``"ONNX Runtime DynamicQuantizeLSTM"``.
    input_size : int
    widths : mapping of str to int
        Of ``m`` and ``c``.
    prepare : callable
        ``prepare(x, lengths) -> z``: what is computed of x (sequence, timestep, input) before the
        first step; z has the same first two axes.
    step : callable
        ``step(z, states) -> states`` for z (sequence, …) of one timestep.
    options : tuple of (str, Option)
        What the operator states, for people.
    gate_order : str
        As stored.
    together : bool
        Whether what is computed of one sequence depends on those beside it.
    dtype : numpy.dtype
    plain : CellSpec or None
        The cell of CELLS that the operator is, without the names of its variables; None where it
        is none of them.
    """

    title: str
    input_size: int
    widths: Mapping[str, int]
    prepare: Callable[[Array, Array | None], Array]
    step: Callable[[Array, States], States]
    options: tuple[tuple[str, Option[Any]], ...] = ()
    gate_order: str = ""
    together: bool = False
    dtype: np.dtype[Any] = FLOAT
    plain: CellSpec | None = None

    def run(self, x: Array, lengths: Array | None, initial: States) -> LayerStates:
        """See `GraphComputation.run`: every state, in the order of processing."""
        sequences, timesteps = x.shape[:2]
        state: dict[str, Array] = {
            name: np.zeros((sequences, width), self.dtype) if name not in initial
            else np.broadcast_to(np.asarray(initial[name], self.dtype), (sequences, width)).copy()
            for name, width in self.widths.items()
        }  # fmt: skip
        before = dict(state)
        kept = {name: np.empty((sequences, timesteps, width), self.dtype)
                for name, width in self.widths.items()}  # fmt: skip
        outputs = np.zeros((sequences, timesteps, self.widths["m"]), self.dtype)
        with np.errstate(all="ignore"):
            z = self.prepare(np.asarray(x, self.dtype), lengths)
            for t in range(timesteps):
                new = self.step(z[:, t], self._seen(state, t, lengths))
                if lengths is None:
                    state = dict(new)
                    outputs[:, t] = state["m"]
                else:
                    valid = (t < lengths)[:, None]
                    state = {name: np.where(valid, new[name], state[name]) for name in state}
                    outputs[:, t] = np.where(valid, state["m"], 0)
                for name, array in kept.items():
                    array[:, t] = state[name]
        return LayerStates(states=kept, outputs=outputs, initial=before, final=dict(state))

    def _seen(self, state: States, t: int, lengths: Array | None) -> States:
        """The states as a step sees them.

        Where sequences depend on each other, one that has ended shows its zero outputs, from the
        step on that follows its first one beyond the length.
        """
        if lengths is None or not self.together:
            return state
        return {**state, "m": np.where((t <= lengths)[:, None], state["m"], 0)}

    def spec(self, variables: tuple[str, ...], *, takes_lengths: bool) -> CellSpec:
        """The operator as a cell of a layer."""
        if self.plain is not None:
            return replace(self.plain, variables=variables)
        computation = GraphComputation(
            input_size=self.input_size,
            output_size=self.widths["m"],
            widths=self.widths,
            dtype=self.dtype,
            run=self.run,
            takes_lengths=takes_lengths,
            together=self.together,
        )
        return CellSpec(
            kind="graph",
            source_class=self.title,
            weights=computation,
            options=GraphOptions(self.options),
            variables=variables,
            stored_gate_order=self.gate_order,
        )


MakeCells = Callable[[OnnxNode, Sequence[Any]], list[StepCell]]
"""``make(node, values) -> cells``, one a direction, of the values of the node's inputs, as far as
they are constants; it raises `EvaluationError` where it cannot, which says why."""


def evaluated(make: MakeCells) -> Callable[[OnnxNode, list[Any]], Any]:
    """The operator as an entry of OPERATIONS: Y, Y_h and Y_c with the axes of ONNX's LSTM."""

    def evaluate(node: OnnxNode, inputs: list[Any]) -> Any:
        batch_first = bool(node.integer("layout"))
        x = np.asarray(inputs[0])
        if x.ndim != 3:
            raise EvaluationError(f"its X has {x.ndim} axes")
        x = x if batch_first else x.swapaxes(0, 1)
        lengths = inputs[4] if len(inputs) > 4 else None
        lengths = None if lengths is None else np.asarray(lengths, np.int64).ravel()
        kind = node.text("direction", "forward")
        made = []
        cells = make(node, inputs)
        for number, cell in enumerate(cells):
            start = {
                name: inputs[place][:, number] if batch_first else inputs[place][number]
                for place, name in enumerate(("m", "c"), FIRST_START)
                if place < len(inputs) and inputs[place] is not None
            }
            backward = kind == "reverse" or number == 1
            taken = turned(x, lengths) if backward else x
            states = cell.run(taken, lengths, start)
            outputs = turned(states.outputs, lengths) if backward else states.outputs
            made.append((outputs, states.final))
        y = np.stack([outputs for outputs, _ in made], axis=2)
        ends = [np.stack([final[name] for _, final in made], axis=1 if batch_first else 0)
                for name in ("m", "c")]  # fmt: skip
        return (y if batch_first else y.transpose(1, 2, 0, 3), *ends)

    return evaluate


def turned(x: Array, lengths: Array | None) -> Array:
    """The valid steps of every sequence in the opposite order; what is behind them stays."""
    if lengths is None:
        return x[:, ::-1]
    t, ends = np.arange(x.shape[1]), lengths[:, None]
    places = np.where(t < ends, ends - 1 - t, t)
    made: Array = np.take_along_axis(x, places[:, :, None], axis=1)
    return made
