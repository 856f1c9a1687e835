"""The run of a trace done again, slice by slice: each sequence alone, in float64, by an engine."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.choose import LayerEngine
from rnnscope.engines.workspace import Workspace
from rnnscope.errors import InputError, OptionError, spell, spell_command
from rnnscope.files.arrays.reference import split_reference
from rnnscope.files.guarding.hashing import files_sha256
from rnnscope.files.remote.addresses import url_of
from rnnscope.inputs import InputBatch, InputSource
from rnnscope.model.cell import Array
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.states import LayerStates
from rnnscope.model.verification import KernelDifference, Verifier
from rnnscope.record.planning import BY_LAYER, PlannedRun, plan_recipe
from rnnscope.record.recipe import Recipe, refuse_addresses, refuse_execution
from rnnscope.record.recipe_inputs import refuse_verify
from rnnscope.running.compute import Computed, compute_slice
from rnnscope.running.loops import find_loops
from rnnscope.running.prepare import Prepared, prepare
from rnnscope.trace import Trace


@dataclass(frozen=True)
class Replay:
    """How the run of a trace is done again where it is not as its recipe says.

    Attributes
    ----------
    checkpoint : Path or None
        In place of the recipe's.
    inputs : str or None
        What `open_input` takes, in place of the recipe's.
    options : mapping of str to object
        Options of a run by name, in place of the recipe's.
    recipe : Recipe or None
        In place of the trace's own text of it, which holds no arrays.
    verify : str or None
        A key of `rnnscope.oracles.verifiers.VERIFIERS`.
    """

    checkpoint: Path | None = None
    inputs: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    verify: str | None = None
    recipe: Recipe | None = None


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


def recipe_of(trace: Trace) -> Recipe:
    """The recipe of a trace's run.

    Traces of schema 1 hold none: what flags gave to their layers is read from the layers, and
    checkpoint and input have to be named again.

    Raises
    ------
    TraceError
        It is damaged, or of a later version.
    """
    if trace.header.recipe:
        return Recipe.from_json(trace.header.recipe, where=trace.path)
    given: dict[str, Any] = {}
    for header in trace.layers:
        for name, (value, origin) in header.options.items():
            if origin != "flag" or name not in BY_LAYER:
                continue
            given.setdefault(name, []).append((glob.escape(header.name), value))
    backward = any(header.options.get("backward", ("", ""))[1] == "flag" for header in trace.layers)
    return Recipe.make(
        trace.header.checkpoint,
        trace.header.input,
        layers=[glob.escape(header.name) for header in trace.layers],
        override=True if given or backward else None,
        go_backwards=True if backward else None,
        **given,
    )


def replayed(trace: Trace, replay: Replay) -> Recipe:
    """The recipe that a replay runs.

    Raises
    ------
    OptionError
        The trace is of schema 1 and checkpoint or input are not named.
    """
    if trace.part is not None:
        place = trace.part.place
        raise OptionError(
            "A part of a run is not run again by itself.",
            where=f"{trace.path}: {place}",
            expected="a whole trace",
            found="a part: its recipe is that of all parts",
            hint=f"{spell_command('join')} ties the parts; "
            f"{spell('part', f'{place.number}/{place.of}')} records this one again",
        )
    recipe = replay.recipe or recipe_of(trace)
    if not trace.header.recipe and (replay.checkpoint is None or replay.inputs is None):
        raise OptionError(
            "The trace holds no recipe of its run: an older rnnscope wrote it.",
            where=trace.path,
            expected=f"{spell('checkpoint')} and {spell('input')}",
            hint="name what it was run on",
        )
    changed = {name for name, value in (("checkpoint", replay.checkpoint), ("input", replay.inputs))
               if value is not None}  # fmt: skip
    if replay.recipe is None:
        refuse_addresses(recipe, trace.path, {*changed, *replay.options})
        recipe = _located(recipe, replay, trace.path)
    recipe = recipe.reading(replay.checkpoint, replay.inputs)
    return recipe.with_options(**replay.options) if replay.options else recipe


def _located(recipe: Recipe, replay: Replay, trace: Path) -> Recipe:
    """The recipe with checkpoint and input where they are: as named, or beside the trace.

    Raises
    ------
    OptionError
        One is at neither place, and no other is named.
    """
    found: dict[str, str] = {}
    wanted = {"checkpoint": recipe.checkpoint} if replay.checkpoint is None else {}
    if replay.inputs is None and isinstance(recipe.input, str) and recipe.input:
        wanted["input"] = recipe.input
    for name, path in wanted.items():
        places = (path, str(trace.parent / path))
        place = next((one for one in places if _is_there(one)), None)
        if place is None:
            raise OptionError(
                f"The {name} of the run is not there any more.",
                where=trace,
                expected=path,
                found="nothing of that name, here or beside the trace",
                hint=f"say where it is now: {spell(name)}",
            )
        found[name] = place
    return recipe.reading(found.get("checkpoint"), found.get("input"))


def _is_there(path: str) -> bool:
    """Whether a file, a folder, ``FILE::KEY`` or the prefix of a TensorFlow checkpoint exists."""
    file, _ = split_reference(path)
    if url_of(file) is not None:
        return True  # it is asked for when it is fetched
    return file.exists() or any(file.parent.glob(f"{glob.escape(file.name)}.*"))


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
