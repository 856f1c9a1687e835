"""Letting the layers of a decoder start from those of an encoder, as flags or names say."""

from __future__ import annotations

from dataclasses import replace

from rnnscope.errors import OptionError, spell
from rnnscope.model.cell import CellSpec, Origin
from rnnscope.model.cells import CELLS
from rnnscope.model.initial_state import InitialState
from rnnscope.model.network import Network, Node
from rnnscope.running.overrides import STATED_ORIGINS


def linked(
    network: Network, encoders: list[Node], decoders: list[Node], origin: Origin, *, insist: bool
) -> Network:
    """Each layer of the decoder starts from the layer of the encoder at its place."""
    if {node.name for node in encoders} & {node.name for node in decoders}:
        raise OptionError(
            "A layer cannot be both encoder and decoder.",
            where=f"{spell('encoder')}, {spell('decoder')}",
            found=names_of([node for node in encoders if node in decoders]),
        )
    names = {node.name for node in encoders}
    if all(_starts_from_some(node, names) for node in decoders):
        return network  # the file says the same
    forward = [node for node in encoders if node.recurrent and not node.recurrent.backward.value]
    backward = [node for node in encoders if node not in forward]
    levels = [encoders] if not backward or not forward else [forward, backward]
    if any(len(level) != len(decoders) for level in levels):
        raise OptionError(
            "Encoder and decoder have different numbers of layers.",
            where=f"{spell('encoder')}, {spell('decoder')}",
            expected=f"as many as the decoder has: {names_of(decoders)}",
            found=names_of(encoders),
            hint="name the layers themselves, the first with the first",
        )
    if not insist:
        for node in decoders:
            _refuse_other_start(node)
    changed = {
        node.name: _starting_from(node, [level[number] for level in levels], origin)
        for number, node in enumerate(decoders)
    }
    linked_network = network.replaced(changed)
    circle = linked_network.circle()
    if circle:
        raise OptionError(
            "A layer of the encoder needs the decoder that would start from it.",
            where=f"{spell('encoder')}, {spell('decoder')}",
            found=" needs ".join(f"'{name}'" for name in circle),
        )
    return linked_network.in_order()


def _starts_from_some(node: Node, names: set[str]) -> bool:
    """Whether a layer starts from the final states of some of these layers, and of no others."""
    layers = node.recurrent.starts_from_layers if node.recurrent else ()
    return bool(layers) and names.issuperset(layers)


def _starting_from(node: Node, sources: list[Node], origin: Origin) -> Node:
    """A layer that starts from the final states of one layer or of two directions."""
    layer = node.recurrent
    layers = [source.recurrent for source in sources]
    assert layer is not None
    own = CELLS[layer.cell.kind].widths(layer.cell)
    theirs = [_widths(source.cell) for source in layers if source is not None]
    total = {name: sum(widths.get(name, 0) for widths in theirs) for name in own}
    if total != own:
        summed = len(theirs) > 1 and all(widths == own for widths in theirs)
        raise OptionError(
            "The final state of the encoder does not fit the decoder.",
            where=f"layer '{node.name}', from {names_of(sources)}",
            expected=", ".join(f"{name}: width {width}" for name, width in own.items()),
            found="; ".join(
                ", ".join(f"{name}: width {width}" for name, width in widths.items())
                for widths in theirs
            ),
            hint=f"name the direction whose state is taken with {spell('encoder')}; that both are "
            "added up only a graph can say"
            if summed
            else None,
        )
    names = [source.name for source in sources]
    words = " and ".join(f"'{name}'" for name in names)
    # Whatever else the file names as its initial state is not read any more.
    start = InitialState.handed_over(own, names, words=f"final state of layer {words}")
    return replace(node, layer=layer.starting(start, origin))


def _refuse_other_start(node: Node) -> None:
    """Refuse to replace what the file states of the state before the first step."""
    layer = node.recurrent
    if layer is None or layer.initial_state.origin not in STATED_ORIGINS:
        return
    start = layer.initial_state.value
    # What whoever runs the model would give is not contradicted by giving it.
    if not start.outside() or len(start.outside()) < len(start.parts):
        raise OptionError(
            f"{spell('encoder')} and {spell('decoder')} contradict the file.",
            where=f"layer '{node.name}'",
            expected=f"initial state: {start}, which the file states "
            f"({layer.initial_state.origin})",
            found="the final state of the encoder",
            hint=f"leave them out, or add {spell('override')} to use them all the same",
        )


def _widths(cell: CellSpec) -> dict[str, int]:
    return dict(CELLS[cell.kind].widths(cell))


def names_of(nodes: list[Node] | tuple[Node, ...]) -> str:
    """Names for a message."""
    return ", ".join(f"'{node.name}'" for node in nodes)
