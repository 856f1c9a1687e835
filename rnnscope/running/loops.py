"""Decoders that make their own inputs: which nodes take their steps together."""

from __future__ import annotations

from collections.abc import Iterable

from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import UnsupportedCellError, spell
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import Feedback, RecurrentLayer


@dataclass(frozen=True, eq=False)
class Loop:
    """A decoder with a loop function.

    Attributes
    ----------
    first : Node
        The recurrent layer whose x is fed back.
    nodes : tuple of Node
        From it to the layer whose output is fed back, and what stands between, in order.
    """

    first: Node
    nodes: tuple[Node, ...]

    @property
    def feedback(self) -> Feedback:
        """The loop function."""
        layer = self.first.recurrent
        assert layer is not None
        assert layer.feedback is not None
        return layer.feedback

    def __contains__(self, name: object) -> bool:
        return any(node.name == name for node in self.nodes)


def find_loops(nodes: Iterable[Node]) -> tuple[Loop, ...]:
    """The loops among the nodes of a plan.

    Raises
    ------
    UnsupportedCellError
        A layer within a loop needs all timesteps at once.
    """
    nodes = list(nodes)
    return tuple(_loop(node, nodes) for node in nodes if node.recurrent and node.recurrent.feedback)


def _loop(first: Node, nodes: list[Node]) -> Loop:
    layer = first.recurrent
    assert layer is not None
    assert layer.feedback is not None
    source = layer.feedback.source
    ran = Network((), tuple(nodes))
    # What the first layer reads is given, or comes round again.
    after = ran.downstream_of([first.name])
    inside = ran.upstream_of([source], until=[first.name]) & after
    within = tuple(node for node in nodes if node.name in inside)
    if source not in {node.name for node in within}:
        raise UnsupportedCellError(
            "A loop function feeds back what the decoder does not make.",
            where=f"layer '{first.name}'",
            expected="the output of the layer itself, or of one that is stacked on it",
            found=source,
        )
    for node in within:
        if not _goes_step_by_step(node) or not {*node.reads} <= after | {*first.reads}:
            raise UnsupportedCellError(
                "A layer of a decoder with a loop function needs all timesteps at once.",
                where=f"layer '{node.name}', which reads {', '.join(node.reads)}",
                hint=f"{spell('loop_function', 'none')} gives the decoder the inputs that are "
                "stored, step by step",
            )
    return Loop(first, within)


def _goes_step_by_step(node: Node) -> bool:
    """Whether a step of a node needs no later step of what it reads."""
    if isinstance(node.layer, RecurrentLayer):
        return not node.layer.backward.value
    return node.layer.step_by_step
