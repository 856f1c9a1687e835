"""Letting the layers of a decoder start from those of an encoder, as flags or names say."""

from __future__ import annotations

from dataclasses import replace

from rnnscope.errors import OptionError
from rnnscope.model.cell import CellSpec, Option
from rnnscope.model.cells import CELLS
from rnnscope.model.layers.unsupported import Unsupported
from rnnscope.model.network import Network, Node
from rnnscope.run.overrides import STATED


def handed_by(node: Node) -> tuple[str, ...]:
    """The layers that a node starts from."""
    return node.recurrent.handed_by if node.recurrent else ()


def obstacle(network: Network, node: Node) -> Node | None:
    """The stand-in for an initial state that is not computed."""
    return next(
        (
            other
            for other in network.nodes
            if other.name in node.inputs[1:] and isinstance(other.layer, Unsupported)
        ),
        None,
    )


def linked(
    network: Network, encoders: list[Node], decoders: list[Node], origin: str, *, insist: bool
) -> Network:
    """Each layer of the decoder starts from the layer of the encoder at its place."""
    if {node.name for node in encoders} & {node.name for node in decoders}:
        raise OptionError(
            "A layer cannot be both encoder and decoder.",
            where="--encoder, --decoder",
            found=names_of([node for node in encoders if node in decoders]),
        )
    names = {node.name for node in encoders}
    if all(handed_by(node) and names >= {*handed_by(node)} for node in decoders):
        return network  # the file says the same
    forward = [node for node in encoders if node.recurrent and not node.recurrent.backward.value]
    backward = [node for node in encoders if node not in forward]
    levels = [encoders] if not backward or not forward else [forward, backward]
    if any(len(level) != len(decoders) for level in levels):
        raise OptionError(
            "Encoder and decoder have different numbers of layers.",
            where="--encoder, --decoder",
            expected=f"as many as the decoder has: {names_of(decoders)}",
            found=names_of(encoders),
            hint="name the layers themselves, the first with the first",
        )
    if not insist:
        for node in decoders:
            _refuse_other_start(network, node)
    made = {
        node.name: _starting_from(node, [level[number] for level in levels], origin)
        for number, node in enumerate(decoders)
    }
    nodes = tuple(made.get(node.name, node) for node in network.nodes)
    return replace(network, nodes=_in_order(nodes))


def _starting_from(node: Node, sources: list[Node], origin: str) -> Node:
    """A layer that starts from the final states of one layer or of two directions."""
    layer = node.recurrent
    layers = [source.recurrent for source in sources]
    assert layer is not None
    own = CELLS[layer.cell.kind].widths(layer.cell)
    given = [_widths(source.cell) for source in layers if source is not None]
    total = {name: sum(widths.get(name, 0) for widths in given) for name in own}
    if total != own:
        summed = len(given) > 1 and all(widths == own for widths in given)
        raise OptionError(
            "The final state of the encoder does not fit the decoder.",
            where=f"layer '{node.name}', from {names_of(sources)}",
            expected=", ".join(f"{name}: width {width}" for name, width in own.items()),
            found="; ".join(
                ", ".join(f"{name}: width {width}" for name, width in widths.items())
                for widths in given
            ),
            hint="name the direction whose state is taken with --encoder; that both are added "
            "up only a graph can say"
            if summed
            else None,
        )
    first, *beside = (source.name for source in sources)
    words = " and ".join(f"'{source.name}'" for source in sources)
    layer = replace(
        layer,
        initial_from=first,
        initial_beside=tuple(beside),
        initial_join="concat",
        initial_state=Option(f"final state of layer {words}", origin),  # type: ignore[arg-type]
    )
    # Whatever else the file names as its initial state is not read any more.
    return replace(node, layer=layer, inputs=node.inputs[:1])


def _refuse_other_start(network: Network, node: Node) -> None:
    """Refuse to replace what the file states of the state before the first step."""
    layer = node.recurrent
    if layer is None or layer.initial_state.origin not in STATED:
        return
    start, blocked = layer.initial_state.value, obstacle(network, node) is not None
    if start == "zeros" or layer.handed_by or blocked or layer.initial_values:
        raise OptionError(
            "--encoder and --decoder contradict the file.",
            where=f"layer '{node.name}'",
            expected=f"initial state: {start}, which the file states "
            f"({layer.initial_state.origin})",
            found="the final state of the encoder",
            hint="leave the flags out, or add --override to use them all the same",
        )


def _widths(cell: CellSpec) -> dict[str, int]:
    return dict(CELLS[cell.kind].widths(cell))


def _in_order(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The nodes, each after those whose final state it starts from."""
    by_name = {node.name: node for node in nodes}
    order: dict[str, Node] = {}
    begun: set[str] = set()

    def visit(name: str) -> None:
        if name in begun or name not in by_name:
            return
        begun.add(name)
        for before in (*by_name[name].inputs, *handed_by(by_name[name])):
            visit(before)
        order[name] = by_name[name]

    for name in by_name:
        visit(name)
    return tuple(order.values())


def names_of(nodes: list[Node] | tuple[Node, ...]) -> str:
    """Names for a message."""
    return ", ".join(f"'{node.name}'" for node in nodes)
