"""The run of a trace done again, slice by slice: each sequence alone, in float64, by an engine."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.checkpoints import read_checkpoint
from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.engines.choose import LayerEngine
from rnnscope.engines.workspace import Workspace
from rnnscope.errors import InputError
from rnnscope.files.hashing import files_sha256
from rnnscope.inputs import InputBatch, InputSource, open_input
from rnnscope.model.cell import Array, CellSpec
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.states import LayerStates
from rnnscope.model.verification import KernelDifference, Verifier
from rnnscope.run import LayerOptions, override_options, plan_run
from rnnscope.run.compute import Computed, compute_slice
from rnnscope.run.overrides import CELL_OPTIONS, Given
from rnnscope.run.prepare import Prepared, prepare
from rnnscope.trace import Trace


@dataclass(frozen=True)
class Origins:
    """Where the run of a trace can be done again from.

    Attributes
    ----------
    checkpoint : Path
    inputs : str
        What `open_input` takes. Lengths and mask are those of the trace.
    model_input : bool
    verify : str or None
        A key of `rnnscope.oracles.verifiers.VERIFIERS`.
    layout : str or None
        As of `read_checkpoint`.
    """

    checkpoint: Path
    inputs: str
    model_input: bool = False
    verify: str | None = None
    layout: str | None = None


@dataclass
class Recomputation:
    """A run that can be done again; `open_recomputation` makes one.

    Attributes
    ----------
    notes : tuple of str
        What does not fit the trace, one sentence each.
    """

    trace: Trace
    source: InputSource
    prepared: Prepared
    verifier: Verifier | None = None
    notes: tuple[str, ...] = ()
    _wide: Prepared | None = field(default=None, repr=False)

    def again(self, rows: slice) -> dict[str, Computed]:
        """Every layer as it was run, by name; results are the caller's to keep."""
        return self._compute(self.prepared, self.source.read(rows), rows)

    def wide(self, rows: slice) -> dict[str, LayerStates]:
        """Every layer in float64, from an input of the precision that the run saw."""
        if self._wide is None:
            self._wide = _widened(self.prepared)
        batch = self.source.read(rows)
        first = self.prepared.plan.layers[0].recurrent
        assert first is not None
        if batch.values.dtype.kind == "f":
            batch = replace(batch, values=batch.values.astype(first.cell.dtype))
        found = self._compute(self._wide, batch, rows)
        return {name: computed.states for name, computed in found.items()}

    def alone(self, rows: slice) -> dict[str, LayerStates]:
        """Each sequence by itself, cut after its last valid step.

        States have the shape of the whole slice; past the last valid step they are zero.
        """
        batch = self.source.read(rows)
        found: dict[str, dict[str, Array]] = {}
        count = rows.stop - rows.start
        for row in range(count):
            one = _one(batch, row)
            if not one.values.shape[1]:
                continue
            at = slice(rows.start + row, rows.start + row + 1)
            for name, computed in self._compute(self.prepared, one, at).items():
                timesteps = self.trace.layer(name).timesteps or self.trace.timesteps
                arrays = found.setdefault(name, {})
                for state, values in computed.states.states.items():
                    shape = (count, timesteps, values.shape[2])
                    whole = arrays.setdefault(state, np.zeros(shape, values.dtype))
                    whole[row, : values.shape[1]] = values[0, :timesteps]
        return {name: LayerStates(arrays, np.empty(0), {}, {}) for name, arrays in found.items()}

    def verify(self, computed: Computed, states: LayerStates) -> tuple[KernelDifference, ...]:
        """What the other engine says of the states of a slice, and of those before it."""
        if self.verifier is None:
            return ()
        layer = computed.node.recurrent
        if layer is not None and layer.cell.kind == "lstm":
            self.verifier.compare(
                computed.node, computed.x, computed.mask, computed.initial, states
            )
        return self.verifier.rows()

    def _compute(self, prepared: Prepared, batch: InputBatch, rows: slice) -> dict[str, Computed]:
        engines = {
            node.name: LayerEngine(node.recurrent, engine="numpy")
            for node in prepared.plan.layers
            if node.recurrent is not None
        }
        # Fresh memory: results of several slices are alive at once.
        workspaces = {name: Workspace() for name in engines}
        known = {header.name for header in self.trace.layers}
        return {
            one.node.name: one
            for one in compute_slice(prepared, engines, batch, rows, workspaces)
            if isinstance(one, Computed) and one.node.name in known
        }


def _one(batch: InputBatch, row: int) -> InputBatch:
    """One sequence of a batch, as long as its last valid step."""
    part = slice(row, row + 1)
    mask = None if batch.mask is None else batch.mask[part]
    end = batch.values.shape[1]
    if mask is not None:
        end = int(np.flatnonzero(mask[0])[-1]) + 1 if mask.any() else 0
        mask = mask[:, :end]
    initial = {
        layer: {state: array[part] for state, array in states.items()}
        for layer, states in batch.initial.items()
    }
    values = np.ascontiguousarray(batch.values[part, :end])
    return InputBatch(values, np.array([end]), mask, initial, None)


def _widened(prepared: Prepared) -> Prepared:
    nodes = {node.name: _wide_node(node) for node in prepared.plan.nodes}
    plan = replace(
        prepared.plan,
        nodes=tuple(nodes.values()),
        layers=tuple(nodes[node.name] for node in prepared.plan.layers),
    )
    return replace(prepared, plan=plan)


def _wide_node(node: Node) -> Node:
    layer = node.layer
    if not isinstance(layer, RecurrentLayer):
        return node
    return replace(node, layer=replace(layer, cell=_wide_cell(layer.cell)))


def _wide_cell(cell: CellSpec) -> CellSpec:
    arrays = {item.name: getattr(cell.weights, item.name) for item in fields(cell.weights)}
    wide: dict[str, Any] = {
        name: array.astype(np.float64) for name, array in arrays.items() if array is not None
    }
    return replace(cell, weights=replace(cell.weights, **wide))


@contextmanager
def open_recomputation(trace: Trace, origins: Origins) -> Iterator[Recomputation]:
    """Read the checkpoint and the input of a trace's run, to do it again.

    Raises
    ------
    InputError
        The input has another number of sequences or timesteps than the trace.
    """
    checkpoint = read_checkpoint(origins.checkpoint, layout=origins.layout)
    network = _as_run(checkpoint, trace)
    # The trace tells the lengths; those beside the input may have been set aside by a flag.
    with open_input(origins.inputs, lengths="none", mask="none") as opened:
        source = opened
        if (source.sequences, source.timesteps) != (trace.sequences, trace.timesteps):
            raise InputError(
                "The input is not that of the trace.",
                where=source.name,
                expected=f"{trace.sequences} sequences x {trace.timesteps} timesteps",
                found=f"{source.sequences} sequences x {source.timesteps} timesteps",
            )
        if source.offsets is None:
            source = replace(source, lengths=trace.lengths, mask=trace.mask)
        plan = plan_run(
            checkpoint,
            source,
            network=network,
            layers=[glob.escape(header.name) for header in trace.layers],
            model_input=origins.model_input,
        )
        verifier = None
        if origins.verify is not None:
            from rnnscope.oracles.verifiers import make_verifier

            verifier = make_verifier(origins.verify)
        notes = tuple(_mismatches(checkpoint, source, trace))
        yield Recomputation(trace, source, prepare(plan, source), verifier, notes)


def _as_run(checkpoint: Checkpoint, trace: Trace) -> Network:
    """The network with the options that flags gave to the run of the trace."""
    given: dict[str, list[tuple[str, Any]]] = {}
    present = {node.name for node in checkpoint.network.recurrent}
    for header in trace.layers:
        for name, (value, origin) in header.options.items():
            known = name in (*CELL_OPTIONS, "padding", "backward")
            if origin == "flag" and known and header.name in present:
                meant = bool(value) if name == "backward" else value
                given.setdefault(name, []).append((glob.escape(header.name), meant))
    options: Mapping[str, Given] = {name: Given(tuple(pairs)) for name, pairs in given.items()}
    return override_options(checkpoint.network, LayerOptions(**options), insist=True)


def _mismatches(checkpoint: Checkpoint, source: InputSource, trace: Trace) -> Iterator[str]:
    stored = trace.header.checkpoint_sha256
    if stored and stored != files_sha256(checkpoint.files):
        yield f"{checkpoint.path.name} is not the checkpoint of the trace: its SHA-256 differs."
    stored = trace.header.input_sha256
    if stored and stored != source.sha256():
        yield f"{source.name} is not the input of the trace: its SHA-256 differs."
