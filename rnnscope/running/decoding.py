"""What the user says of a decoder: which layers, what they start from, what feeds them.

A network that a graph or a configuration describes tells by itself which layers start from the
final state of others. Here that is added or replaced by flags, or guessed from names where nothing
else tells; and loop functions are put together from variables of the checkpoint.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase

from rnnscope.checkpoints.interface import Checkpoint
from rnnscope.deferred_dataclass import dataclass
from rnnscope.errors import OptionError, spell
from rnnscope.inputs import InputSource
from rnnscope.model.cell import Origin
from rnnscope.model.network import Network, Node
from rnnscope.model.recurrent_layer import RecurrentLayer
from rnnscope.running.loop_functions import parse_loop_function
from rnnscope.running.starts import linked, names_of

DECODER_INPUT = "the decoder inputs (decoder_inputs)"
"""The network input of decoders that the file wires to nothing of their own. Traces keep it."""

DECODER_PART = re.compile(r"(^|_)dec(oder)?(_|\d|$)", re.IGNORECASE)
"""A part of a layer's name that says so: ``rnn_decoder``, ``decoder``, ``dec_lstm``."""


@dataclass(frozen=True)
class Decoding:
    """How decoders are run.

    Attributes
    ----------
    source : InputSource or None
        What the first layer of the decoder receives.
    encoder, decoder : str or None
        Layers, or the scopes that they lie in.
    loop_function : str or None
        As `parse_loop_function` takes it, or ``"none"``.
    steps : int or None
        Of a decoder with a loop function.
    insist : bool
        Replace a loop function that the file states.
    """

    source: InputSource | None = None
    encoder: str | None = None
    decoder: str | None = None
    loop_function: str | None = None
    steps: int | None = None
    insist: bool = False

    @property
    def wanted(self) -> bool:
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
    if not decoding.wanted:
        return network, ()
    notes: tuple[str, ...] = ()
    decoders = _find(network, decoding.decoder, "decoder") if decoding.decoder else []
    encoders = _find(network, decoding.encoder, "encoder") if decoding.encoder else []
    started = [node for node in network.recurrent if _start_is_known(network, node)]
    if not decoders and not started:
        decoders = _decoders_by_name(network, encoders)
        notes = (
            (
                f"{names_of(decoders)}: taken for the decoder by its name, which starts from the "
                f"final state of the encoder (guess); {spell('encoder')} and {spell('decoder')} "
                "say otherwise."
            ),
        )
    if decoders and not encoders and not all(map(_starts_elsewhere, decoders)):
        encoders = [node for node in network.recurrent if node not in decoders]
    decoders = decoders or _starting_from(started, encoders)
    origin: Origin = "guess" if notes else "flag"
    if encoders:
        network = linked(network, encoders, decoders, origin, insist=decoding.insist)
        decoders = [network.node(node.name) for node in decoders]
    first = _first_of(network, decoders)
    network = _fed(network, first, decoding)
    network = _with_loop(network, checkpoint, first, decoding)
    return network, notes


def _find(network: Network, scope: str, option: str) -> list[Node]:
    """The recurrent layers that a name, a pattern or a scope means."""
    found = [node for node in network.recurrent if _lies_in(node.name, scope)]
    if not found:
        raise OptionError(
            f"{spell(option)} names no recurrent layer, and no scope of one.",
            expected=f"one of {', '.join(node.name for node in network.recurrent)}",
            found=scope,
        )
    return found


def _lies_in(name: str, scope: str) -> bool:
    """Whether whole parts of a layer's name are those of a scope: rnn is not in rnn_decoder."""
    inside = f"/{scope.strip('/')}/" in f"/{name}/"
    return inside or fnmatchcase(name, scope) or fnmatchcase(name, f"{scope}/*")


def _start_is_known(network: Network, node: Node) -> bool:
    """Whether the file says what a layer starts from, be it something that is not computed."""
    return _starts_elsewhere(node) or network.uncomputed_start(node) is not None


def _starts_elsewhere(node: Node) -> bool:
    """Whether a layer starts from the final state of another one."""
    return node.recurrent is not None and bool(node.recurrent.starts_from_layers)


def _starting_from(started: list[Node], encoders: list[Node]) -> list[Node]:
    """The decoders that the file tells, those of the encoder that was named, if one was."""
    names = {node.name for node in encoders}
    return [node for node in started if not names or names & {*node.starts_from}]


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
        expected=f"{spell('encoder', 'SCOPE')} and {spell('decoder', 'SCOPE')}, which name layers "
        "or their scopes",
        found=names_of(network.recurrent),
    )


def _first_of(network: Network, decoders: list[Node]) -> list[Node]:
    """The layers of a decoder that read no other layer of it."""
    names = {node.name for node in decoders}
    return [
        node for node in decoders if not names & (network.upstream_of(node.reads) - {node.name})
    ]


def _fed(network: Network, first: list[Node], decoding: Decoding) -> Network:
    """Decoders that have no input of their own in the file read the decoder inputs."""
    changed: dict[str, Node] = {}
    for node in first:
        own_output = network.own_output_before(node) is not None
        if own_output and decoding.loop_function is None:
            continue
        encoders = node.recurrent.starts_from_layers if node.recurrent else ()
        shared = network.upstream_of(node.reads) & network.upstream_of(encoders)
        if own_output or (node.wiring == "guess" and shared) or not node.reads:
            changed[node.name] = replace(node, reads=(DECODER_INPUT,), wiring="flag")
    return network.replaced(changed, inputs=[DECODER_INPUT] if changed else [])


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
    return network.replaced(changed)


def _top_of(network: Network, bottom: Node) -> Node:
    """The last layer of a stack: its outputs are what the decoder returns."""
    top = bottom
    for node in network.recurrent:
        if _starts_elsewhere(node) and bottom.name in network.upstream_of(node.reads):
            top = node
    return top


def _refuse_contradiction(node: Node, decoding: Decoding) -> None:
    layer: RecurrentLayer | None = node.recurrent
    stated = None if layer is None else layer.feedback
    if stated is None or decoding.insist or stated.option.value == decoding.loop_function:
        return
    raise OptionError(
        f"{spell('loop_function')} contradicts the file.",
        where=f"layer '{node.name}', {stated.option.detail}",
        expected=f"{stated.option.value}, which the file states ({stated.option.origin})",
        found=decoding.loop_function,
        hint=f"leave it out, or add {spell('override')} to use it all the same",
    )
