"""Comparing what was read of a graph with what the graph computes, layer by layer.

Each question is about one layer alone, on what the graph itself gave it in each step, so that a
fault is found where it is: the equations of the cell, the way of its state from step to step, the
state before the first step, what it reads, and what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from rnnscope.checkpoints.tf1.graph.evaluation.proving.cell_record import CellRecord
from rnnscope.checkpoints.tf1.graph.evaluation.proving.recorded_signals import (
    RecordedSignals,
    gap_of,
    limit_of,
    rows_alike,
    takes_every_step,
)
from rnnscope.checkpoints.tf1.graph.evaluation.proving.step_lists import reads_list
from rnnscope.checkpoints.tf1.graph.evaluation.proving.turning import other_directions, turned
from rnnscope.checkpoints.tf1.graph.evaluation.proving.verdict import Fault, Verdict
from rnnscope.checkpoints.tf1.graph.nodes.graph_view import GraphTensor
from rnnscope.errors import RnnscopeError
from rnnscope.model.cell import Array
from rnnscope.model.cells import CELLS
from rnnscope.model.initial_state import (
    FinalState,
    OutsideState,
    StoredState,
    UncomputedState,
    join_state,
)
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import Feedback, RecurrentLayer


class Judge:
    """Compares layers with their records.

    Parameters
    ----------
    network : Network
        As it was read.
    records : mapping of str to CellRecord
        By layer; those that could not be recorded are missing.
    value_of : callable
        ``value_of(tensor) -> ndarray or None``: what one of the model's inputs was fed.
    loops : mapping of str to str
        The loop that each layer lies in; the empty name for none.
    unrolled : mapping of str to int
        How many steps the graph is written out for, by layer that lies in no loop.
    lengths : list of ndarray (sequence,)
        What was fed as lengths.
    computed : mapping of str to ndarray (sequence,)
        The lengths that the graph computes, by layer.
    fed_steps : list of ndarray (sequence, input) or (sequence,)
        What was fed for single steps: features or ids.
    time_major : bool
        Which axis of the inputs is time.
    """

    def __init__(
        self,
        network: Network,
        records: Mapping[str, CellRecord],
        value_of: Callable[[GraphTensor], Array | None],
        loops: Mapping[str, str],
        unrolled: Mapping[str, int],
        lengths: list[Array],
        computed: Mapping[str, Array],
        fed_steps: list[Array],
        *,
        time_major: bool,
    ) -> None:
        self._network = network
        self._records = records
        self._value_of = value_of
        self._loops = loops
        self._unrolled = unrolled
        self._lengths = lengths
        self._computed = computed
        self._fed_steps = fed_steps
        self._signals = RecordedSignals(network, records, value_of, lengths, time_major=time_major)

    def judge(self, node: Node) -> Verdict:
        """Compare one layer."""
        layer, record = node.recurrent, self._records[node.name]
        assert layer is not None
        verdict = Verdict(record.steps)
        self._cell(layer, record, verdict)
        self._input(node, layer, record, verdict)
        layer = verdict.turned or layer
        self._state(node, layer, record, verdict)
        self._start(layer, record, verdict)
        self._outputs(node, layer, record, verdict)
        return verdict

    def _agree(self, verdict: Verdict, one: Array, other: Array) -> bool:
        gap = gap_of(one, other)
        if not gap <= limit_of(one):
            return False
        verdict.difference = max(verdict.difference, gap)
        return True

    def _cell(self, layer: RecurrentLayer, record: CellRecord, verdict: Verdict) -> None:
        cell = CELLS[layer.cell.kind]
        rows = {name: array.reshape(-1, array.shape[-1]) for name, array in record.before.items()}
        x = record.x.reshape(-1, record.x.shape[-1])
        if x.shape[1] != layer.cell.input_size:
            verdict.faults.append(Fault("cell", f"reads {x.shape[1]} features"))
            return
        widths = cell.widths(layer.cell)
        if any(widths.get(name) != array.shape[1] for name, array in rows.items()):
            verdict.faults.append(Fault("cell", "has states of other widths"))
            return
        with np.errstate(all="ignore"):
            made, _ = cell.step(layer.cell, cell.project(layer.cell, x), rows)
        for name, array in record.after.items():
            if not self._agree(verdict, array.reshape(-1, array.shape[-1]), made[name]):
                verdict.faults.append(Fault("cell", f"computes another {name}"))

    def _state(
        self, node: Node, layer: RecurrentLayer, record: CellRecord, verdict: Verdict
    ) -> None:
        """Each row of each step is carried on as the cell left it, or held as it was."""
        taken = self._signals.taken(node.name)
        held = rows_alike(record.carried, record.before)
        if record.counts is not None:
            held = ~record.counts
        if not np.all(taken | held):
            verdict.faults.append(Fault("state", "changes its state on the way to the next step"))
        elif takes_every_step(layer) and not np.all(taken):
            verdict.faults.append(Fault("state", "holds its state at some steps"))
        elif layer.starts_from_layers and np.all(taken):
            return  # a decoder's lengths are those of what it starts from, and do not bind it
        elif not takes_every_step(layer):
            self._lengths_of(node, layer, record, verdict)

    def _lengths_of(
        self, node: Node, layer: RecurrentLayer, record: CellRecord, verdict: Verdict
    ) -> None:
        """The steps that count are those that the lengths or the mask say, from the right end."""
        taken, lengths = self._signals.taken(node.name), layer.lengths.value
        counts = np.count_nonzero(taken, axis=0)
        whole = layer.backward.value and layer.reversal == "whole"
        if lengths.kind == "mask":
            signal = self._signals.signal(node.reads[0]) if node.reads else None
            mask = None if signal is None else signal.mask
            if mask is None:
                verdict.unchecked.append("its mask")
            else:
                expected = turned(layer, mask, counts).T[: record.steps]
                if not np.array_equal(expected, taken):
                    verdict.faults.append(Fault("lengths", "skips other steps than its mask"))
            return
        steps = np.arange(record.steps)[:, None]
        if np.array_equal(taken, steps < counts):
            if whole and not np.all(taken):
                words = "turns the whole axis of time and counts lengths from its end"
                verdict.faults.append(Fault("turn", words))
                return
        elif not (whole and np.array_equal(taken, steps >= record.steps - counts)):
            verdict.faults.append(Fault("lengths", "skips steps that are no padding"))
            return
        known = self._lengths if lengths.kind == "input" else []
        if lengths.kind == "computed" and node.name in self._computed:
            known = [self._computed[node.name]]
        if lengths.values is not None and lengths.values.shape == counts.shape:
            known = [lengths.values]
        if lengths.kind == "stored" and not known:
            verdict.unchecked.append("the lengths that the graph holds")
            return
        if not any(np.array_equal(np.minimum(one, record.steps), counts) for one in known):
            how = "computes its lengths" if lengths.kind == "computed" else "takes other lengths"
            verdict.faults.append(Fault("lengths", how))

    def _start(self, layer: RecurrentLayer, record: CellRecord, verdict: Verdict) -> None:
        for state, array in record.before.items():
            part = layer.initial_state.value.parts.get(state)
            first = array[0]
            if isinstance(part, UncomputedState):
                continue
            if isinstance(part, OutsideState):
                fed = self._value_of(GraphTensor(part.name))
                if part.kind != "op" and fed is not None and gap_of(fed, first) == 0:
                    continue
                words = f"starts {state} from what op {part.op or part.kind} ('{part.name}') makes"
                verdict.faults.append(Fault("start", words))
                continue
            expected = np.zeros_like(first)
            if isinstance(part, StoredState):
                if not _broadcasts(part.values, expected):
                    words = f"starts {state} from some of what {part.name} holds"
                    verdict.faults.append(Fault("start", words))
                    continue
                expected = expected + part.values
            elif isinstance(part, FinalState):
                if any(other not in self._records for other in part.layers):
                    verdict.unchecked.append(f"the {state} it starts from")
                    continue
                finals = [self._signals.final(other, state) for other in part.layers]
                expected = join_state(finals, part.join)
            if expected.shape != first.shape or not self._agree(verdict, first, expected):
                verdict.faults.append(Fault("start", f"starts from another {state}"))

    def _input(
        self, node: Node, layer: RecurrentLayer, record: CellRecord, verdict: Verdict
    ) -> None:
        taken = self._signals.counted(node.name, record)
        if not node.reads:
            return
        if layer.feedback is not None:
            self._fed_back(layer.feedback, record, verdict)
            return
        signal = self._signals.signal(node.reads[0])
        if signal is None:
            verdict.faults.append(Fault("input", f"reads what '{node.reads[0]}' makes"))
            return
        values = signal.values
        if values.ndim == 2 and reads_list(self._network, node, record, self._fed_steps):
            return
        if values.ndim != 3 or values.shape[1] != self._unrolled.get(node.name, record.steps):
            verdict.faults.append(Fault("input", f"reads another x than '{node.reads[0]}'"))
            return
        if self._reads(layer, record, values, taken, verdict):
            return
        for other in other_directions(layer):
            if self._reads(other, record, values, taken, verdict):
                verdict.turned = other
                self._signals.turn(node.name, other)
                return
        verdict.faults.append(Fault("input", f"reads another x than '{node.reads[0]}'"))

    def _fed_back(self, feedback: Feedback, record: CellRecord, verdict: Verdict) -> None:
        """Each x but the first is what the loop function makes of the output before."""
        source = self._network.by_name.get(feedback.source)
        known = self._records.get(feedback.source)
        if source is None or source.recurrent is None or known is None:
            verdict.unchecked.append("the x that its loop function makes")
            return
        outputs = known.after["m"]
        if not feedback.of_m:
            outputs = self._signals.outputs(source.name, source.recurrent, known)
        try:
            made = np.asarray(feedback(outputs.swapaxes(0, 1))).swapaxes(0, 1)
        except (RnnscopeError, ValueError, IndexError):
            verdict.unchecked.append("the x that its loop function makes")
            return
        if made.shape != record.x.shape or not self._agree(verdict, record.x[1:], made[:-1]):
            words = "makes its x of its last output in another way"
            verdict.faults.append(Fault("input", words))

    def _reads(
        self, layer: RecurrentLayer, record: CellRecord, values: Array, taken: Array,
        verdict: Verdict,
    ) -> bool:  # fmt: skip
        """Whether x is these values (sequence, step, …) in the order of the layer's direction."""
        expected: Array = turned(layer, values, np.count_nonzero(taken, axis=0)).swapaxes(0, 1)[
            : record.steps
        ]
        if expected.shape != record.x.shape:
            return False
        return self._agree(verdict, record.x[taken], expected[taken])

    def _outputs(
        self, node: Node, layer: RecurrentLayer, record: CellRecord, verdict: Verdict
    ) -> None:
        """The top layer of a loop writes what the loop returns."""
        loop = self._loops[node.name]
        above = any(
            node.name in self._network.recurrent_below(other)
            for other in self._network.recurrent
            if self._loops.get(other.name) == loop
        )
        if not record.written or (above and loop):
            return
        expected = self._signals.outputs(node.name, layer, record)
        for written in record.written.values():
            # States that are put beside the outputs, for whoever wants to see them, do no harm.
            if written.ndim == expected.ndim + 1 and self._has(verdict, written, expected):
                return
            if written.ndim != expected.ndim:
                continue
            width = expected.shape[-1]
            for first in range(written.shape[-1] - width + 1):
                columns = written[..., first : first + width]
                if columns.shape == expected.shape and self._agree(verdict, columns, expected):
                    return
        verdict.faults.append(Fault("outputs", "returns something else than its m"))

    def _has(self, verdict: Verdict, stacked: Array, expected: Array) -> bool:
        """Whether outputs are among what is stacked (step, one of several, sequence, width)."""
        return any(
            part.shape == expected.shape and self._agree(verdict, part, expected)
            for part in np.moveaxis(stacked, 1, 0)
        )


def _broadcasts(values: Array, like: Array) -> bool:
    """Whether values go with an array as they are, or repeated for every sequence."""
    try:
        return np.broadcast_shapes(values.shape, like.shape) == like.shape
    except ValueError:
        return False
