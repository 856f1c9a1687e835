"""Every result of a streamed model that outputs at hand may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rnnscope.errors import InputError
from rnnscope.explaining.compared.subject import nodes_behind
from rnnscope.model.cell import Array
from rnnscope.model.network import Node
from rnnscope.model.signal import Signal
from rnnscope.model.states import LayerStates
from rnnscope.record.planning import PlannedRun
from rnnscope.running.compute import run_plain
from rnnscope.streaming.streamed_model import StreamedModel

Place = tuple[str, str]
"""A node and what of it: ``outputs``, ``m``, ``c``, ``final/m``, ``final/c``."""

Results = Mapping[Place, Array]


def plain_nodes(planned: PlannedRun, model: StreamedModel) -> tuple[Node, ...]:
    """What the file computes behind the layers, step by step: joins of directions, dense layers.

    What needs all steps at once gives one result for the whole sequence, and none for a chunk.
    """
    between = [node for node in model.nodes if not node.recurrent]
    before = {node.name for node in planned.plan.nodes} - {node.name for node in model.nodes}
    known = set(before)
    rows = model.rows.stop - model.rows.start
    behind = nodes_behind(planned, model.nodes, known, rows)
    steps = [node for node in behind if node.layer.step_by_step]  # type: ignore[union-attr]
    have = {node.name for node in model.nodes}
    found: list[Node] = []
    for node in steps:
        if have.issuperset(node.reads):
            found.append(node)
            have.add(node.name)
    return (*between, *found)


def results_of(
    model: StreamedModel,
    plain: Sequence[Node],
    streamed: Mapping[str, LayerStates],
    wanted: frozenset[Place] | None = None,
) -> dict[Place, Array]:
    """What a streamer returned, and what the file makes of it step by step.

    Parameters
    ----------
    model : StreamedModel
    plain : sequence of Node
        As `plain_nodes` gives them.
    streamed : mapping of str to LayerStates
    wanted : frozenset of Place, optional
        Nodes that nothing wanted reads are not computed.
    """
    found: dict[Place, Array] = {}
    signals: dict[str, Signal] = dict(model.read)
    mask = next((one.mask for one in model.read.values()), None)
    for name, states in streamed.items():
        found |= {(name, f"final/{key}"): array for key, array in states.final.items()}
        found |= {(name, key): array for key, array in states.states.items()}
        # Last: where m and the outputs are alike, the latter is what somebody returned.
        found[name, "outputs"] = states.outputs
        signals[name] = Signal(states.outputs, mask)
    needed = None if wanted is None else _needed(plain, {node for node, _ in wanted})
    for node in plain:
        if (needed is not None and node.name not in needed) or not all(
            name in signals for name in node.reads
        ):
            continue
        reads = [signals[name] for name in node.reads]
        try:
            made = run_plain(model.prepared, node, node.layer, reads)  # type: ignore[arg-type]
        except (InputError, ValueError):
            continue  # what stands behind does not take results of this size
        signals[node.name] = made
        if made.values.ndim == 3 and np.issubdtype(made.values.dtype, np.floating):
            found[node.name, "outputs"] = made.values
    return found


def _needed(plain: Sequence[Node], names: set[str]) -> set[str]:
    needed = set(names)
    for node in reversed(plain):
        if node.name in needed:
            needed |= {*node.reads}
    return needed
