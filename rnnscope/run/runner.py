"""Running a plan: slices of sequences in, states of every timestep out, checked on the way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rnnscope.cell import Array
from rnnscope.cells import CELLS
from rnnscope.checks import merge, run_checks
from rnnscope.checks.interface import Finding, LayerFacts, LayerSlice
from rnnscope.checks.verdict import PaddingSummary
from rnnscope.engines.interface import LayerStates
from rnnscope.engines.numpy_engine import run_layer
from rnnscope.errors import InputError
from rnnscope.inputs import InputBatch, InputSource
from rnnscope.network import Node, RecurrentLayer, Signal
from rnnscope.report.json_report import plain
from rnnscope.report.model import VerifyReport
from rnnscope.run.plan import Plan
from rnnscope.trace import LayerHeader, TraceWriter

BATCH_BYTES = 64 * 2**20
"""What the arrays of one slice of sequences may take, all layers together."""

Progress = Callable[[int], None]
"""Called with the number of sequences done since the last call."""


class Verifier(Protocol):
    """Another engine that computes the same layers, for comparison."""

    name: str

    def compare(
        self, node: Node, x: Array, mask: Array | None, initial: Mapping[str, Array],
        states: LayerStates,
    ) -> None: ...

    def rows(self) -> tuple[VerifyReport, ...]: ...  # fmt: skip


@dataclass(frozen=True)
class RunResult:
    """What a run found beside the trace.

    Attributes
    ----------
    findings : tuple of Finding
        Merged over all slices, in the order of layers, then CHECKS.
    padding : tuple of (layer, verdict)
    notes : tuple of str
    seconds : float
        Wall-clock time from the first slice read to the last written.
    steps : int
        Timesteps of single sequences, over all layers.
    """

    findings: tuple[Finding, ...]
    padding: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    seconds: float
    steps: int


def run_plan(
    plan: Plan,
    source: InputSource,
    open_writer: Callable[[list[LayerHeader], bool, bool], TraceWriter],
    *,
    gates: bool = False,
    verifier: Verifier | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Run a plan over its input and write the trace.

    Parameters
    ----------
    plan : Plan
    source : InputSource
    open_writer : callable
        ``open_writer(layer_headers, has_lengths, has_mask) -> TraceWriter``.
    gates : bool
        Keep the gates, too.
    verifier : Verifier, optional
    progress : callable, optional

    Returns
    -------
    RunResult

    Raises
    ------
    InputError
        Initial states or lengths do not fit the layers.
    """
    return _Run(plan, source, gates, verifier).run(open_writer, progress)


class _Run:
    def __init__(
        self, plan: Plan, source: InputSource, gates: bool, verifier: Verifier | None
    ) -> None:
        self._plan = plan
        self._source = source
        self._gates = gates
        self._verifier = verifier
        self._notes: dict[str, None] = {}
        self._shapes = self._shape_pass()
        self._facts = {node.name: layer_facts(node) for node in plan.layers}
        self._findings: list[Finding] = []
        self._padding = {name: PaddingSummary(facts) for name, facts in self._facts.items()}
        self._initial_by_layer = self._assign_initial()
        self._lengths = self._choose_lengths()
        self._mention_assumptions()

    def run(
        self,
        open_writer: Callable[[list[LayerHeader], bool, bool], TraceWriter],
        progress: Progress | None,
    ) -> RunResult:
        headers = [self._header(node) for node in self._plan.nodes if self._kept(node)]
        has_lengths = self._lengths is not None
        has_mask = self._has_mask()
        started = time.perf_counter()
        with open_writer(headers, has_lengths, has_mask) as writer:
            for sequences in self._slices():
                batch = self._source.read(sequences)
                self._run_slice(writer, batch, sequences, has_mask)
                if progress is not None:
                    progress(sequences.stop - sequences.start)
            findings = self._in_order()
            writer.set_checks(_findings_json(findings))
        seconds = time.perf_counter() - started
        steps = sum(self._shapes[node.name][1] for node in self._plan.layers)
        return RunResult(
            findings=findings,
            padding=tuple((name, summary.text()) for name, summary in self._padding.items()),
            notes=tuple(self._notes),
            seconds=seconds,
            steps=steps * self._source.sequences,
        )

    def _run_slice(
        self, writer: TraceWriter, batch: InputBatch, sequences: slice, has_mask: bool
    ) -> None:
        mask = batch.mask
        lengths = batch.lengths
        if self._lengths is not None and lengths is None:
            lengths = self._lengths[sequences]
            mask = np.arange(self._source.timesteps) < lengths[:, None]
        signals = dict.fromkeys(self._plan.entries, Signal(batch.values, mask))
        final: dict[str, LayerStates] = {}
        common = mask
        for node in self._plan.nodes:
            reads = [signals[name] for name in node.inputs if name in signals]
            if not reads:
                reads = [signals[node.name]]
            if not isinstance(node.layer, RecurrentLayer):
                signals[node.name] = self._compute(node, reads)
                if self._kept(node):
                    writer.write_outputs(node.name, signals[node.name].values, sequences)
                continue
            layer, signal = node.layer, reads[0]
            if common is None:
                common = signal.mask
            x = np.ascontiguousarray(signal.values, dtype=layer.cell.dtype)
            initial = self._initial(node, batch, final)
            states = run_layer(layer, x, signal.mask, initial, gates=self._gates)
            final[node.name] = states
            signals[node.name] = _handed_on(layer, states, signal.mask)
            writer.write_layer(node.name, states, sequences)
            self._look(node, states, signal.mask, lengths, batch, sequences)
            if self._verifier is not None:
                self._verifier.compare(node, x, signal.mask, initial, states)
        writer.write_common(
            sequences, lengths, common if has_mask else None, batch.input_steps
        )

    def _compute(self, node: Node, reads: list[Signal]) -> Signal:
        layer = node.layer
        assert not isinstance(layer, RecurrentLayer)
        values = [
            Signal(_as_floats(signal.values, self._plan), signal.mask)
            if layer.kind != "Embedding"
            else signal
            for signal in reads
        ]
        made = layer(*values)
        given = reads[0].mask
        if layer.kind in ("Masking", "Embedding") and made.mask is not None and given is not None:
            differing = int(np.count_nonzero(made.mask != given))
            if differing:
                self._notes.setdefault(
                    f"The file's layer '{node.name}' makes its own mask; the lengths or mask given "
                    f"differ from it (at {differing} steps of the first slice) and were not used."
                )
        if made.mask is None and given is not None and layer.kind == "Embedding":
            made = Signal(made.values, given)
        return made

    def _look(
        self, node: Node, states: LayerStates, mask: Array | None, lengths: Array | None,
        batch: InputBatch, sequences: slice,
    ) -> None:  # fmt: skip
        """Check a slice while it is at hand."""
        direct = node.name in self._plan.from_input
        view = LayerSlice(
            facts=self._facts[node.name],
            states=states,
            lengths=lengths if mask is not None and mask.shape[1] == self._source.timesteps else None,
            mask=mask,
            input_steps=batch.input_steps if direct and not self._source.is_ids else None,
            first_sequence=sequences.start,
        )
        self._findings = merge([*self._findings, *run_checks(view)])
        self._padding[node.name].add(view)

    def _in_order(self) -> tuple[Finding, ...]:
        order = {node.name: number for number, node in enumerate(self._plan.layers)}
        return tuple(sorted(self._findings, key=lambda finding: order[finding.layer]))

    def _initial(
        self, node: Node, batch: InputBatch, final: Mapping[str, LayerStates]
    ) -> dict[str, Array]:
        layer = node.layer
        assert isinstance(layer, RecurrentLayer)
        initial = dict(layer.initial_values)
        if layer.initial_from is not None and layer.initial_from in final:
            initial.update(final[layer.initial_from].final)
        key = self._initial_by_layer.get(node.name)
        if key is not None:
            initial.update(batch.initial[key])
        return initial

    def _assign_initial(self) -> dict[str, str]:
        """Which given initial states are whose: by layer name, or the only layer's."""
        given = self._source.initial
        names = [node.name for node in self._plan.layers]
        assigned: dict[str, str] = {}
        for key, states in given.items():
            if not key and len(names) != 1:
                raise InputError(
                    "Initial states without a layer's name were given for several layers.",
                    where=self._source.name,
                    expected=", ".join(f"{name}/initial_c" for name in names),
                    found="initial_c, initial_m",
                    hint="name the arrays by layer, or choose one layer with --layer",
                )
            name = key or names[0]
            if name not in names:
                raise InputError(
                    "An initial state is given for a layer that is not run.",
                    where=self._source.name,
                    expected=f"one of {', '.join(names)}",
                    found=name,
                )
            node = next(node for node in self._plan.layers if node.name == name)
            assert node.recurrent is not None
            widths = CELLS[node.recurrent.cell.kind].widths(node.recurrent.cell)
            for state, array in states.items():
                if state not in widths or array.shape[-1] != widths[state]:
                    raise InputError(
                        "An initial state does not fit its layer.",
                        where=f"initial_{state} of layer '{name}'",
                        expected=", ".join(f"{key}: width {w}" for key, w in widths.items()),
                        found=f"{state}: shape {array.shape}",
                    )
            assigned[name] = key
        return assigned

    def _choose_lengths(self) -> Array | None:
        """Lengths as given; else those that are a constant of the stored graph, if they fit."""
        if self._source.lengths is not None or self._source.mask is not None:
            return self._source.lengths
        for node in self._plan.layers:
            stored = node.recurrent.stored_lengths if node.recurrent else None
            if stored is None:
                continue
            fits = stored.shape == (self._source.sequences,) and bool(
                np.all((stored >= 0) & (stored <= self._source.timesteps))
            )
            if fits:
                self._notes.setdefault(
                    f"Lengths {stored.tolist()} are a constant of the graph and were used."
                )
                return stored.astype(np.int64)
            self._notes.setdefault(
                f"The graph holds the lengths {stored.tolist()}, which do not fit this input: "
                "every step was computed. Give others with --lengths."
            )
        return None

    def _mention_assumptions(self) -> None:
        for node in self._plan.layers:
            layer = node.recurrent
            assert layer is not None
            uses = layer.padding.value != "none"
            wanted = layer.lengths.value.startswith("sequence_length from")
            if uses and wanted and self._lengths is None and self._source.mask is None:
                self._notes.setdefault(
                    f"The graph takes {layer.lengths.value}; none were given, so that every "
                    f"sequence counts as {self._source.timesteps} steps long (--lengths)."
                )
            fed = "placeholder" in layer.initial_state.value or " op " in layer.initial_state.value
            if fed and node.name not in self._initial_by_layer:
                self._notes.setdefault(
                    f"'{node.name}' starts from {layer.initial_state.value} in the graph; no "
                    "initial_c and initial_m were given, so that it starts from zeros here."
                )
            for option, value in layer.cell.options.items():
                if value.origin in ("class default", "guess"):
                    self._notes.setdefault(
                        f"'{node.name}': {option} {value.value} is a {value.origin}: the file does "
                        "not hold it."
                    )
            if np.dtype(self._source.dtype).itemsize > layer.cell.dtype.itemsize and (
                self._source.dtype.kind == "f"
            ):
                self._notes.setdefault(
                    f"The input is {self._source.dtype} and was narrowed to {layer.cell.dtype}, "
                    "the dtype of the weights."
                )

    def _shape_pass(self) -> dict[str, tuple[int, ...]]:
        """The shape of every node's result, found with one sequence of zeros.

        Recurrent layers are not run for it; the plain ones are, on zeros, which costs little.
        """
        source = self._source
        width = () if source.is_ids else (source.features or 0,)
        dtype = source.dtype if source.is_ids else np.dtype(np.float32)
        zeros = np.zeros((1, source.timesteps, *width), dtype)
        mask = None
        if source.lengths is not None or source.mask is not None:
            mask = np.ones((1, source.timesteps), bool)
        signals = dict.fromkeys(self._plan.entries, Signal(zeros, mask))
        shapes: dict[str, tuple[int, ...]] = {}
        self._masked = False
        for node in self._plan.nodes:
            reads = [signals[name] for name in node.inputs if name in signals]
            reads = reads or [signals[node.name]]
            if isinstance(node.layer, RecurrentLayer):
                cell = node.layer.cell
                shape = reads[0].values.shape
                if len(shape) != 3 or shape[2] != cell.input_size:
                    raise InputError(
                        "What a layer would receive does not fit it.",
                        where=f"layer '{node.name}', which reads {', '.join(node.inputs)}",
                        expected=f"(sequence, timestep, {cell.input_size})",
                        found=f"(sequence, {', '.join(map(str, shape[1:]))})",
                        hint="something between the layers is not read; run them one at a time "
                        "with --layer, each with its own input",
                    )
                shapes[node.name] = (1, shape[1], cell.output_size)
                self._masked = self._masked or reads[0].mask is not None
                out = (1, shape[1], cell.output_size)
                made = np.zeros(out if node.layer.return_sequences else (out[0], out[2]), cell.dtype)
                signals[node.name] = Signal(
                    made, reads[0].mask if node.layer.return_sequences else None
                )
            else:
                signals[node.name] = node.layer(*reads)
                shapes[node.name] = signals[node.name].values.shape
        return shapes

    def _has_mask(self) -> bool:
        """Whether the trace keeps a mask: lengths alone say the same in fewer bytes."""
        return self._source.mask is not None or (self._masked and self._lengths is None)

    def _kept(self, node: Node) -> bool:
        """Whether a node has a group in the trace: recurrent ones, and merges of directions."""
        merged = node.layer.kind == "Bidirectional" if not node.recurrent else False  # type: ignore[union-attr]
        return bool(node.recurrent) or (merged and len(self._shapes[node.name]) == 3)

    def _header(self, node: Node) -> LayerHeader:
        shape = self._shapes[node.name]
        steps = None if shape[1] == self._source.timesteps else shape[1]
        layer = node.recurrent
        if layer is None:
            return LayerHeader(
                node.name, shape[2], timesteps=steps, inputs=node.inputs, wiring=node.wiring,
                dtype=next(iter(self._plan.layers)).recurrent.cell.dtype.name,  # type: ignore[union-attr]
            )  # fmt: skip
        cell = CELLS[layer.cell.kind]
        options: dict[str, tuple[Any, str]] = {
            name: (option.value, option.origin) for name, option in layer.cell.options.items()
        }
        for name in ("backward", "padding", "lengths", "initial_state", "state_format"):
            option = getattr(layer, name)
            options[name] = (option.value, option.origin)
        return LayerHeader(
            name=node.name,
            output_size=layer.cell.output_size,
            widths=cell.widths(layer.cell),
            dtype=layer.cell.dtype.name,
            timesteps=steps,
            gates=cell.gates if self._gates else (),
            facts=self._facts[node.name],
            options=options,
            source_class=layer.cell.source_class,
            stored_gate_order=layer.cell.stored_gate_order,
            wiring=node.wiring,
            variables=layer.cell.variables,
            inputs=node.inputs,
            reads_input=node.name in self._plan.from_input,
        )

    def _slices(self) -> Iterator[slice]:
        """Slices of sequences whose arrays fit `BATCH_BYTES`."""
        size = 0
        for node in self._plan.nodes:
            _, *rest = self._shapes[node.name]
            width = rest[-1]
            if node.recurrent:
                cell = node.recurrent.cell
                kept = 4 * cell.num_units * (2 if self._gates else 1)
                width = kept + cell.num_units + 2 * cell.output_size
            size += width * (rest[0] if len(rest) > 1 else 1) * 8
        rows = max(1, min(self._source.sequences, BATCH_BYTES // max(1, size)))
        for first in range(0, self._source.sequences, rows):
            yield slice(first, min(first + rows, self._source.sequences))


def layer_facts(node: Node) -> LayerFacts:
    """What checks may know of a layer."""
    layer = node.recurrent
    assert layer is not None
    return LayerFacts(
        name=node.name,
        cell=layer.cell.kind,
        backward=layer.backward.value,
        reversal=layer.reversal,
        padding=layer.padding.value,
        m_bound=CELLS[layer.cell.kind].m_bound(layer.cell),
        outputs_in_input_order=layer.outputs_in_input_order,
    )


def _handed_on(layer: RecurrentLayer, states: LayerStates, mask: Array | None) -> Signal:
    """What the next layer receives: every output with the mask, or the last output without."""
    if layer.return_sequences:
        return Signal(states.outputs, mask)
    return Signal(states.final["m"])


def _as_floats(values: Array, plan: Plan) -> Array:
    """Integers and half floats in the dtype of the first layer's weights."""
    if values.dtype in (np.float32, np.float64):
        return values
    cell = plan.layers[0].recurrent
    assert cell is not None
    return values.astype(cell.cell.dtype)


def _findings_json(findings: tuple[Finding, ...]) -> str:
    return json.dumps(plain(findings), allow_nan=False)
