"""What the layers of an ONNX model return in a trial of the whole graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.trial import Trial
from rnnscope.checkpoints.onnx.graph_cells.found_cell import GraphCell
from rnnscope.checkpoints.onnx.network.recurrent import LENGTHS_INPUT
from rnnscope.checkpoints.onnx.network.sources import ends_source, outputs_source
from rnnscope.checkpoints.onnx.network.wiring import BuiltNode
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import InputError
from rnnscope.model.cell import Array
from rnnscope.model.ops import EvaluationError
from rnnscope.model.signal import Signal


@dataclass(frozen=True, eq=False)
class LayerOutputs:
    """The layers whose outputs are looked at.

    Attributes
    ----------
    built : sequence of BuiltNode
        Recurrent nodes of the graph.
    cells : mapping of str to GraphCell
        Graph cells, by the layer's name.
    """

    built: Sequence[BuiltNode]
    cells: Mapping[str, GraphCell]

    def of_graph_cells(self, trial: Trial) -> dict[str, Signal]:
        """What graph cells return in a trial, (sequence, timestep, width), in the input's order.

        Raises
        ------
        EvaluationError
        """
        found = {}
        for name, cell in self.cells.items():
            back = slice(None, None, -1 if cell.recurrence.backward else 1)
            x = cell.in_order(np.asarray(trial.value(cell.x)))[:, back]
            lengths, mask = None, None
            if cell.lengths:
                lengths = np.asarray(trial.bound[cell.lengths[0]], np.int64).ravel()
                mask = np.arange(x.shape[1]) < lengths[:, None]
            try:
                outputs = cell.run(x, lengths, {}).outputs
            except InputError as error:
                raise EvaluationError(str(error)) from error
            found[name] = Signal(outputs[:, back], mask)
        return found

    def of_all(self, trial: Trial) -> dict[str, Signal]:
        """The outputs of every layer in a trial, (sequence, timestep, width).

        Raises
        ------
        EvaluationError
        """
        found = {}
        for built in self.built:
            outputs, *_ = _returned(trial, built)
            lengths = built.node.input(LENGTHS_INPUT)
            for name, values in zip(
                built.layers, outputs_source(built).taken(outputs), strict=True
            ):
                mask = None
                if lengths:
                    counts = np.ravel(trial.value(lengths))[:, None]
                    mask = np.arange(values.shape[1]) < counts
                found[name] = Signal(values, mask)
        return found | self.of_graph_cells(trial)

    def known(self, trial: Trial) -> Iterator[Array]:
        """What there is without any tail: outputs and final states, apart and put together.

        Raises
        ------
        EvaluationError
        """
        of_all: dict[int, list[Array]] = {}
        for built in self.built:
            outputs, *finals = _returned(trial, built)
            every = [outputs_source(built).taken(outputs)]
            every += [ends_source(built).taken(final) for final in finals]
            for number, parts in enumerate(every):
                yield from parts
                yield np.concatenate(parts, axis=-1)
                of_all.setdefault(number, []).extend(parts)
        # torch returns the final states of all layers in one array.
        for number in (1, 2):
            finals = of_all.get(number, [])
            if len({final.shape for final in finals}) == 1:
                yield np.stack(finals, axis=1)
        for signal in self.of_graph_cells(trial).values():
            yield from (signal.values, signal.values[:, 0], signal.values[:, -1])


def _returned(trial: Trial, built: BuiltNode) -> tuple[Array, ...]:
    """All outputs of a recurrent node, those without a name among them."""
    trial.value(next(filter(None, built.node.outputs)))
    if built.node not in trial.evaluation.returned:
        raise EvaluationError(f"'{built.name}' is not evaluated")
    return trial.evaluation.returned[built.node]
