"""What an ONNX model makes of the outputs of its recurrent layers: logits, probabilities, scores.

The network of a checkpoint ends at its recurrent layers, since a run computes states. What the file
holds behind them is evaluated here, op by op, for those who have nothing else to compare with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rnnscope.checkpoints.later_results import Sample, agree, later_result
from rnnscope.checkpoints.onnx.evaluation.control import CONTROL
from rnnscope.checkpoints.onnx.evaluation.evaluator import OnnxProgram
from rnnscope.checkpoints.onnx.evaluation.trial import Sizes, Trial
from rnnscope.checkpoints.onnx.graph.cone import Cone, first_not_computed
from rnnscope.checkpoints.onnx.graph.nodes import OnnxGraph
from rnnscope.checkpoints.onnx.network.fronts import MAX_FRONT_WORK
from rnnscope.checkpoints.onnx.network.layer_outputs import LayerOutputs
from rnnscope.checkpoints.onnx.network.pieces import COMPUTED
from rnnscope.checkpoints.onnx.network.recurrent import RECURRENT
from rnnscope.checkpoints.onnx.network.sources import ends_source, input_source, outputs_source
from rnnscope.checkpoints.onnx.network.tails import SizedInput, Tail, TailSource
from rnnscope.checkpoints.onnx.network.wiring import BuiltNode, OnnxWiring
from rnnscope.checkpoints.onnx.proof.whole_graph import Settled
from rnnscope.model.layers.elementwise import LastStep
from rnnscope.model.network import Node
from rnnscope.model.ops import EvaluationError
from rnnscope.model.signal import Signal

MOVING = (
    "Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze",
)  # fmt: skip
"""Operators that leave values as they are."""

_PLAIN = {*MOVING, "Concat", "Expand", "Gather", "GatherElements", "GatherND", "Pad",
          "ReverseSequence", "Slice", "Split", "Tile"}  # fmt: skip
"""Operators that put values together, take them apart and bring them into another order."""

ENDS = ("ArgMax", "Exp", "Log", "LogSoftmax", "Sigmoid", "Softmax", "TopK")
"""Operators that models end with and programs may leave out, or people compare in front of."""


def later_results(wiring: OnnxWiring, program: OnnxProgram, settled: Settled) -> tuple[Node, ...]:
    """Nodes that compute what a model returns behind its recurrent layers.

    Parameters
    ----------
    wiring : OnnxWiring
    program : OnnxProgram
    settled : Settled
        What became of the layers.
    """
    return tuple(_Tails(wiring, program, settled).nodes())


class _Tails:
    def __init__(self, wiring: OnnxWiring, program: OnnxProgram, settled: Settled) -> None:
        self._wiring = wiring
        self._program = program
        self._inputs = settled.inputs
        self._trials = list(_trials(program, settled))
        self._built = [one for one in wiring.built if self._runs(one)]
        network = wiring.network()
        self._taken = {*network.inputs, *network.by_name}
        self._sources: dict[str, TailSource] = {}
        for built in self._built:
            self._add_sources(built)
        self._stops = {key for one in self._built for key in one.node.outputs if key}
        self._cells = settled.graph_cells
        self._outputs = LayerOutputs(self._built, self._cells)
        self._results = _results(program.graph)
        if self._trials and self._cells:
            self._find_outputs(self._trials[0])

    def _runs(self, built: BuiltNode) -> bool:
        return all(self._wiring.nodes[name].recurrent for name in built.layers)

    def _add_sources(self, built: BuiltNode) -> None:
        outputs, ends = outputs_source(built), ends_source(built)
        self._sources[outputs.key] = TailSource(outputs.key, built.layers, outputs.laid)
        picks = [self._wiring.nodes[name].layer for name in built.ends]
        self._sources[ends.key] = TailSource(
            ends.key, built.layers, ends.laid,
            tuple(pick for pick in picks if isinstance(pick, LastStep)),
        )  # fmt: skip
        self._sources.pop("", None)

    def _find_outputs(self, trial: Trial) -> None:
        """The values of the graph that are what its graph cells return, nearest to the results."""
        graph = self._program.graph
        try:
            outputs = self._outputs.of_graph_cells(trial)
        except EvaluationError:
            return
        pending, seen = list(self._results), {*self._stops, *self._inputs.graph.inputs}
        while pending:
            key = pending.pop()
            if not key or key in seen or key in self._program.stored:
                continue
            seen.add(key)
            for name, signal in outputs.items():
                source = self._as_outputs(trial, key, name, signal)
                if source is not None:
                    self._sources[key] = source
                    self._stops.add(key)
                    break
            else:
                pending.extend(graph.producers[key].inputs if key in graph.producers else ())

    def _as_outputs(self, trial: Trial, key: str, name: str, signal: Signal) -> TailSource | None:
        """A value as the outputs of a layer or as their last step; None if it is neither."""
        try:
            value = trial.value(key)
        except EvaluationError:
            return None
        if isinstance(value, list):
            return None
        layer = self._wiring.nodes[name].recurrent
        assert layer is not None
        pick = LastStep(layer.backward.value, masked=layer.padding.value != "none")
        if agree(value, signal.values.swapaxes(0, 1)):
            return TailSource(key, (name,), lambda arrays: arrays[0].swapaxes(0, 1))
        if agree(value, signal.values):
            return TailSource(key, (name,), lambda arrays: arrays[0])
        if agree(value, pick(signal).values):
            return TailSource(key, (name,), lambda arrays: arrays[0], (pick,))
        return None

    def nodes(self) -> Iterator[Node]:
        for key in self._results:
            node = self._node_or_none(key)
            if node is not None:
                yield node

    def _node_or_none(self, key: str) -> Node | None:
        try:
            return self._node(key)
        except EvaluationError:
            return None

    def _node(self, key: str) -> Node:
        tail, kind = self._tail(key)
        samples = list(self._samples(tail))
        if samples:
            known = list(self._outputs.known(self._trials[0]))
        else:
            samples = [self._made_up(tail)]
            known = [signal.values for signal in samples[0].signals]
        layer = later_result(key, kind, tail, samples, known)
        return Node(self._unique(key), layer, tail.reads)

    def _unique(self, name: str) -> str:
        """A name that nothing in the network has."""
        found, number = name, 2
        while found in self._taken:
            found, number = f"{name}_{number}", number + 1
        self._taken.add(found)
        return found

    def _tail(self, key: str) -> tuple[Tail, str]:
        """A value as a function of layers' outputs, and the ops that make it."""
        program = self._program
        cone = Cone.of(key, program.graph, program.stored, self._stops, sizes_apart=True)
        missing = first_not_computed(cone, _PURE)
        if missing:
            raise EvaluationError(missing)
        if not cone.made:
            raise EvaluationError("no recurrent layer is behind it")
        if self._cells and cone.inputs:
            raise EvaluationError("it may hold a recurrence itself")
        for name in cone.made:
            if name not in self._sources:
                raise EvaluationError(f"it reads a final c, '{name}'")
        sources = [self._sources[name] for name in cone.made]
        if _PLAIN.issuperset(cone.passed):
            raise EvaluationError("it moves what layers return")
        lengths = tuple(name for name in cone.inputs if name in self._inputs.lengths)
        sources += [self._input(name) for name in cone.inputs if name not in lengths]
        sized = tuple(self._sized(name) for name in cone.sized if name not in lengths)
        return Tail(program, key, tuple(sources), lengths, sized), cone.ops

    def _input(self, name: str) -> TailSource:
        """An input of the model that a layer of the network reads, too."""
        roles = self._inputs.roles.get(name, ())
        read = any(name in node.reads for node in self._wiring.nodes.values() if node.recurrent)
        if not read or tuple(roles) not in _ORDERS:
            raise EvaluationError(f"it depends on the model's input '{name}'")
        source = input_source(name, roles.index("batch"), self._inputs.dtype(name))
        return TailSource(name, (name,), source.laid)

    def _sized(self, name: str) -> SizedInput:
        if not self._trials:
            raise EvaluationError(f"it depends on the shape of the model's input '{name}'")
        shape = np.shape(self._trials[0].bound[name])
        roles = list(self._inputs.roles.get(name, ()))
        places = {role: roles.index(role) if role in roles else None for role in ("batch", "time")}
        open_axes = {
            axis for axis, size in enumerate(self._inputs.dims(name) or [""] * len(shape))
            if isinstance(size, str)
        }  # fmt: skip
        if open_axes - set(places.values()):
            raise EvaluationError(f"it depends on the shape of the model's input '{name}'")
        return SizedInput(name, shape, places["batch"], places["time"])

    def _samples(self, tail: Tail) -> Iterator[Sample]:
        """What the whole graph makes of random inputs; of the second ones if it can take them."""
        for trial in self._trials:
            try:
                value = trial.value(tail.key)
                signals = self._outputs.of_all(trial)
            except EvaluationError:
                return
            made = [
                signals[name] if name in signals else self._fed(trial, name) for name in tail.reads
            ]
            yield Sample(tuple(made), np.asarray(value))

    def _made_up(self, tail: Tail) -> Sample:
        """Random outputs, where what stands in front takes no input that is made up.

        The operators behind the layers are evaluated as they would be with the rest.

        Raises
        ------
        EvaluationError
        """
        nodes = {name: self._wiring.nodes.get(name) for name in tail.reads}
        rng = np.random.default_rng(0)
        failure = EvaluationError("it reads an input of the model")
        for sequences, timesteps in MADE_UP:
            signals = []
            for node in nodes.values():
                layer = None if node is None else node.recurrent
                if layer is None:
                    raise failure
                shape = (sequences, timesteps, layer.output_size)
                values = rng.uniform(-1, 1, shape).astype(layer.cell.dtype)
                masked = layer.padding.value != "none"
                signals.append(Signal(values, np.ones(shape[:2], bool) if masked else None))
            try:
                return Sample(tuple(signals), tail(tuple(signals)))
            except EvaluationError as error:
                failure = error
        raise failure

    def _fed(self, trial: Trial, name: str) -> Signal:
        roles = self._inputs.roles[name]
        order = [roles.index(role) for role in ("batch", "time", "feature")]
        return Signal(np.transpose(trial.bound[name], order))


_PURE = COMPUTED.difference(RECURRENT, CONTROL)
"""Operators without a recurrence of their own."""

MADE_UP = ((2, 3), (1, 3), (1, 1))
"""Sequences and timesteps of outputs that are made up."""

_ORDERS = (("batch", "time", "feature"), ("time", "batch", "feature"))


def _trials(program: OnnxProgram, settled: Settled) -> Iterator[Trial]:
    """The trial that layers were proved with, and one of other sizes."""
    if settled.trial is None:
        return
    settled.trial.evaluation.work.allow(MAX_FRONT_WORK)
    yield settled.trial
    try:
        other = Trial(program, settled.inputs, Sizes(3, 4), seed=1)
    except EvaluationError:
        return
    other.evaluation.work.allow(MAX_FRONT_WORK)
    yield other


def _results(graph: OnnxGraph) -> Sequence[str]:
    """What the model returns, and what it does so of by a last step that others may leave out."""
    found: dict[str, None] = {}
    for key in graph.outputs:
        found[key] = None
        last = graph.producers.get(graph.behind(key, MOVING))
        while last is not None and last.op in ENDS and last.input(0):
            found[last.input(0)] = None
            last = graph.producers.get(graph.behind(last.input(0), MOVING))
    return list(found)
