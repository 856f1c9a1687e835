"""What stands in front of a recurrent node: as it was read, op by op, or refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnnscope.checkpoints.onnx.evaluation.evaluator import MisfitError, OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.network_values import NetworkValues
from rnnscope.checkpoints.onnx.evaluation.trial import ModelInputs, Trial
from rnnscope.checkpoints.onnx.graph.nodes import OnnxNode
from rnnscope.checkpoints.onnx.network.pieces import Piece, Pieces
from rnnscope.checkpoints.onnx.network.recurrent import LENGTHS_INPUT
from rnnscope.checkpoints.onnx.network.sources import Source
from rnnscope.checkpoints.onnx.network.whole_time import WHOLE_TIME, are_whole_time
from rnnscope.checkpoints.onnx.network.wiring import BuiltNode, OnnxWiring
from rnnscope.checkpoints.onnx.proof.operator import difference, in_order, limit_of
from rnnscope.model.cell import Array, Option
from rnnscope.model.layers import Unsupported
from rnnscope.model.layers.elementwise import LastStep
from rnnscope.model.layers.evaluated import EvaluatedMask, EvaluatedPiece
from rnnscope.model.lengths_source import LENGTHS_UNUSED, LengthsSource
from rnnscope.model.network import Node
from rnnscope.model.ops import EvaluationError
from rnnscope.model.recurrent_layer import RecurrentLayer

MAX_FRONT_WORK = 20_000_000_000
"""Multiplications that a front may take which is known in no other way: convolutions of images."""


class Fronts:
    """Settles what recurrent nodes read, their lengths among it.

    Parameters
    ----------
    wiring : OnnxWiring
        Its nodes are changed.
    program : OnnxProgram
    inputs : ModelInputs
    trial : Trial
    values : NetworkValues
    """

    def __init__(
        self,
        wiring: OnnxWiring,
        program: OnnxProgram,
        inputs: ModelInputs,
        trial: Trial,
        values: NetworkValues,
    ) -> None:
        self._wiring = wiring
        self._program = program
        self._inputs = inputs
        self._trial = trial
        self._values = values
        self._pieces = Pieces(program, inputs, trial, wiring.built)
        self._made: dict[str, str] = {}

    @property
    def batch_axes(self) -> Mapping[str, int | None]:
        """The axis of sequences of each input of the model, as far as it is known."""
        return self._pieces.batch_axes

    def settle(self, built: BuiltNode) -> tuple[Array | None, str]:
        """Let the layers of a node read what the graph computes for its X.

        Returns
        -------
        x : ndarray or None
            X in the trial, as the graph has it; None where it cannot be evaluated.
        reason : str
            Why it cannot.
        """
        node = built.node
        try:
            raw = self._in_trial(node.input(0), lambda: self._is_known(self._reads(built)))
            x = in_order(node, raw)
        except EvaluationError as error:
            # What was followed layer by layer stands, unless the graph itself speaks against it.
            tried = isinstance(error, MisfitError) or self._trial.evaluation.work.exhausted
            if not tried or not self._is_known(self._reads(built)):
                self.refuse(built, str(error))
            return None, str(error)
        ours = self._values.value(self._reads(built))
        if ours is not None and difference(ours.values, x) <= limit_of(x):
            return raw, ""
        if node.input(0) not in self._made:
            try:
                piece = self._pieces.of(node.input(0), lambda value: in_order(node, value))
            except EvaluationError as error:
                self.refuse(built, str(error))
                return raw, ""
            self._made[node.input(0)] = self._add(piece)
        self._rewire(built, self._made[node.input(0)])
        return raw, ""

    def _in_trial(self, key: str, is_known: Callable[[], bool]) -> Array:
        """The value of a key; at more cost where the layer is refused without it."""
        try:
            value: Array = self._trial.value(key)
        except EvaluationError:
            work = self._trial.evaluation.work
            if not work.exhausted or is_known():
                raise
            work.allow(MAX_FRONT_WORK)
            value = self._trial.value(key)
        return value

    def _is_known(self, name: str) -> bool:
        """Whether all that a node of the network is made of is computed, layer by layer."""
        pending, seen = [name], set[str]()
        while pending:
            own = pending.pop()
            node = self._wiring.nodes.get(own)
            if own in seen or node is None:
                continue
            seen.add(own)
            if isinstance(node.layer, Unsupported):
                return False
            pending.extend(node.reads)
        return True

    def front_of(self, key: str, laid: Callable[[Array], Array]) -> str:
        """The network's node that hands over a value of the graph; see `Pieces.of`."""
        return self._add(self._pieces.of(key, laid))

    def stop_at(self, source: Source, node: OnnxNode) -> None:
        """Let what stands in front of later layers begin at a value; see `Pieces.stop_at`."""
        self._pieces.stop_at(source, node)

    def settle_lengths(self, built: BuiltNode, trials: Sequence[Callable[[], Trial]]) -> None:
        """Lengths that the graph computes become a layer that makes a mask of them.

        Those that are as many as there are timesteps, whatever the values, are none.
        """
        first = self._wiring.nodes[built.layers[0]].layer
        assert isinstance(first, RecurrentLayer)
        if first.lengths.value.kind not in ("computed", "stored"):
            return
        if are_whole_time(self._program, built.node, trials):
            self._rewire(
                built, self._reads(built), lengths=Option(LENGTHS_UNUSED, "graph", WHOLE_TIME),
                padding=Option("none", "graph", WHOLE_TIME),
            )  # fmt: skip
            for name in built.ends:
                end = self._wiring.nodes[name]
                if isinstance(end.layer, LastStep):
                    self._wiring.nodes[name] = replace(end, layer=replace(end.layer, masked=False))
            return
        if first.lengths.value.kind == "stored":
            return
        key = built.node.input(LENGTHS_INPUT)
        try:
            piece = self._pieces.of(key, lambda value: np.asarray(value, np.int64).ravel())
        except EvaluationError as error:
            reason = f"makes the lengths of '{built.name}' in a way that is not computed: {error}"
            self._stand_in(built, "sequence_lens", reason)
            return
        name = self._wiring.unique(self._maker(key))
        mask = EvaluatedMask(name, piece, ids=self._reads_ids(piece))
        self._wiring.nodes[name] = Node(name, mask, (self._reads(built), *piece.reads))
        words = f"sequence_length '{key}', computed by {piece.cone.ops}"
        lengths = Option(LengthsSource("mask", words), "graph")
        self._rewire(built, name, lengths=lengths)

    def _add(self, piece: Piece) -> str:
        name = self._maker(piece.key)
        before = self._wiring.nodes.get(name)
        if before is None or not isinstance(before.layer, Unsupported):
            name = self._wiring.unique(name)  # else it stood for what is computed now
        layer = EvaluatedPiece(piece.cone.ops, name, piece, self._reads_ids(piece))
        self._wiring.nodes[name] = Node(name, layer, piece.reads)
        return name

    def _reads_ids(self, piece: Piece) -> bool:
        fed = (name for name in piece.cone.inputs if name not in piece.lengths)
        return any(self._inputs.dtype(name).kind in "iu" for name in fed)

    def _maker(self, key: str) -> str:
        producer = self._program.graph.producers.get(key)
        return producer.name if producer is not None else f"{key}/as read"

    def _reads(self, built: BuiltNode) -> str:
        return self._wiring.nodes[built.layers[0]].reads[0]

    def _rewire(self, built: BuiltNode, name: str, **changes: Any) -> None:
        for own in built.layers:
            node = self._wiring.nodes[own]
            layer = node.layer
            if changes and isinstance(layer, RecurrentLayer):
                layer = replace(layer, **changes)
            self._wiring.nodes[own] = replace(node, reads=(name,), layer=layer)

    def refuse(self, built: BuiltNode, reason: str) -> None:
        """Let a node read a stand-in that names what is not computed."""
        before = self._wiring.nodes.get(self._reads(built))
        kind = built.node.op
        if before is not None and isinstance(before.layer, Unsupported):
            kind = before.layer.kind
        producer = self._program.graph.producers.get(built.node.input(0))
        if before is None and producer is not None:
            kind = producer.op
        self._stand_in(built, kind, f"is not computed: {reason}")

    def _stand_in(self, built: BuiltNode, kind: str, reason: str) -> None:
        reads = self._reads(built)
        before = self._wiring.nodes.get(reads)
        if before is not None and isinstance(before.layer, Unsupported):
            layer = Unsupported(before.layer.kind, before.name, reason)
            self._wiring.nodes[before.name] = replace(before, layer=layer)
            return
        name = self._wiring.unique(f"{built.name}/X")
        self._wiring.nodes[name] = Node(name, Unsupported(kind, name, reason), (reads,))
        self._rewire(built, name)
