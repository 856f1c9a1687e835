"""A planned run one timestep at a time, for people who watch each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from rnnscope.engines.choose import LayerEngine
from rnnscope.errors import InputError
from rnnscope.model.cell import Array
from rnnscope.model.network import Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Signal
from rnnscope.running.compute import run_plain
from rnnscope.running.plan import Plan
from rnnscope.running.prepare import Prepared
from rnnscope.running.streamable import needs_whole_time


@dataclass(frozen=True, eq=False)
class StepStates:
    """What one layer did in one timestep.

    Attributes
    ----------
    timestep : int
    x : ndarray (sequence, input)
        What it read.
    c : ndarray (sequence, num_units) or None
        None for cells without a c.
    m : ndarray (sequence, output)
    outputs : ndarray (sequence, output)
        What the framework returns for the step, padding rule applied.
    gates : mapping of str to ndarray (sequence, num_units)
        After their activations.
    """

    timestep: int
    x: Array
    c: Array | None
    m: Array
    outputs: Array
    gates: Mapping[str, Array]


def step_through(prepared: Prepared) -> Iterator[dict[str, StepStates]]:
    """Run a plan one timestep after another.

    Yields
    ------
    dict of str to StepStates
        By layer, for each timestep of the input.

    Raises
    ------
    InputError
        A layer reads the sequence from its end, or needs all of it at once: no such run goes step
        by step.
    """
    plan, source = prepared.plan, prepared.source
    _refuse_turned(plan.layers)
    _refuse_whole_time(plan)
    engines = {
        node.name: LayerEngine(node.recurrent, gates=True, engine="reference")
        for node in plan.layers
        if node.recurrent
    }
    everything = slice(0, source.sequences)
    states: dict[str, dict[str, Array]] = {}
    before: dict[str, Array] = {}
    first: dict[str, dict[str, Array]] = {}
    pending: dict[str, Array | None] = {}
    for timestep in range(source.timesteps):
        steps = slice(timestep, timestep + 1)
        batch = source.read(everything, steps)
        signals = dict.fromkeys(plan.entries, prepared.entry(batch, everything, steps))
        seen: dict[str, StepStates] = {}
        for node in plan.nodes:
            reads = [signals[name] for name in node.reads]
            if not isinstance(node.layer, RecurrentLayer):
                signals[node.name] = run_plain(prepared, node, node.layer, reads)
                continue
            x = np.ascontiguousarray(reads[0].values, dtype=node.layer.cell.dtype)
            if node.name not in states:
                states[node.name] = prepared.initial(node, batch, everything, {})
            begun = first.setdefault(node.name, states[node.name])
            resets, pending[node.name] = prepared.resets(
                node.layer, batch.resets, reads[0].mask, begun, pending.get(node.name)
            )
            ran = engines[node.name].run(
                x, reads[0].mask, None, states[node.name], before.get(node.name), resets=resets
            )
            states[node.name] = dict(ran.final)
            before[node.name] = ran.outputs[:, -1]
            signals[node.name] = Signal(ran.outputs, reads[0].mask)
            seen[node.name] = StepStates(
                timestep=timestep,
                x=x[:, 0],
                c=None if ran.c is None else ran.c[:, 0],
                m=ran.m[:, 0],
                outputs=ran.outputs[:, 0],
                gates={name: gate[:, 0] for name, gate in ran.gates.items()},
            )
        yield seen


def _refuse_turned(layers: tuple[Node, ...]) -> None:
    for node in layers:
        if node.recurrent and node.recurrent.backward.value:
            raise InputError(
                "A layer reads the sequence from its end: the run cannot go step by step.",
                where=f"layer '{node.name}'",
                expected="layers that read forward",
                hint="choose others with layers=, or run the whole and look at its trace",
            )


def _refuse_whole_time(plan: Plan) -> None:
    whole = needs_whole_time(plan)
    if whole is not None:
        node, reason = whole
        raise InputError(
            "A layer needs all timesteps at once: the run cannot go step by step.",
            where=f"layer '{node.name}': {reason}",
            hint="choose others with layers=, or run the whole and look at its trace",
        )
