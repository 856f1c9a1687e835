"""Layers that run by evaluating the graph: graph cells, and what stands in front of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from rnnscope.checkpoints.tf1.graph.evaluation.proving.cell_record import CellRecord
from rnnscope.checkpoints.tf1.graph.evaluation.proving.turning import turned
from rnnscope.checkpoints.tf1.graph.evaluation.settling.graph_run import GraphRun
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.cells.graph_cell import GraphComputation, GraphOptions
from rnnscope.model.evidence import EVALUATED
from rnnscope.model.layers import GraphFront
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.states import LayerStates


@dataclass(frozen=True, eq=False)
class EvaluatedLayer:
    """One layer of a `GraphRun`.

    Attributes
    ----------
    run : GraphRun
    name : str
        A key of its `cells`.
    layer : RecurrentLayer
        As it was read: its direction, above all.
    written : GraphTensor or None
        Which list of the loop holds what the layer returns; None where that is m.
    placeholders : mapping of str to GraphTensor
        Where an initial state goes in, by state.
    zeros_past_length : bool
        Whether what is written has to be put to zero past the length: static_rnn does so behind
        what a step returns.
    assumed : tuple of str
        Switches and numbers that a run has no value for and that matter, with what they are taken
        for: ``"'is_training' as false"``.
    whole_time : bool
        Whether the layer has as many steps as its input, though a loop may take fewer: it ends with
        the longest of the lengths that the graph computes.
    """

    run: GraphRun
    name: str
    layer: RecurrentLayer
    written: GraphTensor | None
    placeholders: Mapping[str, GraphTensor]
    zeros_past_length: bool = False
    assumed: tuple[str, ...] = ()
    whole_time: bool = False

    def states(self, x: Array, lengths: Array | None, initial: Mapping[str, Array]) -> LayerStates:
        """As `GraphComputation.run` says."""
        foreign = [name for name in initial if name not in self.placeholders]
        if foreign:
            raise InputError(
                "An initial state is given to a layer whose graph makes its own.",
                where=f"layer '{self.name}'",
                expected="none, or a state that a placeholder of the graph takes",
                found=", ".join(foreign),
            )
        fed = {self.placeholders[name]: value for name, value in initial.items()}
        values = turned(self.layer, x, lengths)
        if self.run.model_input.is_ids:
            values = values[..., 0].astype(np.int64)
        record = self.run.records(values, lengths, fed)[self.name]
        made = self._as_states(record, x.shape[1])
        if lengths is None:
            return made
        counts = np.arange(x.shape[1]) < np.asarray(lengths)[:, None]
        if "m" not in record.states and self.layer.padding.value == "zeros":
            # The outputs stand for m, which is held past the length as every state is.
            last = np.maximum(np.minimum(np.arange(x.shape[1]), lengths[:, None] - 1), 0)
            m = np.take_along_axis(made.states["m"], last[..., None], axis=1)
            made = replace(
                made,
                states={**made.states, "m": m},
                final={**made.final, "m": np.ascontiguousarray(m[:, -1])},
            )
        if not self.zeros_past_length:
            return made
        return replace(made, outputs=np.where(counts[..., None], made.outputs, 0))

    def _as_states(self, record: CellRecord, timesteps: int) -> LayerStates:
        """Axes in the order (sequence, timestep, …), and the steps that the loop left out."""
        outputs = record.after["m"] if self.written is None else record.written[self.written]
        states = {name: _flat(array) for name, array in record.states.items()}
        states.setdefault("m", _flat(outputs))
        missing = timesteps - record.steps
        whole = {
            name: np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
            for name, array in states.items()
        }
        flat = _flat(outputs)
        padded = np.concatenate([flat, np.zeros((missing, *flat.shape[1:]), flat.dtype)])
        initial = {name: _flat(array)[0] for name, array in record.before.items()}
        initial.setdefault("m", np.zeros_like(states["m"][0]))
        return LayerStates(
            states={name: _by_sequence(array) for name, array in whole.items()},
            outputs=_by_sequence(padded),
            initial=initial,
            final={name: np.ascontiguousarray(array[-1]) for name, array in whole.items()},
        )

    def x(self, values: Array, lengths: Array | None) -> Array:
        """What the layer receives (sequence, timestep, input), in the order of the input.

        Evaluated for every step, whatever the lengths, unless x is turned within them: what a
        layer reads past a length is of no account, but how many steps there are is.
        """
        within = self.layer.backward.value and self.layer.reversal == "within length"
        record = self.run.records(values, lengths if within else None)[self.name]
        x = record.x.swapaxes(0, 1)
        if (within or self.whole_time) and x.shape[1] < values.shape[1]:
            missing = values.shape[1] - x.shape[1]
            x = np.concatenate([x, np.zeros((x.shape[0], missing, x.shape[2]), x.dtype)], axis=1)
        return turned(self.layer, x, lengths)

    def as_cell(self, record: CellRecord, variables: tuple[str, ...]) -> RecurrentLayer:
        """The layer as a graph cell; `record` shows the widths of its states."""
        shown = self._as_states(record, record.steps)
        dtype = shown.outputs.dtype
        model_input = self.run.model_input
        features = model_input.features or (1 if model_input.is_ids else record.x.shape[-1])
        computation = GraphComputation(
            input_size=features,
            output_size=int(shown.outputs.shape[-1]),
            widths={name: int(array.shape[-1]) for name, array in shown.states.items()},
            dtype=dtype,
            run=self.states,
            takes_lengths=any(one.is_lengths for one in model_input.others),
            steps=model_input.fixed(1),
        )
        spec = CellSpec(
            kind="graph",
            source_class=self.layer.cell.source_class,
            weights=computation,
            options=GraphOptions(),
            variables=variables,
            stored_gate_order="",
        )
        return replace(self.layer, cell=spec, wrapper=(), feedback=None, evidence=EVALUATED)

    def as_front(self, name: str) -> GraphFront:
        """What stands between the model's input and the layer."""
        model_input = self.run.model_input
        return GraphFront(name, self.x, model_input.features, model_input.is_ids)


@dataclass(frozen=True, eq=False)
class ComputedLengths:
    """Lengths that the graph computes from the model's input: the function of an `EvaluatedMask`.

    Attributes
    ----------
    run : GraphRun
    tensor : GraphTensor
        What the layer compares its steps with.
    """

    run: GraphRun
    tensor: GraphTensor

    def __call__(self, arrays: tuple[Array, ...], lengths: Array | None) -> Array:  # noqa: ARG002
        """As `PieceFunction` says."""
        return self.run.lengths(self.tensor, arrays[0])


def _flat(array: Array) -> Array:
    """A state with more than one axis, laid flat."""
    return array if array.ndim == 3 else array.reshape(*array.shape[:2], -1)


def _by_sequence(array: Array) -> Array:
    return np.ascontiguousarray(array.swapaxes(0, 1))
