"""A planned run one timestep at a time, for people who watch each step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rnnscope.deferred_dataclass import dataclass
from rnnscope.engines.choose import LayerEngine
from rnnscope.errors import InputError
from rnnscope.model.cell import Array
from rnnscope.model.network import Node
from rnnscope.running.chunked import ChunkedRun
from rnnscope.running.plan import Plan
from rnnscope.running.prepared import Prepared
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
    run: ChunkedRun | None = None
    for timestep in range(source.timesteps):
        steps = slice(timestep, timestep + 1)
        batch = source.read(everything, steps)
        if run is None:
            run = ChunkedRun(prepared, plan.nodes, engines, batch, everything)
        signals = dict.fromkeys(plan.entries, prepared.entry(batch, everything, steps))
        yield {
            name: StepStates(
                timestep=timestep,
                x=ran.x[:, 0],
                c=None if ran.states.c is None else ran.states.c[:, 0],
                m=ran.states.m[:, 0],
                outputs=ran.states.outputs[:, 0],
                gates={gate: values[:, 0] for gate, values in ran.states.gates.items()},
            )
            for name, ran in run.advance(signals, batch.resets).items()
        }


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
