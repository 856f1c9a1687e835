"""The run of a trace done again, slice by slice: each sequence alone, in float64, by an engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field, replace
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.choose import LayerEngine
from rnnscope.engines.workspace import Workspace
from rnnscope.errors import InputError
from rnnscope.files.guarding.hashing import files_sha256
from rnnscope.inputs import InputBatch, InputSource
from rnnscope.model.cell import Array
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.states import LayerStates
from rnnscope.model.verification import KernelDifference, Verifier
from rnnscope.record.planning import PlannedRun, plan_recipe
from rnnscope.record.recipes.recipe import refuse_execution
from rnnscope.record.recipes.recipe_inputs import refuse_verify
from rnnscope.record.replaying.replayed_recipe import Replay, replayed
from rnnscope.running.compute import Computed, compute_slice
from rnnscope.running.loops import find_loops
from rnnscope.running.prepare import prepare
from rnnscope.running.prepared import Prepared
from rnnscope.trace import Trace


@dataclass
class Recomputation:
    """A run that can be done again; `open_recomputation` makes one.

    Attributes
    ----------
    notes : tuple of str
        What does not fit the trace, one sentence each.
    """

    trace: Trace
    planned: PlannedRun
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
    resets = None if batch.resets is None else batch.resets[part, :end]
    return InputBatch(values, np.array([end]), mask, initial, None, resets)


def _widened(prepared: Prepared) -> Prepared:
    nodes = {node.name: _wide_node(node) for node in prepared.plan.nodes}
    plan = replace(
        prepared.plan,
        nodes=tuple(nodes.values()),
        layers=tuple(nodes[node.name] for node in prepared.plan.layers),
        loops=find_loops(nodes.values()),
    )
    return replace(prepared, plan=plan)


def _wide_node(node: Node) -> Node:
    layer = node.layer
    if not isinstance(layer, RecurrentLayer):
        return node
    return replace(node, layer=replace(layer, cell=layer.cell.in_double()))


@contextmanager
def open_recomputation(trace: Trace, replay: Replay | None = None) -> Iterator[Recomputation]:
    """Plan the run of a trace once more, to compute it slice by slice in other ways.

    Lengths, mask and given initial states are those that the trace holds.

    Raises
    ------
    InputError
        The input has another number of sequences or timesteps than the trace.
    RnnscopeError
        The checkpoint or the input cannot be read.
    """
    replay = replay or Replay()
    recipe = replayed(trace, replay)
    refuse_execution(recipe, trace.path)
    whole = not trace.selection
    # What the trace holds itself need not be in files any more.
    options: dict[str, Any] = {name: None for name in ("initial_c", "initial_m") if whole}
    if whole:
        options["resets"] = "none"
    if recipe["offsets"] is None:
        options |= {"lengths": "none", "mask": "none"}
    known = recipe.with_options(**options)

    def adjust(source: InputSource) -> InputSource:
        if (source.sequences, source.timesteps) != (trace.sequences, trace.timesteps):
            raise InputError(
                "The input is not that of the trace.",
                where=source.name,
                expected=f"{trace.sequences} sequences x {trace.timesteps} timesteps",
                found=f"{source.sequences} sequences x {source.timesteps} timesteps",
            )
        initial = _given_initial(trace) if whole else source.initial
        if whole and trace.resets is not None:
            source = replace(source, resets=trace.resets, reset_state=trace.reset_state)
        if source.offsets is not None:
            return replace(source, initial=initial)
        return replace(source, lengths=trace.lengths, mask=trace.mask, initial=initial)

    with plan_recipe(known, adjust=adjust) as planned:
        verifier = None
        if replay.verify is not None:
            if planned.source.resets is not None:
                refuse_verify(replay.verify, planned.source)
            from rnnscope.oracles.verifiers import make_verifier

            verifier = make_verifier(replay.verify)
        notes = tuple(_mismatches(planned, trace))
        prepared = prepare(planned.plan, planned.source)
        yield Recomputation(trace, planned, planned.source, prepared, verifier, notes)
        planned.require_unchanged()


def _given_initial(trace: Trace) -> dict[str, dict[str, Array]]:
    """The initial states that were given to layers of a run."""
    given: dict[str, dict[str, Array]] = {}
    for header in trace.layers:
        if header.initial_given:
            stored = trace.read_initial(header.name)
            given[header.name] = {state: stored[state] for state in header.initial_given}
    return given


def _mismatches(planned: PlannedRun, trace: Trace) -> Iterator[str]:
    stored = trace.header.checkpoint_sha256
    if stored and stored != files_sha256(planned.checkpoint.files):
        name = planned.checkpoint.path.name
        yield f"{name} is not the checkpoint of the trace: its SHA-256 differs."
    stored = trace.header.input_sha256
    if stored and stored != planned.input_sha256():
        yield f"{planned.source.name} is not the input of the trace: its SHA-256 differs."
