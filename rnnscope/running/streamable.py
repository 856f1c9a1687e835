"""Which nodes of a plan can take their timesteps one after another, and which need all at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rnnscope.errors import InputError, spell
from rnnscope.inputs import InputSource
from rnnscope.model.cells import CELLS
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.running.plan import Plan


def needs_whole_time(plan: Plan) -> tuple[Node, str] | None:
    """The first node of a plan that needs all timesteps at once, and why; None if none does."""
    ran, recurrent = Network((), plan.nodes), {node.name for node in plan.layers}
    for node in plan.nodes:
        layer = node.layer
        if not isinstance(layer, RecurrentLayer):
            if not layer.step_by_step:
                return node, f"{layer.kind} takes all timesteps at once"
        elif layer.starts_from_layers:
            return node, "starts from the final state of another"
        elif not layer.return_sequences and recurrent & (
            ran.downstream_of([node.name]) - {node.name}
        ):
            return node, "what it hands on is known at its last step"
    return None


def refuse_unresettable(
    plan: Plan, source: InputSource, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse resets where a layer has no state to reset before a step of the input.

    Parameters
    ----------
    plan : Plan
    source : InputSource
    shapes : mapping of str to tuple of int
        The shape of each node's result for one sequence.

    Raises
    ------
    InputError
        It names the first such layer.
    """
    wrong = next(_unresettable(plan, source, shapes), None)
    if wrong is None:
        return
    node, reason = wrong
    raise InputError(
        "The input holds resets, and a layer of the run cannot be reset.",
        where=f"layer '{node.name}': {reason}",
        expected="layers that take the input's timesteps one after another",
        hint=f"run other layers ({spell('layers')}), or ignore the resets: "
        f"{spell('resets', 'none')}",
    )


def _unresettable(
    plan: Plan, source: InputSource, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[Node, str]]:
    whole = needs_whole_time(plan)
    if whole is not None:
        yield whole
    for node in plan.layers:
        layer = node.recurrent
        assert layer is not None
        if layer.backward.value:
            yield node, "reads the sequence from its end"
        elif CELLS[layer.cell.kind].run is not None:
            yield node, "is evaluated as the graph computes it, all timesteps at once"
        elif plan.decodes(node):
            yield node, "is a decoder, whose steps are not the input's"
        elif shapes[node.name][1] != source.timesteps:
            yield node, f"takes {shapes[node.name][1]} timesteps, the input has {source.timesteps}"
