"""Nodes over one slice of time after another, with what is carried between two in the open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.choose import LayerEngine, prefix_lengths
from rnnscope.inputs import InputBatch
from rnnscope.model.cell import Array
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Signal
from rnnscope.model.states import LayerStates
from rnnscope.running.compute import run_plain
from rnnscope.running.prepared import Prepared


@dataclass
class Carried:
    """A layer between two slices of time.

    Attributes
    ----------
    first : mapping of str to ndarray (sequence, width)
        The state before the first step, as far as it is not zero.
    state : mapping of str to ndarray (sequence, width)
        What the next slice starts from.
    held : ndarray (sequence, output) or None
        The last output, which the rule ``hold`` repeats.
    pending : ndarray of bool (sequence,) or None
        Sequences with a reset that waits for a step that counts.
    """

    first: Mapping[str, Array]
    state: Mapping[str, Array]
    held: Array | None = None
    pending: Array | None = None


@dataclass(frozen=True, eq=False)
class Ran:
    """What a recurrent node made of a slice of time: x (sequence, timestep, input) and states."""

    x: Array
    states: LayerStates


class ChunkedRun:
    """A run that takes its timesteps as they come.

    Parameters
    ----------
    prepared : Prepared
    nodes : iterable of Node
        Each after all that it reads.
    engines : mapping of str to LayerEngine
        By recurrent node.
    batch : InputBatch
        Of `rows`: their initial states.
    rows : slice

    Attributes
    ----------
    carried : dict of str to Carried
        By recurrent node; whoever simulates another streamer changes it between two slices.
    """

    def __init__(
        self,
        prepared: Prepared,
        nodes: Iterable[Node],
        engines: Mapping[str, LayerEngine],
        batch: InputBatch,
        rows: slice,
    ) -> None:
        self._prepared, self._nodes, self._engines = prepared, tuple(nodes), engines
        self._rows = rows
        self.carried: dict[str, Carried] = {}
        for node in self._nodes:
            if node.recurrent is not None:
                first = prepared.initial(node, batch, rows, {})
                self.carried[node.name] = Carried(first, first)

    def advance(self, signals: Mapping[str, Signal], marked: Array | None) -> dict[str, Ran]:
        """Run every node over the next slice of time.

        Parameters
        ----------
        signals : mapping of str to Signal
            What nodes read that are none of the run, over the slice.
        marked : ndarray of bool (sequence, timestep) or None
            Resets of the slice, as the input has them.

        Returns
        -------
        dict of str to Ran
            By recurrent node.
        """
        known = dict(signals)
        ran: dict[str, Ran] = {}
        for node in self._nodes:
            reads = [known[name] for name in node.reads]
            if not isinstance(node.layer, RecurrentLayer):
                known[node.name] = run_plain(self._prepared, node, node.layer.at(self._rows), reads)
                continue
            ran[node.name] = self._run_layer(node, node.layer, reads[0], marked)
            known[node.name] = Signal(ran[node.name].states.outputs, reads[0].mask)
        return ran

    def _run_layer(
        self, node: Node, layer: RecurrentLayer, signal: Signal, marked: Array | None
    ) -> Ran:
        carried = self.carried[node.name]
        x = np.ascontiguousarray(signal.values, dtype=layer.cell.dtype)
        resets, carried.pending = self._prepared.resets(
            layer, marked, signal.mask, carried.first, carried.pending
        )
        states = self._engines[node.name].run(
            x, signal.mask, prefix_lengths(signal.mask), carried.state, carried.held, resets=resets
        )
        carried.state = dict(states.final)
        carried.held = states.outputs[:, -1].copy() if x.shape[1] else carried.held
        return Ran(x, states)
