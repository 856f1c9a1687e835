"""Which nodes of a run can be fed in chunks, and why the others cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.model.signal import Signal
from rnnscope.running.prepared import Prepared


def upstream_of(prepared: Prepared, nodes: Sequence[Node]) -> frozenset[str]:
    """Everything that reaches some nodes step by step."""
    network = Network((), prepared.plan.nodes)
    return network.upstream_of(node.name for node in nodes)


def reasons_against(
    prepared: Prepared, nodes: Sequence[Node], known: Mapping[str, Signal], *, directions: bool
) -> dict[str, str]:
    """The nodes that cannot be fed in chunks, and why."""
    found: dict[str, str] = {}
    last_alone: set[str] = set()
    steps = {known[name].values.shape[1] for node in nodes for name in node.reads if name in known}
    for node in nodes:
        reason = _own_reason(prepared, node, directions=directions)
        for name in node.reads:
            if name in found:
                reason = reason or f"reads '{name}', which cannot be fed in chunks"
            elif name in last_alone:
                reason = reason or f"reads the last output of '{name}', known at its last step"
        if reason is None and len(steps) > 1:
            reason = "layers of the run take different numbers of timesteps"
        if reason is not None:
            found[node.name] = reason
        if isinstance(node.layer, RecurrentLayer) and not node.layer.return_sequences:
            last_alone.add(node.name)
    return found


def _own_reason(prepared: Prepared, node: Node, *, directions: bool) -> str | None:
    layer = node.layer
    if not isinstance(layer, RecurrentLayer):
        return None if layer.step_by_step else f"{layer.kind} takes all timesteps at once"
    if layer.backward.value and not directions:
        return "reads the sequence from its end: its first output needs the last step"
    if layer.starts_from_layers:
        return "starts from the final state of another layer"
    if prepared.plan.decodes(node):
        return "is a decoder, whose steps are not the input's"
    return None
