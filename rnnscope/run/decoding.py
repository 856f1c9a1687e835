"""What the user says of a decoder: which layers, what they start from, what feeds them.

A network that a graph or a configuration describes tells by itself which layers start from the
final state of others. Here that is added or replaced by flags, or guessed from names where nothing
else tells; and loop functions are put together from variables of the checkpoint.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from rnnscope.cell import CellSpec, Option
from rnnscope.cells import CELLS
from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.errors import OptionError
from rnnscope.inputs import InputSource
from rnnscope.layers.unsupported import OWN_OUTPUT, Unsupported
from rnnscope.network import Network, Node, RecurrentLayer
from rnnscope.run.loop_functions import parse_loop_function
from rnnscope.run.overrides import STATED

DECODED = "the decoder inputs (--decoder-inputs)"
"""The network input of decoders that the file wires to nothing of their own."""

DECODER_PART = re.compile(r"(^|_)dec(oder)?(_|\d|$)", re.IGNORECASE)
"""A part of a layer's name that says so: ``rnn_decoder``, ``decoder``, ``dec_lstm``."""


@dataclass(frozen=True)
class Decoding:
    """How decoders are run.

    Attributes
    ----------
    source : InputSource or None
        ``--decoder-inputs``: what the first layer of the decoder receives.
    encoder, decoder : str or None
        ``--encoder``, ``--decoder``: layers, or the scopes that they lie in.
    loop_function : str or None
        ``--loop-function``.
    steps : int or None
        ``--decoder-steps``.
    insist : bool
        ``--override``: replace a loop function that the file states.
    """

    source: InputSource | None = None
    encoder: str | None = None
    decoder: str | None = None
    loop_function: str | None = None
    steps: int | None = None
    insist: bool = False

    @property
    def given(self) -> bool:
        """Whether anything was said of a decoder."""
        return any((self.source, self.encoder, self.decoder, self.loop_function, self.steps))


def wire_decoder(
    network: Network, checkpoint: Checkpoint, decoding: Decoding
) -> tuple[Network, tuple[str, ...]]:
    """The network with the decoder that the user means, and notes on what was guessed.

    Raises
    ------
    OptionError
        A flag names no layer, contradicts the file, or there is no decoder.
    """
    if not decoding.given:
        return network, ()
    notes: tuple[str, ...] = ()
    decoders = _find(network, decoding.decoder, "--decoder") if decoding.decoder else []
    encoders = _find(network, decoding.encoder, "--encoder") if decoding.encoder else []
    handed = [node for node in network.recurrent if _is_told(network, node)]
    if not decoders and not handed:
        decoders = _decoders_by_name(network, encoders)
        notes = (
            (
                f"{_names(decoders)}: taken for the decoder by its name, which starts from the "
                "final state of the encoder (guess); --encoder and --decoder say otherwise."
            ),
        )
    if decoders and not encoders and not all(_handed_by(node) for node in decoders):
        encoders = [node for node in network.recurrent if node not in decoders]
    decoders = decoders or _handed_from(handed, encoders)
    origin = "guess" if notes else "flag"
    if encoders:
        network = _linked(network, encoders, decoders, origin, insist=decoding.insist)
        decoders = [network.node(node.name) for node in decoders]
    first = _first_of(network, decoders)
    network = _fed(network, first, decoding)
    network = _with_loop(network, checkpoint, first, decoding)
    return network, notes


def _find(network: Network, scope: str, flag: str) -> list[Node]:
    """The recurrent layers that a name, a pattern or a scope means."""
    found = [node for node in network.recurrent if _lies_in(node.name, scope)]
    if not found:
        raise OptionError(
            f"{flag} names no recurrent layer, and no scope of one.",
            expected=f"one of {', '.join(node.name for node in network.recurrent)}",
            found=scope,
        )
    return found


def _lies_in(name: str, scope: str) -> bool:
    """Whether whole parts of a layer's name are those of a scope: rnn is not in rnn_decoder."""
    inside = f"/{scope.strip('/')}/" in f"/{name}/"
    return inside or fnmatchcase(name, scope) or fnmatchcase(name, f"{scope}/*")


def _handed_by(node: Node) -> tuple[str, ...]:
    return node.recurrent.handed_by if node.recurrent else ()


def _is_told(network: Network, node: Node) -> bool:
    """Whether the file says what a layer starts from, be it something that is not computed."""
    return bool(_handed_by(node)) or _obstacle(network, node) is not None


def _obstacle(network: Network, node: Node) -> Node | None:
    """The stand-in for an initial state that is not computed."""
    return next(
        (
            other
            for other in network.nodes
            if other.name in node.inputs[1:] and isinstance(other.layer, Unsupported)
        ),
        None,
    )


def _handed_from(handed: list[Node], encoders: list[Node]) -> list[Node]:
    """The decoders that the file tells, those of the encoder that was named, if one was."""
    names = {node.name for node in encoders}
    return [node for node in handed if not names or names & {*_handed_by(node)}]


def _decoders_by_name(network: Network, encoders: list[Node]) -> list[Node]:
    named = [
        node
        for node in network.recurrent
        if node not in encoders and any(map(DECODER_PART.search, node.name.split("/")))
    ]
    if named and len(named) < len(network.recurrent):
        return named
    raise OptionError(
        "Nothing in the file says which layer is the decoder.",
        expected="--encoder SCOPE and --decoder SCOPE, which name layers or their scopes",
        found=_names(network.recurrent),
    )


def _linked(
    network: Network, encoders: list[Node], decoders: list[Node], origin: str, *, insist: bool
) -> Network:
    """Each layer of the decoder starts from the layer of the encoder at its place."""
    if {node.name for node in encoders} & {node.name for node in decoders}:
        raise OptionError(
            "A layer cannot be both encoder and decoder.",
            where="--encoder, --decoder",
            found=_names([node for node in encoders if node in decoders]),
        )
    names = {node.name for node in encoders}
    if all(_handed_by(node) and names >= {*_handed_by(node)} for node in decoders):
        return network  # the file says the same
    forward = [node for node in encoders if node.recurrent and not node.recurrent.backward.value]
    backward = [node for node in encoders if node not in forward]
    levels = [encoders] if not backward or not forward else [forward, backward]
    if any(len(level) != len(decoders) for level in levels):
        raise OptionError(
            "Encoder and decoder have different numbers of layers.",
            where="--encoder, --decoder",
            expected=f"as many as the decoder has: {_names(decoders)}",
            found=_names(encoders),
            hint="name the layers themselves, the first with the first",
        )
    if not insist:
        for node in decoders:
            _refuse_other_start(network, node)
    linked = {
        node.name: _starting_from(node, [level[number] for level in levels], origin)
        for number, node in enumerate(decoders)
    }
    nodes = tuple(linked.get(node.name, node) for node in network.nodes)
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
            where=f"layer '{node.name}', from {_names(sources)}",
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
    start, obstacle = layer.initial_state.value, _obstacle(network, node)
    if start == "zeros" or layer.handed_by or obstacle is not None or layer.initial_values:
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


def _first_of(network: Network, decoders: list[Node]) -> list[Node]:
    """The layers of a decoder that read no other layer of it."""
    names = {node.name for node in decoders}
    return [node for node in decoders if not names & (_behind(network, node.reads) - {node.name})]


def _behind(network: Network, names: tuple[str, ...]) -> set[str]:
    nodes = {node.name: node for node in network.nodes}
    pending, found = [*names], set[str]()
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(nodes[name].reads if name in nodes else ())
    return found


def _fed(network: Network, first: list[Node], decoding: Decoding) -> Network:
    """Decoders that have no input of their own in the file read the decoder inputs."""
    nodes = {node.name: node for node in network.nodes}
    changed: dict[str, Node] = {}
    for node in first:
        front = nodes.get(node.reads[0]) if node.reads else None
        behind = _behind(network, node.reads)
        own_output = front is not None and (
            isinstance(front.layer, Unsupported) and front.layer.kind in OWN_OUTPUT
        )
        sources = [nodes[name] for name in _handed_by(node) if name in nodes]
        shared = {
            name for source in sources for name in {source.name} | _behind(network, source.reads)
        }
        if own_output and decoding.loop_function is None:
            continue
        if own_output or (node.wiring == "guess" and behind & shared) or not node.reads:
            changed[node.name] = replace(node, inputs=(DECODED, *node.inputs[1:]), wiring="flag")
    if not changed:
        return network
    return Network(
        (*network.inputs, DECODED),
        tuple(changed.get(node.name, node) for node in network.nodes),
    )


def _with_loop(
    network: Network, checkpoint: Checkpoint, first: list[Node], decoding: Decoding
) -> Network:
    """The decoder with the loop function that was asked for."""
    if decoding.loop_function is None:
        return network
    changed: dict[str, Node] = {}
    for name in (node.name for node in first):
        node = network.node(name)
        layer = node.recurrent
        assert layer is not None
        feedback = None
        if decoding.loop_function != "none":
            top = _top_of(network, node)
            feedback = parse_loop_function(
                decoding.loop_function, top, layer.cell.input_size, checkpoint
            )
        _refuse_contradiction(node, decoding)
        changed[name] = replace(node, layer=replace(layer, feedback=feedback))
    return replace(network, nodes=tuple(changed.get(node.name, node) for node in network.nodes))


def _top_of(network: Network, bottom: Node) -> Node:
    """The last layer of a stack: its outputs are what the decoder returns."""
    top = bottom
    for node in network.recurrent:
        if _handed_by(node) and bottom.name in _behind(network, node.reads):
            top = node
    return top


def _refuse_contradiction(node: Node, decoding: Decoding) -> None:
    layer: RecurrentLayer | None = node.recurrent
    stated = None if layer is None else layer.feedback
    if stated is None or decoding.insist or stated.option.value == decoding.loop_function:
        return
    raise OptionError(
        "--loop-function contradicts the file.",
        where=f"layer '{node.name}', {stated.option.detail}",
        expected=f"{stated.option.value}, which the file states ({stated.option.origin})",
        found=decoding.loop_function,
        hint="leave the flag out, or add --override to use it all the same",
    )


def _in_order(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The nodes, each after those whose final state it starts from."""
    by_name = {node.name: node for node in nodes}
    order: dict[str, Node] = {}
    begun: set[str] = set()

    def visit(name: str) -> None:
        if name in begun or name not in by_name:
            return
        begun.add(name)
        for before in (*by_name[name].inputs, *_handed_by(by_name[name])):
            visit(before)
        order[name] = by_name[name]

    for name in by_name:
        visit(name)
    return tuple(order.values())


def _names(nodes: list[Node] | tuple[Node, ...]) -> str:
    return ", ".join(f"'{node.name}'" for node in nodes)
